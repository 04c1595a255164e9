"""Annotated sets that users bring: zips that were uploaded, and places below the allowed roots."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.annotated_files import within
from analytics.io.annotated_sets import KINDS, AnnotatedSet, read_annotated
from analytics.io.images import DEFAULT_LIMITS
from analytics.io.names import plain_path

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedSource
    from analytics.serve.state import Services

LIMITS = replace(DEFAULT_LIMITS, max_members=20_000)
"""A set has two files for each picture: more are listed than of a zip of pictures."""

MOST_IMAGES = 480
"""Most pictures of a set that are looked at, and that probes are fitted on."""

ZIP, PLACE = "zip", "place"


@dataclass(frozen=True)
class KeptSet:
    """A set that the server knows.

    `where` says how it came: `zip`, an upload whose bytes are kept, or `place`, a folder or file
    on the server, read where it lies. `path` is that place, empty for an upload. `kind` and
    `annotations` are what `read_annotated` takes, empty for none.
    """

    id: str
    name: str
    where: str
    path: str = ""
    kind: str = ""
    annotations: str = ""


def keep_upload(
    here: Services, data: bytes, name: str, kind: str = "", annotations: str = ""
) -> KeptSet:
    """Check an uploaded zip of annotated pictures and store it.

    Args:
        here: the services.
        data: its bytes.
        name: what the user calls it.
        kind: one of `KINDS`; empty to tell it from the files.
        annotations: which COCO file in it to use; empty to look for it.

    Raises:
        ValueError: no whole zip, an index that is never opened, no annotated pictures; the
            message names no file of the server.
    """
    title = plain_path(name) or "the zip"
    kept = KeptSet("", title, ZIP, kind=kind, annotations=annotations)
    kept = replace(kept, id=_id({**asdict(kept), "name": "", "data": _sha256(data)}))
    folder = _folder(here)
    part = folder / f".{kept.id}"
    part.mkdir(exist_ok=True, mode=0o700)
    file = part / (Path(title).name[-100:] or "set.zip")
    try:
        file.write_bytes(data)
        _check_whole(file, title)
        _read(file, kept, None, str(part) + "/")
        file.replace(_zip(here, kept.id))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _keep(here, kept)


def keep_place(here: Services, path: str, kind: str = "", annotations: str = "") -> KeptSet:
    """Check a folder, zip, picture or COCO file on the server.

    Raises:
        ValueError: outside the allowed roots or missing, or no annotated pictures.
    """
    roots = here.settings.roots
    place = within(path, roots)
    kept = KeptSet("", plain_path(place.name), PLACE, str(place), kind, annotations)
    kept = replace(kept, id=_id(asdict(kept)))
    _read(place, kept, roots)
    return _keep(here, kept)


def kept_set(here: Services, set_id: str) -> KeptSet | None:
    """A set by its id; None where the server does not know it. Only hashes are looked up."""
    if len(set_id) != 64 or not set(set_id) <= set("0123456789abcdef"):
        return None
    try:
        return KeptSet(**json.loads((_folder(here) / f"{set_id}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def open_set(here: Services, set_id: str) -> AnnotatedSet:
    """The pictures of a set, none decoded yet; named as the user calls it.

    Raises:
        ValueError: the server does not know it, may no longer read it, or it has changed.
    """
    kept = kept_set(here, set_id)
    if kept is None:
        raise ValueError("this annotated set is not stored on this server; add it again")
    if kept.where == PLACE:
        roots = here.settings.roots
        return replace(_read(within(kept.path, roots), kept, roots), name=kept.name)
    return replace(_read(_zip(here, kept.id), kept, None), name=kept.name)


def set_sources(
    found: AnnotatedSet, most: int = MOST_IMAGES, seed: int = 0
) -> tuple[AnnotatedSource, ...]:
    """At most `most` pictures, drawn at random where there are more, in the set's order."""
    if len(found.sources) <= most:
        return found.sources
    rows = np.random.default_rng(seed).permutation(len(found.sources))[:most]
    return tuple(found.sources[row] for row in np.sort(rows))


def _read(
    place: Path, kept: KeptSet, roots: tuple[Path, ...] | None, hidden: str = ""
) -> AnnotatedSet:
    """Read a place; what is said of an upload names no folder of the server."""
    try:
        return read_annotated(place, kept.kind or None, kept.annotations or None, LIMITS, roots)
    except ValueError as error:
        said = str(error).replace(hidden, "") if hidden else str(error)
        raise ValueError(said.replace(place.name, kept.name)) from error


def _check_whole(file: Path, title: str) -> None:
    with file.open("rb") as stream:
        begins = stream.read(2)
    if begins == b"PK" and not zipfile.is_zipfile(file):
        raise ValueError(
            f"{title}: expected a whole zip, got one that is damaged or cut short; copy it again "
            "and upload it"
        )


def _keep(here: Services, kept: KeptSet) -> KeptSet:
    target = _folder(here) / f"{kept.id}.json"
    part = target.with_suffix(".part")
    part.write_text(json.dumps(asdict(kept)), encoding="utf-8")
    part.replace(target)
    return kept


def _folder(here: Services) -> Path:
    folder = here.data_dir / "annotated"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _zip(here: Services, set_id: str) -> Path:
    return _folder(here) / f"{set_id}.zip"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _id(about: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(about, sort_keys=True).encode())


__all__ = [
    "KINDS",
    "KeptSet",
    "keep_place",
    "keep_upload",
    "kept_set",
    "open_set",
    "set_sources",
]
