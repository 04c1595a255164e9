"""The figure of the attention link: a matrix of layers and heads, and its layers as curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.views.sheet import sheet

CURVES = {"largest head": "#c8701d", "mean over heads": "#5f6770", "probe": "#2a6ab0"}
"""Colours of the curves by layer."""

MATRIX_HEIGHT, CELL_MOST = 300, 46


@dataclass(frozen=True, eq=False)
class AttendingFigure:
    """What the figure draws.

    `values` is (layers, heads), NaN where there is no head or no number; `mean` (layers,) that of
    attention averaged over heads; `probe` (layers,) that of the probe itself, NaN where it has
    none. A `signed` measure is coloured around 0. `chance` is None where there is none.
    """

    title: str
    axis: str
    values: np.ndarray
    mean: np.ndarray
    probe: np.ndarray
    signed: bool
    chance: float | None
    caption: tuple[str, ...]


def attending_chart(figure: AttendingFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    body = alt.hconcat(_matrix(figure), _curves(figure), spacing=30)
    return sheet(body.resolve_scale(color="independent"), figure.title, figure.caption)


def matrix_rows(figure: AttendingFigure) -> list[dict[str, Any]]:
    """One row of chart data for each head that has a number."""
    found = zip(*np.nonzero(np.isfinite(figure.values)), strict=True)
    return [
        {"layer": f"L{layer}", "head": f"H{head}", "value": float(figure.values[layer, head])}
        for layer, head in found
    ]


def curve_rows(figure: AttendingFigure) -> list[dict[str, Any]]:
    """One row of chart data for each layer of each curve that has a number."""
    known = np.isfinite(figure.values)
    largest = np.where(known, figure.values, -np.inf).max(axis=1)
    curves = zip(CURVES, (largest, figure.mean, figure.probe), strict=True)
    return [
        {"curve": name, "layer": layer, "value": float(value)}
        for name, curve in curves
        for layer, value in enumerate(curve)
        if np.isfinite(value)
    ]


def colour_limits(figure: AttendingFigure) -> tuple[float, float]:
    """Where the colour scale begins and ends: around 0, or from chance or 0 to the largest."""
    known = figure.values[np.isfinite(figure.values)]
    if not len(known):
        return (-1.0, 1.0) if figure.signed else (0.0, 1.0)
    if figure.signed:
        most = float(np.abs(known).max())
        return -most, most
    return float(np.nanmin([*known, 0.0 if figure.chance is None else figure.chance])), float(
        known.max()
    )


def _matrix(figure: AttendingFigure) -> Any:
    import altair as alt

    layers, heads = figure.values.shape
    names = [f"L{one}" for one in range(layers)], [f"H{one}" for one in range(heads)]
    side = min(CELL_MOST, max(MATRIX_HEIGHT / layers, 12))
    scheme = {"scheme": "redblue", "reverse": True} if figure.signed else {"scheme": "viridis"}
    scale = alt.Scale(domain=list(colour_limits(figure)), **scheme)
    legend = alt.Legend(title=figure.axis, orient="bottom", gradientLength=200, titleLimit=300)
    base = alt.Chart(alt.Data(values=matrix_rows(figure)))
    return (
        base.mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("head:N", title="head", sort=names[1], scale=alt.Scale(domain=names[1])),
            y=alt.Y("layer:N", title="layer", sort=names[0], scale=alt.Scale(domain=names[0])),
            color=alt.Color("value:Q", scale=scale, legend=legend),
        )
        .properties(width=heads * min(side, 30), height=layers * min(side, 25))
    )


def _curves(figure: AttendingFigure) -> Any:
    import altair as alt

    rows = curve_rows(figure)
    names = [name for name in CURVES if any(row["curve"] == name for row in rows)]
    colour = alt.Color(
        "curve:N",
        scale=alt.Scale(domain=names, range=[CURVES[name] for name in names]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke"),
    )
    ticks = alt.Axis(values=list(range(len(figure.mean))), format="d", grid=False)
    y = alt.Y("value:Q", title=figure.axis, scale=alt.Scale(zero=False))
    line = alt.Chart(alt.Data(values=rows)).mark_line(point=True, strokeWidth=1.8)
    marks = [line.encode(x=alt.X("layer:Q", title="layer", axis=ticks), y=y, color=colour)]
    level = 0.0 if figure.signed else figure.chance
    if level is not None and np.isfinite(level):
        rule = alt.Chart(alt.Data(values=[{"value": level}]))
        marks.append(rule.mark_rule(strokeDash=[5, 4], opacity=0.6).encode(y=y))
    return alt.layer(*marks).properties(width=300, height=260)
