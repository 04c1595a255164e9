"""Annotated sets that are brought: uploads, places on the server, and what is refused in words."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from analytics.serve.annotated_sets import (
    keep_place,
    keep_upload,
    kept_set,
    open_set,
    set_sources,
)
from analytics.serve.state import Settings
from tests.io.annotated_making import coco, halves, palette, photo, region, zipped

SQUARE = [[0, 0, 4, 0, 4, 4, 0, 4]]


@pytest.fixture
def rooted(here, tmp_path):
    """Services that may read below one folder."""
    root = tmp_path / "root"
    root.mkdir()
    return replace(here, settings=Settings(roots=(root,))), root


def pairs(folder, count: int = 3):
    for number in range(count):
        photo(folder / "images" / f"{number}.png", shade=60 + number)
        palette(folder / "masks" / f"{number}.png", halves())
    return folder


def refused(here, data: bytes, name: str, **more: str) -> str:
    with pytest.raises(ValueError, match="expected") as caught:
        keep_upload(here, data, name, **more)
    message = str(caught.value)
    assert str(here.data_dir) not in message and "\n" not in message
    # Nothing of a refused upload stays.
    assert list((here.data_dir / "annotated").iterdir()) == []
    return message


def test_an_upload_is_kept_under_its_content(here, tmp_path):
    data = zipped(pairs(tmp_path / "cells")).read_bytes()
    kept = keep_upload(here, data, "cells.zip")
    assert kept_set(here, kept.id) == kept and kept.where == "zip"
    assert keep_upload(here, data, "cells.zip").id == kept.id
    found = open_set(here, kept.id)
    assert (found.name, found.kind, len(found.sources)) == ("cells.zip", "masks", 3)
    assert found.sources[1].load().ids == (1, 2)


def test_a_chosen_layout_is_another_set(here, tmp_path):
    data = zipped(pairs(tmp_path / "cells")).read_bytes()
    plain, chosen = keep_upload(here, data, "a.zip"), keep_upload(here, data, "a.zip", "masks")
    assert plain.id != chosen.id and open_set(here, chosen.id).kind == "masks"


def test_a_folder_below_the_roots_is_read_where_it_lies(rooted):
    here, root = rooted
    kept = keep_place(here, str(pairs(root / "set")))
    assert (kept.where, kept.name) == ("place", "set")
    assert len(open_set(here, kept.id).sources) == 3


@pytest.mark.parametrize("path", ["..", "/", "missing", "../annotated"])
def test_other_places_are_refused_alike(rooted, path):
    here, root = rooted
    with pytest.raises(ValueError, match="outside or missing"):
        keep_place(here, path if path == "/" else str(root / path))


def test_a_folder_that_may_no_longer_be_read_is_refused(rooted, tmp_path):
    here, root = rooted
    kept = keep_place(here, str(pairs(root / "set")))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ValueError, match="outside or missing"):
        open_set(replace(here, settings=Settings(roots=(other,))), kept.id)
    with pytest.raises(ValueError, match="outside or missing"):
        open_set(replace(here, settings=Settings()), kept.id)


@pytest.mark.parametrize("text", ["", "../secret", "f" * 63, "F" * 64, "0" * 64])
def test_only_hashes_of_known_sets_are_found(here, text):
    assert kept_set(here, text) is None
    with pytest.raises(ValueError, match="not stored on this server"):
        open_set(here, text)


def test_a_truncated_zip_says_so(here, tmp_path):
    data = zipped(pairs(tmp_path / "cells")).read_bytes()
    message = refused(here, data[: len(data) * 2 // 3], "cells.zip")
    assert message.startswith("cells.zip: expected a whole zip") and "cut short" in message


@pytest.mark.parametrize("name", ["index_ade20k.pkl", "index.zip"])
def test_an_index_pickle_is_refused_with_the_reason(here, name):
    message = refused(here, pickle.dumps({"filename": ["a.jpg"]}), name)
    assert "can run any program" in message and "_seg.png" in message and name in message


def test_an_empty_zip_is_refused(here, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    message = refused(here, zipped(folder).read_bytes(), "empty.zip")
    assert message == "empty.zip: expected a zip archive with pictures, got one without files"


def test_an_empty_folder_names_the_layouts(rooted):
    here, root = rooted
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="0 pictures among 0 files"):
        keep_place(here, str(root / "empty"))


def test_no_zip_at_all_is_refused(here):
    assert "a folder or a zip" in refused(here, b"hello", "notes.txt")


def test_coco_tells_missing_pictures_and_crowds(here, tmp_path):
    folder = tmp_path / "coco"
    photo(folder / "1.jpg")
    images = [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}]
    crowd = region(1, {"size": [6, 8], "counts": [0, 48]}, crowd=1)
    coco(folder, images, [region(1, SQUARE), crowd, region(2, SQUARE)])
    found = open_set(here, keep_upload(here, zipped(folder).read_bytes(), "coco.zip").id)
    assert found.kind == "coco" and len(found.sources) == 1
    notes = " ".join(found.notes)
    assert "Not found, 1 picture: 2.jpg" in notes and "1 crowd region" in notes
    assert any("crowd" in note for note in found.sources[0].load().notes)


def test_coco_of_which_every_picture_is_missing_is_refused(here, tmp_path):
    folder = tmp_path / "coco"
    coco(folder, [{"id": 2, "file_name": "2.jpg"}], [region(2, SQUARE)])
    assert "1 missing picture" in refused(here, zipped(folder).read_bytes(), "coco.zip")


def test_large_sets_are_drawn_from_in_order(here, tmp_path):
    found = open_set(here, keep_upload(here, zipped(pairs(tmp_path / "a", 9)).read_bytes(), "a").id)
    assert set_sources(found, 9) == found.sources
    drawn = set_sources(found, 4, 1)
    places = [found.sources.index(one) for one in drawn]
    assert len(drawn) == 4 and places == sorted(places) and drawn == set_sources(found, 4, 1)
    assert drawn != set_sources(found, 4, 2)
