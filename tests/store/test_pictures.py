"""The picture store: content addressing, bounds, damage and many writers at once."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analytics.store.pictures import PictureStore

NONE = "0" * 64


def png(seed: int = 0, side: int = 32) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    return stream.getvalue()


def age(store: PictureStore, sha256: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(store.root / sha256, (then, then))


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures")
    data = png()
    put = store.put(data, "holiday/cat.png")
    assert put.sha256 == hashlib.sha256(data).hexdigest()
    got = PictureStore(tmp_path / "pictures").get(put.sha256)
    assert (got.name, got.sha256, got.notes) == (put.name, put.sha256, put.notes)
    assert np.array_equal(got.pixels, put.pixels)
    assert store.data(put.sha256) == data


def test_the_original_bytes_are_kept_and_not_a_new_encoding(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    stream = io.BytesIO()
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(stream, "JPEG")
    put = store.put(stream.getvalue(), "ink.jpg")
    assert store.data(put.sha256) == stream.getvalue()
    assert store.get(put.sha256).notes == put.notes


def test_what_is_no_picture_is_refused_and_not_stored(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    with pytest.raises(ValueError, match=r"words\.png: expected a picture"):
        store.put(b"words", "words.png")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_hash_has_a_plain_message(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    for read in (store.get, store.data):
        with pytest.raises(ValueError, match="no picture with this hash is stored here") as caught:
            read(NONE)
        assert "upload it again" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n", "x"])
def test_only_hashes_become_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a SHA-256 of 64 digits"):
        PictureStore(tmp_path).data(name)


def test_a_damaged_file_counts_as_missing_and_is_healed_by_putting_it_again(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    data = png()
    sha256 = store.put(data, "a.png").sha256
    for damaged in (data[:-7], data[:-1] + b"x", b""):
        (tmp_path / sha256).write_bytes(damaged)
        with pytest.raises(ValueError, match="no picture with this hash is stored here"):
            store.get(sha256)
    store.put(data, "a.png")
    assert store.data(sha256) == data


def test_the_same_bytes_are_one_entry_with_the_newest_name(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    sha256 = store.put(png(), "one.png").sha256
    assert store.put(png(), "two.png").sha256 == sha256
    assert store.get(sha256).name == "two.png"
    assert len(store.recent()) == 1


def test_names_are_cleaned_before_they_are_stored(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    put = store.put(png(), "..\\..\\evil\r\n\u202egnp" + "x" * 400 + ".png")
    assert put.name.startswith("evilgnpxxx")
    assert len(put.name) <= 120
    assert store.get(put.sha256).name == put.name


@pytest.mark.parametrize("label", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"name": "\\u0000"}'])
def test_a_damaged_name_is_replaced(tmp_path: Path, label: bytes) -> None:
    store = PictureStore(tmp_path)
    sha256 = store.put(png(), "a.png").sha256
    (tmp_path / f"{sha256}.json").write_bytes(label)
    assert store.get(sha256).name in (sha256[:12], "unnamed")


def test_the_pictures_unused_for_longest_leave_first(tmp_path: Path) -> None:
    files = [png(seed) for seed in range(4)]
    store = PictureStore(tmp_path, max_bytes=3 * len(files[0]) + 100)
    hashes = [store.put(data, f"{i}.png").sha256 for i, data in enumerate(files[:3])]
    for i, sha256 in enumerate(hashes):
        age(store, sha256, 300 - i)
    store.data(hashes[0])
    last = store.put(files[3], "3.png").sha256
    assert {entry.sha256 for entry in store.recent()} == {hashes[0], hashes[2], last}
    with pytest.raises(ValueError, match="upload it again"):
        store.get(hashes[1])
    assert len(list(tmp_path.iterdir())) == 6


def test_the_newest_picture_stays_even_above_the_bound(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, max_bytes=10)
    store.put(png(1), "1.png")
    sha256 = store.put(png(2), "2.png").sha256
    assert [entry.sha256 for entry in store.recent()] == [sha256]


def test_recent_lists_the_newest_use_first(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    hashes = [store.put(png(seed), f"{seed}.png").sha256 for seed in range(3)]
    for sha256, seconds in zip(hashes, (10, 30, 20), strict=True):
        age(store, sha256, seconds)
    found = store.recent()
    assert [entry.name for entry in found] == ["0.png", "2.png", "1.png"]
    assert found[0].nbytes == len(png(0))
    assert abs(found[0].used - (time.time() - 10)) < 5
    assert [entry.name for entry in store.recent(1)] == ["0.png"]


def test_forgotten_half_files_are_removed_and_fresh_ones_left(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    old, fresh = tmp_path / ".part-old", tmp_path / ".part-fresh"
    old.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(old, (1, 1))
    store.put(png(), "a.png")
    assert not old.exists()
    assert fresh.exists()


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    store = PictureStore(tmp_path, max_bytes=1)
    store.put(png(), "a.png")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(store.recent()) == 1


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures")
    sha256 = store.put(png(), "a.png").sha256
    assert (tmp_path / "pictures").stat().st_mode & 0o077 == 0
    assert (tmp_path / "pictures" / sha256).stat().st_mode & 0o077 == 0


def test_many_threads_put_and_get_the_same_few_pictures(tmp_path: Path) -> None:
    files = [png(seed) for seed in range(4)]
    # Room for two of four: putting, reading and evicting meet all the time.
    store = PictureStore(tmp_path, max_bytes=2 * len(files[0]) + 50)

    def work(i: int) -> bool:
        data = files[i % 4]
        sha256 = store.put(data, f"{i}.png").sha256
        try:
            return store.data(sha256) == data and store.get(sha256).width == 32
        except ValueError as error:
            return "upload it again" in str(error)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(120)))
    assert not list(tmp_path.glob(".part-*"))
    # Writers that list the folder at the same moment may leave one more than the bound.
    store.put(files[0], "last.png")
    assert sum(entry.nbytes for entry in store.recent()) <= store.max_bytes


def test_two_processes_share_one_store(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    code = (
        "import sys; from pathlib import Path\n"
        "from analytics.store.pictures import PictureStore\n"
        "store, data = PictureStore(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()\n"
        "for _ in range(40): sha256 = store.put(data, 'a.png').sha256\n"
        "print(sha256)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "a.png")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert answers == {hashlib.sha256(png()).hexdigest()}
    assert PictureStore(tmp_path / "store").data(answers.pop()) == png()
