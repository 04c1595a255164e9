"""Annotated pictures from a folder or a zip: which layout it is, in words, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from analytics.io.annotated import AnnotatedSource
from analytics.io.annotated_ade import INSTANCE_FOLDER, find_ade, find_challenge, has_ade
from analytics.io.annotated_coco import coco_files, find_coco
from analytics.io.annotated_files import FileList, Roots, count, few, list_files, parts_of, within
from analytics.io.annotated_masks import find_masks, one_pair
from analytics.io.annotated_voc import CLASS_FOLDER, OBJECT_FOLDER, find_voc
from analytics.io.folders import has_picture_suffix
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.sources import ImageFile

Kind = Literal["ade20k", "adechallenge", "coco", "voc", "masks"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_INDEXES = frozenset({".pkl", ".pickle", ".p", ".mat"})
_UNKNOWN = (
    "ADE20K (NAME.jpg beside NAME_seg.png), ADEChallenge (images/ and annotations_instance/), "
    "COCO (pictures and instances_*.json), VOC (JPEGImages/ and SegmentationObject/) or pictures "
    "with masks (images/ and masks/, or NAME.jpg and NAME_mask.png)"
)


@dataclass(frozen=True)
class AnnotatedSet:
    """Annotated pictures that are read when they are needed.

    `kind` is the layout. `notes` says in sentences what was recognised and left out.
    """

    name: str
    kind: Kind
    sources: tuple[AnnotatedSource, ...]
    notes: tuple[str, ...] = ()


def read_annotated(
    path: str | Path,
    kind: str | None = None,
    annotations: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
    roots: Roots = None,
) -> AnnotatedSet:
    """Find annotated pictures; none is decoded yet.

    Args:
        path: a folder or a zip; one picture, with its mask as `annotations` or beside it; or
            a COCO file beside its pictures.
        kind: one of `KINDS`; None tells it from the files (coco where `annotations` is given
            for a folder or a zip).
        annotations: the mask of a single picture, or which COCO file to use, as a path below
            the folder, in the zip, or anywhere; None looks for it.
        limits: what is accepted of a zip, of a JSON file and of each picture.
        roots: the folders that files may lie in, on a server; None where every file may be
            read.

    Returns:
        The set; `sources[i].load()` decodes a picture and its mask, or raises a ValueError
        that names the file.

    Raises:
        ValueError: an unknown kind or layout, a pickled index, or no annotated picture; the
            message says what was looked for and what is there.
    """
    place = within(path, roots)
    if kind is not None and kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, or none, got {kind!r}")
    _refuse_index(place)
    sources: Sequence[AnnotatedSource]
    if place.is_file() and has_picture_suffix(place.name):
        _only("masks", kind, "one picture")
        mask = None if annotations is None else within(annotations, roots)
        sources, notes = one_pair(place, mask, limits, roots)
        return AnnotatedSet(plain_path(place.name), "masks", tuple(sources), tuple(notes))
    if place.is_file() and place.suffix.lower() == ".json":
        _only("coco", kind, "a JSON file")
        return read_annotated(place.parent, "coco", place.name, limits, roots)
    listed = list_files(place, limits, roots)
    wanted = kind or ("coco" if annotations is not None else _recognise(listed, limits))
    chosen = next(each for each in KINDS if each == wanted)
    sources, notes = _find(chosen, listed, annotations, limits, roots)
    return AnnotatedSet(listed.name, chosen, tuple(sources), tuple(notes))


def _find(
    kind: Kind,
    listed: FileList,
    annotations: str | Path | None,
    limits: Limits,
    roots: Roots,
) -> tuple[Sequence[AnnotatedSource], list[str]]:
    if kind == "coco":
        described = None if annotations is None else _named(listed, annotations, roots)
        return find_coco(listed, described, limits)
    if annotations is not None:
        raise ValueError(
            f"expected no file of annotations for the kind {kind}, got {annotations}; leave it "
            "out, or choose the kind coco"
        )
    if kind == "ade20k":
        return find_ade(listed, limits)
    if kind == "adechallenge":
        return find_challenge(listed, limits)
    return find_voc(listed, limits) if kind == "voc" else find_masks(listed, limits)


def _recognise(listed: FileList, limits: Limits) -> Kind:
    folders = {name.casefold() for file in listed.files for name in parts_of(file)[:-1]}
    if has_ade(listed):
        return "ade20k"
    if INSTANCE_FOLDER in folders:
        return "adechallenge"
    if OBJECT_FOLDER.casefold() in folders:
        return "voc"
    found, reason = coco_files(listed, limits)
    if found:
        return "coco"
    _refuse_classes(listed, folders)
    try:
        find_masks(listed, limits)
    except ValueError as error:
        raise ValueError(_unknown(listed, reason)) from error
    return "masks"


def _unknown(listed: FileList, reason: str) -> str:
    shown = [file.name for file in listed.files]
    pictures = sum(has_picture_suffix(name) for name in shown)
    index = [name for name in shown if Path(name).suffix.lower() in _INDEXES]
    why = f", and a JSON file is none of COCO's ({reason})" if reason else ""
    why += f"; {few(index)} is not opened, as it can run programs" if index else ""
    return (
        f"expected one of the layouts {_UNKNOWN}, got {listed.name} with "
        f"{count(pictures, 'picture')} among {count(shown, 'file')}{why}; arrange the files so, or "
        "choose the kind"
    )


def _refuse_classes(listed: FileList, folders: set[str]) -> None:
    """Masks of classes make one object of all cars: refused unless the kind is chosen."""
    challenge = "annotations" in folders and any(
        parts_of(file)[-1].startswith(("ADE_train_", "ADE_val_")) for file in listed.files
    )
    if challenge or CLASS_FOLDER.casefold() in folders:
        missing = INSTANCE_FOLDER if challenge else OBJECT_FOLDER
        raise ValueError(
            f"expected masks of instances in {listed.name}, got masks of classes only, in which "
            f"all objects of a class are one; add the folder {missing}, or choose the kind masks "
            "to take every class as one object"
        )


def _refuse_index(place: Path) -> None:
    """A pickle runs what its author wrote when it is opened: none is, whatever its name."""
    if place.is_dir():
        return
    try:
        with place.open("rb") as stream:
            head = stream.read(2)
    except OSError:
        head = b""
    pickled = len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    if pickled or place.suffix.lower() in _INDEXES:
        raise ValueError(
            f"expected a folder or a zip of annotated pictures, got the index "
            f"{plain_path(place.name)}, which is not opened: a pickle can run any program, and the "
            "index is not needed; give the folder that holds the pictures and their _seg.png files"
        )


def _only(needed: Kind, kind: str | None, what: str) -> None:
    if kind not in (None, needed):
        raise ValueError(
            f"expected a folder or a zip for the kind {kind}, got {what}; give the folder, or "
            f"choose the kind {needed}"
        )


def _named(listed: FileList, path: str | Path, roots: Roots) -> ImageFile:
    """A file of the set by its path or the end of it, or any other file that may be read."""
    name = Path(path).as_posix()
    ends = [f for f in listed.files if f.name == name] or [
        f for f in listed.files if f.name.endswith(f"/{name}")
    ]
    if len(ends) == 1:
        return ends[0]
    if not ends and (roots is not None or Path(path).is_file()):
        place = within(path, roots)
        return ImageFile(place.name, place)
    raise ValueError(
        f"expected a file {plain_path(name)} in {listed.name} or elsewhere, found "
        f"{'none' if not ends else f'{len(ends)} of that name'}; give its whole path"
    )
