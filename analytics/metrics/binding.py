"""How well a score of two patches tells whether they belong to the same object.

N counts images, n the patches that were drawn of each, M the pairs of all images. A pair is
counted once, a patch is never paired with itself, and patches without an object (0) with none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MATCHED = ("auc_matched", "auc_image_matched", "auc_colour_matched")
MEASURES = ("accuracy", "balanced_accuracy", "auc", *MATCHED)
AUCS = MEASURES[2:]
PATCHES = 64
"""Patches drawn of an image: 2,016 pairs."""

COLOUR_EDGES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Between classes of the distance of two patches' mean colours, each colour 0 to 1 (ours)."""

STEPS = 2048
"""Classes of equal size into which scores are sorted for the intervals of an AUC."""


@dataclass(frozen=True)
class PairSet:
    """Pairs of patches of a set of images.

    `flat` is int64 (M,), the place of each pair in scores (N, n, n); `truth` bool (M,), whether
    both lie in the same object; `image` int64 (M,); `distance` int64 (M,), between the patches'
    centres, in patches, rounded: the bins of distance matching; `colour` int64 (M,), the class of
    the distance of their mean colours, 0 for all where colours are not known; `images` is N.
    """

    flat: np.ndarray
    truth: np.ndarray
    image: np.ndarray
    distance: np.ndarray
    colour: np.ndarray
    images: int

    @property
    def bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Within what each AUC of `MATCHED` matches, int64 (M,) each.

        Distances; distances of each image; distances and differences of colour of each image.
        """
        distances = int(self.distance.max(initial=0)) + 1
        own = self.image * distances + self.distance
        return self.distance, own, own * (len(COLOUR_EDGES) + 1) + self.colour

    def scores(self, matrices: np.ndarray) -> np.ndarray:
        """The scores of the pairs, (M,), out of (N, n, n)."""
        return np.asarray(matrices).reshape(-1)[self.flat]

    def where(self, mask: np.ndarray) -> PairSet:
        """Some of the pairs."""
        flat, truth, image = self.flat[mask], self.truth[mask], self.image[mask]
        return PairSet(flat, truth, image, self.distance[mask], self.colour[mask], self.images)


def sample_patches(objects: np.ndarray, count: int = PATCHES, seed: int = 0) -> np.ndarray:
    """Draw patches that lie in an object, without repeats.

    Args:
        objects: object of each patch, int (rows, columns); 0 for none.
        count: most patches drawn; all are taken where there are fewer.
        seed: of the drawing.

    Returns:
        Places in row-major order, int64 (at most count,), ascending.
    """
    labelled = np.flatnonzero(np.asarray(objects).reshape(-1))
    if len(labelled) > count:
        labelled = np.random.default_rng(seed).permutation(labelled)[:count]
    return np.sort(labelled)


def pair_set(objects: np.ndarray, places: np.ndarray, colours: np.ndarray | None = None) -> PairSet:
    """All pairs within each image.

    Args:
        objects: object of each drawn patch, int (N, n); 0 where there is no patch.
        places: row and column of each, int (N, n, 2).
        colours: mean colour of each, 0 to 1, (N, n, 3); None where it is not to be matched.

    Raises:
        ValueError: shapes that do not fit.

    Known answer: four patches of an image give six pairs.
    """
    objects, places = np.asarray(objects), np.asarray(places)
    if objects.ndim != 2 or places.shape != (*objects.shape, 2):
        raise ValueError(
            "expected objects (images, patches) and places (images, patches, 2), got "
            f"{objects.shape} and {places.shape}"
        )
    images, count = objects.shape
    first, second = np.triu_indices(count, 1)
    counted = (objects[:, first] > 0) & (objects[:, second] > 0)  # images, pairs
    image, pair = np.nonzero(counted)
    a, b = first[pair], second[pair]
    apart = (places[image, a] - places[image, b]).astype(np.float64)  # M 2
    colour = np.zeros(len(image), np.int64)
    if colours is not None:
        away = np.linalg.norm(colours[image, a].astype(np.float64) - colours[image, b], axis=1)
        colour = np.searchsorted(COLOUR_EDGES, away)
    return PairSet(
        flat=(image * count + a) * count + b,
        truth=objects[image, a] == objects[image, b],
        image=image,
        distance=np.rint(np.hypot(apart[:, 0], apart[:, 1])).astype(np.int64),
        colour=colour,
        images=images,
    )


def matched_weights(truth: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Weights that give same and different pairs the same distribution over bins (ours).

    In a bin with s same and d different pairs a same pair weighs min(s, d) / s and a different
    one min(s, d) / d: both kinds have min(s, d) in all, and no pair weighs more than 1.

    Args:
        truth: bool (M,).
        bins: int (M,), 0 or more.

    Returns:
        float64 (M,). Known answer: 1 for all where each bin has as many of both kinds, 0 in a
        bin with one kind only.
    """
    same = np.bincount(bins[truth], minlength=int(bins.max(initial=0)) + 1).astype(float)
    different = np.bincount(bins[~truth], minlength=len(same)).astype(float)
    least = np.minimum(same, different)
    of_same = np.divide(least, same, out=np.zeros_like(same), where=same > 0)
    of_different = np.divide(least, different, out=np.zeros_like(same), where=different > 0)
    return np.where(truth, of_same[bins], of_different[bins])


