"""A picture with the object that each of its pixels belongs to, read or made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from analytics.types import Picture


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """A picture and its instance mask.

    `pixels` is uint8 (height, width, 3). `instances` is int32 (height, width): 0 is
    background or unlabelled, every other value is one instance. `classes` names the class
    of an instance where one is known. `family` is the kind of a made scene. `parts` is
    int32 (height, width) with 0 for no part. `amodal` gives the whole of an instance, seen
    and hidden, as bool (height, width). `notes` says in words what reading changed.

    Raises:
        ValueError: arrays of other types or sizes, or an instance below 0.
    """

    name: str
    pixels: np.ndarray
    instances: np.ndarray
    classes: Mapping[int, str] = field(default_factory=dict)
    family: str = ""
    parts: np.ndarray | None = None
    amodal: Mapping[int, np.ndarray] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(
                f"{self.name}: expected pixels as uint8 (height, width, 3) with at least 1 x 1 "
                f"pixel, got {self.pixels.dtype} {shape}"
            )
        self._check("instances", self.instances, np.int32)
        if self.instances.min() < 0:
            raise ValueError(
                f"{self.name}: expected instances of 0 (unlabelled) and above, got "
                f"{self.instances.min()}; number them from 1"
            )
        if self.parts is not None:
            self._check("parts", self.parts, np.int32)
        for instance, mask in (self.amodal or {}).items():
            self._check(f"the whole of instance {instance}", mask, np.bool_)

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])

    @property
    def ids(self) -> tuple[int, ...]:
        """The instances that at least one pixel shows, ascending, without 0."""
        return tuple(int(value) for value in np.unique(self.instances) if value)

    @property
    def sha256(self) -> str:
        """Hash of pixels and instances with their size: equal hashes, equal study inputs."""
        digest = hashlib.sha256(f"{self.height} {self.width} ".encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.instances).astype("<i4").data)
        return digest.hexdigest()

    @property
    def picture(self) -> Picture:
        """The picture without its masks, for `fit_picture`; its hash is that of both."""
        return Picture(self.name, self.sha256, self.pixels, self.notes)

    def _check(self, what: str, array: np.ndarray, kind: type) -> None:
        if array.dtype != kind or array.shape != self.pixels.shape[:2]:
            raise ValueError(
                f"{self.name}: expected {what} as {np.dtype(kind)} of the picture's size "
                f"{self.height} x {self.width} (height x width), got {array.dtype} of "
                f"{' x '.join(map(str, array.shape))}; export picture and mask at one size"
            )


class AnnotatedSource(Protocol):
    """An annotated picture that is read or made when it is needed."""

    @property
    def name(self) -> str:
        """What the picture is called in its set."""
        ...

    def load(self) -> AnnotatedImage:
        """Read or make it.

        Raises:
            ValueError: it cannot be read; one plain line that names the file.
        """
        ...
