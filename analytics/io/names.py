"""File names made safe to show, to log and to store.

A name arrives from a browser, a zip or a folder and may hold anything: a path, line
breaks, characters that reverse the text around them. The name is only ever shown; files
are stored under their hash.
"""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 120
"""Longest name kept, in characters; the middle of a longer one is replaced by dots."""

UNNAMED = "unnamed"

_DIGITS = re.compile(r"(\d+)")


def plain_path(name: str) -> str:
    """Clean a name but keep its folders, as in `cats/0001.jpg` from a zip.

    Drive letters, empty parts, `.` and `..` are dropped, so nothing in the answer can
    point outside a folder. Characters that are not printed (control, format, unassigned
    and surrogate code points) are dropped too.

    Returns:
        Parts joined by `/`, at most `MAX_NAME` characters, never empty.
    """
    parts = [_clean_part(part) for part in name.replace("\\", "/").split("/")]
    kept = [part for part in parts if part.strip(". ") and not re.fullmatch(r"[A-Za-z]:", part)]
    return shorten("/".join(kept)) or UNNAMED


def plain_name(name: str) -> str:
    """Clean a name and keep its last part only: `pictures/cat.png` gives `cat.png`."""
    return plain_path(name).rsplit("/", 1)[-1]


def shorten(text: str, limit: int = MAX_NAME) -> str:
    """Cut the middle out of a long text so that its beginning and its ending stay."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 3]}...{text[-tail:]}"


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Key that sorts names as people do: `tile2.png` before `tile10.png`, case ignored."""
    pieces = _DIGITS.split(name.casefold())
    # Digits that are not decimal (superscripts) match \d nowhere, so int() cannot fail here.
    return tuple((0, int(p), p) if i % 2 else (1, 0, p) for i, p in enumerate(pieces) if p)


def _clean_part(part: str) -> str:
    composed = unicodedata.normalize("NFC", part)
    shown = "".join(c for c in composed if unicodedata.category(c)[0] != "C")
    return " ".join(shown.split())
