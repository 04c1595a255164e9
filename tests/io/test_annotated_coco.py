"""COCO: regions by hand and against loops, and a made set with every trouble of a real one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analytics.io.annotated_regions import polygon_mask, region_mask, run_lengths
from analytics.io.annotated_sets import read_annotated
from tests.io.annotated_making import (
    coco,
    load_refused,
    only,
    photo,
    region,
    set_refused,
    zipped,
)

BOX = [1, 1, 4, 1, 4, 3, 1, 3]


def compress(lengths: list[int]) -> str:
    """The code of the run lengths, written the other way round from what reads it."""
    text = ""
    for i, length in enumerate(lengths):
        left = length - (lengths[i - 2] if i > 2 else 0)
        while True:
            low, left = left & 31, left >> 5
            last = left == (-1 if low & 16 else 0)
            text += chr(48 + low + (0 if last else 32))
            if last:
                break
    return text


def lengths_of(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, counted one pixel at a time."""
    lengths, inside = [0], False
    for value in mask.T.ravel().tolist():
        if value != inside:
            lengths.append(0)
            inside = value
        lengths[-1] += 1
    return lengths


def inside(x: float, y: float, corners: list[float]) -> bool:
    """Even-odd rule for one point: crossings of a ray to the left."""
    points = list(zip(corners[::2], corners[1::2], strict=True))
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 > y) != (y1 > y):
            crossings += x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
    return crossings % 2 == 1


# --- regions ---------------------------------------------------------------------------


def test_a_box_by_hand() -> None:
    mask = polygon_mask(BOX, 5, 6)
    assert mask.sum() == 6
    assert mask[1:3, 1:4].all()


@pytest.mark.parametrize("seed", range(8))
def test_polygons_against_one_point_at_a_time(seed) -> None:
    corners = np.random.default_rng(seed).uniform(-4, 20, 2 * (3 + seed)).tolist()
    expected = [[inside(x + 0.5, y + 0.5, corners) for x in range(17)] for y in range(13)]
    assert np.any(expected)
    assert polygon_mask(corners, 13, 17).tolist() == expected


def test_a_polygon_below_a_pixel_keeps_one_pixel() -> None:
    mask = polygon_mask([2.6, 1.6, 2.9, 1.6, 2.9, 1.9], 4, 4)
    assert np.argwhere(mask).tolist() == [[1, 2]]
    assert polygon_mask([-9, -9, -8, -9, -8, -8], 4, 4).sum() == 0


def test_several_polygons_are_one_region() -> None:
    parts = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 3, 1, 3, 3, 1, 3]]
    assert region_mask(parts, 4, 4).sum() == 7


def test_the_compressed_code_by_hand() -> None:
    assert run_lengths("061M") == [0, 6, 1, 3]
    assert run_lengths("0PP1") == [0, 1024]
    assert run_lengths("061O") == [0, 6, 1, 5]
    assert run_lengths("") == []


@pytest.mark.parametrize("seed", range(6))
def test_both_forms_of_run_lengths_give_the_mask_back(seed) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((11, 150)) < (0.02 if seed % 2 else 0.6)
    lengths = lengths_of(mask)
    text = compress(lengths)
    assert run_lengths(text) == lengths
    for counts in (lengths, text):
        found = region_mask({"size": [11, 150], "counts": counts}, 11, 150)
        assert (found == mask).all()


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        "text",
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [["a", 1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, 1e9]],
        [1, 2, 3, 4, 5, 6],
        {"size": [4, 4], "counts": [16, 1]},
        {"size": [4, 4], "counts": [17, -1]},
        {"size": [4, 4], "counts": [16.0]},
        {"size": [4, 5], "counts": [20]},
        {"size": 4, "counts": [16]},
        {"counts": [16]},
        {"size": [4, 4], "counts": None},
        {"size": [4, 4], "counts": "0 "},
        {"size": [4, 4], "counts": "0P"},
        {"size": [4, 4], "counts": "oooooooooooooooooooooooo"},
    ],
)
def test_regions_of_another_form_are_refused(segmentation) -> None:
    with pytest.raises(ValueError, match="expected"):
        region_mask(segmentation, 4, 4)


