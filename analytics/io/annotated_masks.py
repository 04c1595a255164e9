"""Pictures beside masks of any origin: each distinct value or colour is an instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_files import (
    FileList,
    Pair,
    Roots,
    count,
    few,
    parts_of,
    stem_of,
    suffix_of,
    within,
)
from analytics.io.annotated_labels import annotated, packed, ranked, read_pair
from analytics.io.folders import has_picture_suffix
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.sources import ImageFile

MASK_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif"})
_LOSSY = frozenset({".jpg", ".jpeg", ".webp", ".heic", ".avif"})
_PICTURE_FOLDERS = frozenset({"images", "image", "imgs", "img", "pictures", "photos", "jpegimages"})
_MASK_FOLDERS = frozenset(
    {
        "masks",
        "mask",
        "labels",
        "label",
        "instances",
        "instance",
        "annotations",
        "objects",
        "gt",
        "ground_truth",
        "groundtruth",
        "segmentation",
        "segmentations",
    }
)
_ENDINGS = ("instances", "instance", "masks", "mask", "labels", "label", "objects", "gt", "seg")
_MANY = 1000


@dataclass(frozen=True)
class MaskSource:
    """A picture and a mask: palette positions or grey values are the instances, 0 unlabelled.

    Of an RGB mask, colours are numbered from 1 by red, then green, then blue; black is
    unlabelled.
    """

    name: str
    pair: Pair
    limits: Limits = DEFAULT_LIMITS

    def load(self) -> AnnotatedImage:
        """Decode the picture and its mask."""
        picture, values = read_pair(self.pair, self.limits)
        notes: tuple[str, ...] = ()
        if values.ndim == 3:
            values = ranked(packed(values))
            found = int(values.max())
            notes = (f"{count(found, 'colour')} of the mask read as instances, black as none",)
            if found > _MANY:
                notes += ("so many colours may be smoothed edges: export without smoothing",)
        return annotated(picture, values, {}, notes)


def find_masks(
    listed: FileList, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[MaskSource], list[str]]:
    """Pictures that have a mask, by three arrangements, the first that holds any.

    A folder of pictures beside a folder of masks (`images/1.jpg`, `masks/1.png`); a mask named
    after its picture (`1.jpg`, `1_mask.png`); one name with two endings, of which the picture's
    is that of a photograph (`1.jpg`, `1.png`).

    Raises:
        ValueError: none of them holds any.
    """
    files = [file for file in listed.files if has_picture_suffix(file.name)]
    ways = (
        ("masks in a folder of their own", list(_by_folder(files))),
        ("masks named after their pictures", list(_by_ending(files))),
        ("pictures and masks of one name", list(_by_suffix(files))),
    )
    how, pairs = next((way for way in ways if way[1]), ("", []))
    if not pairs:
        raise ValueError(
            f"expected pictures with masks of the same names in {listed.name}, such as "
            "images/1.jpg with masks/1.png, or 1.jpg with 1_mask.png, got "
            f"{count(files, 'picture')} and no pair; name the masks so (PNG or TIFF)"
        )
    used = {file.name for pair in pairs for file in (pair.picture, pair.mask)}
    beside = [file.name for file in files if file.name not in used]
    notes = [f"Recognised as pictures with masks: {count(pairs, 'pair')}, {how}."]
    notes.append("Each value or colour of a mask is one instance; 0 or black is unlabelled.")
    if beside:
        notes.append(f"Left out, {count(beside, 'file')} without a partner: {few(beside)}.")
    return [MaskSource(plain_path(pair.picture.name), pair, limits) for pair in pairs], notes


def one_pair(
    picture: Path, mask: Path | None, limits: Limits = DEFAULT_LIMITS, roots: Roots = None
) -> tuple[list[MaskSource], list[str]]:
    """One picture with its mask, which is looked for beside it where it is not given.

    Raises:
        ValueError: a file is missing, or no mask lies beside the picture.
    """
    for place in (picture, mask):
        if place is not None and not place.is_file():
            raise ValueError(f"expected a picture and its mask, found no file at {place}")
    if mask is None:
        around = [ImageFile(p.name, p) for p in sorted(picture.parent.iterdir()) if p.is_file()]
        near = [file for file in around if has_picture_suffix(file.name)]
        pairs = [*_by_ending(near), *_by_suffix(near)]
        found = next((p.mask.path for p in pairs if p.picture.name == picture.name), None)
        mask = None if found is None else within(found, roots)
    if mask is None:
        raise ValueError(
            f"expected a mask beside {picture.name}, such as {picture.stem}_mask.png, found none; "
            "give the mask, or a folder or zip with both"
        )
    pair = Pair(ImageFile(picture.name, picture), ImageFile(mask.name, mask))
    note = f"Recognised as one picture with the mask {plain_path(mask.name)}."
    return [MaskSource(plain_path(picture.name), pair, limits)], [note]


def _by_folder(files: Sequence[ImageFile]) -> Iterator[Pair]:
    pictures: dict[tuple[str, ...], ImageFile] = {}
    masks: dict[tuple[str, ...], ImageFile] = {}
    for file in files:
        *folders, _ = parts_of(file)
        for at, folder in reversed(list(enumerate(folders))):
            around = (*folders[:at], "", *folders[at + 1 :])
            if folder.casefold() in _PICTURE_FOLDERS:
                pictures.setdefault((*around, stem_of(file)), file)
                break
            if folder.casefold() in _MASK_FOLDERS and suffix_of(file) in MASK_SUFFIXES:
                masks.setdefault((*around, stem_of(file)), file)
                masks.setdefault((*around, _base(stem_of(file))), file)
                break
    return (Pair(file, masks[key]) for key, file in pictures.items() if key in masks)


def _by_ending(files: Sequence[ImageFile]) -> Iterator[Pair]:
    pictures = {(*parts_of(file)[:-1], stem_of(file)): file for file in reversed(files)}
    seen: set[str] = set()
    for file in files:
        base = _base(stem_of(file))
        picture = pictures.get((*parts_of(file)[:-1], base))
        if base == stem_of(file) or picture is None or suffix_of(file) not in MASK_SUFFIXES:
            continue
        if picture.name not in seen:
            seen.add(picture.name)
            yield Pair(picture, file)


def _by_suffix(files: Sequence[ImageFile]) -> Iterator[Pair]:
    masks = {
        (*parts_of(file)[:-1], stem_of(file)): file
        for file in files
        if suffix_of(file) in MASK_SUFFIXES
    }
    for file in files:
        mask = masks.get((*parts_of(file)[:-1], stem_of(file)))
        if suffix_of(file) in _LOSSY and mask is not None:
            yield Pair(file, mask)


def _base(stem: str) -> str:
    """A mask's name without the word at its end that says that it is one."""
    for ending in _ENDINGS:
        for mark in "_-. ":
            if stem.casefold().endswith(f"{mark}{ending}") and len(stem) > len(ending) + 1:
                return stem[: -len(ending) - 1]
    return stem
