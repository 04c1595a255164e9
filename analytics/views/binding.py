"""The figure of object binding: how well each probe tells same from different, by point."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HEIGHT = 560, 320
SERIES = (
    "#c8701d",
    "#2a6ab0",
    "#2f8a57",
    "#7a5aa6",
    "#a8433f",
    "#3d8c95",
    "#8a7a2f",
    "#b0588d",
    "#5f6770",
)
"""Colours of probes in the order of the rows; the plain orange is the first probe's."""


@dataclass(frozen=True, eq=False)
class BindingCurve:
    """A row of the figure: (points,) each, NaN where nothing was measured.

    `kind` is probe, control or baseline; a baseline is the same at all points.
    """

    name: str
    kind: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class BindingFigure:
    """What the figure draws; `axis` is the measure, `caption` one paragraph each."""

    title: str
    axis: str
    curves: tuple[BindingCurve, ...]
    caption: tuple[str, ...]


def binding_chart(figure: BindingFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    marks = [mark for mark in (_bands(figure), _lines(figure)) if mark is not None]
    body = alt.layer(*marks).properties(width=WIDTH, height=HEIGHT)
    return (
        alt.vconcat(body, _caption(figure), spacing=14, background="white", padding=16)
        .properties(title=alt.Title(figure.title, anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def figure_rows(figure: BindingFigure) -> list[dict[str, Any]]:
    """One row of chart data for each point of each curve that has a number."""
    rows = []
    for curve in figure.curves:
        for point, value in enumerate(curve.value):
            if not np.isfinite(value):
                continue
            row = {"name": curve.name, "kind": curve.kind, "point": point, "value": float(value)}
            low, high = float(curve.low[point]), float(curve.high[point])
            if np.isfinite(low) and np.isfinite(high):
                row |= {"low": low, "high": high}
            rows.append(row)
    return rows


def curve_colours(figure: BindingFigure) -> dict[str, str]:
    """Probes take the series in turn, controls are pale, baselines grey."""
    colours, number = {}, 0
    for curve in figure.curves:
        if curve.kind == "probe":
            colours[curve.name] = SERIES[number % len(SERIES)]
            number += 1
        else:
            colours[curve.name] = "#b9bfc6" if curve.kind == "control" else "#5f6770"
    return colours


def _encodings(figure: BindingFigure) -> dict[str, Any]:
    import altair as alt

    colours = curve_colours(figure)
    names = list(colours)
    points = max((len(one.value) for one in figure.curves), default=1)
    axis = alt.Axis(values=list(range(points)), format="d", grid=False)
    dashes = {"probe": [1, 0], "control": [1, 0], "baseline": [5, 3]}
    return {
        "x": alt.X("point:Q", title="point: 0 the embedding, l after l layers", axis=axis),
        "color": alt.Color(
            "name:N",
            scale=alt.Scale(domain=names, range=list(colours.values())),
            legend=alt.Legend(title=None, symbolType="stroke", labelLimit=220),
        ),
        "strokeDash": alt.StrokeDash(
            "kind:N",
            scale=alt.Scale(domain=list(dashes), range=list(dashes.values())),
            legend=None,
        ),
    }


def _lines(figure: BindingFigure) -> Any:
    import altair as alt

    shown = _encodings(figure)
    base = alt.Chart(alt.Data(values=figure_rows(figure))).mark_line(strokeWidth=1.8)
    y = alt.Y("value:Q", title=figure.axis, scale=alt.Scale(zero=False))
    return base.encode(y=y, detail="name:N", **shown)


def _bands(figure: BindingFigure) -> Any:
    """Intervals of probes and controls; those of flat lines would hide the rest."""
    import altair as alt

    rows = [row for row in figure_rows(figure) if "low" in row and row["kind"] != "baseline"]
    if not rows:
        return None
    shown = _encodings(figure)
    base = alt.Chart(alt.Data(values=rows)).mark_area(opacity=0.13)
    y = alt.Y("low:Q", title=figure.axis, scale=alt.Scale(zero=False))
    return base.encode(y=y, y2="high:Q", x=shown["x"], color=shown["color"], detail="name:N")


def _caption(figure: BindingFigure) -> Any:
    import altair as alt

    lines = [line for text in figure.caption for line in textwrap.wrap(text, 112)]
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    width, height = 640, 15 * len(lines) + 4
    pixels = {
        "x": alt.X("x:Q", scale=alt.Scale(domain=[0, width], range=[0, width]), axis=None),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[0, height], range=[0, height]), axis=None),
    }
    text = alt.Chart(alt.Data(values=rows)).mark_text(align="left", fontSize=11, color="#2b323c")
    return text.encode(text="text:N", **pixels).properties(width=width, height=height)
