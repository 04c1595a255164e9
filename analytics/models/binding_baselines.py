"""What position and colour alone say about two patches: the baselines of every binding probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Baseline = Literal["majority", "position", "pixel", "both"]
BASELINES: tuple[Baseline, ...] = ("majority", "position", "pixel", "both")

PRIOR_PAIRS = 16
"""An offset's share of same pairs is drawn to that of its distance by as many pairs."""

EDGES = 12
"""Classes of equal size into which a difference of colour is sorted."""

MOST_PAIRS = 200_000
"""Pairs that a fit takes of a large set, drawn at random."""


@dataclass(frozen=True, eq=False)
class PairFacts:
    """What the baselines are told of M pairs.

    `offset` is int (M, 2), rows and columns between the patches without sign; `colour` float
    (M, c), the difference of each colour number without sign.
    """

    offset: np.ndarray
    colour: np.ndarray

    def take(self, rows: np.ndarray) -> PairFacts:
        """Some of the pairs."""
        return PairFacts(self.offset[rows], self.colour[rows])


def pair_facts(
    flat: np.ndarray, places: np.ndarray, pixels: np.ndarray, rows: Sequence[int] | np.ndarray
) -> PairFacts:
    """Facts of the pairs of some images.

    Args:
        flat: place of each pair in (len(rows), n, n), int (M,).
        places: row and column of each patch, (N, n, 2).
        pixels: colour numbers of each patch, (N, n, c), the mean colour first; how far two mean
            colours lie apart joins the differences.
        rows: the images that `flat` counts from.
    """
    count = places.shape[1]
    image = np.asarray(rows)[flat // count**2]
    first, second = flat // count % count, flat % count
    apart = np.abs(pixels[image, first] - pixels[image, second])  # M c
    away = np.linalg.norm(apart[:, :3], axis=1, keepdims=True)
    offset = np.abs(places[image, first].astype(int) - places[image, second])
    return PairFacts(offset, np.concatenate([apart, away], axis=1))


def fit_baselines(
    train: PairFacts, truth: np.ndarray, test: PairFacts, seed: int = 0
) -> dict[Baseline, np.ndarray]:
    """Log odds of the test pairs by each baseline.

    `majority` says the share of same pairs; `position` the share at the same offset in the
    train images; `pixel` is a logistic regression on which of a dozen classes of equal size each
    difference of colour falls in, so that its shape is free; `both` joins the two.

    Args:
        train: pairs to fit on.
        truth: bool, whether each of them is the same.
        test: pairs to score.
        seed: of drawing pairs out of large sets.
    """
    share = np.clip(truth.mean(), 1e-4, 1 - 1e-4)
    table = offset_log_odds(train.offset, truth)
    drawn = np.random.default_rng(seed).permutation(len(truth))[:MOST_PAIRS]
    fitted, y = train.take(drawn), truth[drawn]
    edges = _edges(fitted.colour)
    by_place = [_look_up(table, one.offset) for one in (fitted, test)]
    by_colour = [_classes(one.colour, edges) for one in (fitted, test)]
    joined = [np.column_stack(one) for one in zip(by_colour, by_place, strict=True)]
    return {
        "majority": np.full(len(test.offset), np.log(share / (1 - share))),
        "position": by_place[1],
        "pixel": _apply(logistic(by_colour[0], y), by_colour[1]),
        "both": _apply(logistic(joined[0], y), joined[1]),
    }


def offset_log_odds(offset: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Log odds that two patches are the same, at each offset.

    Args:
        offset: int (M, 2), 0 or more.
        truth: bool (M,).

    Returns:
        float64 (rows, columns), up to the largest offset. An offset with few pairs is drawn to
        the share of its distance, and that to the share of all pairs. Known answer: the log odds
        of the share where there are many pairs.
    """
    shape = tuple(offset.max(0) + 1)
    index = np.ravel_multi_index(tuple(offset.T), shape)
    count = np.bincount(index, minlength=shape[0] * shape[1])
    same = np.bincount(index[truth], minlength=len(count))
    rows, columns = np.indices(shape)
    distance = np.rint(np.hypot(rows, columns)).astype(int).ravel()
    of_distance = np.bincount(distance, count), np.bincount(distance, same)
    overall = np.clip(truth.mean(), 1e-4, 1 - 1e-4)
    near = (of_distance[1] + PRIOR_PAIRS * overall) / (of_distance[0] + PRIOR_PAIRS)
    share = (same + PRIOR_PAIRS * near[distance]) / (count + PRIOR_PAIRS)
    share = np.clip(share, 1e-4, 1 - 1e-4)
    return np.log(share / (1 - share)).reshape(shape)


def _look_up(table: np.ndarray, offset: np.ndarray) -> np.ndarray:
    rows, columns = np.minimum(offset, np.array(table.shape) - 1).T
    return table[rows, columns]


def _edges(colour: np.ndarray) -> list[np.ndarray]:
    """Inner edges of the classes of each difference."""
    shares = np.arange(1, EDGES) / EDGES
    return [np.unique(np.quantile(column, shares)) for column in colour.T]


def _classes(colour: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """A 1 for the class of each difference, (M, classes of all), float32."""
    found = []
    for column, inner in zip(colour.T, edges, strict=True):
        found.append(np.eye(len(inner) + 1, dtype=np.float32)[np.searchsorted(inner, column)])
    return np.concatenate(found, axis=1)


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1e-3, steps: int = 12) -> np.ndarray:
    """Logistic regression with a bias, by Newton's method.

    Args:
        x: (M, c).
        y: bool (M,).
        ridge: penalty of the squared weights, mean over pairs.
        steps: of Newton's method.

    Returns:
        float64 (c + 1,), the bias last.
    """
    x = np.column_stack([x, np.ones(len(x), np.float32)]).astype(np.float32)
    share = np.clip(y.mean(), 1e-4, 1 - 1e-4)
    beta = np.zeros(x.shape[1])
    beta[-1] = np.log(share / (1 - share))
    penalty = np.full(len(beta), ridge)
    penalty[-1] = 1e-9
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (p - y).astype(np.float32) / len(x) + penalty * beta
        weighted = x * (p * (1 - p)).astype(np.float32)[:, None]
        step = np.linalg.solve((weighted.T @ x).astype(float) / len(x) + np.diag(penalty), slope)
        beta = beta - step * min(1.0, 5 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _apply(beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x @ beta[:-1] + beta[-1]
