"""What each family of made scenes promises, checked on its pixels."""

import numpy as np
import pytest

from analytics.io.scenes import make_scene, shifted_scene
from analytics.io.scenes_copies import copy_positions, copy_sprite, identical_copies, most_copies


def pieces(mask):
    """How many pieces a mask has, by flooding from pixel to pixel along sides."""
    left = mask.copy()
    count = 0
    while left.any():
        count += 1
        edge = np.zeros_like(left)
        edge.flat[left.argmax()] = True
        while edge.any():
            left &= ~edge
            spread = np.zeros_like(edge)
            spread[1:] |= edge[:-1]
            spread[:-1] |= edge[1:]
            spread[:, 1:] |= edge[:, :-1]
            spread[:, :-1] |= edge[:, 1:]
            edge = spread & left
    return count


def colours_of(scene, number):
    return {tuple(map(int, colour)) for colour in scene.pixels[scene.instances == number]}


def of_class(scene, name):
    return [number for number, kind in scene.classes.items() if kind == name]


def all_patches(array, patch):
    """(rows, columns, ...) patches of an array, by slicing."""
    rows = range(0, array.shape[0], patch)
    columns = range(0, array.shape[1], patch)
    return np.stack(
        [np.stack([array[r : r + patch, c : c + patch] for c in columns]) for r in rows]
    )


def test_pieces_counts_pieces():
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
    assert pieces(mask) == 3


@pytest.mark.parametrize("seed", range(4))
def test_objects_of_one_colour_have_one_and_it_is_not_in_the_background(seed):
    scene = make_scene("one-colour", seed)
    for number in scene.ids:
        (colour,) = colours_of(scene, number)
        ground = scene.pixels[scene.instances == 0].astype(int)
        assert abs(ground - colour).max(axis=1).min() > 0


def test_colours_of_the_shared_palette_are_those_of_the_background():
    scene = make_scene("shared-palette", 1)
    ground = {tuple(map(int, colour)) for colour in scene.pixels[scene.instances == 0]}
    for number in scene.ids:
        assert len(colours_of(scene, number)) >= 3
        assert colours_of(scene, number) <= ground


