"""The steps of an ablation one after the other, each kept as soon as it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from analytics.metrics.binding_subspace import Subspace
from analytics.store.results import ResultStore
from analytics.studies.attend import Progress
from analytics.studies.binding_ablation_passes import AblationPasses
from analytics.studies.binding_ablation_record import (
    AblationChoices,
    BindingAblation,
    SubspaceName,
)
from analytics.studies.binding_ablation_scores import EndScorer
from analytics.studies.binding_edits import UNCHANGED

FIRST_STEP = 1
"""Parts of a kept result: 0 is the whole record, those from here on its steps."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the steps are measured with.

    `partial` gets the record as it stands after every step.
    """

    passes: AblationPasses
    scorer: EndScorer
    subspaces: Mapping[SubspaceName, Subspace]
    chosen: AblationChoices
    store: ResultStore | None
    report: Progress
    partial: Callable[[BindingAblation], None]


def unmeasured(chosen: AblationChoices, clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (S, T, measures, 3) and energy (S, T) before a step is measured: NaN.

    A step that changes nothing is the unchanged model, bit for bit, and moves nothing.
    """
    shape = (len(chosen.subspaces), len(chosen.steps))
    values = np.full((*shape, *clean.shape), np.nan, np.float32)
    moved = np.full(shape, np.nan, np.float32)
    for at, (edit, amount) in enumerate(chosen.steps):
        if amount == UNCHANGED[edit]:
            values[:, at], moved[:, at] = clean, 0
    return values, moved


def ordered_steps(chosen: AblationChoices) -> list[tuple[int, int]]:
    """Row and place of every step that changes something: strong edits first, in all subspaces."""
    places = [at for at, (edit, amount) in enumerate(chosen.steps) if amount != UNCHANGED[edit]]
    places.sort(key=lambda at: -abs(chosen.steps[at][1] - UNCHANGED[chosen.steps[at][0]]))
    return [(row, at) for at in places for row in range(len(chosen.subspaces))]


def run_sweep(sweep: Sweep, record: BindingAblation) -> BindingAblation:
    """Measure every step that is not kept yet.

    Args:
        sweep: passes, scores, and where steps are kept.
        record: with nothing measured (see `unmeasured`).

    Returns:
        The record with every step.
    """
    values, moved = record.values.copy(), record.moved.copy()
    kept = _kept(sweep, record)
    order = ordered_steps(sweep.chosen)
    # The first step was the unchanged model.
    for done, (row, at) in enumerate(order, start=1):
        name, (edit, amount) = sweep.chosen.subspaces[row], sweep.chosen.steps[at]
        sweep.report(done, len(order) + 1, f"{edit} {amount:g} of the {name} subspace")
        part = FIRST_STEP + row * len(sweep.chosen.steps) + at
        found = kept.get(part)
        if found is None:
            found = _measured(sweep, row, at)
            if sweep.store is not None:
                sweep.store.put(record.id, part, found, {"step": [name, edit, amount]})
        values[row, at], moved[row, at] = found["values"], found["moved"]
        sweep.partial(replace(record, values=values.copy(), moved=moved.copy()))
    sweep.report(len(order) + 1, len(order) + 1, "done")
    return replace(record, values=values, moved=moved)


def _kept(sweep: Sweep, record: BindingAblation) -> dict[int, dict[str, np.ndarray]]:
    if sweep.store is None:
        return {}
    sweep.store.begin(record.id, {"id": record.id, "model_label": record.model_label})
    return {part: arrays for part, arrays, _ in sweep.store.parts(record.id)}


def _measured(sweep: Sweep, row: int, at: int) -> dict[str, np.ndarray]:
    name, (edit, amount) = sweep.chosen.subspaces[row], sweep.chosen.steps[at]
    own = sweep.subspaces[name]
    # The whole stream moves what it moves; all others as much as the binding part.
    measure = own if name == "stream" else sweep.subspaces["binding"]
    ends, moved = sweep.passes.changed(measure, own, edit, amount, sweep.chosen.seed)
    return {
        "values": sweep.scorer.score(ends).astype(np.float32),
        "moved": np.array(moved, np.float32),
    }