def weighted_auc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Chance that a same pair scores higher than a different one; ties count one half.

    Args:
        scores: (M,).
        truth: bool (M,).
        weights: (M,), 0 or more; None for 1 each.

    Returns:
        0 to 1; NaN where one kind is missing or a score is NaN. Known answers: 1 for perfect
        scores, .5 for equal ones.
    """
    order = np.argsort(scores, kind="stable")
    given = np.ones(len(order)) if weights is None else weights[order]
    return _sorted_auc(np.asarray(scores)[order], truth[order], given)


def _sorted_auc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """As `weighted_auc`, of pairs in rising order of their scores."""
    if not len(scores) or np.isnan(scores[-1]):
        return float("nan")
    starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
    same = np.add.reduceat(np.where(truth, weights, 0.0), starts)
    different = np.add.reduceat(np.where(truth, 0.0, weights), starts)
    below = np.cumsum(different) - different / 2
    total = same.sum() * different.sum()
    return float(same @ below / total) if total > 0 else float("nan")


def measure_pairs(
    scores: np.ndarray, pairs: PairSet, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> np.ndarray:
    """Accuracy, balanced accuracy, and AUC plain and matched, of the pairs of all images.

    The matched AUCs weigh pairs so that same and different ones are equally frequent at every
    distance; at every distance of each image, so that nothing is gained by telling images with
    many same pairs from others; and there at every difference of colour too.

    A pair is called same where its score is above 0. Intervals are percentiles over images
    drawn with replacement; the weights of distance matching stay those of all images, and the
    intervals of AUCs take scores in `STEPS` classes (off by less than .001).

    Args:
        scores: log odds that a pair is the same, (M,).
        pairs: their truth, images and distances.
        draws: resampled sets of images.
        seed: of the drawing.
        level: share of the draws that lie in the interval.

    Returns:
        float64 (measures, 3): value, low and high in the order of `MEASURES`; NaN where
        unknown. Known answers: random scores have .5 in all but the first; a score that
        depends on the distance alone has .5 distance-matched where distance is all there is.

    Reference: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape != pairs.truth.shape:
        raise ValueError(f"expected {len(pairs.truth)} scores, one a pair; got {scores.shape}")
    result = np.full((len(MEASURES), 3), np.nan)
    if not len(scores) or np.isnan(scores).any():
        return result
    counts = resamples(pairs.images, draws, seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    for row, (value, resampled) in enumerate(
        [*_accuracies(scores, pairs, counts), *_aucs(scores, pairs, counts)]
    ):
        result[row, 0] = value
        known = resampled[np.isfinite(resampled)]
        if pairs.images > 1 and len(known) and np.isfinite(value):
            result[row, 1:] = np.quantile(known, tails)
    return result


def auc_by_group(scores: np.ndarray, pairs: PairSet, groups: np.ndarray, count: int) -> np.ndarray:
    """AUC, plain and matched, within each group of pairs.

    Args:
        scores: (M,).
        pairs: their truth, distances and colours.
        groups: int (M,), from 0 to count - 1.
        count: number of groups.

    Returns:
        float64 (count, 4) in the order of `AUCS`; NaN where a group lacks one kind.
    """
    order = np.argsort(scores, kind="stable")
    ranked, truth = np.asarray(scores)[order], pairs.truth[order]
    bins = [one[order] for one in pairs.bins]
    groups = np.asarray(groups)[order]
    result = np.full((count, len(AUCS)), np.nan)
    for group in range(count):
        own = groups == group
        if own.any():
            kept = ranked[own], truth[own]
            for column, one in enumerate((None, *bins)):
                weights = (
                    np.ones(len(kept[1])) if one is None else matched_weights(kept[1], one[own])
                )
                result[group, column] = _sorted_auc(*kept, weights)
    return result


def resamples(images: int, draws: int, seed: int) -> np.ndarray:
    """How often each image is drawn, (draws, images)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1 / images), draws).astype(float)


def _accuracies(
    scores: np.ndarray, pairs: PairSet, counts: np.ndarray
) -> list[tuple[float, np.ndarray]]:
    """Accuracy and balanced accuracy, each with its values on the resampled sets."""
    right = (scores > 0) == pairs.truth
    rows = []
    for kind in (pairs.truth, ~pairs.truth):
        for hit in (right & kind, kind):
            rows.append(np.bincount(pairs.image[hit], minlength=pairs.images))
    table = np.stack(rows, axis=1).astype(float)  # images: same right, same, different right, ...

    def both(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy = (sums[:, 0] + sums[:, 2]) / (sums[:, 1] + sums[:, 3])
            return accuracy, (sums[:, 0] / sums[:, 1] + sums[:, 2] / sums[:, 3]) / 2

    values, drawn = both(table.sum(0, keepdims=True)), both(counts @ table)
    return [(float(value[0]), one) for value, one in zip(values, drawn, strict=True)]


def _aucs(scores: np.ndarray, pairs: PairSet, counts: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """AUC, plain and matched, each with its values on the resampled sets."""
    order = np.argsort(scores, kind="stable")
    ranked, truth, image = scores[order], pairs.truth[order], pairs.image[order]
    step = _steps(ranked)
    found = []
    matched = [matched_weights(pairs.truth, bins) for bins in pairs.bins]
    for weights in (np.ones(len(scores)), *matched):
        sorted_weights = weights[order]
        same, different = (
            np.bincount(
                image[kind] * STEPS + step[kind],
                weights=sorted_weights[kind],
                minlength=pairs.images * STEPS,
            ).reshape(pairs.images, STEPS)
            for kind in (truth, ~truth)
        )
        won = same @ (np.cumsum(different, axis=1) - different / 2).T  # image of same, of different
        total = (counts @ same.sum(1)) * (counts @ different.sum(1))
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = ((counts @ won) * counts).sum(1) / total
        found.append((_sorted_auc(ranked, truth, sorted_weights), drawn))
    return found


def _steps(ranked: np.ndarray) -> np.ndarray:
    """Class of each of the sorted scores, 0 to STEPS - 1; equal scores share one."""
    starts = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    first = np.flatnonzero(starts)[np.cumsum(starts) - 1]
    return first * STEPS // len(ranked)
