"""Which heads go when importance is measured again after every few of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.models.pruning import obstacle
from analytics.studies.attend import Progress
from analytics.studies.importance_tables import mean_importance
from analytics.studies.pruning import Pairs, least_important, modules_of

if TYPE_CHECKING:
    from torch import nn

    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.types import Fit


def prune_iteratively(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    metric: str,
    budget: float,
    steps: int = 4,
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> Pairs:
    """Which heads go when importance is measured again after each step.

    After each step the model is the one without the heads that are gone, by zero ablation: the
    layers keep their numbers, also one that has lost all its heads, so that a read-out of
    layer N goes on reading layer N.

    Args:
        loaded: the model.
        images: pictures to measure on.
        metric: the importance; signed ones count by size.
        budget: as in `least_important`, of the full model's heads.
        steps: how often heads are removed, about as many each time; at least 1.
        labels: class of each picture, None where unknown; only with `readout`.
        readout: gives class probabilities, fitted on the full model; None for the model's own
            head where the metric needs classes.
        fit: how a picture is brought to the model's input size.
        seed: of random draws.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Returns:
        (layer, head) pairs of the full model, in the order of their removal; ties go by layer
        and head.

    Raises:
        ValueError: no step, a family that cannot be cut, or as `measure_importance`.
    """
    from analytics.capture.tracing import find_sites
    from analytics.studies.importance import measure_importance

    if steps < 1:
        raise ValueError(f"expected at least 1 step, got {steps}; 1 removes all heads at once")
    report = progress or (lambda done, total, message: None)
    sites = sites or find_sites(loaded.module, loaded.input_size)
    _check_cuts(loaded, sites)
    everything = sum(site.num_heads for site in sites.sites)
    count = len(least_important([(0, 0)] * everything, np.zeros(everything), budget))
    gone: list[tuple[int, int]] = []
    for step in range(steps):
        wanted = round(count * (step + 1) / steps) - len(gone)
        if wanted <= 0:
            continue

        def inner(done: float, total: float, message: str, step: int = step) -> None:
            share = done / total if total else 0.0
            report(step + share, steps, f"step {step + 1} of {steps}: {message}")

        module = silenced(loaded.module, modules_of(sites, tuple(gone)))
        record = measure_importance(
            replace(loaded, module=module),
            images,
            (metric,),
            labels=labels,
            readout=readout,
            fit=fit,
            seed=seed,
            progress=inner,
            sites=sites,
        )
        left = [column for column, pair in enumerate(record.heads) if pair not in gone]
        means = mean_importance(record, metric)[left]
        gone += least_important([record.heads[column] for column in left], means, wanted)
    return tuple(gone)


def silenced(model: nn.Module, heads: Mapping[str, Collection[int]]) -> nn.Module:
    """A copy of a model in which some heads hand on nothing; all other tensors are shared.

    Args:
        model: of a family whose heads can be cut out; it is not changed.
        heads: dotted name of an attention module -> its heads.

    Returns:
        A model of the same shape. Known answer: the same output as `prune_heads` gives.
    """
    from torch import nn

    from analytics.capture.replay import shared_copy

    copied = shared_copy(model)
    for name, chosen in heads.items():
        attention = copied.get_submodule(name)
        weight = attention.proj.weight.detach().clone()  # type: ignore[union-attr, operator]
        columns = weight.unflatten(1, (attention.num_heads, -1))  # type: ignore[arg-type]
        columns[:, sorted(chosen)] = 0  # width of the output, heads, width of a head
        attention.proj.weight = nn.Parameter(weight, requires_grad=False)  # type: ignore[union-attr]
    return copied


def _check_cuts(loaded: LoadedModel, sites: SiteMap) -> None:
    """Refuse a family that cannot be cut before anything is measured.

    Raises:
        ValueError: names the layer and the reason.
    """
    for site in sites.sites:
        reason = obstacle(loaded.module, site.module)
        if reason:
            raise ValueError(
                f"the heads of {site.module} cannot be cut out: {reason}. Use zero ablation instead"
            )
