"""Small annotated sets made on disk for the tests, as folders and as zips."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_sets import read_annotated


def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
    """An array as a picture file; the ending says which kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def photo(path: Path, height: int = 6, width: int = 8, shade: int = 90) -> Path:
    """A flat grey picture."""
    return write(path, np.full((height, width, 3), shade, np.uint8))


def palette(path: Path, values: np.ndarray) -> Path:
    """A palette mask; the colours are not those of the values, so that confusing them shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    image = image.convert("P") if image.mode != "P" else image
    image.putdata(values.astype(np.uint8).ravel().tolist())
    image.putpalette([(37 * i + 11) % 256 for i in range(768)])
    image.save(path)
    return path


def colours(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def halves(height: int = 6, width: int = 8) -> np.ndarray:
    """1 on the left half, 2 on the right, 0 in the first row."""
    values = np.where(np.arange(width) < width // 2, 1, 2) * np.ones((height, 1), int)
    values[0] = 0
    return values


def zipped(folder: Path, below: str = "") -> Path:
    """The folder as a zip beside it, all files in the folder `below` of the zip."""
    place = folder.with_suffix(".zip")
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, below + file.relative_to(folder).as_posix())
    return place


def coco(folder: Path, images: list, annotations: list, name: str = "instances_made.json") -> Path:
    """A COCO file with the classes 3 dog and 5 cat."""
    kinds = [{"id": 3, "name": "dog"}, {"id": 5, "name": "cat"}]
    content = {"images": images, "annotations": annotations, "categories": kinds}
    place = folder / "annotations" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))
    return place


def region(image: int, segmentation: object, kind: int = 3, crowd: int = 0) -> dict:
    return {
        "image_id": image,
        "segmentation": segmentation,
        "category_id": kind,
        "iscrowd": crowd,
    }


def only(path: Path, *arguments: object) -> AnnotatedImage:
    """The one picture of a set."""
    (source,) = read_annotated(path, *arguments).sources
    return source.load()


def set_refused(path: Path, *arguments: object) -> str:
    """The message of a refused set: one plain line."""
    with pytest.raises(ValueError, match="expected") as caught:
        read_annotated(path, *arguments)
    return _plain(str(caught.value))


def load_refused(path: Path, *arguments: object) -> str:
    """The message of the one picture of a set that cannot be read."""
    (source,) = read_annotated(path, *arguments).sources
    with pytest.raises(ValueError, match="expected") as caught:
        source.load()
    return _plain(str(caught.value))


def _plain(message: str) -> str:
    assert "\n" not in message
    assert len(message) < 800
    return message
