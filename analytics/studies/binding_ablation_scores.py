"""What is measured of the patches at the model's end, with a changed stream and without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from analytics.metrics.binding import MEASURES, PairSet, measure_pairs, pair_set
from analytics.metrics.discovery_scores import mean_iou, nearest_vote, overlap_counts
from analytics.models.binding_probes import BindingProbe


@dataclass(frozen=True, eq=False)
class Ends:
    """Drawn patches of N images at the end of a pass, on the CPU.

    `stream` (N, n, d) is the output of the last layer, `final` (N, n, d) the same after the
    model's last norm, `embedding` (N, e).
    """

    stream: Tensor
    final: Tensor
    embedding: Tensor


@dataclass(frozen=True, eq=False)
class EndScorer:
    """Measures `Ends` as `ABLATION_MEASURES` has it, against the unchanged model.

    `objects` int (N, n) is 0 and `classes` int (N, n) -1 where there is none; `places` (N, n, 2).
    """

    probe: BindingProbe
    clean: Ends
    objects: np.ndarray
    classes: np.ndarray
    places: np.ndarray
    neighbours: int
    draws: int
    seed: int

    def score(self, ends: Ends) -> np.ndarray:
        """Value, low and high of every measure, float64 (measures, 3)."""
        cosines = cosine_similarity(ends.embedding.float(), self.clean.embedding.float(), dim=1)
        # Rounding alone makes the cosine of a vector with itself 1 + 1e-7.
        alike = cosines.double().clamp(-1, 1).numpy()
        if torch.equal(ends.embedding, self.clean.embedding):
            alike = np.ones(len(alike))
        within = np.array([self._objects_of(ends, row) for row in range(len(self.objects))])
        return np.stack(
            [
                self._auc(ends),
                self._interval(within),
                self._classes(ends),
                self._interval(alike),
            ]
        )

    def pairs(self) -> PairSet:
        """The pairs of patches that the AUC is over."""
        return pair_set(self.objects, self.places)

    def _auc(self, ends: Ends) -> np.ndarray:
        point = self.probe.points - 1
        read = self.probe.read(ends.stream, point)
        logits = self.probe.logits(read, read, point).numpy()  # N n n
        pairs = self.pairs()
        found = measure_pairs(pairs.scores(logits), pairs, self.draws, self.seed)
        return found[MEASURES.index("auc_matched")]

    def _objects_of(self, ends: Ends, row: int) -> float:
        """Mean IoU over an image's objects of a vote of its other patches."""
        kept = self.objects[row] > 0
        numbers, truth = np.unique(self.objects[row][kept], return_inverse=True)
        if len(numbers) < 2:
            return float("nan")
        tokens = normalize(ends.final[row][torch.from_numpy(kept)].float(), dim=-1)
        likeness = (tokens @ tokens.mT).fill_diagonal_(-torch.inf).numpy()
        found = nearest_vote(likeness, truth, self.neighbours)
        return mean_iou(overlap_counts(found, truth, len(numbers)))

    def _classes(self, ends: Ends) -> np.ndarray:
        """Mean IoU over classes of a vote of the unchanged patches of all other images."""
        kept = self.classes >= 0
        count = int(self.classes.max(initial=-1)) + 1
        image = np.nonzero(kept)[0]
        if count < 2 or len(np.unique(image)) < 2:
            return np.full(3, np.nan)
        known = torch.from_numpy(kept)
        bank, labels = normalize(self.clean.final[known].float(), dim=-1), self.classes[kept]
        counts = np.zeros((len(kept), count, 2), np.int64)
        for row in range(len(kept)):
            tokens = normalize(ends.final[row][known[row]].float(), dim=-1)
            likeness = (tokens @ bank.mT).numpy()
            likeness[:, image == row] = -np.inf
            found = nearest_vote(likeness, labels, self.neighbours)
            counts[row] = overlap_counts(found, self.classes[row][kept[row]], count)
        drawn = np.einsum("ri,icx->rcx", self._resamples(len(kept)), counts)
        return self._ends(mean_iou(counts.sum(0)), np.array([mean_iou(one) for one in drawn]))

    def _interval(self, values: np.ndarray) -> np.ndarray:
        """Mean over images that have a value, with its interval over images."""
        known = values[np.isfinite(values)]
        if not len(known):
            return np.full(3, np.nan)
        drawn = self._resamples(len(known)) @ known / len(known)
        return self._ends(float(known.mean()), drawn)

    def _resamples(self, images: int) -> np.ndarray:
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(images, np.full(images, 1 / images), self.draws)

    def _ends(self, value: float, drawn: np.ndarray) -> np.ndarray:
        if len(self.objects) < 2:
            return np.array([value, np.nan, np.nan])
        return np.array([value, *np.nanquantile(drawn, [0.025, 0.975])])
