"""A result of binding and a picture read by a probe, small and made up."""

from __future__ import annotations

import numpy as np

from analytics.io.fitting import place
from analytics.metrics.binding import AUCS, MEASURES
from analytics.serve.binding_work import BoundPicture
from analytics.store.provenance import make_provenance
from analytics.studies.binding_map import SameObjectMap
from analytics.studies.binding_record import SPECTRUM, Binding, BoundImage
from analytics.types import PatchGrid, Picture

WEIGHTS = "b" * 64
ROWS = ("plda", "linear", "quadratic, random weights", "majority", "position")
KINDS = ("probe", "probe", "control", "baseline", "baseline")
POINTS = 3


def made_binding(identifier: str = "binding1", unfitted: tuple[str, ...] = ()) -> Binding:
    """Two probes, a control and two baselines at three points, two seeds; some not yet fitted."""
    rng = np.random.default_rng(0)
    shape = (len(ROWS), POINTS, 2)
    middle = rng.uniform(0.4, 0.9, (*shape, len(MEASURES), 1)).astype(np.float32)
    values = np.concatenate([middle, middle - 0.05, middle + 0.05], axis=-1)
    values[[ROWS.index(name) for name in unfitted]] = np.nan
    parts = ("train", "train", "validation", "test")
    images = (
        BoundImage(f"one-colour {i:06d}", f"{i:064x}", "one-colour", parts[i]) for i in range(4)
    )
    return Binding(
        id=identifier,
        model_label="A small model",
        caution="Made up for a test.",
        grid=PatchGrid(2, 3),
        rows=ROWS,
        kinds=KINDS,  # type: ignore[arg-type]
        seeds=(0, 1),
        families=("one-colour",),
        values=values,
        by_family=np.full((*shape, 1, len(AUCS)), np.nan, np.float32),
        by_distance=np.full((*shape, 3, len(AUCS)), np.nan, np.float32),
        pairs=np.ones((2, 3, 2), np.int64),
        spectra=np.full((len(ROWS), POINTS, SPECTRUM), np.nan, np.float32),
        dimensions=np.full(shape, np.nan, np.float32),
        link={},
        images=tuple(images),
        images_wanted=4,
        skipped=(),
        notes=("4 images are few",),
        done=10 - 2 * len(unfitted),
        wanted=10,
        provenance=make_provenance("test", "bundled", WEIGHTS, {"x": "a" * 64}, {}),
    )


def made_bound(identifier: str = "bound1", scene: bool = True) -> BoundPicture:
    """Two rows of three patches, read at points 0 to 2 with k = 2; the left column is an object."""
    rng = np.random.default_rng(1)
    same = SameObjectMap(
        kind="quadratic",
        points=(0, 1, 2),
        grid=PatchGrid(2, 3),
        z=rng.normal(size=(3, 6, 2)).astype(np.float32),
        own=rng.normal(size=(3, 6)).astype(np.float32),
        signs=np.array([[1, -1], [4, 0], [-9, 0.25]], np.float32),
        bias=np.array([0.5, -0.5, 0], np.float32),
    )
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    mask = np.zeros((8, 12), np.int32)
    mask[:, :4] = 1
    return BoundPicture(
        id=identifier,
        study="binding1",
        row="plda",
        fitted_on="2 made scenes",
        same=same,
        picture=Picture("scene & co.png", "c" * 64, pixels),
        placement=place(8, 12, "crop", 8, 12),
        scene="one-colour 900000" if scene else "",
        mask=mask if scene else None,
        objects=np.array([[1, -1, -1], [1, -1, -1]], np.int32) if scene else None,
        model_label="A small model",
        caution="",
        provenance=make_provenance("test", "bundled", WEIGHTS, {"x": "a" * 64}, {}),
    )
