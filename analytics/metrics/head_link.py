"""How closely a head's attention follows a score or the truth of pairs, with intervals over images.

M counts pairs of patches of N images, as in `metrics.binding`; intervals are percentiles over
images drawn with replacement.

Reference: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
"""

from __future__ import annotations

import numpy as np

from analytics.metrics.binding import AUCS, MEASURES, PairSet, measure_pairs
from analytics.metrics.ranking import ranks

CORRELATIONS = ("pearson", "rank", "within")
"""Plain, of ranks, and of what is left at equal distance."""

LINK_MEASURES = (
    *(f"score_{name}" for name in CORRELATIONS),
    *(f"truth_{name}" for name in CORRELATIONS),
    *AUCS,
    "top_share",
)
LEVEL = 0.95
NOTHING = 1e-6
"""What is left of a score beside its size, below which it counts as constant: float32's error."""


def resampled_correlation(
    first: np.ndarray, second: np.ndarray, image: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Pearson's correlation of two scores of the same pairs, with its interval over images.

    Args:
        first: (M,).
        second: (M,); bool counts as 0 and 1.
        image: int (M,), the image of each pair, from 0 to N - 1.
        counts: how often each image is drawn, (draws, N).

    Returns:
        float64 (3,): value, low and high; NaN where one of the two is constant or not finite,
        and no interval for one image. Known answer: 1, 1, 1 for a rising straight line.
    """
    result = np.full(3, np.nan)
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not len(first) or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return result
    # Scores of size 1 around 0: sums of squares then lose no digits.
    units = [_unit(one) for one in (first, second)]
    if any(one is None for one in units):
        return result
    x, y = units
    assert x is not None and y is not None
    parts = (np.ones(len(x)), x, y, x * x, y * y, x * y)
    sums = np.stack([np.bincount(image, one, counts.shape[1]) for one in parts], axis=1)  # N 6
    result[0] = _correlation(sums.sum(0, keepdims=True))[0]
    if counts.shape[1] > 1:
        drawn = _correlation(counts @ sums)
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn):
            result[1:] = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return result


def _unit(score: np.ndarray) -> np.ndarray | None:
    """The score around 0 with a mean square of 1; None where it is constant."""
    centred = score - score.mean()
    size = float(np.sqrt((centred**2).mean()))
    return centred / size if size > NOTHING * float(np.abs(score).max()) else None


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Correlations out of sums of 1, x, y, xx, yy and xy, (rows, 6)."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
        return np.clip(np.where(spread > NOTHING * n * n, (n * xy - x * y) / spread, np.nan), -1, 1)


def within_groups(score: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A score without the mean of its group: what is left at equal distance (ours).

    Args:
        score: (M,).
        groups: int (M,), from 0.

    Returns:
        float64 (M,). Known answer: 0 for a score that is the same all over each group, whose
        correlation with anything is then NaN.
    """
    score = np.asarray(score, np.float64)
    count = np.maximum(np.bincount(groups), 1)
    left = score - (np.bincount(groups, score) / count)[groups]
    size = np.abs(score).max(initial=0)
    return np.where(np.abs(left) > NOTHING * size, left, 0.0)


def three_scores(score: np.ndarray, pairs: PairSet) -> tuple[np.ndarray, ...]:
    """A score as each of `CORRELATIONS` takes it: itself, its ranks, without its mean by distance.

    Ranks and means are those of all images, also where images are drawn for an interval.

    Args:
        score: (M,); bool counts as 0 and 1.
        pairs: their distances.
    """
    score = np.asarray(score, np.float64)
    return score, ranks(score), within_groups(score, pairs.distance)


def compare_scores(
    first: tuple[np.ndarray, ...],
    second: tuple[np.ndarray, ...],
    pairs: PairSet,
    counts: np.ndarray,
) -> np.ndarray:
    """The correlations of `CORRELATIONS`, each with its interval, float64 (3, 3).

    Args:
        first: what `three_scores` made of one score.
        second: and of another of the same pairs.
        pairs: their images.
        counts: how often each image is drawn, (draws, N).
    """
    both = zip(first, second, strict=True)
    return np.stack([resampled_correlation(a, b, pairs.image, counts) for a, b in both])


def pair_aucs(score: np.ndarray, pairs: PairSet, draws: int, seed: int = 0) -> np.ndarray:
    """The AUCs of `AUCS` of a score, plain and matched, each with its interval: float64 (4, 3)."""
    return measure_pairs(score, pairs, draws, seed, LEVEL)[len(MEASURES) - len(AUCS) :]


def resampled_share(shares: np.ndarray, queries: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A share over the queries of all images, with its interval over images.

    Args:
        shares: of each image's queries, (N,); NaN where it has none.
        queries: how many each image has, (N,).
        counts: how often each image is drawn, (draws, N).

    Returns:
        float64 (3,): value, low and high; all NaN without a query. Known answer: images with 1 of
        1 and 0 of 3 queries give .25.
    """
    result, hits = np.full(3, np.nan), np.nan_to_num(shares) * queries
    if not queries.sum():
        return result
    result[0] = hits.sum() / queries.sum()
    if len(queries) > 1:
        with np.errstate(invalid="ignore"):
            drawn = (counts @ hits) / (counts @ queries)
        result[1:] = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return result


def chance_shares(objects: np.ndarray) -> tuple[np.ndarray, int]:
    """What `top_key_share` would be if the key were drawn by chance (ours).

    Args:
        objects: object of each patch, int (rows, columns); 0 for none.

    Returns:
        Two shares, float64 (2,): the key drawn from all other patches, and from the up to eight
        patches around the query, as distance alone would have it; NaN without a query. And the
        number of queries: patches whose object has another patch.

    Known answer: 2 x 2 patches of one object give 1 and 1; one row of two objects, 1 1 2 2,
    gives 1/3 of all others, and 1 or 1/2 of the neighbours of each: 3/4.
    """
    objects = np.asarray(objects)
    _, inverse, sizes = np.unique(objects, return_inverse=True, return_counts=True)
    size = sizes[inverse.reshape(objects.shape)]
    asks = (objects > 0) & (size > 1)
    if not asks.any():
        return np.full(2, np.nan), 0
    overall = (size[asks] - 1) / (objects.size - 1)
    same, near = np.zeros(objects.shape), np.zeros(objects.shape)
    padded = np.pad(objects, 1, constant_values=-1)
    rows, columns = objects.shape
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                other = padded[down : down + rows, right : right + columns]
                same += other == objects
                near += other >= 0
    return np.array([overall.mean(), (same[asks] / near[asks]).mean()]), int(asks.sum())
