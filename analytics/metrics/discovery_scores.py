"""How well masks on the patch grid meet the objects that are there.

Objects are int (rows, columns) from `patch_objects`; numbers above 0 are objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DiscoveryScores:
    """Scores of masks against objects, 0 to 1; NaN where there are no objects.

    `best_iou` is the largest IoU of any mask with any object, `mean_best_iou` the mean over
    objects of the largest IoU with a mask, `box_iou` the largest IoU of their boxes, and
    `correct` whether a box meets an object's by half (CorLoc counts it over images).
    """

    best_iou: float
    mean_best_iou: float
    box_iou: float
    correct: bool


def score_masks(masks: np.ndarray, objects: np.ndarray) -> DiscoveryScores:
    """Compare masks with all objects.

    Args:
        masks: bool (rows, columns) or (masks, rows, columns).
        objects: object of each patch; 0 and below are none.

    Raises:
        ValueError: sizes that differ.

    Known answers: all 1 where the masks are the objects; 0 without a mask.

    Reference: CorLoc: Deselaers et al. 2010, "Localizing Objects While Learning Their
    Appearance"; boxes here are in patches.
    """
    objects = np.asarray(objects)
    masks = np.asarray(masks, bool)
    masks = masks[None] if masks.ndim == 2 else masks
    if objects.ndim != 2 or masks.shape[1:] != objects.shape:
        raise ValueError(f"expected masks of {objects.shape} patches, got {masks.shape}")
    numbers = [one for one in np.unique(objects) if one > 0]
    if not numbers:
        return DiscoveryScores(float("nan"), float("nan"), float("nan"), False)
    if not len(masks):
        return DiscoveryScores(0.0, 0.0, 0.0, False)
    plain = np.array([[mask_iou(m, objects == one) for one in numbers] for m in masks])
    boxes = np.array(
        [[mask_iou(box_mask(m), box_mask(objects == one)) for one in numbers] for m in masks]
    )
    return DiscoveryScores(
        float(plain.max()), float(plain.max(0).mean()), float(boxes.max()), bool(boxes.max() >= 0.5)
    )


def mask_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Jaccard index of two masks: shared over covered by either; 0 where both are empty."""
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 0.0


def box_mask(mask: np.ndarray) -> np.ndarray:
    """The smallest box around a mask as a mask, bool (rows, columns)."""
    box = np.zeros(mask.shape, bool)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows):
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def foreground_ari(labels: np.ndarray, objects: np.ndarray) -> float:
    """Adjusted Rand index of groups and objects on the patches that have an object (FG-ARI).

    Args:
        labels: group of each patch, int, n in all.
        objects: object of each patch; 0 and below are left out.

    Returns:
        1 for the same groups under any numbers, about 0 for random ones; NaN where fewer than
        two patches have an object.

    Raises:
        ValueError: sizes that differ.

    Reference: Hubert & Arabie 1985; on the foreground: Greff et al. 2019, arXiv 1903.00450.
    """
    from sklearn.metrics import adjusted_rand_score

    labels, objects = np.asarray(labels).reshape(-1), np.asarray(objects).reshape(-1)
    if labels.shape != objects.shape:
        raise ValueError(f"expected a group for each of {len(objects)} patches, got {len(labels)}")
    kept = objects > 0
    if kept.sum() < 2:
        return float("nan")
    return float(adjusted_rand_score(objects[kept], labels[kept]))


def nearest_vote(likeness: np.ndarray, labels: np.ndarray, neighbours: int) -> np.ndarray:
    """What the most similar labelled patches say each patch is.

    Args:
        likeness: of m patches with n labelled ones, (m, n); -inf leaves one out.
        labels: int (n,), 0 or more.
        neighbours: that vote; of equally many votes the smaller number wins.

    Returns:
        int64 (m,); -1 where no neighbour is left.
    """
    likeness, labels = np.asarray(likeness), np.asarray(labels)
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :neighbours]
    asked = np.isfinite(np.take_along_axis(likeness, nearest, 1))
    votes = np.zeros((len(likeness), int(labels.max(initial=0)) + 1), np.int64)
    row = np.broadcast_to(np.arange(len(likeness))[:, None], nearest.shape)
    np.add.at(votes, (row[asked], labels[nearest[asked]]), 1)
    return np.where(asked.any(1), votes.argmax(1), -1)


def overlap_counts(found: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Patches that a class shares with its truth, and that either covers, int64 (classes, 2)."""
    counts = np.zeros((classes, 2), np.int64)
    for one in range(classes):
        counts[one] = (
            ((found == one) & (truth == one)).sum(),
            ((found == one) | (truth == one)).sum(),
        )
    return counts


def mean_iou(counts: np.ndarray) -> float:
    """Mean over the classes that occur of shared over covered, 0 to 1; NaN where none occurs.

    Args:
        counts: of `overlap_counts`, (classes, 2).
    """
    occurs = counts[:, 1] > 0
    return float((counts[occurs, 0] / counts[occurs, 1]).mean()) if occurs.any() else float("nan")
