"""The result of a study of object binding: how well each probe tells same from different."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analytics.metrics.binding import AUCS, MEASURES
from analytics.store.provenance import parse_provenance
from analytics.store.results import ResultStore
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    import pandas as pd

    from analytics.models.binding_probes import BindingProbe

RowKind = Literal["probe", "control", "baseline"]
LINKS = ("score_pearson", "score_rank", "truth_pearson", "truth_rank", "auc", "top_share")
SPECTRUM = 64
"""Eigenvalues of a probe's matrix that are kept, the largest."""


@dataclass(frozen=True)
class BoundImage:
    """An image of the study; `part` is its part of the split of the first seed."""

    name: str
    sha256: str
    family: str
    part: str


@dataclass(frozen=True)
class Binding:
    """Every probe at every point, for every seed, on test images.

    R rows (`rows` with their `kinds`): probes, controls named "quadratic, random weights", and
    baselines, which are the same at all points. P points: 0 is the embedding, l the output of the
    l-th layer. S seeds. NaN stands for what is not measured (yet).

    `values` is float32 (R, P, S, measures, 3): value, low and high of each of `MEASURES`;
    `by_family` (R, P, S, families, 4) and `by_distance` (R, P, S, distances, 4): each of `AUCS`
    (of a distance, in patches from 0, the first two are the same); `pairs` int64
    (S, distances, 2): different and same pairs; `spectra` (R, P, SPECTRUM) of the first seed, and
    `dimensions` float32 (R, P, S), eigenvalues that hold nine tenths. `link` maps each of `LINKS`
    to (layers, heads + 1), the mean over heads last; empty where it was not asked for.
    """

    id: str
    model_label: str
    caution: str
    grid: PatchGrid
    rows: tuple[str, ...]
    kinds: tuple[RowKind, ...]
    seeds: tuple[int, ...]
    families: tuple[str, ...]
    values: np.ndarray
    by_family: np.ndarray
    by_distance: np.ndarray
    pairs: np.ndarray
    spectra: np.ndarray
    dimensions: np.ndarray
    link: Mapping[str, np.ndarray]
    images: tuple[BoundImage, ...]
    images_wanted: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    done: int
    wanted: int
    provenance: Provenance

    @property
    def points(self) -> int:
        """Number of points, one more than layers."""
        return int(self.values.shape[1])

    @property
    def complete(self) -> bool:
        """Whether every probe of every seed has been fitted."""
        return self.done >= self.wanted

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        tables = (self.values, self.by_family, self.by_distance, self.spectra)
        return sum(one.nbytes for one in tables)

    def row(self, name: str) -> int:
        """Place of a row.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self.rows:
            raise ValueError(f"expected a row out of {'; '.join(self.rows)}; got {name!r}")
        return self.rows.index(name)

    def curve(self, name: str, measure: str = "auc_matched") -> np.ndarray:
        """A measure over the points: value, low and high, each the mean over seeds, (P, 3).

        Raises:
            ValueError: no such row or measure.
        """
        if measure not in MEASURES:
            raise ValueError(f"expected a measure out of {', '.join(MEASURES)}; got {measure!r}")
        return _mean(self.values[self.row(name), :, :, MEASURES.index(measure)], axis=1)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over what is known; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=axis, dtype=np.float64)
    count = known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def binding_table(record: Binding) -> pd.DataFrame:
    """One line for each point, probe and seed.

    Columns: layer (0 the embedding, l after the l-th layer, empty for baselines), probe, kind,
    seed, split, each of `MEASURES`, n (pairs), then low and high of
    each measure, and dimensions.
    """
    import pandas as pd

    lines = []
    for row, (name, kind) in enumerate(zip(record.rows, record.kinds, strict=True)):
        for point in range(1 if kind == "baseline" else record.points):
            for number, seed in enumerate(record.seeds):
                cells = record.values[row, point, number]
                if np.isnan(cells[:, 0]).all():
                    continue
                line: dict[str, Any] = {
                    "layer": None if kind == "baseline" else point,
                    "probe": name,
                    "kind": kind,
                    "seed": seed,
                    "split": "test",
                    **dict(zip(MEASURES, cells[:, 0].tolist(), strict=True)),
                    "n": int(record.pairs[number].sum()),
                }
                for place, end in ((1, "low"), (2, "high")):
                    ends = cells[:, place].tolist()
                    line |= {f"{m}_{end}": v for m, v in zip(MEASURES, ends, strict=True)}
                line["dimensions"] = float(record.dimensions[row, point, number])
                lines.append(line)
    frame = pd.DataFrame(lines)
    if len(frame):
        frame["layer"] = frame["layer"].astype("Int64")
    return frame


def load_binding(store: ResultStore, key: str) -> Binding | None:
    """What a result holds so far; None where nothing was measured yet."""
    plan = store.attached(key, "study")
    parts = [(arrays, about) for _, arrays, about in store.parts(key)]
    return assemble_binding(plan, parts) if plan is not None and parts else None


def load_binding_probes(store: ResultStore, key: str, seed: int) -> dict[str, BindingProbe]:
    """The probes of a seed that are fitted so far, by the names of their rows."""
    import torch

    from analytics.models.binding_probes import restore_probe

    probes = {}
    for _, arrays, about in store.parts(key):
        if about.get("seed") == seed and about.get("probe"):
            tensors = {
                name.removeprefix("tensor."): torch.from_numpy(array)
                for name, array in arrays.items()
                if name.startswith("tensor.")
            }
            probes[about["row"]] = restore_probe(about["probe"], tensors, about["about"])
    return probes


def assemble_binding(
    plan: Mapping[str, Any], parts: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]]
) -> Binding:
    """One record out of a plan and the units measured so far."""
    rows, seeds, families = plan["rows"], plan["seeds"], plan["families"]
    shape = (len(rows), plan["points"], len(seeds))
    tables = {
        "values": np.full((*shape, len(MEASURES), 3), np.nan, np.float32),
        "by_family": np.full((*shape, len(families), len(AUCS)), np.nan, np.float32),
        "by_distance": np.full((*shape, plan["distances"], len(AUCS)), np.nan, np.float32),
        "dimensions": np.full(shape, np.nan, np.float32),
    }
    spectra = np.full((*shape[:2], SPECTRUM), np.nan, np.float32)
    pairs = np.zeros((len(seeds), plan["distances"], 2), np.int64)
    link: dict[str, np.ndarray] = {}
    for arrays, about in parts:
        if about["row"] == "link":
            link = {name: arrays[name] for name in LINKS}
            continue
        row, seed = rows.index(about["row"]), seeds.index(about["seed"])
        for name, table in tables.items():
            table[row, :, seed] = arrays[name]
        pairs[seed] = arrays["pairs"]
        if seed == 0:
            spectra[row] = arrays["spectra"]
    return Binding(
        id=plan["id"],
        model_label=plan["model_label"],
        caution=plan["caution"],
        grid=PatchGrid(*plan["grid"]),
        rows=tuple(rows),
        kinds=tuple(plan["kinds"]),
        seeds=tuple(seeds),
        families=tuple(families),
        **tables,
        pairs=pairs,
        spectra=spectra,
        link=link,
        images=tuple(BoundImage(*one) for one in plan["images"]),
        images_wanted=plan["images_wanted"],
        skipped=tuple((name, why) for name, why in plan["skipped"]),
        notes=tuple(plan["notes"]),
        done=len(parts),
        wanted=plan["wanted"],
        provenance=parse_provenance(json.dumps(plan["provenance"])),
    )
