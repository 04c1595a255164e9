"""What shapes a study of object binding, the split of its images, and the id that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.metrics.binding import PATCHES
from analytics.store.results import content_key
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.models.binding_probes import ProbeKind
    from analytics.models.registry import LoadedModel

VERSION = 1
"""Raised whenever a result made from the same inputs would differ."""

PROBES: tuple[ProbeKind, ...] = (
    "plda",
    "quadratic",
    "linear",
    "diagonal",
    "full",
    "pointwise",
    "cosine",
    "dot",
    "next_qk",
)
"""In the order in which they are fitted: what is asked for first is there first."""

CONTROLS = ("random weights", "random layers")
"""The same architecture drawn anew; the trained embedding with layers drawn anew."""

SPLITS = ("train", "validation", "test")
SHARES = (0.6, 0.15, 0.25)
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class BindingChoices:
    """What shapes the study, beside model and images: see `measure_binding`.

    `patches` are drawn of each image, out of those whose most frequent instance has a share of
    `purity`; `count_background` takes what is unlabelled as one more object, as the authors' code
    does. `seeds` shape splits and starting values; `draw_seed` the patches. `epochs` None is
    what gives about 400 steps.
    """

    probes: tuple[ProbeKind, ...] = PROBES
    controls: tuple[str, ...] = CONTROLS
    seeds: tuple[int, ...] = (0, 1, 2)
    patches: int = PATCHES
    purity: float = 0.6
    count_background: bool = False
    rank: int = 64
    epochs: int | None = None
    link: bool = True
    fit: Fit = "crop"
    draw_seed: int = 0

    def checked(self) -> BindingChoices:
        """The same.

        Raises:
            ValueError: an unknown name, nothing to fit, or a number out of range.
        """
        unknown: list[str] = [name for name in self.probes if name not in PROBES]
        unknown += [name for name in self.controls if name not in CONTROLS]
        if unknown or not self.probes:
            raise ValueError(
                f"expected probes out of {', '.join(PROBES)} and controls out of "
                f"{', '.join(CONTROLS)}, got {unknown[0] if unknown else 'no probe'!r}"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"expected different seeds, one at least, got {self.seeds}")
        if min(self.patches, self.rank + 1) < 2 or (self.epochs is not None and self.epochs < 1):
            raise ValueError(
                "expected at least 2 patches, a rank of at least 1 and at least 1 epoch, got "
                f"{self.patches}, {self.rank} and {self.epochs}"
            )
        if not 0 < self.purity <= 1:
            raise ValueError(f"expected a purity above 0 and at most 1, got {self.purity}")
        return self

    def plain(self) -> dict[str, Any]:
        """Plain values, for keys and provenance."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }


PREVIEW = BindingChoices(probes=("plda",), controls=(), seeds=(0,), link=False)
"""The instant preview: PLDA in closed form, without controls."""


def binding_key(loaded: LoadedModel, sha256s: Sequence[str], choices: BindingChoices) -> str:
    """The id of a result: the same inputs and choices find what was measured before."""
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    about = {"model": model, "images": list(sha256s), "choices": choices.plain()}
    return content_key({"binding": VERSION, **about})


def split_images(families: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, validation and test images, each family in the same shares where it is large.

    Args:
        families: family of each image.
        seed: of the draw.

    Returns:
        Rows of the three parts, ascending, without overlap. Known answer: of 20 images of one
        family 12, 3 and 5.

    Raises:
        ValueError: fewer than three images.
    """
    if len(families) < 3:
        raise ValueError(
            f"expected at least 3 images with objects, one each to fit, to choose and to test on, "
            f"got {len(families)}; add pictures"
        )
    rng = np.random.default_rng(seed)
    names, count = np.asarray(families), len(families)
    # Family after family, dealt out by steps that fall evenly into three parts of the line.
    order = np.concatenate(
        [rng.permutation(np.flatnonzero(names == name)) for name in np.unique(names)]
    )
    rank = (np.arange(count) * _GOLDEN % 1).argsort().argsort()
    validation, test = (max(1, round(share * count)) for share in SHARES[1:])
    ends = [count - validation - test, count - test]
    part = np.searchsorted(ends, rank, side="right")
    return tuple(np.sort(order[part == number]) for number in range(3))  # type: ignore[return-value]
