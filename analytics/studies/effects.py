"""What every head of a model does to one batch of pictures: all metrics from one set of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from analytics.capture.leave_one_out import Filling, LeaveOneOut, Outcome
from analytics.capture.recording import Captured, Heads, capture
from analytics.metrics import importance as metric
from analytics.metrics.catalogue import HEAD_METRICS, check_metrics
from analytics.models.readout import ReadOut
from analytics.studies.reading import Read, Reader, available
from analytics.studies.slopes import (
    Loss,
    along_random_direction,
    gate_slopes,
    likeness,
    log_probability,
)

if TYPE_CHECKING:
    from analytics.capture.sites import Site, SiteMap
    from analytics.models.registry import LoadedModel

Step = Callable[[int, int], None]
"""Called with (heads done, heads in all); may raise to cancel."""


@dataclass(frozen=True)
class BatchEffects:
    """Effects on a batch of b pictures, heads in the order of `HeadEffects.heads`.

    `values` maps a metric to float32 (b, heads). With class probabilities, `before` holds
    those with all heads, (b, classes), `classes` the class looked at in each picture, and
    `without` its probability without each head, (b, heads).
    """

    values: dict[str, Tensor]
    before: Tensor | None = None
    classes: Tensor | None = None
    without: Tensor | None = None


class HeadEffects:
    """Measures the effect of taking out each head, one batch of pictures at a time.

    Not for several threads at once. `heads` lists (layer, head); every metric has one column
    for each.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        sites: SiteMap,
        metrics: Sequence[str],
        readout: ReadOut | None = None,
        heads_at_once: int = 1,
    ) -> None:
        """Make ready; nothing is run yet.

        Args:
            loaded: the model.
            sites: where it attends, at the loaded input size.
            metrics: names out of `HEAD_METRICS`.
            readout: gives class probabilities; None for the model's own head.
            heads_at_once: heads of a layer that are run as one batch (pays on a GPU alone).

        Raises:
            ValueError: a metric needs what is not there.
        """
        check_metrics(tuple(metrics), available(loaded, readout))
        self.metrics = tuple(metrics)
        self._loaded, self._sites, self._at_once = loaded, sites, heads_at_once
        needs = frozenset().union(*(HEAD_METRICS[name].needs for name in metrics))
        self.reader = Reader(loaded, needs, readout)
        tokens: Literal["all", "cls"] = "all" if self.reader.all_tokens else "cls"
        self._loo = LeaveOneOut(loaded.module, sites, tokens, self.reader.read_layer)
        self._layers: tuple[Site, ...] = ()

    @property
    def heads(self) -> tuple[tuple[int, int], ...]:
        """(layer, head) of every column; known after the first batch."""
        return tuple((site.index, head) for site in self._layers for head in range(site.num_heads))

    def measure(
        self,
        pixels: Tensor,
        labels: Sequence[int | None] = (),
        filling: Filling | None = None,
        prototypes: Tensor | None = None,
        seed: int = 0,
        columns: Sequence[int] | None = None,
        step: Step | None = None,
    ) -> BatchEffects:
        """Measure one batch.

        Args:
            pixels: (b, 3, height, width), normalised.
            labels: class of each picture, None where it is unknown; the predicted one counts
                then.
            filling: what a head hands on instead of nothing.
            prototypes: (b, width), what the Taylor loss compares each embedding with where
                there are no classes.
            seed: of the directions of `sensitivity`.
            columns: which heads to measure; the others are NaN. None for all.
            step: told after every head.
        """
        self._layers = self._layers or self._reached(pixels[:1])
        slopes, clean = self._slopes(pixels, labels, prototypes, seed)
        if clean is None or set(self.metrics) - _SLOPES:
            features = self._loo.start(
                pixels, _confidence if "confidence" in self.metrics else None
            )
            clean = self.reader.read(features, self._loo.read_output())
        classes = self._classes(clean.probabilities, labels)
        heads = self.heads
        chosen = range(len(heads)) if columns is None else columns
        empty = torch.full((len(pixels), len(heads)), torch.nan, device=pixels.device)
        values = {name: empty.clone() for name in self.metrics}
        without = None if classes is None else empty.clone()
        self._without_removal(values, slopes)
        if set(self.metrics) - _FROM_ONE_PASS:
            done = 0
            for layer, group in _groups(heads, chosen, self._at_once):
                outcome = self._loo.without(layer, [heads[column][1] for column in group], filling)
                self._compare(values, without, clean, outcome, layer, group, classes)
                done += len(group)
                if step is not None:
                    step(done, len(chosen))
        return BatchEffects(values, clean.probabilities, classes, without)

    @property
    def needs_prototypes(self) -> bool:
        """Whether a picture is compared with the others of its set."""
        return "taylor" in self.metrics and not self.reader.with_classes

    def outputs(self, pixels: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Every layer's head outputs, (b, windows, heads, tokens, width), and the embedding."""
        module = self._loaded.module
        with torch.no_grad(), capture(module, self._sites, ["output"]) as captured:
            features = module.forward_features(pixels)  # type: ignore[operator]
            embedding = self.reader.embedding(features)
        return tuple(one.output for one in captured if one.output is not None), embedding

    def _compare(
        self,
        values: dict[str, Tensor],
        without: Tensor | None,
        clean: Read,
        outcome: Outcome,
        layer: int,
        group: Sequence[int],
        classes: Tensor | None,
    ) -> None:
        """Fill in the columns of some heads of one layer."""
        images = len(clean.embedding)
        read = self.reader.read(outcome.features, outcome.read)
        before_layer = self._loo.layer_output(layer)
        for place, column in enumerate(group):
            rows = slice(place * images, (place + 1) * images)
            pruned = read.part(rows)
            found = _shifts(self.metrics, clean, pruned, classes)
            if "layer_impact" in self.metrics:
                after = outcome.layer_output[rows].flatten(1, -2)
                found["layer_impact"] = metric.mean_cosine_shift(before_layer.flatten(1, -2), after)
            for name, one in found.items():
                values[name][:, column] = one.float()
            if without is not None and classes is not None and pruned.probabilities is not None:
                without[:, column] = pruned.probabilities.gather(1, classes[:, None])[:, 0]

    def _without_removal(self, values: dict[str, Tensor], slopes: dict[str, Tensor]) -> None:
        """The metrics that come from one pass for all heads."""
        if "confidence" in values:
            values["confidence"][:] = torch.cat([one.reduced for one in self._loo.heads], dim=1)
        if "contribution" in values:
            parts = [self._contribution(one) for one in self._loo.heads]
            values["contribution"][:] = torch.cat(parts, dim=1)
        if "sensitivity" in values:
            values["sensitivity"][:] = slopes["sensitivity"].square()
        if "taylor" in values:
            values["taylor"][:] = metric.taylor(slopes["taylor"])

    def _slopes(
        self,
        pixels: Tensor,
        labels: Sequence[int | None],
        prototypes: Tensor | None,
        seed: int,
    ) -> tuple[dict[str, Tensor], Read | None]:
        """Slopes of the losses that are asked for, and what was read on the way."""

        def class_or_likeness(read: Read) -> Tensor:
            if read.probabilities is None:
                return likeness(read, prototypes)
            classes = self._classes(read.probabilities.detach(), labels)
            assert classes is not None
            return log_probability(read, classes)

        every: dict[str, Loss] = {
            "sensitivity": lambda read: along_random_direction(read, seed),
            "taylor": class_or_likeness,
        }
        losses = {name: loss for name, loss in every.items() if name in self.metrics}
        if not losses:
            return {}, None
        return gate_slopes(self._loaded, self._sites, self._layers, self.reader, pixels, losses)

    @torch.no_grad()
    def _reached(self, pixels: Tensor) -> tuple[Site, ...]:
        """The layers that the features depend on: not a pooling layer after them."""
        module = self._loaded.module
        with capture(module, self._sites, reduce=lambda heads: None) as captured:
            module.forward_features(pixels)  # type: ignore[operator]
        return tuple(one.site for one in captured)

    def _contribution(self, layer: Captured) -> Tensor:
        """(b, heads); NaN where the layer has no plain projection of its joined heads."""
        assert layer.output is not None
        heads = layer.output.transpose(1, 2).flatten(2, 3)  # b, heads, windows * tokens, width
        if not self._loo.exact_update[layer.site.index]:
            return heads.new_full(heads.shape[:2], torch.nan).float()
        return metric.contribution(heads, self._loo.projection(layer.site.index).weight)

    def _classes(self, probabilities: Tensor | None, labels: Sequence[int | None]) -> Tensor | None:
        """The class looked at in each picture: its label, else the predicted one."""
        if probabilities is None:
            return None
        predicted = probabilities.argmax(dim=1)
        for row, label in enumerate(labels):
            if label is not None:
                predicted[row] = label
        return predicted


_SLOPES = {"taylor", "sensitivity"}
_FROM_ONE_PASS = {"taylor", "sensitivity", "confidence", "contribution"}


def _confidence(heads: Heads) -> Tensor:
    """(b, heads): the mean over windows of `confidence`."""
    attention = heads.attention()  # b, windows, heads, queries, keys
    images, windows = attention.shape[:2]
    return metric.confidence(attention.flatten(0, 1)).unflatten(0, (images, windows)).mean(1)


def _shifts(
    names: Sequence[str], clean: Read, pruned: Read, classes: Tensor | None
) -> dict[str, Tensor]:
    """The metrics that compare one forward pass with another, each (b,)."""
    pairs: dict[str, tuple[Callable[..., Tensor], Tensor | None, Tensor | None]] = {
        "cls_shift": (metric.cosine_shift, clean.embedding, pruned.embedding),
        "cls_distance": (metric.l2_shift, clean.embedding, pruned.embedding),
        "patch_shift": (metric.mean_cosine_shift, clean.patches, pruned.patches),
        "saliency_shift": (metric.correlation_shift, clean.saliency, pruned.saliency),
        "saliency_kl": (metric.map_divergence, clean.saliency, pruned.saliency),
        "js_divergence": (metric.js_divergence, clean.probabilities, pruned.probabilities),
        "flip_rate": (metric.flipped, clean.probabilities, pruned.probabilities),
        "probability_drop": (
            lambda before, after: metric.probability_drop(before, after, classes),  # type: ignore[arg-type]
            clean.probabilities,
            pruned.probabilities,
        ),
    }
    return {name: pairs[name][0](*pairs[name][1:]) for name in names if name in pairs}


def _groups(
    heads: Sequence[tuple[int, int]], columns: Sequence[int], at_once: int
) -> list[tuple[int, list[int]]]:
    """Columns of one layer each, at most `at_once` together: (layer, columns)."""
    found: list[tuple[int, list[int]]] = []
    for column in columns:
        layer = heads[column][0]
        if found and found[-1][0] == layer and len(found[-1][1]) < at_once:
            found[-1][1].append(column)
        else:
            found.append((layer, [column]))
    return found
