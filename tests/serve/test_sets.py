"""Sets of pictures: which ones a study gets, what is refused, and where they are found again."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from analytics.serve.sets import (
    balanced,
    count_different,
    find_image,
    find_set,
    keep_pictures,
    keep_zip,
    zip_path,
)
from analytics.studies.importance_record import ImageEffect


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


CLASSES = {"cats/1.png": png(1), "cats/2.png": png(2), "dogs/1.png": png(3)}


def test_stored_pictures_keep_order_names_and_bytes(here):
    names = ["b.png", "a.png"]
    hashes = [here.pictures.put(png(i), name).sha256 for i, name in enumerate(names)]
    found = find_set(here, {"kind": "pictures", "images": hashes})
    assert [image.name for image in found.images] == names
    assert [image.read_bytes() for image in found.images] == [png(0), png(1)]
    assert found.labels == (None, None) and found.classes == ()


def test_a_picture_that_left_the_store_is_refused_when_it_is_read(here):
    found = find_set(here, {"kind": "pictures", "images": ["c" * 64]})
    with pytest.raises(ValueError, match="stored here"):
        found.images[0].read_bytes()


def test_the_shipped_set_has_ten_classes_of_a_hundred(here):
    found = find_set(here, {"kind": "shipped"})
    assert len(found.images) == 1000 and len(found.classes) == 10


def test_a_zip_is_kept_under_its_hash_and_found_again(here):
    data = packed(CLASSES)
    sha256 = keep_zip(here, data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert keep_zip(here, data) == sha256
    found = find_set(here, {"kind": "zip", "sha256": sha256})
    assert found.labels == ("cats", "cats", "dogs")
    assert [image.read_bytes() for image in found.images] == [png(1), png(2), png(3)]
    zip_path(here, sha256).unlink()
    with pytest.raises(ValueError, match="upload it again"):
        find_set(here, {"kind": "zip", "sha256": sha256})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (packed({"1.png": png(1), "2.png": png(2)}), "a folder for each class in the zip"),
        (packed({"cats/1.png": png(1), "cats/2.png": png(2)}), "at least two class folders, got 1"),
        (packed({"cats/readme.txt": b"none"}), "picture"),
        (b"no zip at all", "zip"),
        (b"", "zip"),
    ],
)
def test_a_zip_that_is_no_set_is_refused_without_a_trace(here, data, expected):
    with pytest.raises(ValueError, match=expected) as refused:
        keep_zip(here, data)
    sha256 = hashlib.sha256(data).hexdigest()
    assert sha256 not in str(refused.value) and str(here.data_dir) not in str(refused.value)
    assert zip_path(here, sha256) is None
    assert list((here.data_dir / "sets").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../secret", "a" * 63, "A" * 64, "a" * 64, "a" * 62 + "/."])
def test_only_hashes_of_stored_zips_are_paths(here, name):
    (here.data_dir / "sets").mkdir()
    assert zip_path(here, name) is None


def test_balanced_takes_as_many_of_each_class_as_can_be():
    labels = ["a"] * 20 + ["b"] * 3 + ["c"] * 10
    rows = balanced(range(33), labels, 12, 0)
    counts = {one: [labels[row] for row in rows].count(one) for one in "abc"}
    # By hand: three rounds give 3 of each, and b is used up; three are left for a and c.
    assert counts["b"] == 3 and sorted((counts["a"], counts["c"])) == [4, 5]
    assert rows == sorted(set(rows)) and len(rows) == 12
    assert balanced(range(33), labels, 12, 0) == rows
    assert balanced(range(33), labels, 12, 1) != rows


def test_balanced_draws_from_the_candidates_only_and_takes_all_where_there_are_few():
    labels = ["a", "b"] * 5
    assert balanced([1, 4, 9], labels, 64, 0) == [1, 4, 9]
    assert set(balanced([1, 4, 9], labels, 2, 0)) <= {1, 4, 9}
    assert balanced(range(4), [None] * 4, 2, 3) == sorted(balanced(range(4), [None] * 4, 2, 3))


def test_pictures_of_a_set_are_stored_and_unreadable_ones_left_to_the_study(here):
    sha256 = keep_zip(here, packed({**CLASSES, "dogs/cut.png": png(4)[:60]}))
    found = find_set(here, {"kind": "zip", "sha256": sha256})
    keep_pictures(here, found.images)
    for data in CLASSES.values():
        assert here.pictures.data(hashlib.sha256(data).hexdigest()) == data
    assert len(here.pictures.recent()) == 3


def test_a_stored_picture_keeps_its_name(here):
    sha256 = here.pictures.put(png(1), "mine.png").sha256
    keep_pictures(
        here, find_set(here, {"kind": "zip", "sha256": keep_zip(here, packed(CLASSES))}).images
    )
    assert here.pictures.name(sha256) == "mine.png"


def test_of_two_pictures_with_one_name_the_measured_one_is_found(here):
    hashes = [here.pictures.put(png(i), "image.png").sha256 for i in (1, 2)]
    images = find_set(here, {"kind": "pictures", "images": hashes}).images
    for sha256, seed in zip(hashes, (1, 2), strict=True):
        assert find_image(images, ImageEffect("image.png", sha256)).read_bytes() == png(seed)
    with pytest.raises(ValueError, match=r"gone\.png is no longer stored"):
        find_image(images, ImageEffect("gone.png", "f" * 64))


def test_different_pictures_are_counted_up_to_a_bound(here):
    members = {"a/1.png": png(1), "a/2.png": png(1), "b/3.png": png(2), "b/4.png": png(3)}
    found = find_set(here, {"kind": "zip", "sha256": keep_zip(here, packed(members))})
    assert count_different(found.images, 9) == 3
    assert count_different(found.images, 2) == 2
    assert count_different(found.images[:2], 2) == 1
    assert count_different((), 2) == 0
