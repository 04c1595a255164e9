"""A smaller model: which heads go, what that costs and what it saves, measured."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analytics.metrics.ranking import removal_order
from analytics.models.pruning import count_parameters, prune_heads
from analytics.studies.attend import Progress
from analytics.studies.importance_tables import mean_importance

if TYPE_CHECKING:
    from torch import Tensor, nn

    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.importance_record import Importance
    from analytics.studies.latency import Latency
    from analytics.types import Fit

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Pruned:
    """A structurally pruned model beside its original, measured in one run.

    `heads` are the (layer, head) pairs that are gone, `modules` the same by the dotted name of
    their attention module, which the export needs. `predicted` is the cosine to the
    unpruned embedding that the single effects add up to (ours: effects are taken to add up),
    None where the cls shift was not measured; `measured` the one found. `accuracy` is (before,
    after) of the read-out on the pictures with a label, None without one.
    """

    module: nn.Module
    heads: Pairs
    modules: Mapping[str, Collection[int]]
    parameters: tuple[int, int]
    latency: Mapping[str, Latency]
    predicted: float | None
    measured: float
    num_images: int
    accuracy: tuple[float, float] | None = None


def parse_pairs(text: str) -> Pairs:
    """Heads as the command line writes them: `L3H5,L4H1`, or `3:5,4:1`.

    Raises:
        ValueError: an entry has another form.
    """
    found = []
    for entry in filter(None, text.replace(" ", "").split(",")):
        match = re.fullmatch(r"L?(\d+)[:H](\d+)", entry, re.IGNORECASE | re.ASCII)
        if match is None:
            raise ValueError(f"expected heads as L3H5,L4H1; got {entry!r}")
        found.append((int(match.group(1)), int(match.group(2))))
    return tuple(dict.fromkeys(found))


def least_important(
    heads: Sequence[tuple[int, int]], importance: np.ndarray, budget: float
) -> Pairs:
    """The heads to remove for a budget, least important first.

    Args:
        heads: (layer, head) of each column.
        importance: mean of one metric, (heads,).
        budget: below 1 a share of all heads (rounded), otherwise a number of heads.

    Raises:
        ValueError: a budget that is negative, larger than there are heads or no whole number.
    """
    if not 0 <= budget <= len(heads) or (budget >= 1 and budget != int(budget)):
        raise ValueError(
            f"expected a budget below 1 (a share) or of 1 to {len(heads)} heads; got {budget:g}"
        )
    count = round(budget * len(heads)) if budget < 1 else int(budget)
    return tuple(heads[column] for column in removal_order(importance)[:count])


def modules_of(sites: SiteMap, heads: Pairs) -> dict[str, set[int]]:
    """Heads by the dotted name of their attention module.

    Raises:
        ValueError: the model has no such layer.
    """
    found: dict[str, set[int]] = {}
    for layer, head in heads:
        if not 0 <= layer < len(sites.sites):
            raise ValueError(f"expected layers 0 to {len(sites.sites) - 1}; got L{layer} H{head}")
        found.setdefault(sites.sites[layer].module, set()).add(head)
    return found


def prune_and_measure(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    heads: Pairs,
    record: Importance | None = None,
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    rounds: int = 8,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> Pruned:
    """Cut heads out of a model and measure both models in one run.

    Args:
        loaded: the model.
        images: pictures on which embeddings are compared and time is taken.
        heads: (layer, head) pairs to remove.
        record: gives the predicted quality where it has the cls shift.
        labels: class of each picture, None where unknown; with `readout`.
        readout: names classes from either model's features.
        fit: how a picture is brought to the model's input size.
        rounds: of the timing.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: no heads, a head that is not there, a family that cannot be cut, no picture
            that can be read, or labels that the read-out does not know.
    """
    from analytics.capture.tracing import find_sites
    from analytics.studies.latency import measure_latency

    if not heads:
        raise ValueError("expected at least one head to remove, got none; choose heads or a budget")
    report = progress or (lambda done, total, message: None)
    report(0, 3, "cutting heads out")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    modules = modules_of(sites, heads)
    module = prune_heads(loaded.module, modules)
    report(1, 3, "comparing embeddings")
    found = _compare(loaded, module, images, labels, readout, fit)
    report(2, 3, "taking the time of both models")
    latency = measure_latency({"full": loaded.module, "pruned": module}, found.first, rounds)
    report(3, 3, "done")
    return Pruned(
        module,
        heads,
        modules,
        (count_parameters(loaded.module), count_parameters(module)),
        latency,
        None if record is None else predicted_cosine(record, heads),
        float(found.cosines.mean()),
        len(found.cosines),
        found.accuracy,
    )


class _Compared(NamedTuple):
    """Cosine of each picture's two embeddings, accuracies, and the first batch of pictures."""

    cosines: Tensor
    accuracy: tuple[float, float] | None
    first: Tensor


def _compare(
    loaded: LoadedModel,
    module: nn.Module,
    images: Sequence[ImageSource],
    labels: Sequence[str | None] | None,
    readout: ReadOut | None,
    fit: Fit,
) -> _Compared:
    """Run both models on the pictures."""
    import torch

    from analytics.studies.curves import class_rows
    from analytics.studies.features import read_batches
    from analytics.studies.reading import Reader
    from analytics.studies.slopes import forward_with_read

    by_class = readout is not None and labels is not None
    reader = Reader(loaded, frozenset(), readout if by_class else None)
    cosines, named, kept = [], [], list[int]()
    first: Tensor | None = None
    for batch in read_batches(images, loaded, fit, 8):
        first = batch.pixels if first is None else first
        with torch.no_grad():
            before, after = (
                reader.read(*forward_with_read(one, batch.pixels, reader.read_layer))
                for one in (loaded.module, module)
            )
        pair = before.embedding.float(), after.embedding.float()
        cosines.append(torch.nn.functional.cosine_similarity(*pair))
        if before.probabilities is not None and after.probabilities is not None:
            named.append(torch.stack([before.probabilities, after.probabilities]).argmax(2).cpu())
        kept += batch.indices
    if first is None:
        raise ValueError("expected pictures that can be read, got none; add pictures")
    accuracy = None
    if readout is not None and labels is not None:
        truth = class_rows([labels[row] for row in kept], readout)
        right = (torch.cat(named, dim=1) == truth)[:, truth >= 0].float().mean(dim=1)
        accuracy = (float(right[0]), float(right[1]))
    return _Compared(torch.cat(cosines), accuracy, first)


def predicted_cosine(record: Importance, heads: Pairs) -> float | None:
    """1 minus the sum of the heads' mean cls shifts, at least -1; None where unmeasured (ours)."""
    if "cls_shift" not in record.metrics:
        return None
    means = mean_importance(record, "cls_shift")
    for pair in heads:
        record.column(*pair)  # refuses a head that is not there
    return added_up(dict(zip(record.heads, means.tolist(), strict=True)), heads)


def added_up(shifts: Mapping[tuple[int, int], float], heads: Pairs) -> float | None:
    """The cosine that is left if the heads' effects add up (ours).

    Args:
        shifts: mean cls shift of each head.
        heads: those removed.

    Returns:
        1 minus the sum of their shifts, at least -1; None where one was not measured.
    """
    total = sum(shifts.get(pair, math.nan) for pair in heads)
    return None if math.isnan(total) else max(-1.0, 1.0 - total)
