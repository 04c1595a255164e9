"""A set of pictures before a study: who is in it, and what stands in for a removed head."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.labelled import ImageSource
from analytics.studies.attend import Progress
from analytics.types import Fit

if TYPE_CHECKING:
    import torch

    from analytics.capture.leave_one_out import Filling
    from analytics.models.registry import LoadedModel
    from analytics.studies.effects import HeadEffects


@dataclass(frozen=True)
class Survey:
    """The different pictures of a set in order, with their hashes and labels.

    `skipped` has the name and the reason of those that could not be opened or have the same
    bytes as another; `wanted` counts all that were asked for.
    """

    images: tuple[ImageSource, ...]
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    labels: tuple[str | None, ...]
    skipped: tuple[tuple[str, str], ...]
    wanted: int

    @property
    def content(self) -> tuple[tuple[str, str | None], ...]:
        """Hash and label of each picture."""
        return tuple(zip(self.sha256s, self.labels, strict=True))

    def without(self, known: set[str]) -> Survey:
        """The pictures whose hash is not known yet."""
        rows = [i for i, sha256 in enumerate(self.sha256s) if sha256 not in known]
        return Survey(
            tuple(self.images[i] for i in rows),
            tuple(self.names[i] for i in rows),
            tuple(self.sha256s[i] for i in rows),
            tuple(self.labels[i] for i in rows),
            self.skipped,
            self.wanted,
        )


def survey(images: Sequence[ImageSource], labels: Sequence[str | None] | None = None) -> Survey:
    """Open every picture once to know its hash; nothing is decoded yet.

    Raises:
        ValueError: no pictures, or labels that do not go with them.
    """
    given = [None] * len(images) if labels is None else list(labels)
    if not images or len(given) != len(images):
        raise ValueError(
            f"expected at least one picture and a label for each, got {len(images)} pictures and "
            f"{len(given)} labels"
        )
    rows: dict[str, tuple[ImageSource, str | None]] = {}
    skipped = []
    for image, label in zip(images, given, strict=True):
        try:
            sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
        except (ValueError, OSError) as error:
            skipped.append((image.name, str(error)))
            continue
        if sha256 in rows:
            skipped.append((image.name, f"the same bytes as {rows[sha256][0].name}"))
        else:
            rows[sha256] = (image, label)
    kept = tuple(image for image, _ in rows.values())
    if not kept:
        raise ValueError(f"expected pictures that can be read, got none: {skipped[0][1]}")
    return Survey(
        kept,
        tuple(image.name for image in kept),
        tuple(rows),
        tuple(label for _, label in rows.values()),
        tuple(skipped),
        len(images),
    )


class Reference:
    """What a study takes from the other pictures of the set: stand-ins and prototypes."""

    def __init__(
        self,
        loaded: LoadedModel,
        found: Survey,
        effects: HeadEffects,
        ablation: str,
        fit: Fit,
        seed: int,
    ) -> None:
        """Make ready; `prepare` runs the model where that is needed."""
        self._loaded, self._found, self._effects, self._fit = loaded, found, effects, fit
        self._ablation = ablation
        self._means: tuple[torch.Tensor, ...] = ()
        self._embeddings: dict[str, torch.Tensor] = {}
        # One seeded ring through all pictures: everybody's stand-in is the next one.
        self._ring = np.random.default_rng(seed).permutation(len(found.images)).tolist()

    def prepare(self, report: Progress) -> None:
        """Run the model once on all pictures where means or prototypes are asked for."""
        needs_means = self._ablation == "mean"
        if not (needs_means or self._effects.needs_prototypes):
            return
        import torch
        from torch.nn import functional as F

        from analytics.studies.features import read_batches

        total, sums = 0, None
        for batch in read_batches(self._found.images, self._loaded, self._fit, 4):
            report(total, len(self._found.images), "running the model on the whole set first")
            outputs, embedding = self._effects.outputs(batch.pixels)
            if needs_means:
                one = [output.float().sum(0, keepdim=True) for output in outputs]
                sums = one if sums is None else [a + b for a, b in zip(sums, one, strict=True)]
            units = F.normalize(embedding.float(), dim=1)
            self._embeddings.update(zip(batch.sha256s, units, strict=True))
            total += len(batch.indices)
        self._means = tuple(one / max(1, total) for one in sums or ())
        if total:
            self._sum = torch.stack(list(self._embeddings.values())).sum(0)

    def filling(self, sha256s: Sequence[str]) -> Filling | None:
        """What stands in for a head on these pictures; None for nothing (zero ablation)."""
        if self._ablation == "zero":
            return None
        if self._ablation == "mean":
            return lambda layer, head: self._means[layer.site.index][:, :, head]
        import torch

        partners = torch.cat([self._partner(sha256) for sha256 in sha256s])
        outputs, _ = self._effects.outputs(partners)
        return lambda layer, head: outputs[layer.site.index][:, :, head]

    def prototypes(self, sha256s: Sequence[str]) -> torch.Tensor | None:
        """Mean unit embedding of all other pictures, (b, width); None where there is no other."""
        if len(self._embeddings) < 2:
            return None
        import torch

        others = [self._sum - self._embeddings[sha256] for sha256 in sha256s]
        return torch.stack(others) / (len(self._embeddings) - 1)

    def _partner(self, sha256: str) -> torch.Tensor:
        """The next picture on the ring that can be read, (1, 3, height, width).

        Raises:
            ValueError: no other picture can be read.
        """
        from analytics.studies.features import read_batches

        own = self._ring.index(self._found.sha256s.index(sha256))
        for place in self._ring[own + 1 :] + self._ring[:own]:
            for batch in read_batches([self._found.images[place]], self._loaded, self._fit, 1):
                return batch.pixels
        raise ValueError("ablation 'resample' needs a second picture that can be read; use zero")


def class_numbers(labels: Sequence[str | None], numbers: Mapping[str, int]) -> list[int | None]:
    """Labels as positions in the classes, None where unknown."""
    return [None if label is None else numbers[label] for label in labels]
