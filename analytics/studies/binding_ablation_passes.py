"""Forward passes over annotated images with the residual stream changed at one point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from analytics.io.fitting import normalise
from analytics.metrics.binding_subspace import Subspace
from analytics.studies.binding_ablation_record import AblationChoices
from analytics.studies.binding_ablation_scores import Ends
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_edits import (
    Edit,
    changed_patches,
    edited_stream,
    replaced_patches,
)
from analytics.studies.binding_features import StreamReader
from analytics.studies.binding_images import DrawnPatches, draw_patches
from analytics.studies.flow_passes import watch_streams
from analytics.studies.reading import Reader

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedSource

BATCH = 8
MOST_TOKENS = 20_000
"""Patches that the principal subspace is found in."""


@dataclass(frozen=True, eq=False)
class AblationSubject:
    """An image of the ablation; `classes` has the class name of each drawn patch, "" for none."""

    name: str
    sha256: str
    drawn: DrawnPatches
    classes: tuple[str, ...]


def ablation_subjects(
    reader: StreamReader,
    sources: Sequence[AnnotatedSource],
    sha256s: Sequence[str],
    chosen: AblationChoices,
) -> tuple[list[AblationSubject], list[tuple[str, str]]]:
    """Draw patches of every image; names and reasons of those that cannot be used.

    Raises:
        ValueError: none can be used.
    """
    how = BindingChoices(
        patches=chosen.patches, purity=chosen.purity, fit=chosen.fit, draw_seed=chosen.seed
    )
    subjects: list[AblationSubject] = []
    skipped: list[tuple[str, str]] = []
    for source, sha256 in zip(sources, sha256s, strict=True):
        try:
            image = source.load()
            drawn = draw_patches(image, sha256, reader.loaded.input_size, reader.layout.grid, how)
        except ValueError as error:
            skipped.append((source.name, str(error).removeprefix(f"{source.name}: ")))
            continue
        # `draw_patches` counts objects from 1, an instance is one less.
        classes = tuple(image.classes.get(int(one) - 1, "") for one in drawn.objects)
        subjects.append(AblationSubject(image.name, sha256, drawn, classes))
    if not subjects:
        raise ValueError(f"expected pictures with objects, got none: {skipped[0][1]}")
    return subjects, skipped


class AblationPasses:
    """Forward passes over the images of an ablation."""

    def __init__(
        self, reader: StreamReader, subjects: Sequence[AblationSubject], point: int
    ) -> None:
        """Run the unchanged model once: `clean` is how it ends, `tokens` patches at the point."""
        self.reader, self.subjects, self.point = reader, subjects, point
        self._prefix = len(reader.layout.prefix)
        self._end = Reader(reader.loaded, frozenset({"tokens"}), None)
        kept: list[Tensor] = []

        def look(rows: range, tokens: Tensor) -> Tensor:
            if sum(map(len, kept)) < MOST_TOKENS:
                kept.append(tokens[:, self._prefix :].flatten(0, 1).cpu())
            return tokens

        self.clean = self._run(look)
        self.tokens = torch.cat(kept)[:MOST_TOKENS].float()

    def changed(
        self, binding: Subspace, subspace: Subspace, edit: Edit, amount: float, seed: int
    ) -> tuple[Ends, float]:
        """How the model ends with an edit, and the share of variance that it moved."""
        shares: list[float] = []

        def change(rows: range, tokens: Tensor) -> Tensor:
            edited = []
            for row, one in zip(rows, tokens[:, self._prefix :], strict=True):
                subject = self.subjects[row]
                objects = torch.from_numpy(subject.drawn.whole.reshape(-1)).to(one.device)
                drawing = seed + int(subject.sha256[:8], 16)
                new, share = changed_patches(one, objects, binding, subspace, edit, amount, drawing)
                edited.append(new)
                shares.append(share)
            return replaced_patches(tokens, edited)

        return self._run(change), float(np.mean(shares))

    @torch.no_grad()
    def _run(self, change: Callable[[range, Tensor], Tensor]) -> Ends:
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        module = self.reader.loaded.module
        for first in range(0, len(self.subjects), BATCH):
            rows = range(first, min(first + BATCH, len(self.subjects)))

            def at_rows(tokens: Tensor, rows: range = rows) -> Tensor:
                return change(rows, tokens)

            with edited_stream(module, self.point, at_rows), watch_streams(module) as streams:
                features = module.forward_features(self._pixels(rows))  # type: ignore[operator]
            read = self._end.read(features)
            assert read.patches is not None
            drawn = np.stack([self.subjects[row].drawn.patches for row in rows]).clip(min=0)
            index = torch.from_numpy(drawn).long()[..., None]
            found.append(
                (
                    _taken(streams[-1][:, self._prefix :], index),
                    _taken(read.patches, index),
                    read.embedding.cpu(),
                )
            )
        return Ends(*(torch.cat(part) for part in zip(*found, strict=True)))

    def _pixels(self, rows: range) -> Tensor:
        loaded = self.reader.loaded
        fitted = [self.subjects[row].drawn.fitted for row in rows]
        pixels = np.stack([normalise(one, loaded.mean, loaded.std) for one in fitted])
        return torch.from_numpy(pixels).to(loaded.device, getattr(torch, loaded.dtype))


def _taken(tokens: Tensor, index: Tensor) -> Tensor:
    """Drawn patches, float32 (b, n, d) on the CPU."""
    return tokens.cpu().float().gather(1, index.expand(-1, -1, tokens.shape[-1]))
