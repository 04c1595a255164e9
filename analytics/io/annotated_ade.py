"""ADE20K: the full set with its `_seg.png` files, and the instance masks of ADEChallenge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_files import (
    FileList,
    Pair,
    below,
    count,
    few,
    parts_of,
    read_file,
    read_json,
    stem_of,
    suffix_of,
)
from analytics.io.annotated_labels import (
    annotated,
    main_value,
    ranked,
    read_labels,
    read_pair,
)
from analytics.io.folders import has_picture_suffix
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.sources import ImageFile

_SEG = "_seg.png"
_PARTS = "_parts_1.png"
_NAME_LISTS = ("objectnames.txt", "objects.txt")
INSTANCE_FOLDER = "annotations_instance"


@dataclass(frozen=True)
class AdeSource:
    """A picture of ADE20K: `pair.mask` holds class and instance of each pixel in its colours.

    Class = (R // 10) * 256 + G. Instance = rank of B among the values above 0, from 1.

    `names` gives the name of class c at c - 1; `details`, the JSON beside the picture, names
    the classes too, and `parts` is the mask of the first level of parts.

    Differs: the set's own code ranks B from 0 and so calls the smallest value unlabelled; that
    is the same wherever a pixel has B = 0, and loses an object where none has.
    """

    name: str
    pair: Pair
    parts: ImageFile | None = None
    details: ImageFile | None = None
    names: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS

    def load(self) -> AnnotatedImage:
        """Decode the picture and its masks."""
        picture, colours = read_pair(self.pair, self.limits)
        _check_colours(colours, self.pair.mask)
        instances = ranked(colours[..., 2])
        numbers = main_value(ade_class(colours), instances)
        known = self._class_names()
        classes = {i: known.get(number, f"class {number}") for i, number in numbers.items()}
        parts = None
        if self.parts is not None:
            inner = read_labels(self.parts, picture, self.limits)
            _check_colours(inner, self.parts)
            parts = ranked(inner[..., 2])
        return annotated(picture, instances, classes, parts=parts)

    def _class_names(self) -> dict[int, str]:
        """Names by class number: of the list, and over them those of the JSON file."""
        names = {number: name for number, name in enumerate(self.names, start=1) if name}
        if self.details is None:
            return names
        described = read_json(self.details, self.limits)
        entry = described.get("annotation") if isinstance(described, dict) else None
        objects = entry.get("object") if isinstance(entry, dict) else None
        for item in objects if isinstance(objects, list) else []:
            given = item if isinstance(item, dict) else {}
            number, name = given.get("name_ndx"), given.get("name")
            if isinstance(number, int) and isinstance(name, str):
                names[number] = plain_path(name)
        return names


@dataclass(frozen=True)
class ChallengeSource:
    """A picture of ADEChallenge: R of the mask is the class, G the instance, 0 unlabelled."""

    name: str
    pair: Pair
    limits: Limits = DEFAULT_LIMITS

    def load(self) -> AnnotatedImage:
        """Decode the picture and its mask."""
        picture, colours = read_pair(self.pair, self.limits)
        _check_colours(colours, self.pair.mask)
        instances = colours[..., 1].astype(np.int32)
        numbers = main_value(colours[..., 0].astype(np.int32), instances)
        return annotated(picture, instances, {i: f"class {n}" for i, n in numbers.items()})


def ade_class(colours: np.ndarray) -> np.ndarray:
    """The class number of each pixel of a `_seg.png`; the list of names counts from 0 instead.

    Args:
        colours: uint8 (height, width, 3).

    Returns:
        int32 (height, width), 0 for unlabelled.

    Reference: the set's own reader of its masks.

    Known answer: R = 30, G = 5 is class 773, the 772nd of the list counted from 0.
    """
    return (colours[..., 0].astype(np.int32) // 10) * 256 + colours[..., 1]


def find_ade(
    listed: FileList, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[AdeSource], list[str]]:
    """The pictures of ADE20K that have a `_seg.png` beside them, and notes on the rest.

    Raises:
        ValueError: there is none.
    """
    by_name = {file.name: file for file in listed.files}
    sources, alone = [], []
    names = _name_list(listed, limits)
    for mask in (file for file in listed.files if file.name.endswith(_SEG)):
        base = mask.name.removesuffix(_SEG)
        shown = next(
            (by_name[base + s] for s in (".jpg", ".JPG", ".jpeg") if base + s in by_name), None
        )
        if shown is None:
            alone.append(mask.name)
            continue
        inner, details = by_name.get(base + _PARTS), by_name.get(f"{base}.json")
        pair = Pair(shown, mask)
        sources.append(AdeSource(plain_path(shown.name), pair, inner, details, names, limits))
    if not sources:
        raise ValueError(
            f"expected pictures with their masks in {listed.name}, as NAME.jpg beside "
            f"NAME{_SEG} (ADE20K), got {count(alone, 'mask')} without a picture; add the pictures"
        )
    notes = [f"Recognised as ADE20K: {count(sources, 'picture')} with a {_SEG} file."]
    if alone:
        notes.append(f"Left out, {count(alone, 'mask')} without a picture: {few(alone)}.")
    return sources, notes + _names_notes(listed, names)


def find_challenge(
    listed: FileList, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[ChallengeSource], list[str]]:
    """The pictures of ADEChallenge in `images` with masks in `annotations_instance`.

    Raises:
        ValueError: there is none.
    """
    masks = below((f for f in listed.files if suffix_of(f) == ".png"), INSTANCE_FOLDER)
    pictures = below((f for f in listed.files if has_picture_suffix(f.name)), "images")
    sources = [
        ChallengeSource(plain_path(pictures[key].name), Pair(pictures[key], mask), limits)
        for key, mask in masks.items()
        if key in pictures
    ]
    alone = [mask.name for key, mask in masks.items() if key not in pictures]
    if not sources:
        raise ValueError(
            f"expected pictures in images/ and masks of the same names in {INSTANCE_FOLDER}/ in "
            f"{listed.name} (ADEChallenge), got {count(alone, 'mask')} without a picture; add the "
            "folder images beside it"
        )
    notes = [f"Recognised as ADEChallenge: {count(sources, 'picture')} with instance masks."]
    if alone:
        notes.append(f"Left out, {count(alone, 'mask')} without a picture: {few(alone)}.")
    return sources, notes


def _check_colours(colours: np.ndarray, mask: ImageFile) -> None:
    if colours.ndim != 3:
        raise ValueError(
            f"{plain_path(mask.name)}: expected an RGB mask that holds class and instance, got "
            "one of single values, as masks of classes alone are; give the instance masks"
        )


def _name_list(listed: FileList, limits: Limits) -> tuple[str, ...]:
    """Class names of a text file with one a line, as one may write them out of the index."""
    for file in listed.files:
        if parts_of(file)[-1].lower() in _NAME_LISTS:
            lines = read_file(file, limits).decode("utf-8", errors="replace").splitlines()
            return tuple(plain_path(line) if line.strip() else "" for line in lines)
    return ()


def _names_notes(listed: FileList, names: tuple[str, ...]) -> list[str]:
    notes = []
    index = [f.name for f in listed.files if suffix_of(f) in (".pkl", ".pickle", ".mat")]
    if index:
        notes.append(f"Not opened: {few(index)}; an index can run programs and is not needed.")
    if names:
        notes.append(f"Class names read from a text file: {count(names, 'name')}.")
    return notes


def has_ade(listed: FileList) -> bool:
    """Whether a file is named as the masks of ADE20K are."""
    return any(f.name.endswith(_SEG) and stem_of(f) != "_seg" for f in listed.files)
