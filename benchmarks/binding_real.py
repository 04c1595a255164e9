"""Probes fitted on made scenes, tried on real pictures whose objects were marked.

A demonstration and no evidence: five photographs with outlines drawn by hand, and one field of
nuclei. The photographs are read by the shipped probes at 224 px; the nuclei, which need small
patches, at 518 px by PLDA fitted on made scenes of that size. Beside every probe stands what the
difference of mean colours alone tells. 256 patches are drawn of each picture.

    python benchmarks/binding_real.py [--scenes 66] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analytics.io.annotated_files import Pair
from analytics.io.annotated_masks import MaskSource
from analytics.io.scenes import scene_sources
from analytics.io.sources import ImageFile, assets_dir
from analytics.metrics.binding import MEASURES, measure_pairs, pair_set
from analytics.models.binding_probes import BindingProbe
from analytics.models.registry import LoadedModel, load_model, parse_model
from analytics.studies.binding_choices import PREVIEW
from analytics.studies.binding_features import BindingFeatures, binding_features
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_ready import ready_probes
from analytics.studies.binding_units import Fitter, Split

PATCHES = 256
SHOWN = ("auc_matched", "auc_colour_matched")
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg")


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=66, help="to fit on at 518 px")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    small = load_model(parse_model("bundled"))
    photographs = read(small, [masked(f"images/{name}", name) for name in PHOTOGRAPHS])
    result = {"photographs": table(photographs, ready_probes(small) or {}, "photographs, 224 px")}
    large = load_model(parse_model("bundled"), 518)
    probe = fitted(large, args.scenes)
    nuclei = read(large, [masked("masks/nuclei.tif", "nuclei_instances.tif")])
    result["nuclei"] = table(nuclei, {"plda": probe}, f"nuclei, 518 px, {args.scenes} scenes")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "binding_real.json").write_text(json.dumps(result, indent=2), encoding="utf-8")


def masked(picture: str, mask: str) -> MaskSource:
    """A shipped picture with its mask."""
    masks = assets_dir() / "masks"
    found = next(
        path for path in (masks / mask, (masks / mask).with_suffix(".png")) if path.is_file()
    )
    path = assets_dir() / picture
    return MaskSource(path.name, Pair(ImageFile(path.name, path), ImageFile(found.name, found)))


def read(loaded: LoadedModel, sources: list[MaskSource]) -> BindingFeatures:
    """Features of the pictures, with many patches drawn of each."""
    found = survey_annotated(sources, lambda *told: None)
    return binding_features(loaded, found, replace(PREVIEW, patches=PATCHES))


def fitted(loaded: LoadedModel, scenes: int) -> BindingProbe:
    """PLDA of made scenes at the model's size."""
    found = survey_annotated(scene_sources(scenes, 0, loaded.input_size[0]), lambda *told: None)
    whole = binding_features(loaded, found, PREVIEW)
    families = sorted(set(whole.families))
    fitter = Fitter(whole, PREVIEW, families, loaded.device)
    return fitter.fit("plda", Split.of(whole, families, 0), lambda *told: None)


def table(features: BindingFeatures, probes: dict[str, BindingProbe], title: str) -> dict[str, Any]:
    """AUCs of every probe at every point, and of the difference of colours."""
    pairs = pair_set(features.objects, features.places, features.pixels[..., :3])
    count = len(
        {(row, one) for row, objects in enumerate(features.objects) for one in objects if one}
    )
    print(f"\n{title}: {len(features.names)} pictures, {count} objects, {len(pairs.truth):,} pairs")
    rows: dict[str, Any] = {}
    colours = features.pixels[..., :3]
    apart = -np.linalg.norm(colours[:, :, None] - colours[:, None], axis=-1)
    rows["colour alone"] = [measured(pairs.scores(apart), pairs)]
    for name, probe in probes.items():
        rows[name] = []
        for point in range(probe.points):
            read = probe.read(_tensor(features.features[point]), point)
            scores = probe.logits(read, read, point).numpy()
            rows[name].append(measured(pairs.scores(scores), pairs))
    for name, found in rows.items():
        for measure in SHOWN:
            print(f"  {name:14}{measure:20}" + " ".join(f"{one[measure]:.2f}" for one in found))
    return rows


def measured(scores: np.ndarray, pairs: Any) -> dict[str, float]:
    """Every measure of some scores."""
    values = measure_pairs(scores, pairs, draws=2)[:, 0]
    return dict(zip(MEASURES, values.tolist(), strict=True))


def _tensor(values: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(values).float()


if __name__ == "__main__":
    main()
