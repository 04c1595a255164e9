"""Pascal VOC: the masks in SegmentationObject beside the pictures in JPEGImages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_files import FileList, Pair, below, count, few, suffix_of
from analytics.io.annotated_labels import annotated, main_value, read_labels, read_pair
from analytics.io.folders import has_picture_suffix
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.sources import ImageFile

OBJECT_FOLDER = "SegmentationObject"
CLASS_FOLDER = "SegmentationClass"
VOID = 255
"""The border around objects and what is too difficult to label; read as unlabelled."""

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


@dataclass(frozen=True)
class VocSource:
    """A picture of VOC: each value of the palette mask is an instance, 255 is void.

    `kinds` is the mask of classes of the same name, where there is one.
    """

    name: str
    pair: Pair
    kinds: ImageFile | None = None
    limits: Limits = DEFAULT_LIMITS

    def load(self) -> AnnotatedImage:
        """Decode the picture and its masks."""
        picture, instances = read_pair(self.pair, self.limits)
        instances = _without_void(instances, self.pair.mask)
        classes: dict[int, str] = {}
        if self.kinds is not None:
            kinds = _without_void(read_labels(self.kinds, picture, self.limits), self.kinds)
            numbers = main_value(kinds, instances)
            classes = {i: _class_name(number) for i, number in numbers.items()}
        return annotated(picture, instances, classes)


def find_voc(
    listed: FileList, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[VocSource], list[str]]:
    """The pictures of VOC that have an instance mask, and notes.

    Raises:
        ValueError: there is none.
    """
    pngs = [file for file in listed.files if suffix_of(file) == ".png"]
    masks, kinds = below(pngs, OBJECT_FOLDER), below(pngs, CLASS_FOLDER)
    shown = (file for file in listed.files if has_picture_suffix(file.name))
    pictures = below(shown, "JPEGImages")
    sources = [
        VocSource(plain_path(pictures[key].name), Pair(pictures[key], mask), kinds.get(key), limits)
        for key, mask in masks.items()
        if key in pictures
    ]
    alone = [mask.name for key, mask in masks.items() if key not in pictures]
    if not sources:
        raise ValueError(
            f"expected pictures in JPEGImages/ and masks of the same names in {OBJECT_FOLDER}/ in "
            f"{listed.name} (VOC), got {count(alone, 'mask')} without a picture; add the missing "
            "folder"
        )
    notes = [f"Recognised as VOC: {count(sources, 'picture')} with a mask in {OBJECT_FOLDER}."]
    notes.append(f"Value {VOID} (void: borders and difficult objects) is read as unlabelled.")
    if alone:
        notes.append(f"Left out, {count(alone, 'mask')} without a picture: {few(alone)}.")
    return sources, notes


def _without_void(values: np.ndarray, mask: ImageFile) -> np.ndarray:
    if values.ndim == 3:
        raise ValueError(
            f"{plain_path(mask.name)}: expected a palette mask as VOC has them, got one of RGB "
            "colours; give the original files, or choose the kind masks"
        )
    return np.where(values == VOID, 0, values).astype(np.int32)


def _class_name(number: int) -> str:
    return CLASSES[number - 1] if 1 <= number <= len(CLASSES) else f"class {number}"
