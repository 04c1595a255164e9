"""Where pictures come from: a zip, a folder on the server, the samples, the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analytics.io.archives import Refusal, list_members, read_archive, read_member
from analytics.io.folders import has_picture_suffix, list_pictures, picture_files
from analytics.io.images import DEFAULT_LIMITS, Limits, check_bytes
from analytics.io.names import plain_path

__all__ = [
    "ImageFile",
    "Refusal",
    "Sample",
    "assets_dir",
    "expand_images",
    "list_pictures",
    "read_archive",
    "samples",
]

_LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
_CC_BY = "CC BY 2.0"
_SHIPPED = (
    ("chelsea.png", "Cat", "CC0 1.0"),
    ("astronaut.png", "Astronaut", "Public domain (NASA)"),
    ("coffee.png", "Cup of coffee", "CC0 1.0"),
    ("rocket.jpg", "Rocket", "Public domain"),
    ("motorcycle_left.png", "Motorcycle", "CC0 1.0"),
    ("coins.png", "Coins", "No known copyright restrictions"),
)
_FROM_SKLEARN = (
    ("china.jpg", "Chinese temple", f"{_CC_BY}, photograph by danielbuechele, from scikit-learn"),
    ("flower.jpg", "Flower", f"{_CC_BY}, photograph by vultilion, from scikit-learn"),
)


@dataclass(frozen=True)
class Sample:
    """A photograph that comes with the app, with its licence and author in words."""

    name: str
    path: Path
    title: str
    licence: str


@dataclass(frozen=True)
class ImageFile:
    """One picture to be read: a file, or a member of a zip file.

    `name` is its path below the folder, list or archive that was asked for.
    """

    name: str
    path: Path
    member: str = ""

    def read_bytes(self, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The picture's bytes.

        Raises:
            ValueError: it is too large, or its archive is damaged.
            OSError: the file cannot be read.
        """
        if self.member:
            return read_member(self.path, self.member, limits)
        try:
            check_bytes(self.path.stat().st_size, limits)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return self.path.read_bytes()


def assets_dir() -> Path:
    """The folder of bundled weights and pictures, beside the package."""
    return Path(__file__).resolve().parents[2] / "assets"


def samples() -> list[Sample]:
    """The photographs that come with the app and with scikit-learn, those that are there."""
    found = [(assets_dir() / "images", entry) for entry in _SHIPPED]
    # Only the path is looked up: importing scikit-learn takes a second or more.
    sklearn = importlib.util.find_spec("sklearn")
    if sklearn is not None and sklearn.origin:
        folder = Path(sklearn.origin).parent / "datasets" / "images"
        found += [(folder, entry) for entry in _FROM_SKLEARN]
    entries = [Sample(name, at / name, title, licence) for at, (name, title, licence) in found]
    return [entry for entry in entries if entry.path.is_file()]


def expand_images(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> list[ImageFile]:
    """What IMAGES of the command line stands for.

    Args:
        path: a picture; a folder, read with the folders inside it; a zip file; or a text
            file (`.txt`, `.lst`, `.list`) with one path a line, relative to the text file,
            empty lines and lines that start with `#` left out.
        limits: what is accepted of a zip.

    Returns:
        The pictures, folders and zips in natural order, text files in their own.

    Raises:
        ValueError: missing, empty, or a list that names something missing.
    """
    place = Path(path)
    if place.is_dir():
        found = [
            ImageFile(file.relative_to(place).as_posix(), file) for file in picture_files(place)
        ]
        return _some(found, f"the folder {place}")
    if not place.is_file():
        raise ValueError(
            f"expected a picture, a folder, a zip or a text file of paths, found nothing at {place}"
        )
    suffix = place.suffix.lower()
    if suffix in _LIST_SUFFIXES:
        return _some(list(_listed(place)), f"the list {place}")
    if suffix == ".zip":
        members = [m for m in list_members(place, limits) if has_picture_suffix(m)]
        found = [ImageFile(plain_path(m), place, m) for m in members]
        return _some(found, f"the archive {place}")
    return [ImageFile(place.name, place)]


def _below(folder: Path, shown: Path) -> list[ImageFile]:
    """The pictures below a folder, under names that start with the folder as `shown`."""
    files = picture_files(folder)
    return [ImageFile((shown / file.relative_to(folder)).as_posix(), file) for file in files]


def _listed(file: Path) -> Iterator[ImageFile]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(
            f"expected a text file of paths, got one that is not text: {file}; "
            "a picture needs its own ending"
        ) from None
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        place = file.parent / entry
        if place.is_dir():
            found = [
                ImageFile((Path(entry) / f.relative_to(place)).as_posix(), f)
                for f in picture_files(place)
            ]
            yield from _some(found, f"line {number} of {file}, the folder {place}")
        elif place.is_file():
            yield ImageFile(Path(entry).as_posix(), place)
        else:
            raise ValueError(
                f"expected a picture on line {number} of {file}, found none at {place}"
            )


def _some(found: list[ImageFile], where: str) -> list[ImageFile]:
    if not found:
        raise ValueError(
            f"expected pictures in {where}, found none; they are known by endings such as "
            ".jpg, .png or .tif"
        )
    return found
