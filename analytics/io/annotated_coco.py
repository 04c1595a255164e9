"""COCO: a JSON file of annotations beside a folder of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_files import (
    FileList,
    count,
    few,
    parts_of,
    read_image,
    read_json,
    suffix_of,
)
from analytics.io.annotated_labels import annotated
from analytics.io.annotated_regions import region_mask
from analytics.io.folders import has_picture_suffix
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.sources import ImageFile
from analytics.types import Picture

_MOST_JSON = 20
"""Most JSON files that are opened to see what they are."""


@dataclass(frozen=True, eq=False)
class Region:
    """One instance as the file describes it; `segmentation` is what `region_mask` takes."""

    segmentation: Any
    kind: str


@dataclass(frozen=True, eq=False)
class CocoSource:
    """A picture of COCO; instance i is the i-th of its regions, counted from 1.

    Where instances overlap, the one of fewer pixels lies on top, and of equal ones the first.
    `size` is the (height, width) that the file states, None where it does not. Crowd regions,
    of which there were `crowds`, are left out: what only they cover is unlabelled.
    """

    name: str
    file: ImageFile
    regions: tuple[Region, ...]
    crowds: int = 0
    size: tuple[int, int] | None = None
    limits: Limits = DEFAULT_LIMITS

    def load(self) -> AnnotatedImage:
        """Decode the picture and paint its regions."""
        picture = read_image(self.file, self.limits)
        self._check_size(picture)
        shape = (picture.height, picture.width)
        instances, size_on_top = np.zeros(shape, np.int32), np.full(shape, np.iinfo(np.int64).max)
        overlapping, broken, reason = 0, 0, ""
        for number, region in enumerate(self.regions, start=1):
            try:
                mask = region_mask(region.segmentation, *shape)
            except ValueError as error:
                broken, reason = broken + 1, reason or str(error)
                continue
            overlapping += bool((instances[mask] > 0).any())
            size = int(mask.sum())
            on_top = mask & (size_on_top > size)
            instances[on_top], size_on_top[on_top] = number, size
        notes = self._notes(instances, overlapping, broken, reason)
        classes = {i: region.kind for i, region in enumerate(self.regions, start=1) if region.kind}
        shown = set(np.unique(instances).tolist())
        kept = {i: kind for i, kind in classes.items() if i in shown}
        return annotated(picture, instances, kept, notes)

    def _check_size(self, picture: Picture) -> None:
        if self.size is not None and self.size != (picture.height, picture.width):
            raise ValueError(
                f"{self.name}: expected a picture of {self.size[0]} x {self.size[1]} pixels "
                f"(height x width) as the annotations state, got {picture.height} x "
                f"{picture.width}; use the pictures that were annotated, neither scaled nor turned"
            )

    def _notes(
        self, instances: np.ndarray, overlapping: int, broken: int, reason: str
    ) -> tuple[str, ...]:
        notes = []
        if self.crowds:
            notes.append(f"{count(self.crowds, 'crowd region')} left out: read as unlabelled")
        if overlapping:
            notes.append("overlapping instances: the smaller lies on top")
        hidden = len(self.regions) - broken - np.count_nonzero(np.unique(instances))
        if hidden:
            notes.append(
                f"{count(int(hidden), 'instance')} outside the picture or hidden by others"
            )
        if broken:
            notes.append(f"{count(broken, 'region')} left out that cannot be read: {reason}")
        return tuple(notes)


def find_coco(
    listed: FileList, described: ImageFile | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[CocoSource], list[str]]:
    """The pictures that a COCO file describes and that are there, and notes.

    Args:
        listed: the folder or zip.
        described: the JSON file, where it is known.
        limits: what is accepted of the JSON file and of each picture.

    Raises:
        ValueError: no such file or several, a file of another form, or no picture found.
    """
    file = described or _the_file(listed, limits)
    data = read_json(file, limits)
    images, annotations = _entries(data, file)
    kinds, by_image, finder = _kinds(data), _by_image(annotations), _Finder(listed)
    sources: list[CocoSource] = []
    missing, empty = [], []
    for entry in images:
        name, number = str(entry.get("file_name")), entry.get("id")
        found = finder.find(name)
        own = by_image.get(number, []) if isinstance(number, int | str) else []
        if found is None:
            missing.append(name)
        elif all(one.get("iscrowd") for one in own):
            empty.append(name)
        else:
            sources.append(_source(entry, found, own, kinds, limits))
    if not sources:
        raise ValueError(
            f"expected the pictures that {plain_path(file.name)} names, such as "
            f"{plain_path(str(images[0].get('file_name')))}, in {listed.name}, got "
            f"{count(len(missing), 'missing picture')} and {len(empty):,} without an instance; "
            "put the folder of pictures beside the file"
        )
    return sources, _notes(file, sources, missing, empty)


def described_regions(data: Any) -> bool:
    """Whether JSON data has the form of a COCO file with regions."""
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        return False
    return any("segmentation" in entry for entry in _listed(data.get("annotations")))


def json_files(listed: FileList) -> list[ImageFile]:
    """The JSON files of a set that may hold annotations: not those beside each picture."""
    stems = {file.name.rpartition(".")[0] for file in listed.files if has_picture_suffix(file.name)}
    return [
        file
        for file in listed.files
        if suffix_of(file) == ".json" and file.name.rpartition(".")[0] not in stems
    ]


class _Finder:
    """Finds a picture by the name that the annotations give it."""

    def __init__(self, listed: FileList) -> None:
        files = [file for file in listed.files if has_picture_suffix(file.name)]
        self._by_path = {file.name: file for file in files}
        self._by_name = {parts_of(file)[-1]: file for file in files}
        self._times = Counter(parts_of(file)[-1] for file in files)

    def find(self, name: str) -> ImageFile | None:
        """By its whole path, or by its last part where that is the only file of that name."""
        path = name.replace("\\", "/").removeprefix("./")
        if path in self._by_path:
            return self._by_path[path]
        last = path.rpartition("/")[2]
        return self._by_name.get(last) if self._times[last] == 1 else None


def coco_files(listed: FileList, limits: Limits = DEFAULT_LIMITS) -> tuple[list[ImageFile], str]:
    """The JSON files that hold COCO annotations, and why the first unreadable one is none.

    Files named `instances*.json` are taken by their name alone.
    """
    files = json_files(listed)
    named = [file for file in files if parts_of(file)[-1].startswith("instances")]
    if named:
        return named, ""
    found, reason = [], ""
    for file in files[:_MOST_JSON]:
        try:
            if described_regions(read_json(file, limits)):
                found.append(file)
        except ValueError as error:
            reason = reason or str(error)
    return found, reason


def _the_file(listed: FileList, limits: Limits) -> ImageFile:
    chosen, reason = coco_files(listed, limits)
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        number = len(json_files(listed))
        raise ValueError(
            reason
            or f"expected a JSON file of COCO annotations in {listed.name}, with images and "
            f"annotations that have a segmentation, got {count(number, 'JSON file')} of another "
            "form; add the file instances_*.json"
        )
    raise ValueError(
        f"expected one JSON file of COCO annotations in {listed.name}, got {len(chosen)}: "
        f"{few([file.name for file in chosen])}; name the one to use"
    )


def _entries(data: Any, file: ImageFile) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    images = _listed(data["images"]) if described_regions(data) else []
    if images:
        return images, _listed(data["annotations"])
    got = "another form"
    if isinstance(data, dict) and any(
        "segments_info" in entry for entry in _listed(data.get("annotations"))
    ):
        got = "panoptic segments, whose regions are in PNG files"
    raise ValueError(
        f"{plain_path(file.name)}: expected COCO annotations with images and a segmentation for "
        f"each instance, got {got}; give the file instances_*.json"
    )


def _listed(entries: Any) -> list[Mapping[str, Any]]:
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )


def _kinds(data: Mapping[str, Any]) -> dict[int, str]:
    """The names of the classes by their number."""
    return {
        entry["id"]: plain_path(entry["name"])
        for entry in _listed(data.get("categories"))
        if isinstance(entry.get("name"), str) and isinstance(entry.get("id"), int)
    }


def _by_image(annotations: list[Mapping[str, Any]]) -> dict[int | str, list[Mapping[str, Any]]]:
    found: dict[int | str, list[Mapping[str, Any]]] = {}
    for entry in annotations:
        if isinstance(entry.get("image_id"), int | str):
            found.setdefault(entry["image_id"], []).append(entry)
    return found


def _source(
    entry: Mapping[str, Any],
    file: ImageFile,
    own: list[Mapping[str, Any]],
    kinds: Mapping[int, str],
    limits: Limits,
) -> CocoSource:
    regions = tuple(
        Region(one.get("segmentation"), _kind(one.get("category_id"), kinds))
        for one in own
        if not one.get("iscrowd")
    )
    height, width = entry.get("height"), entry.get("width")
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    crowds = len(own) - len(regions)
    return CocoSource(plain_path(file.name), file, regions, crowds, size, limits)


def _kind(number: Any, kinds: Mapping[int, str]) -> str:
    if not isinstance(number, int):
        return ""
    return kinds.get(number, f"class {number}")


def _notes(
    file: ImageFile, sources: list[CocoSource], missing: list[str], empty: list[str]
) -> list[str]:
    instances = sum(len(source.regions) for source in sources)
    notes = [
        f"Recognised as COCO: {count(sources, 'picture')} with {count(instances, 'instance')} in "
        f"{plain_path(file.name)}."
    ]
    if missing:
        notes.append(f"Not found, {count(missing, 'picture')}: {few(missing)}.")
    if empty:
        notes.append(f"Left out, {count(empty, 'picture')} without an instance: {few(empty)}.")
    crowds = sum(source.crowds for source in sources)
    if crowds:
        notes.append(f"Left out, {count(crowds, 'crowd region')}; they are read as unlabelled.")
    notes.append("Where instances overlap, the smaller lies on top.")
    return notes
