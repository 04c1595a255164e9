"""How patches lie in few dimensions: what separates objects there, and layouts that do not flip.

A layout is the first principal components of patches, (n, 3). n counts patches, P points of the
residual stream, k eigenvalues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analytics.metrics.binding import matched_weights, pair_set, sample_patches, weighted_auc

AXES = 3
MOST_PATCHES = 256
"""Patches of which all pairs are compared: 32,640 pairs."""

RandomKind = Literal["product", "symmetric", "diagonal"]


@dataclass(frozen=True)
class Separation:
    """How well places tell objects apart; NaN where nothing can be said.

    `between` is the share of the variance that lies between objects, `chance` what of it random
    places would give; `auc` and `matched` the AUC of nearness, plain and distance-matched.
    """

    between: float
    chance: float
    auc: float
    matched: float


def separation(places: np.ndarray, objects: np.ndarray, grid_places: np.ndarray) -> Separation:
    """Say how well objects lie apart.

    Args:
        places: (n, any number of dimensions).
        objects: int (n,), 0 for patches of none, which are left out.
        grid_places: row and column of each, int (n, 2).

    Raises:
        ValueError: numbers of patches that differ.
    """
    if not len(places) == len(objects) == len(grid_places):
        raise ValueError(
            "expected places, objects and grid places of as many patches, got "
            f"{len(places)}, {len(objects)} and {len(grid_places)}"
        )
    auc, matched = nearness_auc(places, objects, grid_places)
    return Separation(*between_share(places, objects), auc, matched)


def between_share(places: np.ndarray, objects: np.ndarray) -> tuple[float, float]:
    """Share of the variance of patches in objects that lies between objects' means (ours).

    Args:
        places: (n, k).
        objects: int (n,), 0 for patches of none, which are left out.

    Returns:
        The share, 0 to 1, and what of it random places give on average: (objects - 1) /
        (patches - 1). NaN where there are fewer than two objects or nothing varies. Known
        answers: 1 where each object is one place, 0 where all have one mean; turning or
        scaling all places changes nothing.

    Reference: correlation ratio, Pearson 1905; of several dimensions as the sum over them.
    """
    own = objects > 0
    x, numbers = np.asarray(places, np.float64)[own], np.asarray(objects)[own]
    kinds, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(kinds) < 2:
        return float("nan"), float("nan")
    x = x - x.mean(0)
    means = np.zeros((len(kinds), x.shape[1]))
    np.add.at(means, which, x)
    means /= counts[:, None]
    total = float(np.square(x).sum())
    between = float((counts[:, None] * np.square(means)).sum())
    chance = (len(kinds) - 1) / (len(x) - 1)
    return (between / total if total > 0 else float("nan")), chance


def nearness_auc(
    places: np.ndarray, objects: np.ndarray, grid_places: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """Chance that two patches of one object lie nearer than two of different ones (ours).

    Args:
        places: (n, k); nearness is Euclidean.
        objects: int (n,), 0 for none.
        grid_places: row and column of each, int (n, 2).
        seed: of the drawing where there are more than `MOST_PATCHES` in objects.

    Returns:
        AUC, plain and with pairs reweighted to be equal at every distance on the picture; NaN
        without both kinds of pairs. Known answers: 1 for objects far apart, .5 for equal places;
        turning all places changes nothing.
    """
    drawn = sample_patches(objects, MOST_PATCHES, seed)
    x = np.asarray(places, np.float64)[drawn]
    pairs = pair_set(np.asarray(objects)[drawn][None], np.asarray(grid_places)[drawn][None])
    if not len(pairs.truth):
        return float("nan"), float("nan")
    squares = np.square(x).sum(1)
    apart = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)
    # What is equal up to rounding is a tie.
    scores = -np.round(pairs.scores(apart[None]), 9)
    weights = matched_weights(pairs.truth, pairs.distance)
    return weighted_auc(scores, pairs.truth), weighted_auc(scores, pairs.truth, weights)


def align_layouts(layouts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Turn layouts so that each is as near to the one before as it can be.

    The sign of a component means nothing and components of like variance change places: shown
    one after the other, unaligned layouts flip.

    Args:
        layouts: P times (n, 3).

    Returns:
        Layouts with signs chosen, (P, n, 3), and a rotation for each, (P, 3, 3), determinant 1:
        layout @ rotation is nearest to the turned layout before, in the sense of least squares
        at equal size. The first is not turned. Known answer: a turned copy comes back onto the
        original.

    Reference: Schonemann 1966, orthogonal Procrustes problem. Differs: the signs of the first two
    components follow the layout before, so that they can be drawn as they are; that of the third
    makes a rotation of what could be a reflection.
    """
    places = np.stack([np.asarray(one, np.float64) for one in layouts])
    turns = np.zeros((len(places), AXES, AXES))
    turns[0] = np.eye(AXES)
    for point in range(1, len(places)):
        before, now = places[point - 1], places[point]
        agree = (before[:, :2] * now[:, :2]).sum(0)
        now[:, :2] *= np.where(agree < 0, -1, 1)
        left, _, right = np.linalg.svd(now.T @ (before @ turns[point - 1]))
        turn = left @ right
        if np.linalg.det(turn) < 0:
            now[:, 2] *= -1
            turn[2] *= -1
        turns[point] = turn
    return places.astype(np.float32), turns.astype(np.float32)


def random_spectra(
    kind: RandomKind, width: int, signs: np.ndarray, draws: int = 20, seed: int = 0
) -> np.ndarray:
    """Eigenvalues that a random matrix of the same size and rank would have (ours).

    Args:
        kind: `product`, W^T S W with normal W (k, d) and the probe's signs; `symmetric`, a
            symmetric normal matrix (d, d); `diagonal`, normal weights (d,).
        width: d.
        signs: (k,) of the probe, for `product`; not read otherwise.
        draws: matrices.
        seed: of the drawing.

    Returns:
        float64 (draws, k or d), by falling size, the squares of each draw adding up to 1. Known
        answers: of a product with k far below d all have nearly the same size; the largest of a
        symmetric one is near 2 / sqrt(d).

    Reference: Marchenko & Pastur 1967 (products), Wigner 1958 (symmetric).
    """
    generator = np.random.default_rng(seed)
    found = []
    values: np.ndarray
    for _ in range(draws):
        if kind == "diagonal":
            values = generator.normal(size=width)
        elif kind == "symmetric":
            drawn = generator.normal(size=(width, width))
            values = np.linalg.eigvalsh(drawn + drawn.T)
        else:
            drawn = generator.normal(size=(width, len(signs)))
            triangle = np.linalg.qr(drawn)[1]
            values = np.linalg.eigvalsh((triangle * np.sign(signs)) @ triangle.T)
        falling = values[np.abs(values).argsort()[::-1]]
        found.append(falling / max(float(np.linalg.norm(falling)), 1e-30))
    return np.stack(found)
