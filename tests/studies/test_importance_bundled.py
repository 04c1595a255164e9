"""The bundled model's heads on the shipped photographs: what is known of them stays true."""

from __future__ import annotations

import pytest

from analytics.io.sources import ImageFile, assets_dir
from analytics.models.registry import load_model, parse_model
from analytics.studies.importance import measure_importance

PHOTOGRAPHS = (
    "chelsea.png",
    "astronaut.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "coins.png",
)


@pytest.mark.slow
def test_the_three_most_important_heads():
    """Regression, no published figure: L11 H2 leads, L11 H1 and L8 H3 follow in either order."""
    folder = assets_dir() / "images"
    images = [ImageFile(name, folder / name) for name in PHOTOGRAPHS]
    record = measure_importance(load_model(parse_model("bundled")), images, ("cls_shift",))
    means = record.mean("cls_shift")
    ranked = [record.heads[column] for column in means.argsort()[::-1][:3]]
    assert ranked[0] == (11, 2)
    assert set(ranked) == {(11, 2), (11, 1), (8, 3)}
    assert 0.07 < means.max() < 0.16
