"""What can be said of many heads together: how sure, how alike two rankings, which on top.

H counts the heads of all layers, layer by layer; N counts images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

COUNTS_AT_ONCE = 2**22
"""Resampling counts held in memory at a time; 32 MB."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
"""Of numerical integration from -1 to 1; finding them takes longer than using them."""
NODES.flags.writeable = WEIGHTS.flags.writeable = False


@dataclass(frozen=True)
class Interval:
    """A mean with its interval, each float64 (H,); `low` and `high` are NaN where unknown."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap_interval(
    values: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean over images, and how far it could differ on other images of the same kind.

    Args:
        values: (N, H); NaN where a head was not measured on an image. Each head's images are
            drawn from those on which it was measured.
        level: share of the resampled means that lie in the interval.
        draws: resampled sets of images.
        seed: of the drawing; a head's interval does not depend on the other heads.

    Returns:
        The means and their intervals. With one image the mean is its value and there is no
        interval; without any the mean is NaN too. Known answer: equal values give an interval
        of width 0.

    Reference: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13: the
        percentile interval, a little too narrow for few or very skewed values.
    """
    values = _table(values, "(images, heads)")
    if not (0 < level < 1 and draws >= 1):
        raise ValueError(
            f"expected a level between 0 and 1 and at least 1 draw, got {level} and {draws}"
        )
    known = ~np.isnan(values)
    result = Interval(*(np.full(values.shape[1], np.nan) for _ in range(3)))
    patterns, group = np.unique(known, axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):
        heads = np.flatnonzero(group.reshape(-1) == index)
        drawn_from = values[np.ix_(patterns[:, index], heads)]  # images measured x heads
        if len(drawn_from):
            # Around the first image, so that equal values give equal means without rounding.
            centre = drawn_from[0]
            result.mean[heads] = centre + (drawn_from - centre).mean(axis=0)
        if len(drawn_from) > 1:
            means = _resampled_means(drawn_from - centre, draws, seed)
            ends = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
            result.low[heads], result.high[heads] = centre + ends
    return result


def _resampled_means(values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Means over images drawn with replacement, (draws, heads)."""
    count = len(values)
    generator = np.random.default_rng(seed)
    step = max(1, COUNTS_AT_ONCE // count)
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    counts = (generator.multinomial(count, np.full(count, 1 / count), size) for size in sizes)
    return np.concatenate([one @ values for one in counts]) / count


def rank_agreement(table: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation between every two rows: do two metrics rank heads alike?

    Args:
        table: one row for each metric, (M, H). Ties share their mean rank.

    Returns:
        (M, M), from -1 to 1; NaN for a row that is constant or holds a NaN. Known answers: 1
        for any rising function of a row, -1 for any falling one.
    """
    table = _table(table, "(metrics, heads)")
    ranked = np.array([ranks(row) for row in table]).reshape(table.shape)
    centred = ranked - ranked.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > 0)
    agreement = np.clip(unit @ unit.T, -1, 1)
    diagonal = np.diagonal(agreement)
    np.fill_diagonal(agreement, np.where(np.isnan(diagonal), np.nan, 1))
    return agreement


