"""Shipped masks and folders of cut-outs with alpha, alone and in scenes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analytics.io.cutouts import (
    Cutout,
    ShippedPhotograph,
    folder_cutouts,
    pick_cutouts,
    resized_cutout,
    shipped_cutouts,
    shipped_photographs,
)
from analytics.io.scenes import make_scene, scene_sources

STAMPS = Path("/usr/share/tuxpaint/stamps")


def disc(colour=(250, 10, 10), side=60):
    """A disc of one colour on transparent green, uint8 (side, side, 4)."""
    at = np.arange(side) - (side - 1) / 2
    inside = at[:, None] ** 2 + at**2 <= (side / 2 - 4) ** 2
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[..., 1] = 255
    pixels[inside] = (*colour, 255)
    return pixels


def folder_of(path, **pictures):
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(path / f"{name}.png")
    return path


def test_every_shipped_mask_fits_its_photograph_and_names_its_objects():
    found = {source.name: source.load() for source in shipped_photographs()}
    assert sorted(found) == [
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "coins.png",
        "rocket.jpg",
    ]
    assert {name: len(image.ids) for name, image in found.items()} == {
        "astronaut.png": 4,
        "chelsea.png": 1,
        "coffee.png": 3,
        "coins.png": 24,
        "rocket.jpg": 1,
    }
    for image in found.values():
        assert set(image.classes) == set(image.ids)
        assert min(int((image.instances == number).sum()) for number in image.ids) > 1000
        assert 0 in image.instances


@pytest.mark.parametrize(
    ("name", "row", "column", "kind"),
    [
        ("astronaut.png", 120, 225, "person"),
        ("astronaut.png", 450, 400, "helmet"),
        ("astronaut.png", 150, 395, "model of a shuttle"),
        ("astronaut.png", 300, 15, "flag"),
        ("astronaut.png", 100, 340, None),
        ("chelsea.png", 110, 175, "cat"),
        ("chelsea.png", 150, 420, None),
        ("coffee.png", 150, 290, "cup"),
        ("coffee.png", 285, 370, "spoon"),
        ("coffee.png", 200, 120, "saucer"),
        ("coffee.png", 100, 520, None),
        ("rocket.jpg", 280, 322, "rocket"),
        ("rocket.jpg", 280, 250, None),
        ("coins.png", 45, 334, "coin"),
        ("coins.png", 85, 100, None),
    ],
)
def test_points_of_the_photographs_have_the_object_that_is_seen_there(name, row, column, kind):
    image = ShippedPhotograph(name).load()
    assert image.classes.get(int(image.instances[row, column])) == kind


def test_coins_are_brighter_than_the_cloth_around_them():
    image = ShippedPhotograph("coins.png").load()
    grey = image.pixels[..., 0].astype(float)
    for number in image.ids:
        rows, columns = np.nonzero(image.instances == number)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        ground = grey[box][image.instances[box] == 0]
        assert grey[rows, columns].mean() > ground.mean() + 30


def test_a_missing_photograph_is_said_in_words(monkeypatch, tmp_path):
    monkeypatch.setattr("analytics.io.cutouts.assets_dir", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"coffee\.png: expected the shipped picture and its mask"):
        ShippedPhotograph("coffee.png").load()


def test_the_shipped_objects_come_by_class():
    groups = shipped_cutouts()
    assert {group[0].kind: len(group) for group in groups} == {
        "person": 1,
        "helmet": 1,
        "model of a shuttle": 1,
        "flag": 1,
        "cat": 1,
        "cup": 1,
        "saucer": 1,
        "coin": 24,
        "rocket": 1,
    }
    cup = next(group[0] for group in groups if group[0].kind == "cup").load()
    assert set(np.unique(cup[..., 3])) == {0, 255}
    assert [cup[..., 3].any(axis=axis).all() for axis in (0, 1)] == [True, True]


def test_a_folder_gives_its_objects_in_their_boxes(tmp_path):
    folder_of(tmp_path, apple=disc())
    ((apple,),) = folder_cutouts(tmp_path)
    assert apple.kind == "apple"
    assert apple.load().shape == (52, 52, 4)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((30, 30, 3), 9, np.uint8), "no transparent pixel"),
        (np.zeros((30, 30, 4), np.uint8), "0 opaque pixels"),
        (disc(side=16), "at least 12 x 12"),
    ],
)
def test_a_file_without_an_object_is_refused(tmp_path, pixels, words):
    folder_of(tmp_path, thing=pixels)
    with pytest.raises(ValueError, match=rf"thing.png: .*{words}"):
        Cutout("thing", tmp_path / "thing.png").load()


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n1234")
    with pytest.raises(ValueError, match=r"bad\.png"):
        Cutout("bad", tmp_path / "bad.png").load()
    with pytest.raises(ValueError, match=r"gone\.png: expected a picture with transparency"):
        Cutout("gone", tmp_path / "gone.png").load()


def test_resizing_mixes_no_colour_of_the_old_background_in():
    small = resized_cutout(disc(), 0.37, mirror=False)
    assert small.shape == (22, 22, 4)
    inside = small[..., 3] == 255
    assert set(np.unique(small[..., 3])) == {0, 255}
    assert np.all(abs(small[inside][:, :3].astype(int) - (250, 10, 10)) <= 8)
    assert inside.sum() == pytest.approx(np.pi * (26 * 0.37) ** 2, rel=0.06)


def test_mirroring_turns_left_and_right():
    half = disc()
    half[:, :30, 3] = 0
    plain, mirrored = (resized_cutout(half, 1.0, mirror) for mirror in (False, True))
    assert np.array_equal(plain[:, ::-1], mirrored)
    assert not np.array_equal(plain, mirrored)


def test_a_group_comes_again_only_after_all_others():
    groups = [[Cutout(str(i), Path("x"))] for i in range(4)]
    kinds = [c.kind for c in pick_cutouts(np.random.default_rng(0), groups, 8)]
    assert sorted(kinds[:4]) == sorted(kinds[4:]) == ["0", "1", "2", "3"]


def test_a_scene_of_shipped_objects_shows_their_own_pixels():
    scene = make_scene("cut-outs", 0)
    known = {group[0].kind for group in shipped_cutouts()}
    assert set(scene.classes.values()) <= known
    assert len(scene.ids) >= 3
    assert scene.notes == ()


def test_a_scene_from_a_folder_has_the_colours_of_its_objects_to_the_pixel(tmp_path):
    colours = {"red": (250, 10, 10), "blue": (10, 10, 250), "white": (255, 255, 255)}
    folder_of(tmp_path, **{name: disc(colour, 200) for name, colour in colours.items()})
    scene = make_scene("cut-outs", 3, cutouts=tmp_path)
    assert len(scene.ids) >= 2
    for number in scene.ids:
        painted = scene.pixels[scene.instances == number].astype(int)
        assert np.all(abs(painted - colours[scene.classes[number]]) <= 8)
    ground = scene.pixels[scene.instances == 0].astype(int)
    for colour in colours.values():
        assert abs(ground - colour).max(axis=1).min() > 8


def test_files_of_a_folder_that_show_no_object_are_passed_over(tmp_path):
    folder_of(tmp_path, good=disc(), fine=disc(), bad=np.full((30, 30, 3), 9, np.uint8))
    scenes = [source.load() for source in scene_sources(3, 0, 224, ("cut-outs",), cutouts=tmp_path)]
    assert {kind for scene in scenes for kind in scene.classes.values()} == {"good", "fine"}
    notes = [note for scene in scenes for note in scene.notes]
    assert notes
    assert all(note.startswith("Passed over: bad.png: expected an object") for note in notes)


def test_a_folder_of_nothing_but_bad_files_is_refused(tmp_path):
    folder_of(tmp_path, bad=np.full((30, 30, 3), 9, np.uint8))
    with pytest.raises(ValueError, match=r"bad\.png"):
        make_scene("cut-outs", 0, cutouts=tmp_path)


@pytest.mark.skipif(not STAMPS.is_dir(), reason="Debian's tuxpaint-stamps-default is not installed")
def test_stamps_make_scenes():
    scenes = [make_scene("cut-outs", seed, cutouts=STAMPS) for seed in range(4)]
    assert min(len(scene.ids) for scene in scenes) >= 2
    assert len({kind for scene in scenes for kind in scene.classes.values()}) > 6
