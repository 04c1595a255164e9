"""How a model holds up as more and more heads are removed, in the order of each metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from analytics.capture.recording import capture, switch_off
from analytics.metrics.ranking import removal_order
from analytics.studies.attend import Progress
from analytics.studies.features import read_batches
from analytics.studies.importance_tables import mean_importance
from analytics.studies.reading import Reader

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.importance_record import Importance
    from analytics.types import Fit

SHARES = (0.0, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
"""Points of a curve, as shares of all heads."""


@dataclass(frozen=True)
class PruningCurves:
    """Quality against the number of heads removed by zero ablation, least important first.

    `metrics` maps a metric to its quality at each of `removed`; `random` holds one row for
    each random order, (orders, points). `quality` says what is measured, over `num_images`.
    """

    quality: str
    removed: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]
    random: np.ndarray
    num_images: int


def pruning_curves(
    loaded: LoadedModel,
    sites: SiteMap,
    images: Sequence[ImageSource],
    record: Importance,
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    orders: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> PruningCurves:
    """Remove heads in the order of every metric of a record, and in random orders.

    Args:
        loaded: the model of the record.
        sites: where it attends.
        images: pictures on which the quality is measured; best not those of the record.
        record: gives the orders, by each metric's mean over its images; signed ones count by
            size, and heads that were not measured go last.
        labels: class of each picture, with `readout`: the quality is then the share named
            right; without labels it is the mean cosine to the unpruned embedding.
        readout: names the classes.
        fit: how a picture is brought to the model's input size.
        orders: how many random orders.
        seed: of the random orders.
        progress: called with (done, total, what is being done); may raise to cancel.

    Raises:
        ValueError: no picture can be read, or labels that are all unknown or that the
            read-out does not have.
    """
    report = progress or (lambda done, total, message: None)
    report(0, 0, "reading the pictures")
    batches = list(read_batches(images, loaded, fit, 8))
    if not batches:
        raise ValueError("expected pictures that can be read, got none; add pictures")
    named = [None if labels is None else [labels[i] for i in b.indices] for b in batches]
    measure = quality_of(loaded, sites, [b.pixels for b in batches], named, readout)
    total = len(record.heads)
    removed = tuple(dict.fromkeys(round(share * total) for share in SHARES))
    generator = np.random.default_rng(seed)
    ways = {name: removal_order(mean_importance(record, name)) for name in record.metrics}
    rows: dict[str, tuple[float, ...]] = {}
    shuffled = [generator.permutation(total) for _ in range(orders)]
    known = {0: measure(()), total: measure(record.heads)}
    done, steps = 0, (len(ways) + orders) * len(removed)

    def curve(order: np.ndarray, name: str) -> tuple[float, ...]:
        nonlocal done
        found = []
        for count in removed:
            report(done, steps, f"removing heads: {name}")
            gone = [record.heads[column] for column in order[:count]]
            found.append(known[count] if count in known else measure(gone))
            done += 1
        return tuple(found)

    for name, order in ways.items():
        rows[name] = curve(order, name)
    random = np.array([curve(order, "random order") for order in shuffled])
    random = random.reshape(orders, len(removed))  # no random order is asked for: (0, points)
    with_labels = readout is not None and labels is not None
    quality = "share named right" if with_labels else "cosine to the unpruned embedding"
    return PruningCurves(quality, removed, rows, random, sum(len(b.indices) for b in batches))


def quality_of(
    loaded: LoadedModel,
    sites: SiteMap,
    pixels: Sequence[Tensor],
    labels: Sequence[Sequence[str | None] | None],
    readout: ReadOut | None,
) -> Callable[[Sequence[tuple[int, int]]], float]:
    """A function from the heads removed to the quality that is left.

    Args:
        loaded: the model.
        sites: where it attends.
        pixels: batches, (b, 3, height, width).
        labels: of each batch; None measures the cosine to the unpruned embedding.
        readout: names the classes.

    Raises:
        ValueError: labels that are all unknown, or that the read-out does not have.
    """
    by_class = readout is not None and all(one is not None for one in labels)
    reader = Reader(loaded, frozenset(), readout if by_class else None)
    truth = None
    if by_class and readout is not None:
        truth = class_rows([name for one in labels for name in one or ()], readout)
    clean = [] if by_class else [_read(loaded, sites, reader, batch, ()) for batch in pixels]

    def quality(heads: Sequence[tuple[int, int]]) -> float:
        found = [_read(loaded, sites, reader, batch, heads) for batch in pixels]
        if truth is None:
            cosine = torch.nn.functional.cosine_similarity
            return float(
                torch.cat([cosine(a, b) for a, b in zip(clean, found, strict=True)]).mean()
            )
        hits = torch.cat([one.argmax(1).cpu() for one in found]) == truth
        return float(hits[truth >= 0].float().mean())

    return quality


def class_rows(labels: Sequence[str | None], readout: ReadOut) -> Tensor:
    """Labels as positions in the read-out's classes, int64 (images,); -1 where unknown.

    Raises:
        ValueError: labels that are all unknown, or that the read-out does not have.
    """
    places: dict[str | None, int] = {name: place for place, name in enumerate(readout.classes)}
    places[None] = -1
    unknown = sorted({str(name) for name in labels if name not in places})
    if unknown or not any(name is not None for name in labels):
        raise ValueError(
            f"expected labels out of the read-out's classes ({', '.join(readout.classes[:8])}), "
            f"got {unknown[0] if unknown else 'none'}; fit a read-out on these labels"
        )
    return torch.tensor([places[name] for name in labels])


def curves_values(curves: PruningCurves) -> dict[str, Any]:
    """Curves as plain values that JSON can hold."""
    return {**asdict(curves), "random": curves.random.tolist()}


def restore_curves(values: Mapping[str, Any]) -> PruningCurves:
    """What `curves_values` was given."""
    return PruningCurves(
        values["quality"],
        tuple(values["removed"]),
        {name: tuple(points) for name, points in values["metrics"].items()},
        np.asarray(values["random"], np.float64).reshape(-1, len(values["removed"])),
        values["num_images"],
    )


@torch.no_grad()
def _read(
    loaded: LoadedModel,
    sites: SiteMap,
    reader: Reader,
    pixels: Tensor,
    heads: Sequence[tuple[int, int]],
) -> Tensor:
    """Class probabilities where there are classes, otherwise the embedding."""
    from analytics.studies.slopes import forward_with_read

    with capture(loaded.module, sites, gates=switch_off(sites, heads)):
        read = reader.read(*forward_with_read(loaded.module, pixels, reader.read_layer))
    return read.embedding.float() if read.probabilities is None else read.probabilities
