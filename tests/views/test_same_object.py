"""The figure of one query: two panels in the shape of what the model saw, and the query's box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.io.fitting import patch_box, place
from analytics.types import PatchGrid, Picture
from analytics.views.figure import render
from analytics.views.same_object import (
    PANEL,
    SameObjectFigure,
    panel_size,
    same_object_chart,
    small_size,
)
from tests.views.test_heads import parts


def figure(fit="crop"):
    picture = Picture("made.png", "0" * 64, np.full((60, 120, 3), 90, np.uint8))
    placement = place(60, 120, fit, 160, 160)
    probability = np.linspace(0, 1, 25, dtype=np.float32).reshape(5, 5)
    box = patch_box(placement, PatchGrid(5, 5), 1, 3)
    return SameObjectFigure(picture, placement, probability, box, "A title", ("One sentence.",))


def data(chart):
    """Every row of every dataset of a chart."""
    found, left = [], [chart.to_dict()]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            found += part.get("data", {}).get("values", [])
            left += [value for name, value in part.items() if name != "data"]
        elif isinstance(part, list):
            left += part
    return found


@pytest.mark.parametrize(
    ("fit", "size"), [("crop", (PANEL, PANEL)), ("stretch", (PANEL, PANEL // 2))]
)
def test_the_query_is_outlined_where_its_patch_lies(fit, size):
    made = figure(fit)
    assert panel_size(made.placement) == size
    chart = same_object_chart(made)
    boxes = [one for one in data(chart) if set(one) == {"x", "y", "x2", "y2"}]
    width, height = size
    for box in boxes:
        edges = [box["x"] / width, box["y"] / height, box["x2"] / width, box["y2"] / height]
        assert edges == pytest.approx([3 / 5, 1 / 5, 4 / 5, 2 / 5])
    assert len(boxes) == 2 and len(parts(chart, "rect")) == 4  # white under blue, on each panel


def test_the_map_lies_over_the_second_panel_alone():
    images = parts(same_object_chart(figure()), "image")
    names = sorted(part.get("name", "") for part in images)
    assert sum("map" in name for name in names) == 1 and sum("bar" in name for name in names) == 1
    assert sum("photo" in name for name in names) == 2


def test_it_draws_with_its_words():
    drawn = render(same_object_chart(figure()), "svg", "A title", "{}").decode()
    assert "<title>A title</title>" in drawn and "One sentence." in drawn
    assert "P(same object)" in drawn


@pytest.mark.parametrize(("fit", "height"), [("crop", 115), ("stretch", 58)])
def test_small_maps_stand_in_lines_with_the_query_in_place(fit, height):
    made = figure(fit)
    small = tuple((f"L{i}", made.probability) for i in range(9))
    width, tall = small_size(made.placement)
    assert (width, tall) == (115, height)  # seven of 115 and six gaps of 8 in twice 420 and 16
    chart = same_object_chart(replace(made, small=small))
    images = [part for part in parts(chart, "image") if "small" in part.get("name", "")]
    assert len(images) == 9
    boxes = [one for one in data(chart) if set(one) == {"x", "y", "x2", "y2"}]
    inside = [one for one in boxes if one["x2"] <= width]
    assert inside
    for box in inside:
        edges = [box["x"] / width, box["y"] / tall, box["x2"] / width, box["y2"] / tall]
        assert edges == pytest.approx([3 / 5, 1 / 5, 4 / 5, 2 / 5])
    drawn = render(chart, "svg", "A title", "{}").decode()
    assert ">L0<" in drawn and ">L8<" in drawn
