"""The result of an importance study: the effect of every head on every picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.store.provenance import parse_provenance
from analytics.store.results import ResultStore
from analytics.types import Provenance


@dataclass(frozen=True)
class ImageEffect:
    """One measured picture; the last three are None without class probabilities.

    `label` is its class by the labels, `predicted` by the classifier with all heads, and
    `probability` that of the class looked at: the label, else the predicted one.
    """

    name: str
    sha256: str
    label: str | None = None
    predicted: str | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Importance:
    """The effect of every head on every picture.

    `values` is float32 (metrics, images, heads), NaN where nothing was measured;
    `probabilities` is the probability of each picture's class without each head, float32
    (images, heads). `images_wanted` counts the pictures that were asked for, those that could
    not be read (`skipped`: name, reason) and duplicates included.
    """

    id: str
    model_label: str
    caution: str
    num_heads: tuple[int, ...]
    heads: tuple[tuple[int, int], ...]
    metrics: tuple[str, ...]
    ablation: str
    values: np.ndarray
    images: tuple[ImageEffect, ...]
    probabilities: np.ndarray | None
    classes: tuple[str, ...]
    readout: str
    images_wanted: int
    skipped: tuple[tuple[str, str], ...]
    provenance: Provenance

    @property
    def complete(self) -> bool:
        """Whether every picture that can be read has been measured."""
        return len(self.images) + len(self.skipped) >= self.images_wanted

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        more = 0 if self.probabilities is None else self.probabilities.nbytes
        return self.values.nbytes + more

    def table(self, metric: str) -> np.ndarray:
        """One metric, (images, heads).

        Raises:
            ValueError: it was not measured.
        """
        if metric not in self.metrics:
            raise ValueError(f"expected a metric out of {', '.join(self.metrics)}; got {metric!r}")
        return self.values[self.metrics.index(metric)]

    def mean(self, metric: str) -> np.ndarray:
        """Mean of one metric over the pictures it was measured on, (heads,); NaN where on none.

        Raises:
            ValueError: it was not measured.
        """
        table = self.table(metric)
        counted = np.isfinite(table).sum(axis=0)
        total = np.where(np.isfinite(table), table, 0.0).sum(axis=0, dtype=np.float64)
        return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)

    def column(self, layer: int, head: int) -> int:
        """Position of a head in the tables.

        Raises:
            ValueError: there is no such head.
        """
        if (layer, head) not in self.heads:
            last = len(self.num_heads) - 1
            raise ValueError(f"expected layers 0 to {last} with their heads; got L{layer} H{head}")
        return self.heads.index((layer, head))


def load_importance(store: ResultStore, key: str) -> Importance | None:
    """What a result holds so far; None where nothing was measured yet."""
    plan = store.plan(key)
    parts = [(arrays, about) for _, arrays, about in store.parts(key)]
    return assemble(plan, parts) if plan is not None and parts else None


def assemble(
    plan: Mapping[str, Any], parts: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]]
) -> Importance:
    """One record out of a plan and the parts measured so far."""
    heads = tuple((layer, head) for layer, head in parts[0][1]["heads"]) if parts else ()
    images = [ImageEffect(*one) for _, about in parts for one in about["images"]]
    skipped = [tuple(one) for one in plan["skipped"]]
    skipped += [(name, reason) for _, about in parts for name, reason, _ in about["unreadable"]]
    tables = [arrays["values"] for arrays, _ in parts]
    shape = (len(plan["metrics"]), 0, len(heads))
    without = [arrays["probabilities"] for arrays, _ in parts if "probabilities" in arrays]
    return Importance(
        id=plan["id"],
        model_label=plan["model_label"],
        caution=plan["caution"],
        num_heads=tuple(Counter(layer for layer, _ in heads).values()),
        heads=heads,
        metrics=tuple(plan["metrics"]),
        ablation=plan["ablation"],
        values=np.concatenate([np.zeros(shape, np.float32), *tables], axis=1),
        images=tuple(images),
        probabilities=np.concatenate(without) if without else None,
        classes=tuple(plan["classes"]),
        readout=plan["readout"],
        images_wanted=plan["images_wanted"],
        skipped=tuple(skipped),  # type: ignore[arg-type]
        provenance=parse_provenance(json.dumps(plan["provenance"])),
    )
