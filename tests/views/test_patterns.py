"""The figure of an atlas: where points lie, which colour they have, which names have room."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.views.colours import table
from analytics.views.patterns import (
    BAND,
    HEIGHT,
    PALE_END,
    SCALE,
    WIDTH,
    AtlasFigure,
    _bands,
    atlas_chart,
    extent,
    ground_pixels,
    layer_colours,
    smoothed_density,
    with_room,
)


def figure(x=(0.0, 4.0), y=(0.0, 2.0), layer=(0, 3), positions=((1.0, 1.0), (3.0, 1.5)), **more):
    fields = {
        "title": "Attention patterns",
        "axis": "a plane",
        "x": np.array(x, np.float32),
        "y": np.array(y, np.float32),
        "layer": np.array(layer),
        "heads": tuple((0, i, 0) for i in range(len(positions))),
        "head_positions": np.array(positions, np.float32),
        "clusters": (("local", 2.0, 0.4),),
        "grid_x": np.array([1.0, 3.0]),
        "grid_y": np.array([0.5, 1.5]),
        "decoded": np.zeros((2, 2, 4, 4), np.uint8),
        "near": np.ones((2, 2), bool),
        "caption": ("One sentence.",),
    }
    return AtlasFigure(**{**fields, **more})


def pixel_of(made, x, y):
    """Row and column of a place on the raster."""
    left, right, bottom, top = extent(made)
    row = round((top - y) / (top - bottom) * HEIGHT * SCALE)
    return row, round((x - left) / (right - left) * WIDTH * SCALE)


def test_the_plane_holds_points_and_grid_with_some_room():
    assert extent(figure()) == pytest.approx((-0.2, 4.2, -0.1, 2.1))
    assert extent(figure(x=(2.0, 2.0), grid_x=np.array([2.0])))[:2] == (1.0, 3.0)


def test_a_point_has_the_colour_of_its_layer():
    made = figure()
    pixels = ground_pixels(made)
    assert pixels.shape == (HEIGHT * SCALE, WIDTH * SCALE, 3)
    last = table("viridis")[round(PALE_END * 255)]
    assert pixels[pixel_of(made, 4.0, 2.0)].tolist() == last.tolist()
    assert pixels[pixel_of(made, 0.0, 0.0)].tolist() == table("viridis")[0].tolist()
    assert pixels[pixel_of(made, 2.0, 0.1)].tolist() == [255, 255, 255]


def test_patterns_are_grey_where_points_are_near_and_faint_elsewhere():
    near = np.array([[True, False], [True, True]])
    made = figure(decoded=np.full((2, 2, 4, 4), 255, np.uint8), near=near)
    pixels = ground_pixels(made)
    assert pixels[pixel_of(made, 1.0, 0.5)].tolist() == [255 - 82] * 3  # 0.32 * 255
    assert pixels[pixel_of(made, 3.0, 0.5)].tolist() == [255 - 13] * 3  # 0.05 * 255


def test_bands_darken_where_points_are_dense():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (2, 4000))
    made = figure(x=x, y=y, layer=np.zeros(4000, int), near=np.zeros((2, 2), bool))
    density = smoothed_density(made)
    assert density.sum() == pytest.approx(4000, rel=0.01)
    row, column = pixel_of(made, 0.0, 0.0)
    grey = _bands(made)
    assert grey[row, column] == 255 - 5 * BAND  # inside all five
    assert grey[0, 0] == 255
    # A Gaussian cloud: 60 % lie within 1.35 standard deviations, 95 % within 2.45.
    assert grey[pixel_of(made, 1.9, 0.0)] == 255 - BAND * 1
    assert grey[pixel_of(made, 0.0, 2.9)] == 255


def test_layers_run_along_one_ramp():
    colours = layer_colours(np.array([0, 1, 2]))
    steps = [0, round(PALE_END * 127.5), round(PALE_END * 255)]
    np.testing.assert_array_equal(colours, table("viridis")[steps])
    np.testing.assert_array_equal(layer_colours(np.array([0, 0])), table("viridis")[[0, 0]])


def test_of_two_heads_at_one_place_one_is_named():
    assert with_room(figure()) == [0, 1]
    # The second dot lies where the first one's name would be.
    crowded = figure(positions=((1.0, 1.0), (1.05, 1.0), (3.0, 1.5)))
    assert with_room(crowded) == [1, 2]


def rows_of(chart, mark):
    """Rows of every mark of a kind; a part without data has those of the part around it."""
    found, left = [], [(chart.to_dict(), [])]
    while left:
        part, rows = left.pop()
        if isinstance(part, dict):
            rows = part.get("data", {}).get("values", rows)
            name = part.get("mark")
            name = name.get("type") if isinstance(name, dict) else name
            found += [rows] if name == mark else []
            left += [(one, rows) for key, one in part.items() if key != "data"]
        elif isinstance(part, list):
            left += [(one, rows) for one in part]
    return found


def texts_of(chart):
    """Every written word or line, once for each mark that writes it."""
    return [row.get("name", row.get("text")) for rows in rows_of(chart, "text") for row in rows]


def test_every_head_has_a_dot_and_the_second_model_a_diamond():
    made = figure(heads=((0, 0, 0), (1, 0, 0)))
    [dots] = rows_of(atlas_chart(made), "point")
    assert [row["shape"] for row in dots] == ["circle", "diamond"]
    assert [row["x"] for row in dots] == [1.0, 3.0]
    texts = texts_of(atlas_chart(made))
    assert texts.count("local") == 2  # its outline and itself
    assert "One sentence." in texts


def test_a_head_without_maps_has_no_dot():
    made = figure(positions=((1.0, 1.0), (float("nan"), float("nan")), (3.0, 1.5)))
    [dots] = rows_of(atlas_chart(made), "point")
    assert [row["name"] for row in dots] == ["L0 H0", "L2 H0"]
    assert with_room(made) == [0, 2]


def test_a_cluster_without_points_has_no_name():
    made = figure(clusters=(("local", 2.0, 0.4), ("empty", float("nan"), float("nan"))))
    texts = texts_of(atlas_chart(made))
    assert "empty" not in texts and "local" in texts
