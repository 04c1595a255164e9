"""ADE20K, ADEChallenge and VOC as made sets; recognition, and layouts that are refused."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest

from analytics.io.annotated_ade import ade_class
from analytics.io.annotated_sets import KINDS, read_annotated
from tests.io.annotated_making import (
    colours,
    halves,
    load_refused,
    only,
    palette,
    photo,
    set_refused,
    write,
    zipped,
)

LEFT = halves() == 1
RIGHT = halves() == 2


def ade_mask(left_class: int, right_class: int, left: int = 90, right: int = 40) -> np.ndarray:
    """Colours as ADE20K writes them: tens of R are the high part of the class, B the instance."""
    number = left_class * LEFT + right_class * RIGHT
    return colours(number // 256 * 10, number % 256, left * LEFT + right * RIGHT)


def ade20k(folder, name="training/street/ADE_train_1"):
    photo(folder / f"{name}.jpg")
    write(folder / f"{name}_seg.png", ade_mask(773, 12))
    # Of every instance the set holds a picture of its own, which is not a picture of the set.
    photo(folder / name / "instance_000_ADE_train_1.png")
    return folder


# --- ADE20K ----------------------------------------------------------------------------


def test_the_class_number_by_hand() -> None:
    assert ade_class(np.array([[[30, 5, 1], [39, 5, 0], [0, 0, 0]]], np.uint8)).tolist() == [
        [773, 773, 0]
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_ade20k_full(tmp_path, packed) -> None:
    place = ade20k(tmp_path / "ADE20K")
    found = read_annotated(zipped(place) if packed else place)
    assert found.kind == "ade20k"
    assert found.notes == ("Recognised as ADE20K: 1 picture with a _seg.png file.",)
    (source,) = found.sources
    assert source.name == "training/street/ADE_train_1.jpg"
    image = source.load()
    # The ranks of B: 40 on the right is the first, 90 on the left the second.
    assert image.instances.tolist() == (2 * LEFT + RIGHT).tolist()
    assert image.classes == {2: "class 773", 1: "class 12"}


def test_ade20k_keeps_an_object_where_no_pixel_is_unlabelled(tmp_path) -> None:
    photo(tmp_path / "a.jpg", 2, 2)
    mask = colours(np.full((2, 2), 10), np.full((2, 2), 3), np.array([[5, 5], [9, 9]]))
    write(tmp_path / "a_seg.png", mask)
    assert only(tmp_path).instances.tolist() == [[1, 1], [2, 2]]


def test_ade20k_class_names_from_the_list_and_from_the_file_beside(tmp_path) -> None:
    ade20k(tmp_path)
    (tmp_path / "objectnames.txt").write_text("\n" * 11 + "sky\n" + "-\n" * 760 + "bus, coach\n")
    assert only(tmp_path).classes == {1: "sky", 2: "bus, coach"}
    objects = [{"name_ndx": 12, "name": "café"}, {"name": "none"}, 7, {"name_ndx": "x"}]
    beside = tmp_path / "training/street/ADE_train_1.json"
    beside.write_bytes(
        json.dumps({"annotation": {"object": objects}}, ensure_ascii=False).encode("latin-1")
    )
    assert only(tmp_path).classes == {1: "café", 2: "bus, coach"}
    beside.write_text('{"annotation": ')
    assert load_refused(tmp_path).startswith(
        "training/street/ADE_train_1.json: expected whole JSON"
    )
    beside.write_text("[1]")
    assert only(tmp_path).classes[1] == "sky"


def test_ade20k_parts(tmp_path) -> None:
    ade20k(tmp_path, "a")
    write(tmp_path / "a_parts_1.png", colours(LEFT, LEFT, 7 * (LEFT & (np.arange(8) < 2))))
    parts = only(tmp_path).parts
    assert parts is not None
    assert parts.tolist() == (LEFT & (np.arange(8) < 2)).astype(int).tolist()


def test_ade20k_masks_without_a_picture(tmp_path) -> None:
    write(tmp_path / "b_seg.png", ade_mask(1, 2))
    assert "1 mask without a picture" in set_refused(tmp_path)
    ade20k(tmp_path, "a")
    found = read_annotated(tmp_path)
    assert len(found.sources) == 1
    assert found.notes[1] == "Left out, 1 mask without a picture: b_seg.png."


class _Bomb:
    def __init__(self, place) -> None:
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


@pytest.mark.parametrize("name", ["index_ade20k.pkl", "index.pickle", "hidden.json", "hidden.png"])
def test_an_index_pickle_is_refused_unopened(tmp_path, name) -> None:
    ran, index = tmp_path / "ran", tmp_path / name
    index.write_bytes(pickle.dumps(_Bomb(ran)))
    message = set_refused(index)
    assert "a pickle can run any program" in message
    assert "_seg.png" in message
    assert not ran.exists()


def test_an_index_inside_a_set_is_left_closed(tmp_path) -> None:
    ran = tmp_path / "ran"
    place = ade20k(tmp_path / "set")
    (place / "index_ade20k.pkl").write_bytes(pickle.dumps(_Bomb(ran)))
    for path in (place, zipped(place)):
        assert read_annotated(path).notes[1].startswith("Not opened: index_ade20k.pkl")
        only(path)
    assert not ran.exists()
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "index_ade20k.pkl").write_bytes(pickle.dumps(_Bomb(ran)))
    assert "index_ade20k.pkl is not opened" in set_refused(alone)
    assert not ran.exists()


# --- ADEChallenge ----------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_adechallenge(tmp_path, packed) -> None:
    place = tmp_path / "ADEChallengeData2016"
    photo(place / "images/training/ADE_train_1.jpg")
    photo(place / "images/training/ADE_train_2.jpg")
    mask = colours(8 * LEFT + 13 * RIGHT, 4 * LEFT + 7 * RIGHT, 99 * LEFT)
    write(place / "annotations_instance/training/ADE_train_1.png", mask)
    write(place / "annotations_instance/training/ADE_train_3.png", mask)
    write(place / "annotations/training/ADE_train_1.png", halves().astype(np.uint8))
    found = read_annotated(zipped(place, "wrapped/") if packed else place)
    assert found.kind == "adechallenge"
    (source,) = found.sources
    image = source.load()
    assert image.instances.tolist() == (4 * LEFT + 7 * RIGHT).tolist()
    assert image.classes == {4: "class 8", 7: "class 13"}
    assert "ADE_train_3.png" in found.notes[1]


def test_masks_of_classes_alone_are_refused_unless_they_are_asked_for(tmp_path) -> None:
    photo(tmp_path / "images/training/ADE_train_1.jpg")
    write(tmp_path / "annotations/training/ADE_train_1.png", halves().astype(np.uint8))
    message = set_refused(tmp_path)
    assert "masks of classes only" in message
    assert "annotations_instance" in message
    assert only(tmp_path, "masks").ids == (1, 2)
    write(tmp_path / "annotations_instance/training/ADE_train_1.png", halves().astype(np.uint8))
    assert "expected an RGB mask" in load_refused(tmp_path)


# --- VOC -------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_voc(tmp_path, packed) -> None:
    place = tmp_path / "VOCdevkit"
    values = halves()
    values[:, 3:5] = 255
    photo(place / "VOC2012/JPEGImages/2007_1.jpg")
    photo(place / "VOC2012/JPEGImages/2007_2.jpg")
    palette(place / "VOC2012/SegmentationObject/2007_1.png", values)
    kinds = np.select([values == 1, values == 2, values == 255], [15, 9, 255])
    palette(place / "VOC2012/SegmentationClass/2007_1.png", kinds)
    found = read_annotated(zipped(place) if packed else place)
    assert found.kind == "voc"
    (source,) = found.sources
    image = source.load()
    assert image.instances.tolist() == np.where(values == 255, 0, values).tolist()
    assert image.classes == {1: "person", 2: "chair"}


def test_voc_refuses_what_is_not_whole(tmp_path) -> None:
    photo(tmp_path / "JPEGImages/a.jpg")
    palette(tmp_path / "SegmentationClass/a.png", halves())
    assert "SegmentationObject" in set_refused(tmp_path)
    write(tmp_path / "SegmentationObject/a.png", colours(LEFT, LEFT, RIGHT))
    assert "expected a palette mask as VOC has them" in load_refused(tmp_path)
    (tmp_path / "JPEGImages/a.jpg").unlink()
    assert "1 mask without a picture" in set_refused(tmp_path)


# --- unknown ---------------------------------------------------------------------------


def test_an_unknown_layout_says_what_was_looked_for_and_what_is_there(tmp_path) -> None:
    photo(tmp_path / "one.jpg")
    photo(tmp_path / "two.jpg")
    (tmp_path / "notes.json").write_text("{}")
    message = set_refused(tmp_path)
    for word in ("ADE20K", "ADEChallenge", "COCO", "VOC", "masks", "2 pictures among 3 files"):
        assert word in message


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_a_set_of_another_kind(tmp_path, kind) -> None:
    photo(tmp_path / "one.jpg")
    assert tmp_path.name in set_refused(tmp_path, kind)


def test_unknown_kinds_and_places(tmp_path) -> None:
    assert "ade20k, adechallenge, coco, voc, masks" in set_refused(tmp_path, "cityscapes")
    assert "found nothing" in set_refused(tmp_path / "gone")
    (tmp_path / "text.txt").write_text("words")
    assert "another kind" in set_refused(tmp_path / "text.txt")
    ade20k(tmp_path / "set")
    assert "expected no file of annotations" in set_refused(tmp_path / "set", "ade20k", "a.json")


def test_an_empty_folder_and_a_cut_zip(tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "0 pictures among 0 files" in set_refused(empty)
    archive = zipped(ade20k(tmp_path / "set"))
    archive.write_bytes(archive.read_bytes()[:-30])
    assert "expected a folder or a zip" in set_refused(archive)
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    assert "without files" in set_refused(tmp_path / "none.zip")


# --- allowed folders -------------------------------------------------------------------


def test_on_a_server_only_files_under_the_roots_are_read(tmp_path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    ade20k(root / "set", "a")
    ade20k(outside, "b")
    roots = (root,)
    assert read_annotated("set", roots=roots).sources[0].name == "a.jpg"
    assert len(read_annotated(root / "set", roots=roots).sources) == 1
    messages = set()
    for place in (outside, tmp_path / "gone", "../outside", "missing"):
        with pytest.raises(ValueError, match="outside or missing") as caught:
            read_annotated(place, roots=roots)
        messages.add(str(caught.value))
    assert len(messages) == 1
    (root / "set" / "b.jpg").symlink_to(outside / "b.jpg")
    (root / "set" / "b_seg.png").symlink_to(outside / "b_seg.png")
    assert len(read_annotated("set", roots=roots).sources) == 1
    assert len(read_annotated(root / "set").sources) == 2


def test_on_a_server_a_mask_beside_a_picture_may_not_lead_outside(tmp_path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    photo(root / "a.jpg")
    write(outside / "m.png", halves().astype(np.uint8))
    write(root / "m.png", halves().astype(np.uint8))
    for mask in (outside / "m.png", "../outside/m.png"):
        with pytest.raises(ValueError, match="outside or missing"):
            read_annotated("a.jpg", None, mask, roots=(root,))
    assert read_annotated("a.jpg", None, "m.png", roots=(root,)).sources[0].load().ids == (1, 2)
    (root / "a_mask.png").symlink_to(outside / "m.png")
    with pytest.raises(ValueError, match="outside or missing"):
        read_annotated("a.jpg", roots=(root,))
