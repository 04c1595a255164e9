"""What lies in a folder or a zip of annotated pictures, and pictures with their masks.

The files are named first and read one at a time, each under the limits of its kind.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from analytics.io.archives import list_members
from analytics.io.images import DEFAULT_LIMITS, Limits, check_bytes, read_picture
from analytics.io.names import natural_key, plain_path
from analytics.io.sources import ImageFile
from analytics.types import Picture

MAX_FILES = 500_000
"""Most files listed below one folder."""

Roots = tuple[Path, ...] | None
"""Folders that files may lie in; None where every folder may be read."""


@dataclass(frozen=True)
class FileList:
    """The files of a folder or a zip in natural order, and what to call the whole."""

    name: str
    files: tuple[ImageFile, ...]


@dataclass(frozen=True)
class Pair:
    """A picture and the file that holds its mask."""

    picture: ImageFile
    mask: ImageFile


def within(path: str | Path, roots: Roots) -> Path:
    """A path, which must lie under one of the roots after links and `..` are resolved.

    Args:
        path: absolute, or relative to a root.
        roots: the folders that a server was started with; None allows every path.

    Raises:
        ValueError: outside the roots or missing, with the same message for both.
    """
    if roots is None:
        return Path(path)
    allowed = [root.resolve() for root in roots]
    for root in allowed:
        try:
            place = (root / path).resolve()
            if _is_inside(place, allowed) and place.exists():
                return place
        except (OSError, RuntimeError, ValueError):
            continue  # A link that points to itself, or a path that no file can have.
    raise ValueError(
        f"expected a path under {' or '.join(map(str, allowed)) or 'an allowed folder'}, got one "
        "outside or missing; choose a folder there or upload the files"
    )


def _is_inside(place: Path, allowed: list[Path]) -> bool:
    return any(place.is_relative_to(root) for root in allowed)


def list_files(place: Path, limits: Limits = DEFAULT_LIMITS, roots: Roots = None) -> FileList:
    """Name every file below a folder or in a zip; hidden files and linked folders are left out.

    With `roots`, linked files that lead outside them are left out too.

    Raises:
        ValueError: neither a folder nor a zip, too many files, or an archive that is refused.
    """
    if place.is_dir():
        kept = _walk(place)
        if roots is not None:
            allowed = [root.resolve() for root in roots]
            kept = [file for file in kept if _is_inside(file.resolve(), allowed)]
        found = [ImageFile(file.relative_to(place).as_posix(), file) for file in kept]
    elif place.is_file() and zipfile.is_zipfile(place):
        found = [ImageFile(_slashes(m), place, m) for m in list_members(place, limits)]
    else:
        there = "a file of another kind" if place.is_file() else "nothing"
        raise ValueError(
            f"expected a folder or a zip of annotated pictures, found {there} at {place}"
        )
    ordered = sorted(found, key=lambda file: natural_key(file.name))
    return FileList(plain_path(place.resolve().name), tuple(ordered))


def _walk(place: Path) -> list[Path]:
    found: list[Path] = []
    for here, folders, files in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here, name) for name in files if not name.startswith(".")]
        if len(found) > MAX_FILES:
            raise ValueError(
                f"expected at most {MAX_FILES:,} files in {place}, found more; "
                "choose a folder inside it"
            )
    return found


def read_file(file: ImageFile, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a file of any kind, never more than the limit for one file.

    Raises:
        ValueError: too large, damaged, or not to be read; the message names the file.
    """
    try:
        if not file.member:
            return file.read_bytes(limits)
        with zipfile.ZipFile(file.path) as archive:
            info = archive.getinfo(file.member)
            check_bytes(info.file_size, limits)
            with archive.open(info) as stream:
                # One more than is claimed, so that the end is reached and the checksum compared.
                return stream.read(info.file_size + 1)
    except ValueError as error:
        reason = str(error).removeprefix(f"{file.name}: ")
        raise ValueError(f"{plain_path(file.name)}: {reason}") from error
    except (OSError, RuntimeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(file, error) from error


def read_json(file: ImageFile, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The content of a JSON file in UTF-8, or in Latin-1 as some of ADE20K's are.

    Raises:
        ValueError: it cannot be read or is no JSON; the message names the file.
    """
    data = read_file(file, limits)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{plain_path(file.name)}: expected whole JSON, got a file that is none "
            f"({plain_path(str(error))}); copy or download it again"
        ) from error


def read_image(file: ImageFile, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode a picture of a set.

    Raises:
        ValueError: it cannot be read; the message names the file.
    """
    try:
        data = file.read_bytes(limits)
    except OSError as error:
        raise _unreadable(file, error) from error
    return read_picture(data, file.name, limits)


def parts_of(file: ImageFile) -> tuple[str, ...]:
    """The folders of a file's path, and its name last."""
    return PurePosixPath(file.name).parts


def stem_of(file: ImageFile) -> str:
    """A file's name without folders and ending."""
    return PurePosixPath(file.name).stem


def suffix_of(file: ImageFile) -> str:
    """A file's ending in small letters, with its dot."""
    return PurePosixPath(file.name).suffix.lower()


def below(files: Iterable[ImageFile], folder: str) -> dict[tuple[str, ...], ImageFile]:
    """Files below every folder of this name, keyed by their path around and below it.

    Equal keys of two such folders make a pair.

    Known answer: below JPEGImages, `VOC/JPEGImages/a.jpg` has the key ("VOC", "", "a"), and
    below SegmentationObject so has `VOC/SegmentationObject/a.png`.
    """
    found: dict[tuple[str, ...], ImageFile] = {}
    for file in files:
        *folders, _ = parts_of(file)
        names = [name.casefold() for name in folders]
        if folder.casefold() in names:
            at = names.index(folder.casefold())
            key = (*folders[:at], "", *folders[at + 1 :], stem_of(file))
            found.setdefault(key, file)
    return found


def few(names: Sequence[str], most: int = 3) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(plain_path(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def count(things: Collection[object] | int, noun: str) -> str:
    """A number with its noun: `1 picture`, `2 pictures`."""
    number = things if isinstance(things, int) else len(things)
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unreadable(file: ImageFile, error: Exception) -> ValueError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ValueError(
        f"{plain_path(file.name)}: expected a file that can be read, got none ({reason}); "
        "copy or download it again"
    )


def _slashes(member: str) -> str:
    return "/".join(part for part in member.replace("\\", "/").split("/") if part.strip(". "))
