"""Which input sizes a model takes, found from the model itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

LOWEST, HIGHEST = 224, 1036
_TARGETS = (224, 336, 448, 518, 700, 1036)
_UNKNOWN_REDUCTION = 32
Builder = Callable[[int | None], nn.Module]
"""Builds the module for an input side in pixels; None is the size it was made for."""


@dataclass(frozen=True)
class SizeRule:
    """Square inputs that a model takes: multiples of `step` px from `lowest` to `highest`.

    A `step` of 0 means that only `native` (height, width) is taken.
    """

    native: tuple[int, int]
    step: int
    lowest: int = LOWEST
    highest: int = HIGHEST

    @property
    def offered(self) -> tuple[int, ...]:
        """A short choice of sides for a page, the native one among them."""
        if not self.step:
            return (self.native[0],)
        near = {self.nearest(target)[0] for target in _TARGETS}
        return tuple(sorted(near | {self.native[0]}))

    def nearest(self, side: int) -> tuple[int, ...]:
        """The sides taken that lie nearest to a wish, at most two, the nearest first."""
        if not self.step:
            return (self.native[0],)
        first = -(-self.lowest // self.step)
        last = self.highest // self.step
        below = min(max(side // self.step, first), last)
        sides = {below * self.step, min(below + 1, last) * self.step}
        return tuple(sorted(sides, key=lambda taken: (abs(taken - side), taken)))

    def check(self, side: int, name: str) -> None:
        """Refuse a side that the model does not take.

        Raises:
            ValueError: with the sides that lie nearest.
        """
        height, width = self.native
        if not self.step:
            if (side, side) != self.native:
                raise ValueError(f"{name} takes only {height} x {width} px inputs; got {side} px")
        elif not (self.lowest <= side <= self.highest) or side % self.step:
            near = " or ".join(str(taken) for taken in self.nearest(side))
            raise ValueError(
                f"{name} takes square inputs whose side is a multiple of {self.step} px from "
                f"{self.lowest} to {self.highest}; got {side}, the nearest is {near}"
            )


def size_rule(build: Builder, native: tuple[int, int]) -> SizeRule:
    """Find the sizes a model takes by building it without memory and running it once or twice.

    Plain transformers take any multiple of their patch; windowed ones a multiple of the
    smallest picture that their windows tile; others what a trial shows.
    """
    if native[0] != native[1]:
        return SizeRule(native, 0)
    side = native[0]
    module = on_meta(build, None)
    step = _step(module, side)
    lowest, highest = min(LOWEST, side), max(HIGHEST, side)
    if hasattr(module, "set_input_size"):
        return SizeRule(native, step, lowest, highest)
    for trial in dict.fromkeys((step, side)):
        other = side + trial if side + trial <= highest else side - trial
        if other >= lowest and runs(build, other):
            return SizeRule(native, trial, lowest, highest)
    return SizeRule(native, 0)


def runs(build: Builder, side: int) -> bool:
    """Whether the model, built for this side without memory, runs at it."""
    try:
        module = on_meta(build, side).eval()
        with torch.no_grad():
            module(torch.empty(1, 3, side, side, device="meta"))
    except Exception:  # each architecture refuses in its own way: assertions, shapes, types
        return False
    return True


def on_meta(build: Builder, side: int | None) -> nn.Module:
    """The module without memory or random draws; with both where it cannot be built so."""
    try:
        with torch.device("meta"):
            return build(side)
    except (RuntimeError, NotImplementedError):
        return build(side)


def pixels_per_token(module: nn.Module) -> int | None:
    """Side in pixels of the patch that the patch embedding turns into one token."""
    embedding = getattr(module, "patch_embed", None)
    ratio = getattr(embedding, "feat_ratio", None)
    if callable(ratio):
        return int(ratio(as_scalar=True))
    # The kernel of an overlapping embedding is wider than the patch; its stride is the patch.
    stride = getattr(getattr(embedding, "proj", None), "stride", None)
    if isinstance(stride, tuple) and len(set(stride)) == 1:
        return int(stride[0])
    reductions = set(_reductions(module))
    return reductions.pop() if len(reductions) == 1 else None


def _step(module: nn.Module, side: int) -> int:
    """Divisor of the side in pixels that the other sides of this model share."""
    reductions = _reductions(module)
    patch = pixels_per_token(module)
    reduction = max(reductions, default=patch or _UNKNOWN_REDUCTION)
    if reductions and max(reductions) > min(reductions):
        windows = _windows(module)
        if windows and side % (reduction * min(windows)) == 0:
            return reduction * min(windows)
    return reduction if side % reduction == 0 else side


def _reductions(module: nn.Module) -> list[int]:
    stages = getattr(module, "feature_info", None)
    if not isinstance(stages, (list, tuple)):
        return []
    return [int(s["reduction"]) for s in stages if isinstance(s, dict) and s.get("reduction")]


def _windows(module: nn.Module) -> list[int]:
    sides = []
    for part in module.modules():
        size = getattr(part, "window_size", None)
        size = size[0] if isinstance(size, (tuple, list)) and size else size
        if isinstance(size, int) and size > 1:
            sides.append(size)
    return sides
