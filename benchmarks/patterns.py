"""Fits the shipped pattern coder and measures coders against principal components.

The recipe of assets/weights/patterns_vit_small_patch14.safetensors:

    OMP_NUM_THREADS=1 python -m benchmarks.patterns --write assets/weights

Seeded square crops, half of them mirrored, of the photographs in assets/images; two photographs are
held out. Prints R2 on the maps of the held-out photographs as a table and as JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from analytics.io.sources import assets_dir
from analytics.models.autoencoder import coder_bytes
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.pattern_atlas import finite_points
from analytics.studies.pattern_choices import pretrained_path
from analytics.studies.pattern_fit import enough_epochs, fit_coder
from analytics.studies.pattern_maps import small_maps
from analytics.studies.patterns import fit_maps
from analytics.studies.pictures import survey

HELD_OUT = ("coffee.png", "rocket.jpg")
SEED = 0


@dataclass(frozen=True)
class Crop:
    """A picture in memory."""

    name: str
    data: bytes

    def read_bytes(self, limits=None) -> bytes:
        return self.data


def crops(path: Path, count: int, rng: np.random.Generator) -> list[Crop]:
    """The largest centred square, then random squares of .4 to 1 of the shorter side."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    found = []
    for number in range(count):
        side = int(min(picture.size) * (1 if number == 0 else rng.uniform(0.4, 1)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        crop = picture.crop((left, top, left + side, top + side))
        crop = ImageOps.mirror(crop) if number and rng.random() < 0.5 else crop
        buffer = io.BytesIO()
        crop.save(buffer, "PNG")
        found.append(Crop(f"{path.name}#{number}", buffer.getvalue()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=24, help="of each photograph")
    parser.add_argument("--latent", type=int, nargs="*", default=[2, 16])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--store", type=Path, help="keep the maps here for the next run")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the coder of 2 numbers")
    args = parser.parse_args()
    rng = np.random.default_rng(SEED)
    photographs = sorted((assets_dir() / "images").iterdir())
    pictures = [crop for path in photographs for crop in crops(path, args.crops, rng)]
    loaded = load_model(parse_model("bundled"))
    begin = time.perf_counter()
    store = ResultStore(args.store) if args.store else None
    small = small_maps(loaded, survey(pictures), store=store)
    rows = {"maps": {"seconds": time.perf_counter() - begin}}
    points = finite_points(small)
    held_out = np.array([name.split("#")[0] in HELD_OUT for name in small.names])
    data = fit_maps(small, points, held_out, SEED, "cpu")
    epochs = args.epochs or enough_epochs(len(data.maps))
    for latent in args.latent:
        begin = time.perf_counter()
        found = fit_coder(data, latent, epochs, SEED)
        rows[f"latent {latent}"] = {
            "r2_autoencoder": found.r2_autoencoder,
            "r2_pca": found.r2_pca,
            "seconds": time.perf_counter() - begin,
        }
        print(f"latent {latent}: in use {found.coder.kind}, {rows[f'latent {latent}']}", flush=True)
        if latent == 2 and args.write:
            about = {
                "model": loaded.spec.public_id,
                "weights_sha256": loaded.weights_sha256,
                "r2_autoencoder": f"{found.r2_autoencoder:.4f}",
                "r2_pca": f"{found.r2_pca:.4f}",
                "held_out": ", ".join(HELD_OUT),
            }
            (args.write / pretrained_path().name).write_bytes(coder_bytes(found.coder, about))
    about = {"threads": torch.get_num_threads(), "epochs": epochs}
    sizes = {"maps_fitted": len(data.maps), "maps_held_out": len(data.held_maps)}
    print(json.dumps({**about, **sizes, "rows": rows}))


if __name__ == "__main__":
    main()
