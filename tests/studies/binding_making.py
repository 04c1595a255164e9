"""Small annotated pictures with two coloured objects each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.io.annotated import AnnotatedImage


@dataclass(frozen=True)
class Objects:
    """A noisy picture of two boxes on a background, of one of two families."""

    seed: int
    side: int = 160
    count: int = 2

    @property
    def name(self) -> str:
        return f"objects {self.seed}"

    def load(self) -> AnnotatedImage:
        rng = np.random.default_rng(self.seed)
        pixels = rng.integers(0, 60, (self.side, self.side, 3), np.uint8)
        instances = np.zeros((self.side, self.side), np.int32)
        third = self.side // 2
        for number in range(self.count):
            top, left = rng.integers(0, self.side - third, 2)
            box = np.s_[top : top + third, left + number : left + third + number]
            pixels[box] = rng.integers(0, 256, 3) // 2 + rng.integers(0, 120, pixels[box].shape)
            instances[box] = number + 1
        family = ("odd", "even")[self.seed % 2]
        return AnnotatedImage(self.name, pixels, instances, family=family)


@dataclass(frozen=True)
class Unreadable:
    name: str = "gone.png"

    def load(self) -> AnnotatedImage:
        raise ValueError("gone.png: the mask is missing")


@dataclass(frozen=True)
class Empty:
    name: str = "empty"

    def load(self) -> AnnotatedImage:
        side = np.zeros((64, 64), np.int32)
        return AnnotatedImage(self.name, np.full((64, 64, 3), 7, np.uint8), side)
