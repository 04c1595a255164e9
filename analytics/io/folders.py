"""Pictures in folders: below any folder, and under the roots that a server allows."""

from __future__ import annotations

import os
from pathlib import Path

from analytics.io.names import natural_key
from analytics.io.signatures import PICTURE_SUFFIXES

MAX_FOLDER = 10_000
"""Most pictures listed from one folder on the server."""


def list_pictures(path: str | Path, roots: tuple[Path, ...]) -> list[Path]:
    """Pictures in a folder on the server, which must lie under an allowed root.

    Links and `..` are resolved first, for the folder and for every file in it. A path that
    is not allowed gives the same message whether it exists or not.

    Args:
        path: absolute, or relative to a root; a folder, or one picture.
        roots: the folders that the server was started with.

    Returns:
        Resolved paths, natural order, hidden files left out, at most `MAX_FOLDER`.

    Raises:
        ValueError: outside the roots, missing, or without pictures.
    """
    allowed = tuple(root.resolve() for root in roots)
    if not allowed:
        raise ValueError(
            "expected a server with an allowed folder, got none; "
            "start the app with one or upload the pictures"
        )
    place = _under_roots(str(path), allowed)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise ValueError(f"expected a folder or a picture, found nothing at {place}")
    found = [file.resolve() for file in picture_files(place)]
    kept = [file for file in found if any(file.is_relative_to(root) for root in allowed)]
    if not kept:
        raise ValueError(
            f"expected pictures in {place}, found none; they are known by endings such as "
            ".jpg, .png or .tif"
        )
    if len(kept) > MAX_FOLDER:
        raise ValueError(
            f"expected at most {MAX_FOLDER:,} pictures in {place}, found {len(kept):,}; "
            "choose a folder inside it"
        )
    return kept


def picture_files(folder: Path) -> list[Path]:
    """Picture files below a folder, natural order, hidden ones and linked folders left out."""
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        kept = (n for n in files if not n.startswith(".") and has_picture_suffix(n))
        found += [Path(here, name) for name in kept]
    return sorted(found, key=lambda file: natural_key(file.relative_to(folder).as_posix()))


def has_picture_suffix(name: str) -> bool:
    """Whether a name ends as picture files do."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES


def _under_roots(path: str, allowed: tuple[Path, ...]) -> Path:
    """The first of the roots' readings of a path that stays under a root."""
    outside = ValueError(
        f"expected a path under {' or '.join(str(root) for root in allowed)}, got one outside; "
        "choose a folder there or upload the pictures"
    )
    inside = []
    for root in allowed:
        try:
            place = (root / path).resolve()
        except (OSError, RuntimeError, ValueError):
            # A link that points to itself, or a path that no file can have.
            raise outside from None
        if any(place.is_relative_to(other) for other in allowed):
            inside.append(place)
    if not inside:
        raise outside
    return next((place for place in inside if place.exists()), inside[0])
