"""Sets of pictures that a study runs over: stored pictures, the shipped labelled set, a zip."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.labelled import LabelledSet, read_labelled, shipped_labelled

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.serve.state import Services
    from analytics.store.pictures import PictureStore
    from analytics.studies.importance_record import ImageEffect

SHIPPED = "shipped"
PICTURES = "pictures"
ZIP = "zip"


@dataclass(frozen=True, eq=False)
class StoredImage:
    """A picture of the store, read when it is needed."""

    name: str
    sha256: str
    store: PictureStore

    def read_bytes(self, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The bytes as they were uploaded.

        Raises:
            ValueError: the picture is no longer stored.
        """
        return self.store.data(self.sha256)


def find_set(here: Services, wanted: Mapping[str, Any]) -> LabelledSet:
    """The pictures of a set, with their labels where it has any.

    Args:
        here: the services.
        wanted: `kind` and what belongs to it: `pictures` with `images` (hashes), `shipped`,
            or `zip` with `sha256`.

    Raises:
        ValueError: the set is not stored here.
    """
    if wanted["kind"] == SHIPPED:
        return shipped_labelled()
    if wanted["kind"] == ZIP:
        path = zip_path(here, str(wanted["sha256"]))
        if path is None:
            raise ValueError("this labelled zip is not stored on this server; upload it again")
        return read_labelled(path, "folders")
    hashes = [str(one) for one in wanted["images"]]
    images = tuple(StoredImage(here.pictures.name(one), one, here.pictures) for one in hashes)
    return LabelledSet("pictures", images, (None,) * len(images), (), ())


def keep_zip(here: Services, data: bytes) -> str:
    """Check a zip with one folder per class, and store it under its hash.

    Returns:
        The SHA-256 of its bytes.

    Raises:
        ValueError: no zip, no class folders, or fewer than two classes.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    folder = here.data_dir / "sets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = folder / f".{sha256}.zip"
    part.write_bytes(data)
    try:
        found = _read_zip(part)
        if len(found.classes) < 2:
            raise ValueError(
                f"expected a zip with at least two class folders, got {len(found.classes)}; "
                "put the pictures of each class into a folder of its own"
            )
        part.replace(folder / f"{sha256}.zip")
    finally:
        part.unlink(missing_ok=True)
    return sha256


def _read_zip(part: Path) -> LabelledSet:
    """The pictures of an upload; what is said of it names no file of the server."""
    try:
        return read_labelled(part, "folders")
    except ValueError as error:
        said = str(error).replace(str(part), part.name).replace(part.name, "the zip")
        raise ValueError(said) from error


def zip_path(here: Services, sha256: str) -> Path | None:
    """Where a stored zip lies; None where there is none. Only hashes are looked up."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        return None
    path = here.data_dir / "sets" / f"{sha256}.zip"
    return path if path.is_file() else None


def balanced(rows: Sequence[int], labels: Sequence[str | None], limit: int, seed: int) -> list[int]:
    """At most `limit` rows, as many of each class as can be, drawn at random.

    Args:
        rows: candidates, positions in `labels`.
        labels: class of every picture.
        limit: how many are wanted.
        seed: of the draw.
    """
    shuffled = np.random.default_rng(seed).permutation(np.asarray(rows, np.int64)).tolist()
    turns: dict[str | None, int] = {}
    ranked = []
    for row in shuffled:
        turn = turns[labels[row]] = turns.get(labels[row], 0) + 1
        ranked.append((turn, row))
    return sorted(row for _, row in sorted(ranked, key=lambda one: one[0])[:limit])


def keep_pictures(here: Services, images: Sequence[ImageSource]) -> None:
    """Store what is not stored yet, so that the page can show it and the lens open it."""
    for image in images:
        # One that cannot be read is left to the study, which skips it and says why.
        with contextlib.suppress(ValueError, OSError), here.decoding:
            data = image.read_bytes()
            if not _is_stored(here, hashlib.sha256(data).hexdigest()):
                here.pictures.put(data, image.name)


def _is_stored(here: Services, sha256: str) -> bool:
    try:
        here.pictures.data(sha256)
    except ValueError:
        return False
    return True


def find_image(images: Sequence[ImageSource], wanted: ImageEffect) -> ImageSource:
    """The picture that was measured, by its bytes: two of a set may have one name.

    Raises:
        ValueError: it is not there any more.
    """
    for image in sorted(images, key=lambda one: one.name != wanted.name):
        with contextlib.suppress(ValueError, OSError):
            if hashlib.sha256(image.read_bytes()).hexdigest() == wanted.sha256:
                return image
    raise ValueError(f"{wanted.name} is no longer stored on this server; add it and measure again")


def count_different(images: Sequence[ImageSource], most: int) -> int:
    """How many pictures have bytes of their own, counted up to `most`; unreadable ones do not."""
    seen: set[str] = set()
    for image in images:
        with contextlib.suppress(ValueError, OSError):
            seen.add(hashlib.sha256(image.read_bytes()).hexdigest())
        if len(seen) == most:
            break
    return len(seen)
