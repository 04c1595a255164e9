"""The units of a study of binding: one probe of one seed, fitted and measured on test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.metrics.binding import PairSet, auc_by_group, measure_pairs, pair_set
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import BindingChoices, split_images
from analytics.studies.binding_features import BindingFeatures
from analytics.studies.binding_record import SPECTRUM

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.models.binding_fit import PairData, Standardised
    from analytics.models.binding_probes import BindingProbe, ProbeKind

Part = tuple[dict[str, np.ndarray], dict[str, Any]]
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one seed and the pairs of its test images."""

    seed: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    pairs: PairSet
    families: np.ndarray

    @classmethod
    def of(cls, features: BindingFeatures, families: Sequence[str], seed: int) -> Split:
        """Split the images of a set."""
        train, validation, test = split_images(features.families, seed)
        pairs = pair_set(
            features.objects[test], features.places[test], features.pixels[test, :, :3]
        )
        number = {name: i for i, name in enumerate(families)}
        own = np.array([number[features.families[i]] for i in test])
        return cls(seed, train, validation, test, pairs, own[pairs.image])


class Fitter:
    """Fits and measures probes on the features of one model, seed by seed."""

    def __init__(
        self,
        features: BindingFeatures,
        chosen: BindingChoices,
        families: Sequence[str],
        device: str,
    ) -> None:
        """Make ready."""
        import torch

        from analytics.models.binding_fit import PairData

        self._features, self._chosen, self._families = features, chosen, families
        self._data: PairData = PairData(
            torch.from_numpy(features.features).to(device),
            torch.from_numpy(features.objects).long().to(device),
        )
        self._standard: tuple[int, Standardised] | None = None

    def unit(self, kind: ProbeKind, row: str, split: Split, progress: Progress) -> Part:
        """Fit a probe on a split and measure it at every point: arrays and plain values."""
        probe = self.fit(kind, split, progress)
        scores = self.scores(probe, split)
        arrays = measured(scores, split, len(self._families), self.distances)
        arrays |= _spectra(probe, self._data.points)
        arrays |= {f"tensor.{name}": t.numpy() for name, t in probe.tensors.items()}
        return arrays, {
            "row": row,
            "seed": split.seed,
            "probe": probe.kind,
            "about": dict(probe.about),
        }

    def fit(self, kind: ProbeKind, split: Split, progress: Progress) -> BindingProbe:
        """A probe of a kind, fitted at all points."""
        from analytics.models.binding_closed import fit_next_qk, fit_plda, fit_similarity
        from analytics.models.binding_fit import fit_probe

        about = {"seed": split.seed, "train_images": len(split.train)}
        train = split.train.tolist()
        if kind == "next_qk":
            width = max(1, self._features.qk_width)
            return fit_next_qk(self._products(), self._data.objects, train, width, about)
        whole = self._standardised(split)
        if kind == "plda":
            return fit_plda(whole, train, about)
        if kind in ("cosine", "dot"):
            return fit_similarity(kind, whole, train, about)
        validation, chosen = split.validation.tolist(), self._chosen
        rank, epochs = chosen.rank, chosen.epochs
        return fit_probe(
            kind, whole, train, validation, rank, epochs, split.seed, progress, about
        ).probe

    def scores(self, probe: BindingProbe, split: Split) -> list[np.ndarray]:
        """Log odds of the test pairs at every point, (M,) each."""
        import torch

        from analytics.models.binding_fit import score_images

        if probe.kind == "next_qk":
            sign, bias = probe.tensors["signs"][:, 0], probe.tensors["bias"]
            products = self._features.products[:, split.test].astype(np.float32)
            found = [split.pairs.scores(one) for one in products]
            found.append(np.full(len(split.pairs.truth), np.nan, np.float32))
            return [
                float(sign[point]) * one + float(bias[point]) for point, one in enumerate(found)
            ]
        rows = split.test.tolist()
        return [
            split.pairs.scores(
                torch.cat(list(score_images(probe, self._data, rows, point))).cpu().numpy()
            )
            for point in range(self._data.points)
        ]

    @property
    def distances(self) -> int:
        """Distances there are on the grid, in whole patches."""
        return count_distances(self._features)

    def _products(self) -> Tensor:
        import torch

        products = torch.from_numpy(self._features.products).to(self._data.objects.device)
        return torch.cat([products, torch.full_like(products[:1], torch.nan)])

    def _standardised(self, split: Split) -> Standardised:
        from analytics.models.binding_fit import standardise

        if self._standard is None or self._standard[0] != split.seed:
            self._standard = split.seed, standardise(self._data, split.train.tolist())
        return self._standard[1]


def count_distances(features: BindingFeatures) -> int:
    """Whole distances on a grid, 0 included. Known answer: 22 on 16 x 16 patches."""
    grid = features.layout.grid
    return int(np.rint(np.hypot(grid.rows - 1, grid.columns - 1))) + 1


def measured(
    scores: Sequence[np.ndarray], split: Split, families: int, distances: int
) -> dict[str, np.ndarray]:
    """The tables of a row for one seed; see `Binding`."""
    pairs, found = split.pairs, []
    for one in scores:
        by_distance = auc_by_group(one, pairs, pairs.distance, distances)
        by_family = auc_by_group(one, pairs, split.families, families)
        found.append((measure_pairs(one, pairs, DRAWS, split.seed), by_family, by_distance))
    counts = [
        np.bincount(pairs.distance[kind], minlength=distances)
        for kind in (~pairs.truth, pairs.truth)
    ]
    names = ("values", "by_family", "by_distance")
    tables = {
        name: np.stack(one) for name, one in zip(names, zip(*found, strict=True), strict=True)
    }
    return {**tables, "pairs": np.stack(counts, axis=1)}


def _spectra(probe: BindingProbe, points: int) -> dict[str, np.ndarray]:
    """Largest eigenvalues and the dimension that holds nine tenths, at every point."""
    from analytics.models.binding_probes import dimension_holding

    spectra = np.full((points, SPECTRUM), np.nan, np.float32)
    dimensions = np.full(points, np.nan, np.float32)
    for point in range(points):
        values = probe.spectrum(point)
        if len(values):
            spectra[point, : len(values)] = values[:SPECTRUM].numpy()
            dimensions[point] = dimension_holding(values)
    return {"spectra": spectra, "dimensions": dimensions}


def baseline_units(
    features: BindingFeatures, split: Split, families: int, points: int
) -> list[Part]:
    """Majority, position, pixel and both, the same at every point."""
    from analytics.models.binding_baselines import fit_baselines, pair_facts

    train = pair_set(features.objects[split.train], features.places[split.train])
    facts = [
        pair_facts(pairs.flat, features.places, features.pixels, rows)
        for pairs, rows in ((train, split.train), (split.pairs, split.test))
    ]
    scores = fit_baselines(facts[0], train.truth, facts[1], split.seed)
    distances = count_distances(features)
    empty = {
        "spectra": np.full((points, SPECTRUM), np.nan, np.float32),
        "dimensions": np.full(points, np.nan, np.float32),
    }
    units = []
    for name, one in scores.items():
        tables = measured([one], split, families, distances)
        tables |= {
            key: np.repeat(table, points, axis=0) for key, table in tables.items() if key != "pairs"
        }
        units.append(({**tables, **empty}, {"row": name, "seed": split.seed}))
    return units