# --- sets ------------------------------------------------------------------------------


def image(number: int, name: str, height: int = 6, width: int = 8) -> dict:
    return {"id": number, "file_name": name, "height": height, "width": width}


@pytest.mark.parametrize("packed", [False, True])
def test_a_set_with_every_form_of_region(tmp_path, packed) -> None:
    place = tmp_path / "made"
    photo(place / "val/1.jpg")
    mask = np.zeros((6, 8), bool)
    mask[4:, 5:] = True
    lengths = lengths_of(mask)
    plain = {"size": [6, 8], "counts": lengths}
    short = {"size": [6, 8], "counts": compress(lengths_of(np.roll(mask, -4, axis=0)))}
    coco(place, [image(1, "1.jpg")], [region(1, [BOX]), region(1, plain, 5), region(1, short, 9)])
    found = read_annotated(zipped(place) if packed else place)
    assert found.kind == "coco"
    assert found.notes[0].startswith(
        "Recognised as COCO: 1 picture with 3 instances in annotations/"
    )
    expected = np.zeros((6, 8), int)
    expected[1:3, 1:4], expected[mask], expected[:2, 5:] = 1, 2, 3
    (source,) = found.sources
    loaded = source.load()
    assert source.name == loaded.name == "val/1.jpg"
    assert loaded.instances.tolist() == expected.tolist()
    assert loaded.classes == {1: "dog", 2: "cat", 3: "class 9"}
    assert loaded.notes[-1] != "overlapping instances: the smaller lies on top"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_smaller_of_two_lies_on_top_in_any_order(tmp_path, order) -> None:
    photo(tmp_path / "1.jpg")
    two = [region(1, [[0, 0, 8, 0, 8, 6, 0, 6]], 3), region(1, [BOX], 5)]
    coco(tmp_path, [image(1, "1.jpg")], [two[i] for i in order])
    loaded = only(tmp_path)
    small = order.index(1) + 1
    assert (loaded.instances == small).sum() == 6
    assert (loaded.instances == 3 - small).sum() == 42
    assert loaded.classes[small] == "cat"
    assert "overlapping instances: the smaller lies on top" in loaded.notes


