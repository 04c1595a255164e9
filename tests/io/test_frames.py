"""Counting frames and pages, also of files made to make that slow."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from analytics.io.frames import MAX_PAGES, tiff_pages


def chain(count: int, order: str = "<", big: bool = False) -> bytes:
    """A TIFF of empty directories, each pointing to the next."""
    mark = {"<": b"II", ">": b"MM"}[order]
    size, head = (16, 16) if big else (6, 8)
    number, pointer = ("Q", "Q") if big else ("H", "I")
    start = struct.pack(order + "HHHQ", 43, 8, 0, head) if big else struct.pack(order + "HI", 42, 8)
    ends = [head + size * (i + 1) if i + 1 < count else 0 for i in range(count)]
    return mark + start + b"".join(struct.pack(order + number + pointer, 0, end) for end in ends)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("count", [1, 2, 57])
def test_pages_of_made_chains(count: int, order: str, big: bool) -> None:
    assert tiff_pages(chain(count, order, big)) == count


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_a_real_file(big: bool) -> None:
    stream = io.BytesIO()
    pages = [Image.new("L", (20, 20), i) for i in range(7)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
    assert tiff_pages(stream.getvalue()) == 7


def test_counting_stops_at_the_bound() -> None:
    assert tiff_pages(chain(MAX_PAGES * 3)) == MAX_PAGES + 1


def test_a_loop_ends_the_count() -> None:
    looped = bytearray(chain(3))
    struct.pack_into("<I", looped, len(looped) - 4, 8)
    assert tiff_pages(bytes(looped)) == 3


def test_a_chain_that_leaves_the_file_ends_there() -> None:
    assert tiff_pages(chain(5)[:-8]) == 4
    assert tiff_pages(b"II*\0") == 0