@pytest.mark.parametrize("patch", [14, 16])
@pytest.mark.parametrize("seed", [0, 4])
def test_patches_of_aligned_copies_are_equal_bit_for_bit(seed, patch):
    scene = identical_copies(seed, 224, patch, copies=4)
    corners = copy_positions(seed, 224, patch, 4, aligned=True)
    patches = all_patches(scene.pixels, patch)
    height, width = (-(-side // patch) for side in copy_sprite(seed, 224)[0].shape)
    blocks = [
        patches[top // patch : top // patch + height, left // patch : left // patch + width]
        for top, left in corners
    ]
    assert len(scene.ids) == len(blocks) == 4
    for block in blocks[1:]:
        assert np.array_equal(block, blocks[0])
    assert len(np.unique(blocks[0].reshape(height * width, -1), axis=0)) > 3


def test_copies_off_the_grid_are_equal_pixels_that_no_patch_repeats():
    scene = identical_copies(1, 224, 14, copies=3, aligned=False)
    corners = copy_positions(1, 224, 14, 3, aligned=False)
    height, width = copy_sprite(1, 224)[0].shape
    cut = [scene.pixels[t : t + height, left : left + width] for t, left in corners]
    assert np.array_equal(cut[0], cut[1])
    assert np.array_equal(cut[0], cut[2])
    residues = {(top % 14, left % 14) for top, left in corners}
    assert len(residues) == 3
    assert (0, 0) not in residues


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_as_many_copies_fit_as_is_said_and_none_meet(seed, aligned):
    most = most_copies(seed, 224, 14, aligned)
    assert most >= 4
    scene = identical_copies(seed, 224, 14, copies=most, aligned=aligned)
    sizes = [int((scene.instances == number).sum()) for number in scene.ids]
    assert sizes == [int(copy_sprite(seed, 224)[0].inside.sum())] * most
    corners = copy_positions(seed, 224, 14, most, aligned)
    assert len({(top % 14, left % 14) for top, left in corners}) == (1 if aligned else most)
    with pytest.raises(ValueError, match=f"1 to {most} copies"):
        identical_copies(seed, 224, 14, copies=most + 1, aligned=aligned)


def test_given_positions_are_rounded_to_patches_and_kept_inside():
    scene = identical_copies(2, 224, 14, positions=[(8, 20), (-50, 1000)])
    height, width = copy_sprite(2, 224)[0].shape
    boxes = []
    for number in (1, 2):
        rows, columns = np.nonzero(scene.amodal[number])
        boxes.append((int(rows.min()), int(columns.min())))
        assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) == (height, width)
    assert boxes == [(14, 14), (0, (224 - width) // 14 * 14)]
    free = identical_copies(2, 224, 14, aligned=False, positions=[(8, 20)])
    rows, columns = np.nonzero(free.amodal[1])
    assert (int(rows.min()), int(columns.min())) == (8, 20)


def test_a_later_copy_covers_an_earlier_one_and_a_hidden_one_is_no_instance():
    scene = identical_copies(2, 224, 14, positions=[(28, 28), (28, 28), (28, 42)])
    assert scene.ids == (2, 3)
    assert np.count_nonzero(scene.amodal[2] & (scene.instances == 3)) > 0


def test_copies_need_a_position():
    with pytest.raises(ValueError, match="at least one copy"):
        identical_copies(0, positions=[])


def test_two_kinds_are_copies_within_a_class_and_share_their_colours():
    scene = make_scene("two-kinds", 3)
    kinds = sorted(set(scene.classes.values()))
    assert len(kinds) == 2
    for kind in kinds:
        views = []
        for number in of_class(scene, kind):
            rows, columns = np.nonzero(scene.instances == number)
            box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
            views.append(
                np.where((scene.instances == number)[box][..., None], scene.pixels[box], 0)
            )
        assert len(views) >= 2
        assert all(np.array_equal(view, views[0]) for view in views)
    first, second = (colours_of(scene, of_class(scene, kind)[0]) for kind in kinds)
    assert len(first & second) >= 3


@pytest.mark.parametrize("family", ["strips-own", "strips-same"])
@pytest.mark.parametrize("seed", range(4))
def test_strips_of_two_objects_take_turns(family, seed):
    scene = make_scene(family, seed)
    assert scene.ids == (1, 2)
    assert [pieces(scene.instances == number) for number in (1, 2)] == [1, 1]
    rows, columns = np.nonzero(scene.instances)
    middle = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
    orders = []
    for line in (scene.instances[middle[0]], scene.instances[:, middle[1]]):
        seen = line[line > 0]
        orders.append(seen[np.flatnonzero(np.diff(seen, prepend=-1))].tolist())
    order = max(orders, key=len)
    assert order in ([1, 2] * 3, [1, 2] * 4)
    one, two = colours_of(scene, 1), colours_of(scene, 2)
    assert one == two if family == "strips-same" else not one & two


@pytest.mark.parametrize("seed", range(6))
def test_a_split_object_is_one_instance_in_two_pieces(seed):
    scene = make_scene("split", seed)
    (bar,) = of_class(scene, "bar")
    (cover,) = of_class(scene, "occluder")
    assert pieces(scene.instances == bar) == 2
    assert pieces(scene.amodal[bar]) == 1
    assert np.all(scene.instances[scene.amodal[bar] & (scene.instances != bar)] == cover)


@pytest.mark.parametrize("seed", range(6))
def test_two_aligned_objects_end_before_the_occluder(seed):
    scene = make_scene("aligned-pair", seed)
    bars = of_class(scene, "bar")
    assert len(bars) == 2
    assert [pieces(scene.instances == bar) for bar in bars] == [1, 1]
    assert colours_of(scene, bars[0]) == colours_of(scene, bars[1])
    (cover,) = of_class(scene, "occluder")
    near = scene.instances == cover
    for _ in range(3):
        near = near | np.roll(near, 1, 0) | np.roll(near, -1, 0)
        near = near | np.roll(near, 1, 1) | np.roll(near, -1, 1)
    assert not np.isin(scene.instances[near], bars).any()
    assert all(np.array_equal(scene.amodal[bar], scene.instances == bar) for bar in bars)


@pytest.mark.parametrize("shift", [(14, -28), (-5, 3), (0, 56)])
def test_a_shifted_scene_is_the_scene_moved(shift):
    base, moved = shifted_scene(1, 224, (0, 0)), shifted_scene(1, 224, shift)
    down, right = shift
    here = slice(max(down, 0), 224 + min(down, 0)), slice(max(right, 0), 224 + min(right, 0))
    before = slice(max(-down, 0), 224 + min(-down, 0)), slice(max(-right, 0), 224 + min(-right, 0))
    for name in ("pixels", "instances", "parts"):
        assert np.array_equal(getattr(moved, name)[here], getattr(base, name)[before])
    for number, whole in moved.amodal.items():
        assert np.array_equal(whole[here], base.amodal[number][before])
        assert whole.sum() == whole[here].sum(), "nothing comes in from outside"
    assert moved.notes == (f"Moved by {down} pixels down and {right} right.",)


def test_the_family_of_shifted_scenes_says_its_shift_and_is_never_still():
    for seed in range(4):
        words = make_scene("shifted", seed).notes[0].removesuffix(".").split()
        shift = int(words[2]), int(words[6])
        assert 0 not in shift
        assert shifted_scene(seed, 224, shift).sha256 == make_scene("shifted", seed).sha256


def test_a_shift_out_of_the_picture_is_refused():
    with pytest.raises(ValueError, match="at most 56 pixels"):
        shifted_scene(0, 224, (57, 0))
