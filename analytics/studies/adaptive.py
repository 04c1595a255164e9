"""The most important heads from as few measurements as possible.

Importance is a mean over images, and most heads are far from the boundary between the k most
important and the rest: a few images are enough to tell. Heads are measured on the same images
in a random order, and at each look those that are surely above or surely below the boundary
are measured no further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.ranking import surely_above, top_heads

if TYPE_CHECKING:
    from analytics.studies.attend import Progress

Measure = Callable[[Sequence[int], Sequence[int]], np.ndarray]
"""(images, heads) -> importance of each head on each image, >= 0, (images, heads)."""


@dataclass(frozen=True)
class AdaptiveResult:
    """The k most important heads and all that was measured to find them.

    `top` is int64 (k,), the largest measured mean first: which heads are in it is subject to
    `error_rate`, their order among themselves is not. `measured` is float64 (N, H), NaN where
    a head was not measured on an image; `mean` and `count` are (H,), over each head's own
    images. `work` is the share of N x H measurements made. `images` are those drawn, in their
    order, and `looks` how many had been drawn at each look. `decided` is False where
    `max_images` ended the search; `undecided` then names the heads that could still be in or
    out, and `top` is the best guess. `exact` means that every head was measured on every
    image, so that nothing was inferred.
    """

    top: np.ndarray
    mean: np.ndarray
    count: np.ndarray
    measured: np.ndarray
    work: float
    images: np.ndarray
    looks: tuple[int, ...]
    error_rate: float
    decided: bool
    undecided: np.ndarray
    exact: bool


def find_top_heads(
    measure: Measure,
    num_images: int,
    num_heads: int,
    k: int,
    error_rate: float = 0.05,
    first: int = 12,
    growth: float = 1.5,
    seed: int = 0,
    progress: Progress | None = None,
    max_images: int | None = None,
) -> AdaptiveResult:
    """Find the k heads with the largest mean importance over a set of images.

    What is looked for is the top k of the mean over these `num_images` images, not over all
    images of their kind. Heads that cannot be told apart are measured on all images and then
    compared exactly, ties by lower index.

    **The bound.** Two heads are compared by a paired t bound on the logarithm of the ratio of
    their means, with corrections for drawing without replacement and for skewness: see
    `surely_above`. With f places left among m open heads, a head is in if it is surely above
    m - f of them, and out if f of them are surely above it. The error rate is spent in equal
    parts over the looks, and at each look in equal parts over the f * (m - f) pairs of a head
    that belongs in and one that does not.

    **What it assumes.** That this approximation holds for means of `first` images or more.
    It is no theorem: bounds that hold for any distribution need more images than there are.
    Counting only pairs of open heads is a step-down argument that is not proven for such
    tests. In simulated populations (benchmarks/adaptive.py) the wrong set was named less
    often than `error_rate`, mostly far less. It fails for heads whose importance comes from
    few images: where a third of the heads act on one image in twenty only, four of five
    answers were wrong. Raise `first` until some of such images are likely to be drawn.
    Importances of 0 or 1 (flips) are searched safely, but with little saved.

    Args:
        measure: gives the importance of some heads on some images, each value >= 0.
        num_images: images that can be drawn, N.
        num_heads: heads to choose from, H.
        k: heads to find, from 1 to H - 1.
        error_rate: accepted chance that the set returned is not the true one.
        first: images before the first look.
        growth: images at a look over those at the look before.
        seed: of the order of the images.
        progress: called with (images drawn, num_images, what is being done); may raise to
            cancel.
        max_images: draw no more than these, and leave undecided what is still open.

    Raises:
        ValueError: an argument out of its range, or a measurement that is negative, not
            finite or of the wrong shape.

    Reference: successive elimination as in Even-Dar et al. 2006, section 3, for the top k.
    Differs: intervals of pairs instead of single heads, approximate and not Hoeffding's;
        drawing without replacement from a finite set.
    """
    _check(num_images, num_heads, k, error_rate, first, growth, max_images)
    report = progress or (lambda done, total, message: None)
    order = np.random.default_rng(seed).permutation(num_images)
    looks = _schedule(num_images, first, growth, max_images)
    share = error_rate / max(1, sum(n < num_images for n in looks))
    measured = np.full((num_images, num_heads), np.nan)
    still_open, chosen, drawn = np.arange(num_heads), np.zeros(0, np.int64), 0
    made = []
    for n in looks:
        report(drawn, num_images, f"{len(still_open)} of {num_heads} heads are undecided")
        measured[np.ix_(order[drawn:n], still_open)] = _ask(measure, order[drawn:n], still_open)
        drawn = n
        made.append(n)
        images = order[:n] if n < num_images else np.arange(num_images)
        values = measured[np.ix_(images, still_open)]
        inside, outside = _sort(values, k - len(chosen), num_images, share)
        chosen = np.append(chosen, still_open[inside])
        still_open = still_open[~(inside | outside)]
        if not len(still_open):
            break
    report(drawn, num_images, "done")
    return _result(measured, chosen, still_open, k, order[:drawn], tuple(made), error_rate)


def _check(
    num_images: int,
    num_heads: int,
    k: int,
    error_rate: float,
    first: int,
    growth: float,
    max_images: int | None,
) -> None:
    expected = {
        f"at least 1 image, got {num_images}": num_images >= 1,
        f"k from 1 to {num_heads - 1} of {num_heads} heads, got {k}": 1 <= k < num_heads,
        f"an error_rate between 0 and 1, got {error_rate}": 0 < error_rate < 1,
        f"at least 3 images before the first look, got first={first}": first >= 3,
        f"a growth above 1, got {growth}": growth > 1,
        f"max_images of at least 1, got {max_images}": max_images is None or max_images >= 1,
    }
    for words, holds in expected.items():
        if not holds:
            raise ValueError(f"expected {words}")


def _schedule(
    num_images: int, first: int, growth: float, max_images: int | None
) -> tuple[int, ...]:
    """Images drawn at each look; the last is all of them, or `max_images`.

    No look is made shortly before the end: the images not drawn would be too few for a bound
    on their mean, and there is little left to save.
    """
    looks, n = [], first
    while num_images - n >= max(first, num_images / 10):
        looks.append(n)
        n = max(n + 1, math.ceil(n * growth))
    last = min(num_images, max_images or num_images)
    return (*(n for n in looks if n < last), last)


def _ask(measure: Measure, images: np.ndarray, heads: np.ndarray) -> np.ndarray:
    values = np.asarray(measure(images.tolist(), heads.tolist()), dtype=np.float64)
    if values.shape != (len(images), len(heads)):
        raise ValueError(
            f"expected measurements of {len(images)} images x {len(heads)} heads, got shape "
            f"{values.shape}"
        )
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        image, head = np.argwhere(wrong)[0]
        raise ValueError(
            "expected finite importances >= 0, because means are compared by their ratio; got "
            f"{values[image, head]} for head {heads[head]} on image {images[image]}. Take a "
            "metric that is never negative, such as cls_shift, or measure all heads"
        )
    return values


def _sort(
    values: np.ndarray, places: int, num_images: int, error_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the open heads are surely in and surely out of the top `places`, as two masks.

    `values` is (images drawn, open heads). With all images drawn nothing stays open.
    """
    heads = values.shape[1]
    inside, outside = np.zeros((2, heads), bool)
    if len(values) == num_images:
        inside[top_heads(values.mean(axis=0), places)] = True
        return inside, ~inside
    while True:
        left = np.flatnonzero(~(inside | outside))
        free = places - int(inside.sum())
        if free in (0, len(left)):
            (inside if free else outside)[left] = True
            return inside, outside
        tail = error_rate / (free * (len(left) - free))
        above = surely_above(values[:, left], num_images, tail)
        wins, losses = above.sum(axis=1), above.sum(axis=0)
        inside[left[wins >= len(left) - free]] = True
        outside[left[losses >= free]] = True
        # Fewer open heads make fewer comparisons, and the bound for the others tighter.
        if len(left) == int((~(inside | outside)).sum()):
            return inside, outside


def _result(
    measured: np.ndarray,
    chosen: np.ndarray,
    still_open: np.ndarray,
    k: int,
    images: np.ndarray,
    looks: tuple[int, ...],
    error_rate: float,
) -> AdaptiveResult:
    count = (~np.isnan(measured)).sum(axis=0)
    # Every head was measured at the first look at least.
    mean = np.nansum(measured, axis=0) / count
    if len(still_open):
        best = top_heads(mean[still_open], k - len(chosen))
        chosen = np.append(chosen, still_open[best])
    chosen = np.sort(chosen)
    return AdaptiveResult(
        top=chosen[np.argsort(-mean[chosen], kind="stable")],
        mean=mean,
        count=count,
        measured=measured,
        work=float(count.sum() / measured.size),
        images=images,
        looks=looks,
        error_rate=error_rate,
        decided=not len(still_open),
        undecided=still_open,
        exact=bool((count == len(measured)).all()),
    )
