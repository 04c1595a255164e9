"""Object discovery over a set of annotated pictures: the record, its table, and its means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analytics.metrics.ranking import bootstrap_interval
from analytics.store.provenance import parse_provenance
from analytics.store.results import ResultStore
from analytics.studies.discovery_methods import MEASURES, METHODS
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    import pandas as pd

RANDOM = "random weights"
ALL = "all"
LEVEL = 0.95

Kind = Literal["trained", "control", "baseline"]


@dataclass(frozen=True)
class Row:
    """A method on a backbone; `kind` is `control` for random weights."""

    method: str
    kind: Kind

    @property
    def name(self) -> str:
        """As in tables: the method, with what it was run on where that is a control."""
        return f"{self.method}, {RANDOM}" if self.kind == "control" else self.method

    @property
    def title(self) -> str:
        """In words."""
        title = METHODS[self.method].title
        return f"{title}, {RANDOM}" if self.kind == "control" else title


@dataclass(frozen=True, eq=False)
class DiscoverySet:
    """Scores of N pictures.

    `values` is float32 (N, rows, measures) in the order of `MEASURES`, NaN where unknown.
    `absent` gives the reason of a row that could not be run on the first picture. `done` of
    `wanted` pictures are in.
    """

    id: str
    model_label: str
    caution: str
    point: int
    features: str
    groups: int
    probe: str
    grid: PatchGrid
    rows: tuple[Row, ...]
    values: np.ndarray
    names: tuple[str, ...]
    families: tuple[str, ...]
    absent: Mapping[str, str]
    skipped: tuple[tuple[str, str], ...]
    wanted: int
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.values.nbytes

    @property
    def done(self) -> int:
        """Pictures that are in."""
        return len(self.names)

    @property
    def family_names(self) -> tuple[str, ...]:
        """`all`, then every family in the order in which it comes first."""
        return (ALL, *dict.fromkeys(self.families))

    def means(self) -> np.ndarray:
        """Mean, ends of the interval and number of pictures, float64.

        (families, rows, measures, 4), families in the order of `family_names`. Intervals are
        percentiles over pictures drawn with replacement (`bootstrap_interval`); NaN for fewer
        than two pictures.
        """
        result = []
        for family in self.family_names:
            kept = np.array([family in (ALL, one) for one in self.families], bool)
            own = self.values[kept].astype(np.float64)  # n rows measures
            found = bootstrap_interval(own.reshape(len(own), -1), LEVEL)
            counts = np.isfinite(own).sum(0)
            ends = [one.reshape(own.shape[1:]) for one in (found.mean, found.low, found.high)]
            result.append(np.stack([*ends, counts], axis=-1))
        return np.stack(result)


def load_discovery(store: ResultStore, key: str) -> DiscoverySet | None:
    """What a result holds so far; None where nothing was measured yet."""
    plan = store.attached(key, "study")
    parts = [(arrays, about) for _, arrays, about in store.parts(key)]
    if plan is None or not any(about["names"] for _, about in parts):
        return None
    return assemble_discovery(plan, parts)


def assemble_discovery(
    plan: Mapping[str, Any], parts: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]]
) -> DiscoverySet:
    """One record out of a plan and the parts measured so far."""
    whole = [(arrays, about) for arrays, about in parts if about["names"]]
    skipped = [tuple(one) for one in plan["skipped"]]
    skipped += [(name, why) for _, about in parts for name, why, _ in about["unusable"]]
    return DiscoverySet(
        id=plan["id"],
        model_label=plan["model_label"],
        caution=plan["caution"],
        point=plan["point"],
        features=plan["features"],
        groups=plan["groups"],
        probe=plan["probe"],
        grid=PatchGrid(*plan["grid"]),
        rows=tuple(Row(*one) for one in plan["rows"]),
        values=np.concatenate([arrays["values"] for arrays, _ in whole]),
        names=tuple(name for _, about in whole for name in about["names"]),
        families=tuple(name for _, about in whole for name in about["families"]),
        absent=whole[0][1]["absent"],
        skipped=tuple(skipped),  # type: ignore[arg-type]
        wanted=plan["wanted"],
        provenance=parse_provenance(json.dumps(plan["provenance"])),
    )


def discovery_table(record: DiscoverySet) -> pd.DataFrame:
    """One line for each family and row: mean, low and high of every measure, and pictures."""
    import pandas as pd

    means, lines = record.means(), []
    for i, family in enumerate(record.family_names):
        for j, row in enumerate(record.rows):
            line: dict[str, Any] = {"family": family, "method": row.method, "kind": row.kind}
            line["pictures"] = int(means[i, j, :, 3].max())
            for k, measure in enumerate(MEASURES):
                ends = means[i, j, k, :3].tolist()
                names = (measure, f"{measure}_low", f"{measure}_high")
                line |= dict(zip(names, ends, strict=True))
            lines.append(line)
    return pd.DataFrame(lines)
