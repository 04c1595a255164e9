"""Zip archives: pictures out, everything else refused by name, bombs refused unread."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from analytics.io.archives import (
    Member,
    Refusal,
    archive_members,
    list_members,
    read_archive,
    read_member,
)
from analytics.io.images import Limits


def png(width: int = 20, height: int = 20, colour: tuple[int, int, int] = (1, 2, 3)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "PNG")
    return stream.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def only_refusal(data: bytes, limits: Limits | None = None) -> Refusal:
    pictures, refusals = read_archive(data, "a.zip", limits or Limits())
    assert pictures == []
    (refusal,) = refusals
    assert refusal.reason.startswith("expected ")
    assert "\n" not in refusal.reason
    return refusal


def archive_refusal(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ValueError, match=r"^a\.zip: expected") as caught:
        read_archive(data, "a.zip", limits or Limits())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pictures_come_in_natural_order_with_their_folders() -> None:
    names = ["cats/img10.png", "cats/img9.png", "Birds/1.png"]
    pictures, refusals = read_archive(zipped(dict.fromkeys(names, png())), "a.zip")
    assert [p.name for p in pictures] == ["Birds/1.png", "cats/img9.png", "cats/img10.png"]
    assert refusals == []
    assert pictures[0].pixels[0, 0].tolist() == [1, 2, 3]


def test_everything_that_is_no_picture_is_refused_by_name() -> None:
    data = zipped(
        {
            "a.png": png(),
            "labels.csv": b"name,label\na,cat\n",
            "cut.png": png(200, 200)[:150],
            "inner.zip": zipped({"b.png": png()}),
            "vector.png": b"<svg></svg>",
            "line.png": png(5000, 1),
            "empty.jpg": b"",
        }
    )
    pictures, refusals = read_archive(data, "a.zip")
    assert [p.name for p in pictures] == ["a.png"]
    reasons = {refusal.name: refusal.reason for refusal in refusals}
    assert "got a text file" in reasons["labels.csv"]
    assert "cut short" in reasons["cut.png"]
    assert "got a zip archive" in reasons["inner.zip"]
    assert "unpack it" in reasons["inner.zip"]
    assert "export it as PNG" in reasons["vector.png"]
    assert "100 times the short side" in reasons["line.png"]
    assert "an empty file" in reasons["empty.jpg"]
    assert all(not reason.startswith(name) for name, reason in reasons.items())


def test_hidden_files_and_system_clutter_are_left_out_without_a_word() -> None:
    clutter = ["__MACOSX/._a.png", ".DS_Store", "x/.hidden/b.png", "x/Thumbs.db", "desktop.ini"]
    data = zipped({"x/a.png": png(), "x/": b""} | dict.fromkeys(clutter, b"text"))
    pictures, refusals = read_archive(data, "a.zip")
    assert [p.name for p in pictures] == ["x/a.png"]
    assert refusals == []


def test_paths_that_climb_are_only_names() -> None:
    data = zipped({"../../etc/passwd.png": png(), "C:\\x\\b.png": png()})
    pictures, _ = read_archive(data, "a.zip")
    assert sorted(p.name for p in pictures) == ["etc/passwd.png", "x/b.png"]


def test_zip_bomb_with_an_honest_header_is_refused_unread() -> None:
    data = zipped({"bomb.bmp": b"BM" + bytes(40 * 2**20)})
    assert len(data) < 50_000
    tracemalloc.start()
    refusal = only_refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "grows at most 200 times" in refusal.reason
    assert "zip bombs" in refusal.reason
    assert peak < 5 * 2**20


def lie_about_size(data: bytes, size: int) -> bytes:
    """Write another uncompressed size into the local header and the directory."""
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    out = bytearray(data)
    struct.pack_into("<I", out, local + 22, size)
    struct.pack_into("<I", out, central + 24, size)
    return bytes(out)


@pytest.mark.parametrize("claimed", [100, 900_000, 2**20])
def test_zip_bomb_that_lies_about_its_size_is_refused_in_bounded_memory(claimed: int) -> None:
    data = lie_about_size(zipped({"bomb.bmp": b"BM" + bytes(80 * 2**20)}), claimed)
    tracemalloc.start()
    refusal = only_refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "damaged in the archive" in refusal.reason
    assert peak < 8 * 2**20


def test_members_that_are_too_large_are_refused_unread() -> None:
    reason = only_refusal(zipped({"a.png": png()}), Limits(max_bytes=50)).reason
    assert "expected a file of at most" in reason


def test_what_all_members_claim_together_is_bounded() -> None:
    data = zipped({f"{i}.bin": bytes(1000) for i in range(9)})
    limits = Limits(max_unpacked_bytes=8000)
    assert "unpacks to at most" in archive_refusal(data, limits)


@pytest.mark.parametrize("claimed", [1, 50])
def test_a_member_that_holds_more_than_it_claims_is_refused(claimed: int) -> None:
    data = lie_about_size(zipped({"1.png": png()}), claimed)
    assert read_archive(data, "a.zip")[0] == []
    assert only_refusal(data).name == "1.png"


def test_an_archive_exactly_at_its_limits_is_read() -> None:
    data = zipped({"1.png": png(), "2.png": png()})
    size = 2 * len(png())
    limits = Limits(max_members=2, max_unpacked_bytes=size, max_archive_bytes=len(data))
    assert len(read_archive(data, "a.zip", limits)[0]) == 2
    with pytest.raises(ValueError, match="unpacks to at most"):
        read_archive(data, "a.zip", Limits(max_unpacked_bytes=size - 1))


def test_pixels_decoded_from_one_archive_are_bounded() -> None:
    data = zipped({f"{i}.png": png() for i in range(5)})
    pictures, refusals = read_archive(data, "a.zip", Limits(max_archive_pixels=900))
    assert [p.name for p in pictures] == ["0.png", "1.png"]
    assert [r.name for r in refusals] == ["2.png", "3.png", "4.png"]
    assert "megapixels from one archive" in refusals[0].reason


def test_number_of_members_is_bounded() -> None:
    data = zipped(dict.fromkeys(map(str, range(30)), b"x"))
    assert "at most 29 files, got 30" in archive_refusal(data, Limits(max_members=29))
    assert "at most 2 files, got far more" in archive_refusal(data, Limits(max_members=2))


def test_size_of_the_archive_is_bounded() -> None:
    assert "archive of at most" in archive_refusal(zipped({"a": b""}), Limits(max_archive_bytes=9))


@pytest.mark.parametrize("data", [b"", b"no zip at all", zipped({"a.png": png()})[:60]])
def test_what_is_no_whole_zip_is_refused(data: bytes) -> None:
    assert "expected a whole zip archive" in archive_refusal(data)


@pytest.mark.parametrize("members", [{}, {"folder/": b""}, {".DS_Store": b"x"}])
def test_an_archive_without_files_is_refused(members: dict[str, bytes]) -> None:
    assert "got one without files" in archive_refusal(zipped(members))


def test_members_locked_with_a_password_are_refused() -> None:
    data = bytearray(zipped({"a.png": png()}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "locked with a password" in only_refusal(bytes(data)).reason


def test_other_compressions_are_refused() -> None:
    data = zipped({"a.png": png()}, zipfile.ZIP_LZMA)
    assert "got another compression" in only_refusal(data).reason


def test_a_member_damaged_in_the_archive_is_refused_and_the_rest_read() -> None:
    data = bytearray(zipped({"a.png": png(), "b.png": png()}, zipfile.ZIP_STORED))
    data[data.index(b"IDAT") + 6] ^= 0xFF
    pictures, refusals = read_archive(bytes(data), "a.zip")
    assert [p.name for p in pictures] == ["b.png"]
    assert [r.name for r in refusals] == ["a.png"]
    assert "damaged in the archive" in refusals[0].reason


def test_members_come_one_at_a_time_with_their_bytes() -> None:
    picture = png()
    found = list(archive_members(zipped({"b.png": picture, "a.txt": b"words"}), "a.zip"))
    assert isinstance(found[0], Refusal)
    assert found[1] == Member("b.png", picture)


def test_members_of_a_zip_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    picture = png()
    file.write_bytes(zipped({"b10.png": picture, "b9.png": b"words", ".x.png": picture}))
    assert list_members(file) == ["b9.png", "b10.png"]
    assert read_member(file, "b10.png") == picture
    with pytest.raises(ValueError, match=r"set\.zip/b9\.png: expected .* got a text file"):
        read_member(file, "b9.png")
    with pytest.raises(ValueError, match=r"set\.zip/none\.png: .* found none"):
        read_member(file, "none.png")
