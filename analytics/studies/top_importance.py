"""The most important heads of a model, measured on as few pictures as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.store.results import ResultStore, content_key
from analytics.studies.adaptive import AdaptiveResult, find_top_heads
from analytics.studies.attend import Progress
from analytics.studies.batching import BATCH
from analytics.studies.importance import check_study, importance_key, importance_plan
from analytics.studies.importance_record import Importance, assemble
from analytics.studies.pictures import Reference, Survey, class_numbers, survey
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.effects import HeadEffects

VERSION = 1
"""Raised whenever what is kept of a search changes."""

ERROR_RATE = 0.05


@dataclass(frozen=True)
class TopHeads:
    """The search, and what it measured as a record; NaN where a head was left out.

    `heads` are the most important ones, (layer, head), the largest mean first; `reused` says
    that nothing had to be measured for it.
    """

    record: Importance
    search: AdaptiveResult
    heads: tuple[tuple[int, int], ...]
    reused: bool


def find_important_heads(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    metric: str,
    k: int,
    ablation: str = "zero",
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    store: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> TopHeads:
    """Find the k most important heads by one metric; see `find_top_heads` for the bound.

    What was measured is kept in the store, a few pictures at a time: the same search goes on
    after it, and `load_search` reads what there is. The arguments are those of
    `measure_importance` with one metric, and k.

    Raises:
        ValueError: as `measure_importance` and `find_top_heads`; a signed metric.
    """
    report = progress or (lambda done, total, message: None)
    report(0, 0, "reading the pictures")
    found = survey(images, labels)
    check_study(found.labels, ablation, len(found.images), readout)
    key = search_key(loaded, found.content, metric, k, ablation, readout, fit, seed)
    asked = _Asked(loaded, found, metric, ablation, readout, fit, seed, store, key, report)
    plan = importance_plan(loaded, key, found, (metric,), ablation, readout, fit, seed, command)
    plan = asked.begin(plan)
    search = find_top_heads(
        asked.measure, len(asked.readable), len(plan["heads"]), k, ERROR_RATE, seed=seed
    )
    rows = search.images.tolist()
    record = _record(plan, rows, search.measured[rows])
    heads = tuple(record.heads[column] for column in search.top.tolist())
    return TopHeads(record, search, heads, not asked.measured)


def search_key(
    loaded: LoadedModel,
    images: Sequence[tuple[str, str | None]],
    metric: str,
    k: int,
    ablation: str,
    readout: ReadOut | None,
    fit: Fit,
    seed: int,
) -> str:
    """The id of a search; the arguments are those of `importance_key` with one metric, and k."""
    own = importance_key(loaded, images, (metric,), ablation, readout, fit, seed)
    return content_key({"importance": own, "top": k, "version": VERSION})


def load_search(store: ResultStore, key: str) -> Importance | None:
    """What a search has measured so far; None where that is nothing."""
    plan, parts = store.plan(key), [arrays for _, arrays, _ in store.parts(key)]
    if plan is None or not parts:
        return None
    rows = np.concatenate([arrays["rows"] for arrays in parts])
    values = np.full((len(rows), len(plan["heads"])), np.nan)
    for places, arrays in zip(_places([len(one["rows"]) for one in parts]), parts, strict=True):
        values[np.ix_(places, arrays["columns"])] = arrays["values"]
    return _record(plan, rows.tolist(), values)


def _places(sizes: Sequence[int]) -> list[np.ndarray]:
    """Positions of parts that lie one behind the other."""
    return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


def _record(plan: Mapping[str, Any], rows: Sequence[int], values: np.ndarray) -> Importance:
    """A record of some of the readable pictures; `values` is (rows, heads)."""
    images = [plan["readable"][row] for row in rows]
    about = {
        "heads": plan["heads"],
        "images": [[*one, None, None] for one in images],
        "sha256s": [sha256 for _, sha256, _ in images],
        "unreadable": plan["unreadable"],
    }
    return assemble(plan, [({"values": values.astype(np.float32)[None]}, about)])


class _Asked:
    """Measures what the search asks for, or finds what it was told before."""

    def __init__(
        self,
        loaded: LoadedModel,
        found: Survey,
        metric: str,
        ablation: str,
        readout: ReadOut | None,
        fit: Fit,
        seed: int,
        store: ResultStore | None,
        key: str,
        report: Progress,
    ) -> None:
        from analytics.capture.tracing import find_sites
        from analytics.studies.effects import HeadEffects

        sites = find_sites(loaded.module, loaded.input_size)
        self._effects: HeadEffects = HeadEffects(loaded, sites, (metric,), readout)
        self._others = Reference(loaded, found, self._effects, ablation, fit, seed)
        self._classes = {name: i for i, name in enumerate(readout.classes)} if readout else {}
        self._loaded, self._found, self._metric, self._fit = loaded, found, metric, fit
        self._seed, self._store, self._key, self._report = seed, store, key, report
        self._known = {} if store is None else {n: arrays for n, arrays, _ in store.parts(key)}
        self._number, self._total = 0, 0
        self.measured = 0
        self.readable: list[int] = []

    def begin(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan with the model's heads and the pictures that cannot be read."""
        held = None if self._store is None else self._store.plan(self._key)
        plan |= self._look() if held is None else {k: held[k] for k in ("heads", "unreadable")}
        found, bad = self._found, {sha256 for _, _, sha256 in plan["unreadable"]}
        self.readable = [i for i, sha256 in enumerate(found.sha256s) if sha256 not in bad]
        plan["readable"] = [
            [found.names[i], found.sha256s[i], found.labels[i]] for i in self.readable
        ]
        if self._store is not None:
            self._store.begin(self._key, plan)
        return plan

    def _look(self) -> dict[str, Any]:
        """Decode every picture once, and run the model on the first to know its heads."""
        from analytics.studies.features import read_batches

        found, bad = self._found, []
        heads: list[list[int]] = []

        def skip(name: str, reason: str) -> None:
            bad.append([name, reason, found.sha256s[found.names.index(name)]])

        for batch in read_batches(found.images, self._loaded, self._fit, 1, skip):
            self._report(batch.indices[0], len(found.images), "looking through the pictures")
            if not heads:
                outputs, _ = self._effects.outputs(batch.pixels)
                heads = [[i, h] for i, one in enumerate(outputs) for h in range(one.shape[2])]
        if not heads:
            raise ValueError(f"expected pictures that can be read, got none: {bad[0][1]}")
        return {"heads": heads, "unreadable": bad}

    def measure(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        """One metric of some heads on some readable pictures, (images, heads)."""
        chunks = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        return np.concatenate([self._part(chunk, columns) for chunk in chunks])

    def _part(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        """The same for few pictures, from the store or kept there."""
        number, self._number = self._number, self._number + 1
        values = self._remembered(number, rows, columns)
        if values is None:
            values = self._measure(rows, columns)
            if self._store is not None:
                arrays = {"values": values, "rows": np.array(rows), "columns": np.array(columns)}
                self._store.put(self._key, number, arrays, {})
        self._total += len(rows)
        return values

    def _remembered(
        self, number: int, rows: Sequence[int], columns: Sequence[int]
    ) -> np.ndarray | None:
        held = self._known.get(number)
        if held is None or held["rows"].tolist() != list(rows):
            return None
        return held["values"] if held["columns"].tolist() == list(columns) else None

    def _measure(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
        from analytics.studies.features import read_batches

        if not self.measured:
            self._others.prepare(self._report)
        places = [self.readable[row] for row in rows]
        values = np.full((len(rows), len(columns)), np.nan)
        images = [self._found.images[place] for place in places]
        for batch in read_batches(images, self._loaded, self._fit, BATCH):
            named = [self._found.labels[places[index]] for index in batch.indices]
            base = self._total + batch.indices[0]

            def step(done: int, heads: int, base: int = base) -> None:
                words = f"{len(columns)} heads undecided; picture {base + 1}, head {done}/{heads}"
                self._report(base, len(self.readable), words)

            got = self._effects.measure(
                batch.pixels,
                class_numbers(named, self._classes),
                self._others.filling(batch.sha256s),
                self._others.prototypes(batch.sha256s),
                self._seed + int(batch.sha256s[0][:8], 16),
                columns,
                step,
            )
            table = got.values[self._metric].cpu().numpy()
            values[list(batch.indices)] = table[:, list(columns)]
            self.measured += len(batch.indices)
        return values


def search_summary(found: TopHeads) -> dict[str, Any]:
    """How the search went, as plain values: for files and summaries."""
    search = found.search
    return {
        "heads": [list(pair) for pair in found.heads],
        "work": search.work,
        "images_drawn": len(search.images),
        "images": len(search.measured),
        "looks": list(search.looks),
        "error_rate": search.error_rate,
        "decided": search.decided,
        "exact": search.exact,
    }
