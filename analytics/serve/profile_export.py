"""A profile as files: the main chart with a caption, tables, arrays, and one JSON record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes
from analytics.metrics.ranking import bootstrap_interval
from analytics.metrics.strength_catalogue import (
    RULES,
    SCALARS,
    STRENGTH_METRICS,
    StrengthMetric,
    column_name,
)
from analytics.serve.replies import finite
from analytics.store.provenance import provenance_json
from analytics.studies.profile_tables import (
    AGNOSTICISM,
    profile_arrays,
    profile_table,
    spread_of,
    unit_factors,
)

if TYPE_CHECKING:
    from analytics.studies.profile_record import Profile

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/octet-stream",
    "json": "application/json",
}
FIGURES = ("svg", "png", "pdf")
LEVEL = 0.95

RULE_WORDS = {
    "renormalised": "prefix keys dropped, rows renormalised",
    "raw": "prefix keys keep their mass and count as distance 0",
    "": "all keys",
}
UNIT_WORDS = {"pixels": "input pixels", "uniform": "share of uniform"}


@dataclass(frozen=True)
class Shown:
    """What a figure shows: a metric, the cls rule where it has any, and the unit."""

    metric: str
    rule: str
    unit: str

    @property
    def known(self) -> StrengthMetric:
        """The metric's entry in the catalogue.

        Raises:
            ValueError: there is no such metric.
        """
        known = {**STRENGTH_METRICS, AGNOSTICISM.name: AGNOSTICISM}
        if self.metric not in known:
            raise ValueError(f"expected a metric out of {', '.join(known)}; got {self.metric!r}")
        return known[self.metric]

    @property
    def table(self) -> str:
        """Name of its table.

        Raises:
            ValueError: there is no such metric or rule.
        """
        if self.known.ruled and self.rule not in RULES:
            raise ValueError(f"expected a cls rule of {' or '.join(RULES)}; got {self.rule!r}")
        return column_name(self.metric, self.rule if self.known.ruled else "")

    @property
    def axis(self) -> str:
        """The metric with its unit."""
        return f"{self.known.title} · {UNIT_WORDS.get(self.unit, self.unit)}"


def export_profile(
    record: Profile, shown: Shown, kind: str, control: Profile | None = None
) -> tuple[str, str, bytes]:
    """One download.

    Args:
        record: the profile.
        shown: what a figure shows; tables and arrays hold all.
        kind: a key of `MIMETYPES`.
        control: the profile of the same architecture with random weights, drawn as a band.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind, metric, rule or unit is unknown.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    name = "profile"
    if kind in FIGURES:
        name = f"strength-{shown.table.replace(':', '-')}"
    return f"{name}.{kind}", MIMETYPES[kind], _content(record, shown, kind, control)


def _content(record: Profile, shown: Shown, kind: str, control: Profile | None) -> bytes:
    if kind in FIGURES:
        return figure_bytes(record, shown, kind, control)
    if kind == "json":
        return json_bytes(sidecar(record))
    if kind == "npz":
        about = json.dumps(sidecar(record), ensure_ascii=False)
        return npz_bytes(profile_arrays(record), about)
    from analytics.io.export import table_bytes

    return table_bytes(profile_table(record), kind)  # type: ignore[arg-type]


def figure_bytes(record: Profile, shown: Shown, kind: str, control: Profile | None = None) -> bytes:
    """The main chart, with the profile's record as metadata."""
    from analytics.views.figure import render
    from analytics.views.strength import StrengthFigure, strength_chart

    factor = unit_factors(record, shown.metric, shown.unit)
    mean, low, high = (factor * one for one in _interval(record, shown.table))
    below, above = _band(control, shown, len(record.layers))
    rule = f", {shown.rule}" if shown.known.ruled else ""
    figure = StrengthFigure(
        title=f"{shown.known.title[:1].upper()}{shown.known.title[1:]} of every head{rule}",
        axis=shown.axis,
        layers=tuple(layer.label for layer in record.layers),
        heads=record.heads,
        mean=mean,
        low=low,
        high=high,
        uniform=_uniform(record, shown),
        control_low=below,
        control_high=above,
        caption=caption(record, shown, control),
    )
    about = json.dumps(sidecar(record), ensure_ascii=False)
    return render(strength_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]


