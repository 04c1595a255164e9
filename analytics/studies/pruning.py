"""A smaller model: which heads go, what that costs and what it saves, measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.ranking import removal_order
from analytics.models.pruning import count_parameters, obstacle, prune_heads
from analytics.studies.attend import Progress

if TYPE_CHECKING:
    from torch import nn

    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.registry import LoadedModel
    from analytics.studies.importance_record import Importance
    from analytics.studies.latency import Latency
    from analytics.types import Fit

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Pruned:
    """A structurally pruned model beside its original, measured in one run.

    `heads` are the (layer, head) pairs that are gone. `predicted` is the cosine to the
    unpruned embedding that the single effects add up to (ours: effects are taken to add up),
    None where the cls shift was not measured; `measured` the one found. `accuracy` is (before,
    after) of the read-out on its held-out pictures, None without one.
    """

    module: nn.Module
    heads: Pairs
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
        ValueError: a budget that is negative or larger than there are heads.
    """
    count = round(budget * len(heads)) if budget < 1 else int(budget)
    if not 0 <= count <= len(heads) or budget < 0:
        raise ValueError(
            f"expected a budget below 1 (a share) or of 1 to {len(heads)} heads; got {budget:g}"
        )
    return tuple(heads[column] for column in removal_order(importance)[:count])


def modules_of(sites: SiteMap, heads: Pairs) -> dict[str, set[int]]:
    """Heads by the dotted name of their attention module.

    Raises:
        ValueError: the model has no such layer, or a layer's heads cannot be cut out.
    """
    found: dict[str, set[int]] = {}
    for layer, head in heads:
        if not 0 <= layer < len(sites.sites):
            raise ValueError(f"expected layers 0 to {len(sites.sites) - 1}; got L{layer} H{head}")
        found.setdefault(sites.sites[layer].module, set()).add(head)
    return found


def prune_and_measure(
    loaded: LoadedModel,
    sites: SiteMap,
    images: Sequence[ImageSource],
    heads: Pairs,
    record: Importance | None = None,
    fit: Fit = "crop",
    rounds: int = 8,
    progress: Progress | None = None,
) -> Pruned:
    """Cut heads out of a model and measure both models in one run.

    Args:
        loaded: the model.
        sites: where it attends.
        images: pictures on which embeddings are compared and time is taken.
        heads: (layer, head) pairs to remove.
        record: gives the predicted quality where it has the cls shift.
        fit: how a picture is brought to the model's input size.
        rounds: of the timing.
        progress: called with (done, total, what is being done); may raise to cancel.

    Raises:
        ValueError: no heads, a head that is not there, or a family that cannot be cut.
    """
    import torch

    from analytics.studies.features import read_batches
    from analytics.studies.latency import measure_latency
    from analytics.studies.reading import Reader

    if not heads:
        raise ValueError("expected at least one head to remove, got none; choose heads or a budget")
    report = progress or (lambda done, total, message: None)
    report(0, 3, "cutting heads out")
    module = prune_heads(loaded.module, modules_of(sites, heads))
    report(1, 3, "comparing embeddings")
    reader = Reader(loaded, frozenset(), None)
    cosines, first = [], None
    for batch in read_batches(images, loaded, fit, 8):
        first = batch.pixels if first is None else first
        with torch.no_grad():
            ends = [one.forward_features(batch.pixels) for one in (loaded.module, module)]  # type: ignore[operator]
        before, after = (reader.embedding(end).float() for end in ends)
        cosines.append(torch.nn.functional.cosine_similarity(before, after))
    if first is None:
        raise ValueError("expected pictures that can be read, got none; add pictures")
    report(2, 3, "taking the time of both models")
    latency = measure_latency({"full": loaded.module, "pruned": module}, first, rounds)
    report(3, 3, "done")
    found = torch.cat(cosines)
    return Pruned(
        module,
        heads,
        (count_parameters(loaded.module), count_parameters(module)),
        latency,
        None if record is None else predicted_cosine(record, heads),
        float(found.mean()),
        len(found),
    )


def predicted_cosine(record: Importance, heads: Pairs) -> float | None:
    """1 minus the sum of the heads' mean cls shifts, at least -1; None where unmeasured (ours)."""
    if "cls_shift" not in record.metrics:
        return None
    table = record.table("cls_shift")
    columns = [record.column(*pair) for pair in heads]
    return max(-1.0, 1.0 - float(np.nanmean(table[:, columns], axis=0).sum()))


def prune_iteratively(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    metric: str,
    budget: float,
    steps: int = 4,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
) -> Pairs:
    """Which heads go when importance is measured again after each step.

    Args:
        loaded: the model.
        images: pictures to measure on.
        metric: the importance; signed ones count by size.
        budget: as in `least_important`, of the full model's heads.
        steps: how often heads are removed, about as many each time.
        fit: how a picture is brought to the model's input size.
        seed: of random draws.
        progress: called with (done, total, what is being done); may raise to cancel.

    Returns:
        (layer, head) pairs of the full model, in the order of their removal.

    Raises:
        ValueError: a family that cannot be cut, or as `measure_importance`.
    """
    from analytics.capture.tracing import find_sites
    from analytics.studies.importance import measure_importance

    report = progress or (lambda done, total, message: None)
    sites = find_sites(loaded.module, loaded.input_size)
    for site in sites.sites:
        reason = obstacle(loaded.module, site.module)
        if reason:
            raise ValueError(f"the heads of {site.module} cannot be cut out: {reason}")
    left = {site.module: list(range(site.num_heads)) for site in sites.sites}
    layer_of = {site.module: site.index for site in sites.sites}
    everything = sum(map(len, left.values()))
    count = len(least_important([(0, 0)] * everything, np.zeros(everything), budget))
    gone: list[tuple[int, int]] = []
    for step in range(steps):
        wanted = round(count * (step + 1) / steps) - len(gone)
        if wanted <= 0:
            continue

        def inner(done: float, total: float, message: str, step: int = step) -> None:
            share = done / total if total else 0.0
            report(step + share, steps, f"step {step + 1} of {steps}: {message}")

        module = prune_heads(loaded.module, modules_of(sites, tuple(gone)))
        smaller = replace(loaded, module=module)
        now = find_sites(module, loaded.input_size)
        record = measure_importance(
            smaller, images, (metric,), fit=fit, seed=seed, progress=inner, sites=now
        )
        means = np.abs(np.nanmean(record.table(metric), axis=0))
        for site_index, place in least_important(record.heads, means, wanted):
            name = now.sites[site_index].module
            gone.append((layer_of[name], left[name][place]))
        for layer, head in gone:
            name = sites.sites[layer].module
            if head in left[name]:
                left[name].remove(head)
    return tuple(gone)