def ranks(row: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties at their mean; all 1 for a row with a NaN, as if it were constant."""
    if np.isnan(row).any():
        return np.ones(len(row))
    _, place, count = np.unique(row, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def top_heads(values: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest values, largest first; ties by lower index, NaN last.

    Args:
        values: one value for each head, (H,).
        k: from 1 to H.

    Returns:
        int64 (k,). Known answer: of (1, 3, 2, 3) the two largest are 1 and 3.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not 1 <= k <= len(values):
        raise ValueError(
            f"expected one value for each head and k from 1 to their number, got shape "
            f"{values.shape} and k = {k}"
        )
    return np.argsort(-values, kind="stable")[:k]


def head_overlap(first: np.ndarray, second: np.ndarray, k: int) -> tuple[int, float]:
    """How many of the k largest heads two rankings share, and how many they would by chance.

    Args:
        first: one value for each head, (H,).
        second: the same heads, (H,).
        k: heads looked at in each.

    Returns:
        The size of the intersection, and its mean k^2 / H for two random rankings. Known
        answer: a ranking shares k with itself.

    Differs: from the circuit-reuse work that it is adapted from, which compares circuits of
        edges; here sets of heads.
    """
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"expected the same heads twice, got shapes {np.shape(first)} and {np.shape(second)}"
        )
    shared = np.intersect1d(top_heads(first, k), top_heads(second, k))
    return len(shared), k**2 / len(first)


def class_importance(values: np.ndarray, labels: np.ndarray) -> dict[Any, np.ndarray]:
    """Mean over the images of each class, from the lowest label to the highest.

    Args:
        values: (N, H); NaN where a head was not measured on an image.
        labels: class of each image, numbers or names, (N,).

    Returns:
        Class -> float64 (H,); NaN for a head measured on no image of the class.
    """
    values, labels = _table(values, "(images, heads)"), np.asarray(labels)
    if labels.shape != (len(values),):
        raise ValueError(
            f"expected one label for each of {len(values)} images, got shape {labels.shape}"
        )
    known = ~np.isnan(values)
    filled = np.where(known, values, 0)
    result = {}
    for label in np.unique(labels):
        own = labels == label
        count = known[own].sum(axis=0)
        total = filled[own].sum(axis=0)
        result[label.item()] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def overlap_between_classes(
    values: np.ndarray, labels: np.ndarray, k: int
) -> tuple[tuple[Any, ...], np.ndarray, float]:
    """How many of their k most important heads every two classes share.

    Args:
        values: (N, H); NaN where a head was not measured on an image.
        labels: class of each image, (N,).
        k: heads looked at in each class.

    Returns:
        The C classes in order; the sizes of the intersections, int64 (C, C), with k on the
        diagonal; and the size expected by chance, k^2 / H.
    """
    means = class_importance(values, labels)
    heads = np.shape(values)[1]
    member = np.zeros((len(means), heads), np.int64)
    for row, mean in zip(member, means.values(), strict=True):
        row[top_heads(mean, k)] = 1
    return tuple(means), member @ member.T, k**2 / heads


def removal_order(importance: np.ndarray) -> np.ndarray:
    """The order in which heads are removed: least important first, ties by lower index.

    Args:
        importance: (H,); heads that were not measured, NaN, come last.

    Returns:
        int64 (H,). Known answer: (.2, .1, .2) gives 1, 0, 2.
    """
    importance = np.asarray(importance, dtype=np.float64)
    if importance.ndim != 1:
        raise ValueError(f"expected one importance for each head, got shape {importance.shape}")
    return np.argsort(importance, kind="stable")


def surely_above(values: np.ndarray, num_images: int, tail: float) -> np.ndarray:
    """Which head's mean over all images is surely larger than which other's.

    Head a is surely above head b if log(mean_a / mean_b) > c * sqrt((1/n - 1/N) * s^2), where
    s^2 is the variance over images of x_a / mean_a - x_b / mean_b: paired, so that what makes
    an image hard for all heads cancels, with the correction for drawing n of N. c is Student's
    t quantile with min(n, N - n) - 1 degrees of freedom, raised by g * (1 + 2 t^2) / (6 sqrt(n))
    where the difference has skewness -g: a head whose few large values were not drawn yet looks
    smaller than it is. A head with no effect so far is given the largest value of all on one
    image. All this is an approximation, the better the more images were drawn.

    Args:
        values: importances >= 0 on the images drawn so far, (n, heads) with n < num_images.
        num_images: all images.
        tail: accepted chance of an error in one comparison.

    Returns:
        bool (heads, heads), True where the head of the row is above that of the column.
        Known answer: nothing is sure between equal heads, or after fewer than two images.

    Reference: Johnson 1978, "Modified t Tests and Confidence Intervals for Asymmetrical
        Populations", for the correction for skewness.
    Differs: the correction is used only where it makes the bound wider, and raises the
        critical value instead of changing t.
    """
    count = len(values)
    if min(count, num_images - count) < 2 or not values.any():
        return np.zeros((values.shape[1],) * 2, bool)
    unseen = ~values.any(axis=0)
    if unseen.any():
        values = values.copy()
        values[-1, unseen] = values.max()
    mean = values.mean(axis=0)
    relative = values / mean - 1
    square = relative.T @ relative / (count - 1)  # heads x heads
    own = np.diagonal(square)
    variance = np.maximum(own[:, None] + own - 2 * square, 0)
    skew = np.maximum(-_third_moment(relative), 0) / np.maximum(variance, 1e-30) ** 1.5
    skew[:, unseen] = 0  # the value given to them stands for all that was not drawn yet
    t = t_quantile(tail, min(count, num_images - count) - 1)
    factor = t + skew * (1 + 2 * t**2) / (6 * math.sqrt(count))
    gap = np.log(mean)[:, None] - np.log(mean)
    return gap > factor * np.sqrt(variance * (1 / count - 1 / num_images))


def _third_moment(centred: np.ndarray) -> np.ndarray:
    """Mean over the rows of (column a - column b)^3, for every two columns."""
    mixed = (centred**2).T @ centred / len(centred)  # mean of a^2 b
    own = np.diagonal(mixed)
    return own[:, None] - 3 * mixed + 3 * mixed.T - own


def t_quantile(tail: float, degrees: int) -> float:
    """The value that Student's t exceeds with probability `tail`.

    Args:
        tail: above 0 and below 1/2.
        degrees: degrees of freedom, at least 1; 200 are taken for any larger number, which
            makes the value a little too large and never too small.

    Returns:
        Known answers: tail .25 with 1 degree gives 1; .025 with 10 gives 2.228.
    """
    degrees = min(degrees, 200)
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    # With t = sqrt(degrees) / tan(a), the tail is an integral of sin^(degrees - 1) from 0 to a.
    for _ in range(60):
        middle = (low + high) / 2
        sines = np.sin(middle / 2 * (NODES + 1)) ** (degrees - 1)
        above = scale * middle / 2 * float(WEIGHTS @ sines)
        low, high = (middle, high) if above < tail else (low, middle)
    return math.sqrt(degrees) / math.tan((low + high) / 2)


def _table(values: np.ndarray, axes: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"expected {axes}, got shape {values.shape}")
    return values
