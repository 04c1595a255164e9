"""Pictures with class names: from folders, a table of paths, or arrays in one file."""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np
from PIL import Image

from analytics.io.folders import has_picture_suffix, picture_files
from analytics.io.images import DEFAULT_LIMITS, MEBIBYTE, Limits, check_bytes
from analytics.io.names import UNNAMED, natural_key, plain_name, plain_path, shorten
from analytics.io.sources import ImageFile, assets_dir, expand_images

_ARRAYS = {
    "pictures": ("image", "images", "x"),
    "labels": ("label", "labels", "y"),
    "class names": ("name", "names", "classes", "class_names"),
}
_SHIPPED_NOTES = (
    "Fashion-MNIST (Zalando, MIT licence): 100 test pictures of each of 10 kinds of clothing, "
    "28 x 28 grey, enlarged for the model.",
    "Enough to show a labelled study from end to end; it is no evidence about natural images: "
    "a linear read-out of the raw pixels does about as well as one of the vision transformer.",
)


class ImageSource(Protocol):
    """A picture that can be read when it is needed: an `ImageFile` or an `ArrayImage`."""

    @property
    def name(self) -> str:
        """What the picture is called in its set."""
        ...

    def read_bytes(self, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The bytes of a picture file, or a ValueError or OSError."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayImage:
    """One picture of an array file; `pixels` is uint8 (height, width) or (height, width, 3)."""

    name: str
    pixels: np.ndarray

    def read_bytes(self, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The picture as a PNG file, uncompressed, so that its hash depends on no compressor.

        Raises:
            ValueError: it is too large.
        """
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "PNG", compress_level=0)
        data = stream.getvalue()
        try:
            check_bytes(len(data), limits)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return data


@dataclass(frozen=True)
class LabelledSet:
    """Pictures with the name of the class of each, None where it has none.

    `classes` are the labels that occur, in natural order. `notes` says in sentences where
    the set is from and what was left out of it.
    """

    name: str
    images: tuple[ImageSource, ...]
    labels: tuple[str | None, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


_Found = tuple[Sequence[ImageSource], Sequence[str | None], list[str]]


def read_labelled(
    path: str | Path, labels: str | Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> LabelledSet:
    """Find pictures and the class of each; no picture is decoded yet.

    Args:
        path: a folder, zip, list or picture as `expand_images` takes it; or an `.npz` file
            with the arrays `images` uint8 (N, height, width[, 3]), `labels` (N,) integers or
            text, and `names`, text, where the labels are positions in it.
        labels: None (no labels, or those of the `.npz`); "folders": the first folder below
            `path` is the class (in a zip whose files all lie in one folder: the folders
            inside that one); or a CSV or TSV file with columns path and label, the path
            as below `path` or relative to the table. Without a header the first two columns
            count; further columns are ignored.
        limits: what is accepted of a zip or array file, and of the table.

    Returns:
        The set. Pictures beside the class folders are left out; pictures that the table
        does not name have the label None; notes say so.

    Raises:
        ValueError: no pictures, no class folders, a table without the columns or that names
            none of the pictures or gives one of them two classes, or arrays of another form.
    """
    place = Path(path)
    if place.suffix.lower() == ".npz":
        if labels is not None:
            raise ValueError(
                f"expected no labels beside {place.name}, got {labels}; an .npz file holds its "
                "own, so leave them out"
            )
        found = _from_arrays(place, limits)
    else:
        images = expand_images(place, limits)
        if labels is None:
            found = images, [None] * len(images), []
        elif str(labels) == "folders":
            found = _from_folders(place, images)
        else:
            found = _from_table(place, images, Path(labels), limits)
    pictures, given, notes = found
    classes = _natural({label for label in given if label is not None})
    name = plain_name(place.resolve().name)
    return LabelledSet(name, tuple(pictures), tuple(given), classes, tuple(notes))


def shipped_labelled() -> LabelledSet:
    """The sample that comes with the app, with what it can and cannot show.

    Known answer: 1,000 pictures, 100 of each of 10 classes.
    """
    found = read_labelled(assets_dir() / "labelled" / "fashion_mnist_1000.npz")
    return replace(found, name="Fashion-MNIST sample", notes=_SHIPPED_NOTES + found.notes)


def _class_name(text: str) -> str:
    """A class name as plain text; unlike a path it keeps its slashes and dots."""
    composed = unicodedata.normalize("NFC", text)
    shown = "".join(c for c in composed if unicodedata.category(c)[0] != "C")
    return shorten(" ".join(shown.split())) or UNNAMED


def _class_names(raw: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Every spelling with its plain name, and a note where two spellings share one."""
    named = {text: _class_name(text) for text in raw}
    seen = list(named.values())
    shared = _natural({name for name in seen if seen.count(name) > 1})
    return named, [f"Spellings that look the same are one class: {_few(shared)}."] if shared else []


def _natural(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (natural_key(name), name)))


def _few(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(plain_path(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def _from_folders(place: Path, images: list[ImageFile]) -> _Found:
    if place.is_file() and place.suffix.lower() != ".zip":
        raise ValueError(
            f"expected a folder or a zip with one folder for each class, got {place.name}; "
            "give the folder, or a table with the columns path and label"
        )
    folders = [_folders(image) for image in images]
    notes, depth = [], 0
    if place.is_file() and _is_wrapped(folders):
        depth = 1
        notes = [f"All files lie in {_few([folders[0][0]])}: its folders are the classes."]
    kept = [i for i, parts in enumerate(folders) if len(parts) > depth]
    if not kept:
        raise ValueError(
            f"expected a folder for each class in {place.name}, such as cats/1.jpg, got "
            f"{len(images):,} pictures and no folder around them; sort them into folders, or "
            "give a table with the columns path and label"
        )
    named, shared = _class_names(dict.fromkeys(folders[i][depth] for i in kept))
    beside = [
        image.name for image, parts in zip(images, folders, strict=True) if len(parts) <= depth
    ]
    if beside:
        notes.append(
            f"Left out, {_count(beside, 'picture')} beside the class folders: {_few(beside)}."
        )
    notes += shared + _folder_notes(place, depth, set(named))
    return [images[i] for i in kept], [named[folders[i][depth]] for i in kept], notes


def _folders(image: ImageFile) -> tuple[str, ...]:
    """The folders that a picture lies in, below its set, as they are spelt there."""
    return _parts(image.member)[:-1] if image.member else PurePath(image.name).parts[:-1]


def _parts(member: str) -> tuple[str, ...]:
    return tuple(part for part in member.replace("\\", "/").split("/") if part.strip(". "))


def _is_wrapped(folders: list[tuple[str, ...]]) -> bool:
    """Whether one folder holds everything and at least two folders with pictures."""
    outer = {parts[:1] for parts in folders}
    return len(outer) == 1 and () not in outer and len({p[1] for p in folders if len(p) > 1}) > 1


def _folder_notes(place: Path, depth: int, used: set[str]) -> list[str]:
    """What folders of classes hold no picture, or are hidden and so were not read."""
    if place.is_dir():
        there = {folder.name for folder in place.iterdir() if folder.is_dir()}
        linked = any((place / name).is_symlink() for name in there - used)
        hidden = {name for name in there if name.startswith(".") and picture_files(place / name)}
    else:
        with zipfile.ZipFile(place) as archive:
            entries = [(_parts(e.filename), e.is_dir()) for e in archive.infolist()]
        held = [parts if is_folder else parts[:-1] for parts, is_folder in entries]
        there = {parts[depth] for parts in held if len(parts) > depth} - {"__MACOSX"}
        linked, hidden = False, set()
    empty = _natural(name for name in there - used if not name.startswith("."))
    notes = []
    if empty:
        why = "; linked folders are not followed" if linked else ""
        notes.append(f"No pictures in {_count(empty, 'class folder')}: {_few(empty)}{why}.")
    if hidden:
        notes.append(f"Left out, {_count(hidden, 'hidden folder')}: {_few(_natural(hidden))}.")
    return notes


def _count(things: Collection[object], noun: str) -> str:
    number = len(things)
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _from_table(place: Path, images: list[ImageFile], table: Path, limits: Limits) -> _Found:
    rows = _read_table(table, limits)
    index: dict[str, int] = {}
    for i, image in enumerate(images):
        own = image.member or str(image.path.resolve())
        for key in (_key(image.name), _key(own)):
            index.setdefault(key, i)
    labels: list[str | None] = [None] * len(images)
    named, notes = _class_names(dict.fromkeys(label for _, label in rows if label))
    missing, matched = [], set()
    for entry, label in rows:
        at = index.get(_key(entry), index.get(_key(str((table.parent / entry).resolve()))))
        if at is None:
            missing.append(entry)
            continue
        matched.add(at)
        if label and labels[at] not in (None, named[label]):
            raise ValueError(
                f"expected one class for each picture, got {labels[at]!r} and {named[label]!r} for "
                f"{plain_path(entry)} in {table.name}; keep one of the rows"
            )
        labels[at] = named[label] if label else labels[at]
    if not matched:
        raise ValueError(
            f"expected paths of {_count(images, 'picture')} in {place.name}, such as "
            f"{images[0].name}, got {_count(missing, 'row')} in {table.name} that name none of "
            f"them, such as {plain_path(rows[0][0])}; write paths below {place.name}"
        )
    without = [image.name for image, label in zip(images, labels, strict=True) if label is None]
    if missing:
        notes.append(f"Not found, {_count(missing, 'picture')} of {table.name}: {_few(missing)}.")
    if without:
        notes.append(f"Without a label, {_count(without, 'picture')}: {_few(without)}.")
    return images, labels, notes


def _key(path: str) -> str:
    """One spelling of a path: macOS writes accents otherwise, Windows its slashes."""
    return unicodedata.normalize("NFC", path).replace("\\", "/").removeprefix("./")


def _read_table(table: Path, limits: Limits) -> list[tuple[str, str]]:
    """The path and label of every row, stripped; the label may be empty."""
    try:
        check_bytes(table.stat().st_size, limits)
        text = table.read_text(encoding="utf-8-sig")
        first = next((line for line in text.splitlines() if line.strip()), "")
        comma = "\t" if table.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
        cells = [[c.strip() for c in row] for row in csv.reader(io.StringIO(text), delimiter=comma)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"expected a CSV or TSV file of UTF-8 text at {table}, got none that can be read "
            f"({error.strerror if isinstance(error, OSError) else error}); save it again"
        ) from error
    rows = [row for row in cells if any(row)]
    path, label, start = _columns(rows[0], table.name) if rows else (0, 1, 0)
    width = max(path, label) + 1
    rows = [row + [""] * (width - len(row)) for row in rows[start:]]
    if not rows:
        raise ValueError(
            f"expected rows of path and label in {table.name}, got none; add a row a picture"
        )
    return [(row[path] or "(no path)", row[label]) for row in rows]


def _columns(first: list[str], name: str) -> tuple[int, int, int]:
    """Where path and label stand, and the first row that is not the header."""
    lowered = [cell.casefold() for cell in first]
    if "path" in lowered and "label" in lowered:
        return lowered.index("path"), lowered.index("label"), 1
    if len(first) > 1 and has_picture_suffix(first[0]):
        return 0, 1, 0
    raise ValueError(
        f"expected the columns path and label in {name}, or no header and paths of pictures in the "
        f"first of two columns, got {_few(first, 5)}; name the columns in the first row"
    )


def _from_arrays(file: Path, limits: Limits) -> _Found:
    arrays = _read_arrays(file, limits)
    pictures, labels, names = (arrays.get(kind) for kind in _ARRAYS)
    if pictures is None or pictures.dtype != np.uint8 or pictures.shape[3:] not in ((), (3,)):
        got = "none" if pictures is None else f"{pictures.dtype} {pictures.shape}"
        raise ValueError(
            f"expected an array `images` uint8 (N, height, width) or (N, height, width, 3) in "
            f"{file.name}, got {got}; save it with numpy.savez(file, images=..., labels=...)"
        )
    if pictures.ndim < 3 or not pictures.size:
        raise ValueError(f"expected pictures in {file.name}, got an array of {pictures.shape}")
    pictures.setflags(write=False)
    digits = len(str(len(pictures) - 1))
    images = [ArrayImage(f"{i:0{digits}d}.png", pixels) for i, pixels in enumerate(pictures)]
    if labels is None:
        return images, [None] * len(images), []
    if labels.shape != (len(images),) or labels.dtype.kind not in "iuU":
        raise ValueError(
            f"expected {len(images):,} labels in {file.name}, integers or text, one for each "
            f"picture, got {labels.dtype} {labels.shape}; save as many labels as images"
        )
    given = _spelt(labels, names, file.name)
    named, notes = _class_names(dict.fromkeys(given))
    return images, [named[text] for text in given], notes


def _spelt(labels: np.ndarray, names: np.ndarray | None, file: str) -> list[str]:
    """Labels as text: themselves, or the names that they are positions of."""
    if names is None or labels.dtype.kind == "U":
        return [str(label) for label in labels.tolist()]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"expected class names in {file} as text (C,), got {names.dtype}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(names):
        raise ValueError(
            f"expected labels 0 to {len(names) - 1} in {file}, as it has {len(names)} class names, "
            f"got {low} to {high}; correct the labels or leave the names out"
        )
    return [str(names[label]) for label in labels.tolist()]


def _read_arrays(file: Path, limits: Limits) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by what they hold; nothing in it is executed."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > limits.max_unpacked_bytes:
            raise ValueError(
                f"arrays of at most {limits.max_unpacked_bytes / MEBIBYTE:,.0f} MiB were expected, "
                f"these have {size / MEBIBYTE:,.0f} MiB: save fewer"
            )
        with np.load(file, allow_pickle=False) as stored:
            return {
                kind: stored[key]
                for kind, spellings in _ARRAYS.items()
                for key in stored.files
                if key.lower() in spellings
            }
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"expected an .npz file of plain arrays at {file}, got one that cannot be read "
            f"({reason}); save it again with numpy.savez"
        ) from error
