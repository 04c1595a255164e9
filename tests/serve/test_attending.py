"""The Attention view's routes: every measure of every head, and what is no longer held."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from analytics.metrics.head_link import LINK_MEASURES
from analytics.serve import binding_work
from analytics.serve.state import make_services

MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None, "fit": "crop"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Services with a preview on a few scenes and heads on four others."""
    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    here = make_services(tmp_path_factory.mktemp("attending"))
    job = run(here, "binding", {**MODEL, "whole": False, "seed": 0}, "b")
    assert job.state == "done", job.error
    asked = {**MODEL, "study": str(job.result), "row": "plda", "scenes": 4}
    job = run(here, "scene-link", asked, "heads")
    assert job.state == "done", job.error
    yield here, asked
    here.close()
    patch.undo()


def run(here, kind, params, key):
    here.jobs.submit(kind, {**params, "job": key}, key, "test")
    return here.jobs.wait(key, 120)


def get(here, address):
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from analytics.serve.routes import routes

    app = Starlette(routes=routes(lambda: here))
    return TestClient(app, base_url="http://localhost:8501").get(address)


def test_every_measure_of_every_head_is_told(fitted):
    here, _ = fitted
    found = here.views.get("heads")
    token = here.signer.sign("heads")
    plain = get(here, f"/atlas/attending/{token}").json()
    assert [one["name"] for one in plain["measures"]] == list(LINK_MEASURES)
    assert plain["scope"] == "scenes" and plain["images"] == 4
    for place, one in enumerate(plain["measures"]):
        told = np.array(one["heads"], float)
        assert told.shape == (len(plain["heads"]), max(plain["heads"]), 3)
        np.testing.assert_allclose(told, found.link.values[place], atol=1e-4)


def test_the_table_has_a_line_for_each_head_and_measure(fitted):
    here, _ = fitted
    answer = get(here, f"/atlas/attending/{here.signer.sign('heads')}/export/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    heads = sum(here.views.get("heads").link.heads)
    assert (
        len({(row["layer"], row["head"]) for row in rows if row["head"] not in ("", "mean")})
        >= heads
    )
    svg = get(here, f"/atlas/attending/{here.signer.sign('heads')}/export/svg?measure=auc_matched")
    assert svg.status_code == 200 and b"<svg" in svg.content


def test_what_is_not_held_or_unknown_is_said(fitted):
    here, _ = fitted
    gone = get(here, f"/atlas/attending/{here.signer.sign('nothing')}")
    assert gone.status_code == 410 and "compute them again" in gone.json()["error"]
    token = here.signer.sign("heads")
    assert get(here, f"/atlas/attending/{token}/export/gif").status_code == 400
    assert get(here, f"/atlas/attending/{token}/export/svg?measure=joy").status_code == 400


def test_one_object_that_fills_the_picture_still_has_scores(fitted, tmp_path):
    from PIL import Image

    here, asked = fitted
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)).save(
        buffer, "PNG"
    )
    picture = here.pictures.put(buffer.getvalue(), "made.png")
    job = run(here, "picture-link", {**asked, "picture": picture.sha256, "scene": None}, "one")
    assert job.state == "done", job.error
    link = here.views.get("one").link
    place = LINK_MEASURES.index("score_pearson")
    assert not link.known and np.isfinite(link.values[place, ..., 0]).any()
