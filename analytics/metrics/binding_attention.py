"""Whether attention follows objects: correlations, object heads, the most attended other patch."""

from __future__ import annotations

import numpy as np

from analytics.metrics.binding import PairSet, weighted_auc
from analytics.metrics.ranking import rank_agreement


def correlations(scores: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's and Spearman's correlation of several scores with another of the same pairs.

    Args:
        scores: (rows, M).
        other: (M,); bool counts as 0 and 1.

    Returns:
        Two float64 (rows,), from -1 to 1; NaN where one of the two is constant or holds a NaN.
        Known answer: a rank correlation of 1 for any rising function of the other.
    """
    table = np.concatenate([np.asarray(scores, np.float64), np.asarray(other, np.float64)[None]])
    rank = rank_agreement(table)[-1, :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = table - table.mean(axis=1, keepdims=True)
        length = np.where(np.ptp(table, axis=1) > 0, np.linalg.norm(centred, axis=1), np.nan)
        pearson = centred[:-1] @ centred[-1] / (length[:-1] * length[-1])
    return pearson, rank


def object_head_auc(attention: np.ndarray, pairs: PairSet) -> np.ndarray:
    """AUC of each head's attention, as a score of two patches lying in the same object.

    Attention is made symmetric, (A + A^T) / 2, because a pair is counted once.

    Args:
        attention: between the drawn patches, (heads, N, n, n).
        pairs: the pairs of the N images.

    Returns:
        float64 (heads,). Known answer: 1 for a head that attends within objects alone.

    Differs: from retrieval heads (Wu et al. 2024), which count copied tokens; "object head"
        is ours.
    """
    attention = np.asarray(attention, np.float64)
    both = (attention + attention.swapaxes(-1, -2)) / 2
    return np.array([weighted_auc(pairs.scores(one), pairs.truth) for one in both])


def top_key_share(attention: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, int]:
    """Of the patches in an object, the share whose most attended other patch lies in the same one.

    Args:
        attention: from patches to patches, (heads, P, P); prefix tokens left out.
        objects: object of each patch, int (P,); 0 for none.

    Returns:
        float64 (heads,), NaN without a query, and the number of queries. An object of one
        patch has no other patch to attend to and asks nothing. Known answer: 1 for a head that
        attends within objects alone.

    Differs: from retrieval heads (Wu et al. 2024): a mask stands in for the copied token.
    """
    objects = np.asarray(objects).reshape(-1)
    attention = np.asarray(attention)
    if attention.ndim != 3 or attention.shape[1:] != (len(objects),) * 2:
        raise ValueError(
            f"expected attention (heads, {len(objects)}, {len(objects)}), one row and column a "
            f"patch, got {attention.shape}; leave prefix tokens out"
        )
    values, counts = np.unique(objects, return_counts=True)
    shared = values[(counts > 1) & (values > 0)]
    queries = np.flatnonzero(np.isin(objects, shared))
    if not len(queries):
        return np.full(len(attention), np.nan), 0
    rows = attention[:, queries].astype(np.float64)  # heads queries keys
    rows[:, np.arange(len(queries)), queries] = -np.inf
    hit = objects[rows.argmax(-1)] == objects[queries]  # heads queries
    return hit.mean(axis=1), len(queries)
