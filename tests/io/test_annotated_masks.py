"""Pictures beside masks: arrangements of files, forms of masks, and what is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from analytics.io.annotated_sets import read_annotated
from analytics.io.images import Limits
from tests.io.annotated_making import (
    halves,
    load_refused,
    only,
    palette,
    photo,
    set_refused,
    write,
    zipped,
)
from tests.io.making import png

ARRANGED = [
    ("images/a.jpg", "masks/a.png"),
    ("images/a.jpg", "masks/a_mask.png"),
    ("train/images/x/a.png", "train/labels/x/a.tif"),
    ("images/photos/a.jpg", "images/masks/a.png"),
    ("a.tif", "a_instances.tif"),
    ("a.png", "a-mask.png"),
    ("a.jpg", "a.png"),
]


@pytest.mark.parametrize(("shown", "mask"), ARRANGED)
@pytest.mark.parametrize("packed", [False, True])
def test_each_arrangement_is_recognised(tmp_path, shown, mask, packed) -> None:
    place = tmp_path / "set"
    photo(place / shown)
    write(place / mask, halves().astype(np.uint16 if mask.endswith(".tif") else np.uint8))
    found = read_annotated(zipped(place, "wrapped/") if packed else place)
    assert found.kind == "masks"
    assert found.notes[0].startswith("Recognised as pictures with masks: 1 pair")
    (source,) = found.sources
    assert source.name.endswith(shown)
    image = source.load()
    assert image.instances.dtype == np.int32
    assert image.instances.tolist() == halves().tolist()
    assert image.pixels.shape == (6, 8, 3)


def test_only_pictures_with_a_mask_are_taken_and_the_others_named(tmp_path) -> None:
    for name in ("images/a2.png", "images/a10.png", "images/alone.png"):
        photo(tmp_path / name)
    for name in ("masks/a2.png", "masks/a10.png", "masks/nobody.png"):
        write(tmp_path / name, halves().astype(np.uint8))
    found = read_annotated(tmp_path)
    assert [source.name for source in found.sources] == ["images/a2.png", "images/a10.png"]
    assert "images/alone.png" in found.notes[-1]
    assert "masks/nobody.png" in found.notes[-1]


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture at all")
    (tmp_path / "a_mask.png").write_bytes(b"no mask at all")
    assert len(read_annotated(tmp_path).sources) == 1
    assert load_refused(tmp_path).startswith("a.jpg: expected a picture")


def test_one_picture_and_its_mask(tmp_path) -> None:
    shown, near = photo(tmp_path / "a.jpg"), tmp_path / "a_mask.png"
    far = write(tmp_path / "elsewhere" / "m.png", 3 * halves().astype(np.uint8))
    assert "a_mask.png" in set_refused(shown)
    assert only(shown, "masks", far).ids == (3, 6)
    assert only(shown, None, far).ids == (3, 6)
    write(near, halves().astype(np.uint8))
    assert only(shown).ids == (1, 2)
    assert "no file" in set_refused(shown, None, tmp_path / "gone.png")
    assert "one picture" in set_refused(shown, "coco")


# --- forms of masks --------------------------------------------------------------------


def mask_of(tmp_path, mask: str, pixels: np.ndarray, **options: object):
    photo(tmp_path / "a.jpg", *pixels.shape[:2])
    write(tmp_path / mask, pixels, **options)
    return only(tmp_path)


def test_a_palette_mask_gives_positions_and_not_colours(tmp_path) -> None:
    photo(tmp_path / "a.jpg")
    palette(tmp_path / "a_mask.png", 100 * halves())
    assert only(tmp_path).ids == (100, 200)


def test_sixteen_bits_are_kept(tmp_path) -> None:
    values = np.array([0, 300, 65_535], np.uint16)[halves()]
    image = mask_of(tmp_path, "a_mask.png", values)
    assert image.ids == (300, 65_535)
    assert image.instances.tolist() == values.tolist()


def test_colours_are_numbered_and_black_is_none(tmp_path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, :2], pixels[1:, 3], pixels[3, 0] = (200, 0, 0), (0, 0, 9), (0, 1, 0)
    image = mask_of(tmp_path, "a_mask.png", pixels)
    expected = [[3, 3, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [2, 0, 0, 1]]
    assert image.instances.tolist() == expected
    assert "3 colours of the mask read as instances, black as none" in image.notes


def test_transparent_pixels_are_unlabelled(tmp_path) -> None:
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[:2, :, 3] = 0
    assert (
        mask_of(tmp_path, "a_mask.png", pixels).instances.tolist() == [[0] * 4] * 2 + [[1] * 4] * 2
    )


def test_one_bit_and_four_bits_give_the_stored_numbers(tmp_path) -> None:
    assert mask_of(tmp_path, "a_mask.png", halves() == 2).ids == (1,)
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    packed = tmp_path / "b" / "a_mask.png"
    photo(packed.with_name("a.jpg"), 4, 4)
    rows = b"".join(b"\0" + bytes(16 * r[i] + r[i + 1] for i in (0, 2)) for r in values.tolist())
    packed.write_bytes(png(4, 4, 4, 0, rows))
    assert only(packed.parent).instances.tolist() == values.tolist()


def test_white_is_zero_gives_the_stored_numbers(tmp_path) -> None:
    place = tmp_path / "a_mask.tif"
    photo(tmp_path / "a.jpg")
    write(place, halves().astype(np.uint8))
    with Image.open(place) as image:
        at = image.tag_v2[273][0]
        header = place.read_bytes()
    # The tag of the photometric interpretation (262, short, one value), set from 1 to 0.
    entry = b"\x06\x01\x03\x00\x01\x00\x00\x00"
    assert header.count(entry + b"\x01\x00") == 1
    place.write_bytes(header.replace(entry + b"\x01\x00", entry + b"\x00\x00"))
    with Image.open(place) as image:
        assert np.asarray(image).max() == 255, "shown turned round"
    assert place.read_bytes()[at : at + 48] == halves().astype(np.uint8).tobytes()
    assert only(tmp_path).instances.tolist() == halves().tolist()


def test_whole_floating_point_numbers_are_taken_and_fractions_refused(tmp_path) -> None:
    assert mask_of(tmp_path, "a_mask.tif", halves().astype(np.float32)).ids == (1, 2)
    write(tmp_path / "a_mask.tif", (halves() / 2).astype(np.float32))
    assert "whole numbers" in load_refused(tmp_path)
    write(tmp_path / "a_mask.tif", -halves().astype(np.int32))
    assert "0 and above" in load_refused(tmp_path)


def test_three_hundred_instances(tmp_path) -> None:
    values = np.repeat(np.arange(300), 4).reshape(30, 40).astype(np.uint16) + 1
    image = mask_of(tmp_path, "a_mask.png", values)
    assert image.ids == tuple(range(1, 301))


def test_little_content_is_read_and_said(tmp_path) -> None:
    empty = np.zeros((6, 8), np.uint8)
    assert "no instance: every pixel is unlabelled" in mask_of(tmp_path, "a_mask.png", empty).notes
    one = np.where(halves() == 1, 255, 0).astype(np.uint8)
    image = mask_of(tmp_path, "a_mask.png", one)
    assert image.ids == (255,)
    assert any(note.startswith("one instance only") for note in image.notes)
    one[0, 7] = 9
    assert "1 instance of one pixel" in mask_of(tmp_path, "a_mask.png", one).notes


# --- refused masks ---------------------------------------------------------------------


def test_another_size_is_refused_with_both_sizes(tmp_path) -> None:
    photo(tmp_path / "a.jpg", 6, 8)
    write(tmp_path / "a_mask.png", np.ones((12, 16), np.uint8))
    message = load_refused(tmp_path)
    assert message.startswith("a_mask.png: expected a mask of 8 x 6 pixels")
    assert "got 16 x 12" in message


def test_a_picture_turned_by_its_exif_is_named(tmp_path) -> None:
    shown = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    write(shown, np.zeros((6, 8, 3), np.uint8), exif=exif)
    write(tmp_path / "a_mask.png", halves().astype(np.uint8))
    assert "EXIF orientation" in load_refused(tmp_path)
    exif[0x0112] = 3
    write(shown, np.zeros((6, 8, 3), np.uint8), exif=exif)
    assert "its mask is taken as drawn on the upright picture" in only(tmp_path).notes


def test_a_large_mask_is_refused_by_its_header(tmp_path) -> None:
    photo(tmp_path / "a.jpg", 6, 8)
    (tmp_path / "a_mask.png").write_bytes(png(9_000, 9_000, 8, 0, b""))
    assert "got 9,000 x 9,000" in load_refused(tmp_path)
    (tmp_path / "a_mask.png").write_bytes(png(40_000, 40_000, 8, 0, b""))
    assert "got one far larger" in load_refused(tmp_path)


def test_a_lossy_mask_is_refused(tmp_path) -> None:
    photo(tmp_path / "a.jpg")
    Image.fromarray(halves().astype(np.uint8)).save(tmp_path / "a_mask.png", "JPEG")
    assert "PNG or TIFF, got JPEG" in load_refused(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 20, 33, 60, 90])
def test_a_truncated_mask_is_refused(tmp_path, keep) -> None:
    photo(tmp_path / "a.jpg", 64, 64)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    mask = write(tmp_path / "a_mask.png", noise)
    mask.write_bytes(mask.read_bytes()[: keep * mask.stat().st_size // 100])
    assert load_refused(tmp_path).startswith("a_mask.png: expected ")


def test_a_truncated_picture_is_refused(tmp_path) -> None:
    shown = photo(tmp_path / "a.png", 64, 64)
    write(tmp_path / "a_mask.png", np.ones((64, 64), np.uint8))
    shown.write_bytes(shown.read_bytes()[:60])
    assert load_refused(tmp_path).startswith("a.png: expected a whole PNG file")


def test_limits_hold_for_pictures_and_masks(tmp_path) -> None:
    photo(tmp_path / "a.png", 64, 64)
    write(tmp_path / "a_mask.png", np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8))
    (source,) = read_annotated(tmp_path, limits=Limits(max_pixels=4000)).sources
    with pytest.raises(ValueError, match=r"a\.png: expected at most 0 megapixels"):
        source.load()
    (source,) = read_annotated(tmp_path, limits=Limits(max_bytes=500)).sources
    with pytest.raises(ValueError, match=r"a_mask\.png: expected a file of at most"):
        source.load()


def test_a_picture_that_grows_as_a_bomb_is_refused_in_a_zip(tmp_path) -> None:
    place = tmp_path / "set"
    write(place / "a.bmp", np.zeros((1200, 1200, 3), np.uint8))
    write(place / "a_mask.png", np.ones((1200, 1200), np.uint8))
    assert "zip bombs" in load_refused(zipped(place))


def test_a_large_flat_mask_in_a_zip_is_no_bomb(tmp_path) -> None:
    place = tmp_path / "set"
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)
    write(place / "a.jpg", noise)
    write(place / "a_mask.tif", np.ones((1200, 1200), np.uint16))
    assert only(zipped(place)).ids == (1,)


def test_files_in_a_zip_that_was_changed_are_refused(tmp_path) -> None:
    place = tmp_path / "set"
    photo(place / "a.jpg")
    write(place / "a_mask.png", np.random.default_rng(0).integers(1, 9, (6, 8)).astype(np.uint8))
    archive = zipped(place)
    with zipfile.ZipFile(archive) as made:
        info = made.getinfo("a_mask.png")
    data = bytearray(archive.read_bytes())
    data[info.header_offset + 30 + len("a_mask.png") + info.compress_size // 2] ^= 255
    archive.write_bytes(bytes(data))
    assert load_refused(archive).startswith("a_mask.png: expected a file that can be read")
