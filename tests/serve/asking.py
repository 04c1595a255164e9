"""Asking for the jobs of the Heads page on a small model, as the page asks for them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
from PIL import Image

from analytics.serve.importance_work import held_importance
from analytics.serve.sets import keep_zip

MODEL = "test_vit:random"


def made(seed: int, shade: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8)
    pixels[:, : 4 + 3 * (seed % 8)] = (shade, 200, 90)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def silent(done: float, total: float, message: str = "") -> None:
    pass


def two_classes(here) -> str:
    """A stored zip of two folders: pictures with a dark and with a bright margin."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(12):
            archive.writestr(f"dark/{i}.png", made(100 + i, 0))
            archive.writestr(f"bright/{i}.png", made(200 + i, 255))
    return keep_zip(here, buffer.getvalue())


def request(pictures, effort="quick", **more):
    params = {
        "model": MODEL,
        "checkpoint": None,
        "size": None,
        "fit": "crop",
        "set": {"kind": "pictures", "images": pictures}
        if isinstance(pictures, list)
        else {"kind": "zip", "sha256": pictures},
        "readout": None,
        "limit": 64,
        "seed": 0,
        "effort": effort,
        "ablation": "zero",
        **more,
    }
    name = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:24]
    return {**params, "job": f"importance-{name}"}


def run(here, kind, params, key="job"):
    """A job through the queue, as the page asks for it."""
    here.jobs.submit(kind, params, key, "test")
    return here.jobs.wait(key, 60)


def measure(here, params):
    job = run(here, "importance", params, params["job"])
    assert job.state == "done", job.error
    return held_importance(here, job.result)
