"""Shapes, colours and layout of made scenes, by answers worked out by hand."""

import numpy as np
import pytest

from analytics.io.scenes_layout import Placed, Sprite, boxes_meet, compose, scatter, trimmed
from analytics.io.scenes_paint import (
    INK,
    TEXTURES,
    cloud,
    edges,
    painted_figure,
    palette,
    patchwork,
    texture,
)
from analytics.io.scenes_shapes import (
    FIGURES,
    SHAPES,
    Area,
    area_mask,
    figure_parts,
    frame,
    inside_polygon,
    shape_mask,
)

RED, BLUE = np.array([[200, 0, 0]], np.uint8), np.array([[0, 0, 200]], np.uint8)


def generator(seed=0):
    return np.random.default_rng(seed)


def square(side, group=None, kind="square"):
    return Sprite(
        kind, np.full((side, side, 3), 9, np.uint8), np.ones((side, side), np.int32), group
    )


def test_a_polygon_holds_what_lies_inside_by_the_even_odd_rule():
    u, v = np.array([0.0, 2.0, 0.9, 0.0]), np.array([0.0, 0.0, -0.9, 1.1])
    assert inside_polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)], u, v).tolist() == [
        True,
        False,
        True,
        False,
    ]
    bow = [(-1, -1), (1, 1), (1, -1), (-1, 1)]
    assert inside_polygon(bow, np.array([0.5, 0.0]), np.array([0.1, 0.5])).tolist() == [True, False]


def test_areas_have_their_sizes():
    u, v = frame(100, 50, 0.0)
    pixels = 100 * 50
    assert area_mask(Area("box", (-1, -1, 1, 1)), u, v).sum() == 201 * 101
    ellipse = area_mask(Area("ellipse", (-1, -1, 1, 1)), u, v).sum()
    assert ellipse == pytest.approx(np.pi * pixels, rel=0.01)
    triangle = area_mask(Area("polygon", (-1, 1, 1, 1, 0, -1)), u, v).sum()
    assert triangle == pytest.approx(2 * pixels, rel=0.02)


