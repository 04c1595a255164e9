"""A canvas of copies: equal pixels at the places given, nothing overlaps, one seed one picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.io.canvas_places import (
    CopiesLayout,
    collides,
    layout_text,
    read_layout,
    settled_places,
    with_places,
)
from analytics.io.scenes_canvas import (
    GROUNDS,
    REPEATING,
    canvas_of_copies,
    marked_object,
    object_names,
)

SIZE, PATCH = (160, 160), (16, 16)
TWO = CopiesLayout("house", 30, "plain", 4, True, 160, ((16, 32), (96, 80)))


def patches_of(canvas, place, steps):
    """Pixels of the patches that a copy at `place` touches."""
    high, wide = steps[0] * PATCH[0], steps[1] * PATCH[1]
    return canvas.image.pixels[place[0] : place[0] + high, place[1] : place[1] + wide]


@pytest.mark.parametrize("ground", sorted(GROUNDS))
def test_copies_have_equal_pixels_at_the_places_given(ground):
    canvas = canvas_of_copies(replace(TWO, ground=ground), SIZE, PATCH)
    high, wide = canvas.sprite.shape
    inside = canvas.sprite.inside
    for number, (row, column) in enumerate(TWO.places, start=1):
        box = (slice(row, row + high), slice(column, column + wide))
        np.testing.assert_array_equal(
            canvas.image.pixels[box][inside], canvas.sprite.pixels[inside]
        )
        np.testing.assert_array_equal(canvas.image.instances[box] == number, inside)
    nowhere = canvas.image.instances == 0
    np.testing.assert_array_equal(canvas.image.pixels[nowhere], canvas.ground[nowhere])
    # Whole patches are equal, ground and all, where the ground repeats with the patches.
    steps = -(-high // PATCH[0]), -(-wide // PATCH[1])
    first, second = (patches_of(canvas, place, steps) for place in TWO.places)
    assert np.array_equal(first, second) == (ground in REPEATING)


@pytest.mark.parametrize("name", sorted(object_names()))
def test_every_object_can_be_laid_about_as_long_as_asked(name):
    canvas = canvas_of_copies(CopiesLayout(name, 50, side=160), SIZE, PATCH)
    assert 60 <= max(canvas.sprite.shape) <= 80
    assert canvas.layout.places and canvas.notes == ()


def test_one_layout_is_one_picture_and_another_seed_another():
    first, again = (canvas_of_copies(TWO, SIZE, PATCH).image.sha256 for _ in range(2))
    assert first == again
    assert canvas_of_copies(replace(TWO, seed=5), SIZE, PATCH).image.sha256 != first


def test_a_layout_is_read_back_from_its_text():
    assert layout_text(CopiesLayout()) == "bird~35~plain~0~grid~224~"
    assert layout_text(TWO) == "house~30~plain~4~grid~160~16.32_96.80"
    for layout in (CopiesLayout(), TWO, CopiesLayout("photo:model of a shuttle", snapped=False)):
        assert read_layout(layout_text(layout)) == layout


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bird",
        "bird~99~plain~0~grid~224~",
        "../x~35~plain~0~grid~224~",
        "bird~35~plain~0~grid~224~1",
    ],
)
def test_what_is_no_layout_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="expected copies as bird~35~plain"):
        read_layout(text)


def test_places_by_hand():
    """A box of 20 x 40 px takes 2 x 3 patches of 16; the canvas has 10 x 10."""
    settle = lambda *places, **more: settled_places(  # noqa: E731
        replace(with_places(TWO, places), **more), (20, 40), SIZE, PATCH
    )
    assert settle((7, 20)) == (((0, 16),), ())
    assert settle((7, 20), snapped=False) == (((7, 20),), ())
    # Beside one another: three patches apart is enough, two are not.
    assert settle((0, 0), (0, 48))[0] == ((0, 0), (0, 48))
    kept, notes = settle((0, 0), (0, 32))
    assert kept == ((0, 0),) and "Copy 2 had no room" in notes[0]
    # Off the grid pixels count: 40 columns apart they touch and do not overlap.
    assert settle((0, 0), (0, 40), snapped=False)[0] == ((0, 0), (0, 40))
    kept, notes = settle((-30, 900))
    assert kept == ((0, 112),) and "moved inside" in notes[0]
    # Pixels of a canvas of 80 rows are twice as many on one of 160.
    assert settle((8, 8), side=80)[0] == ((16, 16),)


def test_more_copies_than_a_canvas_holds_are_left_out():
    places = [(row, column) for row in range(0, 160, 16) for column in range(0, 160, 16)]
    kept, notes = settled_places(with_places(TWO, places), (10, 10), SIZE, PATCH)
    assert len(kept) == 16 and "16 copies at most" in notes[-1]


@pytest.mark.parametrize("snapped", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_places_that_are_found_lie_inside_and_apart(snapped, seed):
    layout = CopiesLayout(seed=seed, snapped=snapped)
    kept, notes = settled_places(layout, (40, 50), SIZE, PATCH)
    step = PATCH if snapped else (1, 1)
    assert len(kept) >= 2 and notes == ()
    for number, at in enumerate(kept):
        assert at[0] + 40 <= 160 and at[1] + 50 <= 160
        assert not collides(at, (40, 50), kept[:number], step)
        assert not snapped or (at[0] % 16, at[1] % 16) == (0, 0)


def test_a_marked_object_is_cut_out_of_its_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    instances = np.zeros((30, 40), np.int32)
    instances[5:25, 10:20] = 2
    found = marked_object(pixels, instances, 2)
    assert found.shape == (20, 10, 4) and found[..., 3].min() == 255
    np.testing.assert_array_equal(found[..., :3], pixels[5:25, 10:20])
    canvas = canvas_of_copies(CopiesLayout("marked:2", 50), SIZE, PATCH, found)
    assert canvas.sprite.shape == (80, 40)
    with pytest.raises(ValueError, match="out of 2, got 1"):
        marked_object(pixels, instances, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"object": "zebra"}, "expected an object out of"),
        ({"object": "photo:zebra"}, "expected an object out of"),
        ({"object": "marked:1"}, "marked on the picture"),
        ({"ground": "sea"}, "expected a ground out of"),
    ],
)
def test_unknown_objects_and_grounds_are_refused(change, expected):
    with pytest.raises(ValueError, match=expected):
        canvas_of_copies(replace(TWO, **change), SIZE, PATCH)
    with pytest.raises(ValueError, match="take a smaller size"):
        settled_places(TWO, (170, 20), SIZE, PATCH)
