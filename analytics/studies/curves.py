"""How a model holds up as more and more heads are removed, in the order of each metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
    from analytics.studies.pictures import Survey
    from analytics.types import Fit

SHARES = (0.0, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
"""Points of a curve, as shares of all heads."""

TIMES_MEASURED, MOST_PICTURES = 4, 256
"""How many held-out pictures a labelled study's curves take; see `curve_pictures`."""

HeadSet = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class PruningCurves:
    """Quality against the number of heads removed by zero ablation, least important first.

    `metrics` maps a metric to its quality at each of `removed`; `random` holds one row for
    each random order, (orders, points). `quality` says what is measured, over `num_images`
    pictures, of which `num_measured` are those that gave the orders.
    """

    quality: str
    removed: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]
    random: np.ndarray
    num_images: int
    num_measured: int


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
        images: pictures on which the quality is measured; best not those of the record alone
            (see `curve_pictures`).
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
    total = len(record.heads)
    removed = tuple(dict.fromkeys(round(share * total) for share in SHARES))
    generator = np.random.default_rng(seed)
    ways = [removal_order(mean_importance(record, name)) for name in record.metrics]
    ways += [generator.permutation(total) for _ in range(orders)]
    rows = [
        [frozenset(record.heads[column] for column in order[:count]) for count in removed]
        for order in ways
    ]
    sets = tuple(dict.fromkeys(one for row in rows for one in row))
    found, read = qualities(loaded, sites, images, sets, labels, readout, fit, report)
    points = [[found[one] for one in row] for row in rows]
    known, measured = len(record.metrics), {image.sha256 for image in record.images}
    return PruningCurves(
        "share named right"
        if readout is not None and labels is not None
        else "cosine to the unpruned embedding",
        removed,
        {name: tuple(row) for name, row in zip(record.metrics, points, strict=False)},
        np.array(points[known:], np.float64).reshape(orders, len(removed)),
        len(read),
        sum(sha256 in measured for sha256 in read),
    )


def qualities(
    loaded: LoadedModel,
    sites: SiteMap,
    images: Sequence[ImageSource],
    sets: Sequence[HeadSet],
    labels: Sequence[str | None] | None,
    readout: ReadOut | None,
    fit: Fit,
    report: Progress,
) -> tuple[dict[HeadSet, float], list[str]]:
    """The quality that is left without each of many sets of heads.

    A few pictures at a time go through all sets, so that memory does not grow with pictures.

    Args:
        loaded: the model.
        sites: where it attends.
        images: pictures.
        sets: (layer, head) pairs that are removed together.
        labels: class of each picture, None where unknown; with `readout`.
        readout: names the classes.
        fit: how a picture is brought to the model's input size.
        report: called with (done, total, what is being done); may raise to cancel.

    Returns:
        For each set the share of labelled pictures named right, or without labels the mean
        cosine to the unpruned embedding; and the SHA-256 of each picture that was read.

    Raises:
        ValueError: no picture can be read, or labels that are all unknown or that the
            read-out does not have.
    """
    by_class = readout is not None and labels is not None
    reader = Reader(loaded, frozenset(), readout if by_class else None)
    truth = class_rows(labels, readout) if readout is not None and labels is not None else None
    sums, counted, read = dict.fromkeys(sets, 0.0), 0, list[str]()
    for batch in read_batches(images, loaded, fit, 8):
        size, seen = len(batch.indices), len(read)
        wanted = None if truth is None else truth[list(batch.indices)]
        clean = _read(loaded, sites, reader, batch.pixels, ())
        for place, heads in enumerate(sets):
            words = f"removing heads: pictures {seen + 1} to {seen + size} of {len(images)}"
            report(seen * len(sets) + size * place, len(images) * len(sets), words)
            found = _read(loaded, sites, reader, batch.pixels, tuple(heads)) if heads else clean
            sums[heads] += _total(clean, found, wanted)
        counted += size if wanted is None else int((wanted >= 0).sum())
        read += batch.sha256s
    if not counted:
        which = "pictures with a label" if read else "pictures"
        raise ValueError(f"expected {which} that can be read, got none; add pictures")
    return {heads: total / counted for heads, total in sums.items()}, read


def _total(clean: Tensor, found: Tensor, truth: Tensor | None) -> float:
    """Sum over pictures of what `qualities` averages; labels below 0 are unknown."""
    if truth is None:
        return float(torch.nn.functional.cosine_similarity(clean, found).double().sum())
    return float(((found.argmax(1).cpu() == truth) & (truth >= 0)).sum())


def curve_pictures(found: Survey, measured: Collection[str], seed: int = 0) -> Survey:
    """The pictures of a labelled study's curves: those measured, and more that were held out.

    Shares of few pictures are coarse: of 16, one picture is 6 %. Removing heads costs as many
    forward passes a picture as there are points, so four times the measured pictures are
    taken, at most 256, as many of each class as can be. (All numbers are ours.)

    Args:
        found: all pictures held out of the read-out's fit.
        measured: SHA-256 of those that the importance was measured on; they stay.
        seed: of the draw.

    Known answer: 2 measured pictures of class a, 4 more of a and 10 of b give 8, half of
    each class.
    """
    wanted = min(TIMES_MEASURED * len(measured), MOST_PICTURES)
    turns = Counter(label for sha256, label in found.content if sha256 in measured)
    rows = [row for row, sha256 in enumerate(found.sha256s) if sha256 not in measured]
    ranked = []
    for row in np.random.default_rng(seed).permutation(np.asarray(rows, np.int64)).tolist():
        turns[found.labels[row]] += 1
        ranked.append((turns[found.labels[row]], row))
    ranked.sort(key=lambda one: one[0])
    out = {found.sha256s[row] for _, row in ranked[max(0, wanted - len(measured)) :]}
    return found.without(out)


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
        values.get("num_measured", values["num_images"]),
    )


def picture_words(num_images: int, num_measured: int) -> str:
    """On how many pictures a curve stands: `12 pictures`, or how many of them gave the orders."""
    if num_measured >= num_images:
        return f"{num_images} picture{'' if num_images == 1 else 's'}"
    return f"{num_images} held-out pictures, {num_measured} of them measured"


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