def test_a_quarter_turn_swaps_width_and_height():
    wide = shape_mask("box", *frame(20, 8, 0.0), generator())
    tall = shape_mask("box", *frame(20, 8, np.pi / 2), generator())
    spans = [
        (int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
        for rows, cols in (np.nonzero(wide), np.nonzero(tall))
    ]
    assert spans == [(17, 41), (41, 17)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_fills_a_good_part_of_its_box_and_touches_no_border(shape):
    mask = shape_mask(shape, *frame(30, 30, 0.7), generator())
    assert 0.2 < mask.sum() / 61**2 <= 1.1
    assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize("figure", FIGURES)
def test_every_part_of_every_figure_is_seen(figure):
    parts = figure_parts(figure, *frame(25, 25, 0.0))
    counts = np.bincount(parts.ravel(), minlength=len(FIGURES[figure]) + 1)
    assert len(counts) == len(FIGURES[figure]) + 1
    assert counts[1:].min() >= 15


def test_a_palette_keeps_its_colours_apart_and_its_grounds_grey():
    for seed in range(20):
        colours = palette(generator(seed), 5, muted=1).astype(int)
        gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2)
        assert gaps[~np.eye(5, dtype=bool)].min() > 60
        assert np.ptp(colours[0]) <= 0.42 * colours[0].max()


def test_textures_repeat_after_their_period():
    both = np.concatenate([RED, BLUE])
    assert texture("stripes", 6, 1, both, 4)[:, 0, 0].tolist() == [200, 200, 0, 0, 200, 200]
    assert texture("checks", 2, 4, both, 2)[..., 0].tolist() == [[200, 0] * 2, [0, 200] * 2]
    for kind in TEXTURES:
        drawn = texture(kind, 24, 24, both, 6, 1)
        assert np.array_equal(drawn[6:], drawn[:-6])
        assert np.array_equal(drawn[:, 6:], drawn[:, :-6])
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == (1 if kind == "flat" else 2)


def test_edges_line_an_object_inside_and_a_border_once():
    assert edges(np.array([[0, 1, 1, 2]])).tolist() == [[False, True, True, False]]
    labels = np.zeros((6, 6), int)
    labels[1:5, 1:5] = 1
    inner = np.zeros((6, 6), bool)
    inner[2:4, 2:4] = True
    assert np.array_equal(edges(labels), (labels == 1) & ~inner)
    assert np.array_equal(edges(labels, 2), labels == 1)


def test_grounds_are_made_of_the_colours_given():
    both = np.array([[40, 60, 80], [140, 120, 100]], np.uint8)
    soft = cloud(generator(), 64, both).astype(int)
    assert np.all(soft >= both.min(axis=0).astype(int) - 4)
    assert np.all(soft <= both.max(axis=0).astype(int) + 4)
    found = {tuple(c) for c in patchwork(generator(), 64, both).reshape(-1, 3).tolist()}
    assert found == {(40, 60, 80), (140, 120, 100), INK}


def test_a_painted_figure_has_the_colours_given_and_ink():
    colours = palette(generator(), 4)
    pixels, parts = painted_figure(generator(), "car", colours, (30, 20), 1)
    found = {tuple(c) for c in pixels[parts > 0].tolist()}
    assert found <= {tuple(c) for c in colours.tolist()} | {INK}
    assert INK in found
    assert len(found) > 3


def test_compose_paints_in_order_and_keeps_what_is_hidden():
    back = np.zeros((6, 8, 3), np.uint8)
    scene = compose("x", "f", back, [Placed(square(4), 1, 1), Placed(square(4, kind="top"), 3, 3)])
    assert scene.instances[2].tolist() == [0, 1, 1, 1, 1, 0, 0, 0]
    assert scene.instances[4].tolist() == [0, 1, 1, 2, 2, 2, 2, 0]
    assert [int(scene.amodal[n].sum()) for n in (1, 2)] == [16, 12]
    assert int((scene.instances == 1).sum()) == 12
    assert scene.classes == {1: "square", 2: "top"}
    assert sorted(np.unique(scene.parts)) == [0, 1, 2]
    assert np.array_equal(scene.pixels[..., 0] == 9, scene.instances > 0)
    assert not back.any(), "the background given is left as it was"


@pytest.mark.parametrize(
    ("top", "left", "shown"),
    [(-2, -3, 2), (4, 6, 4), (-4, 0, 0), (0, 8, 0), (-9, -9, 0), (3, 2, 12)],
)
def test_compose_cuts_off_what_lies_outside(top, left, shown):
    scene = compose("x", "f", np.zeros((6, 8, 3), np.uint8), [Placed(square(4), top, left)])
    assert int((scene.instances == 1).sum()) == shown
    assert len(scene.classes) == len(scene.amodal) == (shown > 0)


def test_trimmed_leaves_the_box_of_the_object():
    parts = np.zeros((5, 6), np.int32)
    parts[1:3, 2:5] = 1
    sprite = trimmed("x", np.zeros((5, 6, 3), np.uint8), parts)
    assert sprite.shape == (2, 3)
    assert sprite.inside.all()
    with pytest.raises(ValueError, match="empty x"):
        trimmed("x", np.zeros((5, 6, 3), np.uint8), np.zeros((5, 6), np.int32))


def test_boxes_meet_from_a_gap_on():
    assert not boxes_meet((0, 0), (2, 2), (0, 2), (2, 2))
    assert boxes_meet((0, 0), (2, 2), (0, 2), (2, 2), gap=1)
    assert boxes_meet((0, 0), (3, 3), (1, 1), (1, 1))
    assert not boxes_meet((0, 0), (2, 9), (5, 0), (2, 9), gap=3)


def test_scatter_hides_no_more_than_allowed_and_keeps_groups_apart():
    crowd = [square(16) for _ in range(12)]
    placed = scatter(generator(), crowd, 40, hidden=0.3)
    scene = compose("x", "f", np.zeros((40, 40, 3), np.uint8), placed)
    shown = [int((scene.instances == n).sum()) for n in range(1, len(placed) + 1)]
    assert min(shown) >= 0.7 * 256
    assert 2 <= len(placed) < 12, "those that find no place are left out"
    apart = scatter(generator(), [square(16, group="a") for _ in range(12)], 64)
    for i, first in enumerate(apart):
        for second in apart[:i]:
            assert max(abs(first.top - second.top), abs(first.left - second.left)) >= 16 + 3
    assert len(apart) >= 3