def test_crowds_are_left_out_and_counted(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    crowd = region(1, {"size": [6, 8], "counts": [0, 48]}, 3, crowd=1)
    coco(tmp_path, [image(1, "1.jpg")], [crowd, region(1, [BOX])])
    assert any("1 crowd region" in note for note in read_annotated(tmp_path).notes)
    loaded = only(tmp_path)
    assert loaded.instances.sum() == 6
    assert "1 crowd region left out: read as unlabelled" in loaded.notes


def test_missing_pictures_and_pictures_without_instances_are_counted(tmp_path) -> None:
    photo(tmp_path / "images/1.jpg")
    photo(tmp_path / "images/2.jpg")
    images = [image(1, "1.jpg"), image(2, "2.jpg"), image(3, "3.jpg"), image(4, "gone/4.jpg")]
    regions = [region(n, [BOX]) for n in (1, 3, 4)]
    coco(tmp_path, images, regions)
    found = read_annotated(tmp_path)
    assert [source.name for source in found.sources] == ["images/1.jpg"]
    assert "Not found, 2 pictures: 3.jpg, gone/4.jpg." in found.notes
    assert "Left out, 1 picture without an instance: images/2.jpg." not in found.notes
    assert "Left out, 1 picture without an instance: 2.jpg." in found.notes
    coco(tmp_path, images[2:], regions)
    assert "2 missing pictures" in set_refused(tmp_path)


def test_a_name_that_two_folders_hold_needs_its_folder(tmp_path) -> None:
    photo(tmp_path / "train/1.jpg", shade=10)
    photo(tmp_path / "val/1.jpg", shade=200)
    coco(tmp_path, [image(1, "1.jpg")], [region(1, [BOX])])
    assert "1 missing picture" in set_refused(tmp_path)
    coco(tmp_path, [image(1, "val/1.jpg")], [region(1, [BOX])])
    assert only(tmp_path).pixels[0, 0, 0] > 150


def test_a_picture_of_another_size_is_refused(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    coco(tmp_path, [image(1, "1.jpg", 8, 6)], [region(1, [BOX])])
    message = load_refused(tmp_path)
    assert message.startswith("1.jpg: expected a picture of 8 x 6 pixels")
    assert "got 6 x 8" in message


def test_broken_and_hidden_regions_are_counted_and_the_rest_is_read(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    regions = [region(1, [[1, 2]]), region(1, [BOX]), region(1, [BOX]), region(1, None)]
    regions.append(region(1, [[70, 70, 80, 70, 80, 80]]))
    coco(tmp_path, [image(1, "1.jpg")], regions)
    loaded = only(tmp_path)
    assert loaded.ids == (2,)
    assert loaded.classes == {2: "dog"}
    assert "2 instances outside the picture or hidden by others" in loaded.notes
    assert any(note.startswith("2 regions left out that cannot be read") for note in loaded.notes)


def test_one_of_several_files_is_named_by_the_user(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    coco(tmp_path, [image(1, "1.jpg")], [region(1, [BOX])])
    second = coco(tmp_path, [image(1, "1.jpg")], [region(1, [BOX], 5)], "instances_b.json")
    message = set_refused(tmp_path)
    assert "got 2: annotations/instances_b.json, annotations/instances_made.json" in message
    assert only(tmp_path, None, "annotations/instances_b.json").classes == {1: "cat"}
    assert only(tmp_path, "coco", "instances_b.json").classes == {1: "cat"}
    assert "found none" in set_refused(tmp_path, "coco", "c.json")
    far = tmp_path / "far" / "any.json"
    far.parent.mkdir()
    far.write_text(second.read_text())
    for folder in ("x", "y"):
        coco(tmp_path / folder, [image(1, "1.jpg")], [region(1, [BOX])], "same.json")
    assert "found 2 of that name" in set_refused(tmp_path, "coco", "annotations/same.json")
    pictures = tmp_path / "pictures"
    photo(pictures / "1.jpg")
    assert only(pictures, None, far).classes == {1: "cat"}
    beside = far.rename(pictures / "any.json")
    assert only(beside).classes == {1: "cat"}
    assert "a JSON file" in set_refused(beside, "voc")


def test_on_a_server_the_file_must_lie_under_the_roots(tmp_path) -> None:
    root = tmp_path / "root"
    photo(root / "1.jpg")
    far = coco(tmp_path / "far", [image(1, "1.jpg")], [region(1, [BOX])])
    with pytest.raises(ValueError, match="outside or missing"):
        read_annotated(root, "coco", far, roots=(root,))
    near = coco(tmp_path / "root" / "b", [image(1, "1.jpg")], [region(1, [BOX])], "b.json")
    assert len(read_annotated(root, "coco", near, roots=(root,)).sources) == 1


def test_a_file_of_any_name_is_told_by_its_content(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    (tmp_path / "package.json").write_text('{"images": 3}')
    coco(tmp_path, [image(1, "1.jpg")], [region(1, [BOX])], "_any.json")
    assert read_annotated(tmp_path).kind == "coco"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"images": [', "expected whole JSON"),
        ("[" * 100_000, "expected whole JSON"),
        ("[]", "expected COCO annotations"),
        ('{"images": [], "annotations": [{"caption": "a"}]}', "expected COCO annotations"),
        ('{"images": [], "annotations": [{"segments_info": []}]}', "panoptic segments"),
        ('{"images": [], "annotations": [{"segmentation": []}]}', "expected"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, content, said) -> None:
    photo(tmp_path / "1.jpg")
    (tmp_path / "instances.json").write_text(content)
    assert said in set_refused(tmp_path)


def test_odd_entries_do_no_harm(tmp_path) -> None:
    photo(tmp_path / "1.jpg")
    place = coco(
        tmp_path, [7, {"id": [1]}, image(1, "1.jpg")], [8, {"image_id": {}}, region(1, [BOX])]
    )
    content = json.loads(place.read_text())
    content["categories"] = [{"id": []}, {"name": 3}, 9]
    place.write_text(json.dumps(content))
    loaded = only(tmp_path)
    assert loaded.classes == {1: "class 3"}
    assert loaded.ids == (1,)