def _interval(record: Profile, table: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and interval of every head, in the table's own unit."""
    mean = spread_of(record, table).mean
    if table not in record.scalars:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    values = record.scalars[table].astype(np.float64)
    found = bootstrap_interval(np.where(np.isfinite(values), values, np.nan), LEVEL)
    return mean, found.low, found.high


def _uniform(record: Profile, shown: Shown) -> np.ndarray:
    """Distance under uniform attention by layer, in the unit shown; NaN for other metrics."""
    lines = np.full(len(record.layers), np.nan)
    if shown.metric != "mean_distance":
        return lines
    factor = unit_factors(record, shown.metric, shown.unit)
    for (layer, _), one in zip(record.heads, factor, strict=True):
        lines[layer] = record.layers[layer].uniform_distance * one
    return lines


def _band(control: Profile | None, shown: Shown, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest head of each layer of the control; NaN where there is none."""
    low, high = np.full(layers, np.nan), np.full(layers, np.nan)
    if control is None or len(control.layers) != layers:
        return low, high
    factor = unit_factors(control, shown.metric, shown.unit)
    means = factor * spread_of(control, shown.table).mean
    for (layer, _), one in zip(control.heads, means, strict=True):
        low[layer], high[layer] = np.fmin(low[layer], one), np.fmax(high[layer], one)
    return low, high


def caption(record: Profile, shown: Shown, control: Profile | None = None) -> tuple[str, ...]:
    """The sentences under the figure: model, pictures, metric, cls rule, hashes."""
    known, made = shown.known, record.provenance
    done, wanted = len(record.images), record.images_wanted - len(record.skipped)
    part = "" if record.complete else f" (stopped before the other {wanted - done})"
    rule = RULE_WORDS[shown.rule if known.ruled else ""]
    means = f"Mean over {_pictures(done)}{part}"
    means += f" with {100 * LEVEL:.0f} % bootstrap intervals over pictures" if done > 1 else ""
    band = ""
    if control is not None:
        count = _pictures(len(control.images))
        band = f" Band: heads of the same architecture with random weights, {count}."
    half = ""
    if shown.metric == "mean_distance":
        half = " Dotted: half of it, our line between local and global heads."
    version = made.versions.get("attention-atlas", "")
    return (
        f"Model: {record.model_label}. {record.caution}".strip(),
        f"{known.title[:1].upper()}{known.title[1:]}: {known.definition}{half} "
        f"Source: {known.source}.",
        f"{means}. Cls rule: {rule}.{band}",
        f"SHA-256 of the weights: {made.weights_sha256[:12]}. Profile {record.id[:12]}. "
        f"Made with Attention Atlas {version}".strip()
        + ".",
    )


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def sidecar(record: Profile) -> dict[str, Any]:
    """Everything about a profile in plain values, with the mean and spread of every head."""
    known = {**STRENGTH_METRICS, AGNOSTICISM.name: AGNOSTICISM}
    summary = {}
    for name in (*SCALARS, AGNOSTICISM.name):
        found = spread_of(record, name)
        summary[name] = {"mean": finite(found.mean), "std": finite(found.std)}
    return {
        "profile": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "complete": record.complete,
        "images": [image.name for image in record.images],
        "skipped": [list(one) for one in record.skipped],
        "layers": [_layer(layer) for layer in record.layers],
        "heads": [list(pair) for pair in record.heads],
        "metrics": {
            name: {"definition": one.definition, "source": one.source, "axis": one.axis}
            for name, one in known.items()
        },
        "summary": summary,
        "provenance": json.loads(provenance_json(record.provenance)),
    }


def _layer(layer: Any) -> dict[str, Any]:
    return {
        "label": layer.label,
        "name": layer.name,
        "grid_size": [layer.grid.rows, layer.grid.columns],
        "patch_px": list(layer.patch_px),
        "windows": layer.num_windows,
        "uniform_distance": finite([layer.uniform_distance])[0],
    }
