"""Marked objects: kept by content, drawn smaller and enlarged, refused where they do not fit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from analytics.serve.binding_subject import binding_subject
from analytics.serve.marks import KEEP, enlarged, find_marks, keep_marks


@pytest.fixture
def picture(here):
    """Six rows of eight pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(buffer, "PNG")
    return here.pictures.put(buffer.getvalue(), "made.png")


def halves() -> np.ndarray:
    marks = np.zeros((6, 8), np.int32)
    marks[:, :3], marks[:, 5:] = 1, 2
    return marks


def test_marks_are_kept_by_what_they_are(here, picture):
    key = keep_marks(here, picture.sha256, halves())
    assert keep_marks(here, picture.sha256, halves()) == key
    assert keep_marks(here, picture.sha256, halves() * 300) != key
    found = find_marks(here, key)
    assert found.picture == picture.sha256
    np.testing.assert_array_equal(found.instances, halves())
    assert find_marks(here, keep_marks(here, picture.sha256, halves() * 300)).instances.max() == 600


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        (np.ones((8, 6), int), r"8 x 6 pixels as their picture made.png, got 6 x 8"),
        (np.zeros((6, 8), int), "at least one marked object, got none"),
        (np.full((6, 8), 70_000), "numbered 1 to 65,535, got 70000 to 70000"),
        (np.full((6, 8), 3) - 4 * np.eye(6, 8, dtype=int), "got -1 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(here, picture, marks, words):
    with pytest.raises(ValueError, match=words):
        keep_marks(here, picture.sha256, marks)


def test_one_object_and_three_hundred_are_kept(here):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(buffer, "PNG")
    many = here.pictures.put(buffer.getvalue(), "many.png")
    marks = np.arange(600).reshape(20, 30) // 2 + 1
    found = find_marks(here, keep_marks(here, many.sha256, marks))
    assert len(np.unique(found.instances)) == 300
    single = np.ones((20, 30), int)
    assert find_marks(here, keep_marks(here, many.sha256, single)).instances.max() == 1


def test_labels_are_enlarged_without_mixing():
    small = np.array([[1, 2], [0, 3]])
    np.testing.assert_array_equal(enlarged(small, 4, 4), np.kron(small, np.ones((2, 2), int)))
    np.testing.assert_array_equal(enlarged(np.kron(small, np.ones((3, 3), int)), 2, 2), small)


def put(client, address, pixels, **query):
    height, width = pixels.shape
    sizes = {"height": height, "width": width, **query}
    return client.put(address, params=sizes, content=pixels.astype(np.uint8).tobytes())


def test_a_drawing_is_handed_in_and_comes_back(here, client, picture):
    drawn = np.array([[1, 0], [1, 2]])
    answer = put(client, f"/atlas/marks/{here.signer.sign(picture.sha256)}", drawn)
    assert answer.status_code == 200 and answer.json()["objects"] == 2
    key = answer.json()["marks"]
    np.testing.assert_array_equal(find_marks(here, key).instances, enlarged(drawn, 6, 8))
    marked = f"/atlas/marked/{here.signer.sign(key)}"
    again = client.get(f"{marked}/labels", params={"height": 2, "width": 2})
    np.testing.assert_array_equal(np.frombuffer(again.content, np.uint8).reshape(2, 2), drawn)
    png = client.get(marked)
    assert png.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(png.content)) as image:
        np.testing.assert_array_equal(np.asarray(image), enlarged(drawn, 6, 8))


def test_bad_drawings_are_refused(here, client, picture):
    address = f"/atlas/marks/{here.signer.sign(picture.sha256)}"
    drawn = np.ones((2, 2))
    assert put(client, "/atlas/marks/forged", drawn).status_code == 404
    assert "got 4; reload" in put(client, address, drawn, height=3).json()["error"]
    assert "1 to 1024 pixels, got '0'" in put(client, address, drawn, height=0).json()["error"]
    assert "got none" in put(client, address, drawn * 0).json()["error"]
    large = client.put(address, params={"height": 9, "width": 9}, content=b"1" * (1024**2 + 1))
    assert large.status_code == 413
    other = client.put(
        address, params={"height": 2, "width": 2}, content=b"1111", headers={"Origin": "http://x.y"}
    )
    assert other.status_code == 403
    gone = client.get(f"/atlas/marked/{here.signer.sign('abc')}")
    assert gone.status_code == 410 and "mark the objects again" in gone.json()["error"]


def test_a_subject_knows_its_marks_and_no_others(here, picture):
    key = keep_marks(here, picture.sha256, halves())
    params = {"scene": None, "picture": picture.sha256, "marks": key}
    np.testing.assert_array_equal(binding_subject(here, params, None).instances, halves())
    assert binding_subject(here, {**params, "marks": None}, None).instances is None
    buffer = io.BytesIO()
    Image.fromarray(np.ones((6, 8, 3), np.uint8)).save(buffer, "PNG")
    other = here.pictures.put(buffer.getvalue(), "other.png")
    with pytest.raises(ValueError, match=r"marks of other.png, got those of another picture"):
        binding_subject(here, {**params, "picture": other.sha256}, None)


def test_the_folder_is_bounded(here, picture, monkeypatch):
    monkeypatch.setattr("analytics.serve.marks.KEEP", 2)
    assert KEEP > 2
    keys = [keep_marks(here, picture.sha256, halves() + number) for number in range(4)]
    left = {path.stem for path in (here.data_dir / "marks").iterdir()}
    assert len(left) == 2 and left <= set(keys)
