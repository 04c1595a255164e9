"""How many frames or pages a picture file holds, without decoding them."""

from __future__ import annotations

import struct

from PIL import Image

MAX_PAGES = 10_000
"""Counting stops here: a hostile file can chain millions of empty pages."""

_NOUNS = {"TIFF": "page", "HEIF": "picture"}


def frames_note(data: bytes, kind: str, image: Image.Image) -> str:
    """Say that only the first frame or page is used; empty where there is only one.

    Args:
        data: the file's bytes.
        kind: what `picture_kind` said of them.
        image: the file opened a second time, since counting moves its position.
    """
    count = tiff_pages(data) if kind == "TIFF" else _count(image)
    if count < 2:
        return ""
    which = "main" if kind == "HEIF" else "first"
    many = f"more than {MAX_PAGES:,}" if count > MAX_PAGES else f"{count:,}"
    return f"only the {which} of {many} {_NOUNS.get(kind, 'frame')}s is used"


def tiff_pages(data: bytes) -> int:
    """Count the pages of a TIFF or BigTIFF by following its chain of directories.

    Pillow's own count reads every tag of every page, which takes minutes on a file made
    for that purpose; this reads ten to sixteen bytes a page and stops at a loop.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    number, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
        while at and at not in seen and len(seen) <= MAX_PAGES:
            (entries,) = struct.unpack_from(order + number, data, at)
            seen.add(at)
            after = at + struct.calcsize(order + number) + entries * entry
            (at,) = struct.unpack_from(order + pointer, data, after)
    except struct.error:
        # A chain that leaves the file ends there; the pages before it count.
        return len(seen)
    return len(seen)


def _count(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        # A damaged later frame is no reason to refuse a good first one.
        return 1
