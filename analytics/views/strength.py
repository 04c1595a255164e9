"""The figure of a profile: one number of every head by layer, with its reference lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HEIGHT = 640, 320
LOCAL, GLOBAL, PLAIN = "#7a5aa6", "#5f6770", "#5f6770"
"""Colours of heads below and above half the uniform distance, and of all heads without it."""


@dataclass(frozen=True)
class StrengthFigure:
    """What the figure draws.

    `heads` are (layer, head) of each column; `mean`, `low` and `high` one number's mean over
    pictures and its interval, NaN where unknown. By layer, NaN where there is none: `uniform`,
    the number under uniform attention, and `control_low` and `control_high`, the smallest and
    largest head with random weights. `axis` is the metric with its unit, `caption` one
    paragraph each.
    """

    title: str
    axis: str
    layers: Sequence[str]
    heads: Sequence[tuple[int, int]]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    uniform: np.ndarray
    control_low: np.ndarray
    control_high: np.ndarray
    caption: tuple[str, ...]


def strength_chart(figure: StrengthFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    layers = [_band(figure), *_references(figure), _whiskers(figure), _dots(figure)]
    body = alt.layer(*(one for one in layers if one is not None))
    body = body.properties(width=WIDTH, height=HEIGHT)
    return (
        alt.vconcat(body, _caption(figure), spacing=14, background="white", padding=16)
        .properties(title=alt.Title(figure.title, anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def _step(figure: StrengthFigure) -> float:
    return WIDTH / max(1, len(figure.layers))


def _places(figure: StrengthFigure) -> list[float]:
    """Horizontal place of every head: beside each other within their layer."""
    counts = np.bincount([layer for layer, _ in figure.heads], minlength=len(figure.layers))
    step = _step(figure)
    gaps = [min(7.0, 0.8 * step / max(1, counts[layer])) for layer, _ in figure.heads]
    return [
        step * (layer + 0.5) + gap * (head - (counts[layer] - 1) / 2)
        for (layer, head), gap in zip(figure.heads, gaps, strict=True)
    ]


def _rows(figure: StrengthFigure) -> list[dict[str, Any]]:
    """One row of chart data for each head that has a number."""
    rows = []
    for (layer, head), x, mean, low, high in zip(
        figure.heads, _places(figure), figure.mean, figure.low, figure.high, strict=True
    ):
        if not np.isfinite(mean):
            continue
        near = mean < figure.uniform[layer] / 2
        kind = "local" if near else "global"
        row = {"name": f"L{layer} H{head}", "x": x, "mean": float(mean), "kind": kind}
        if np.isfinite(low) and np.isfinite(high):
            row |= {"low": float(low), "high": float(high)}
        rows.append(row)
    return rows


def _x(figure: StrengthFigure) -> Any:
    import altair as alt

    step, count = _step(figure), len(figure.layers)
    every = max(1, round(26 / step))
    middles = [step * (i + 0.5) for i in range(0, count, every)]
    names = ", ".join(f"'{figure.layers[i]}'" for i in range(count))
    axis = alt.Axis(
        values=middles,
        labelExpr=f"[{names}][floor(datum.value / {step})]",
        grid=False,
        ticks=False,
        domain=False,
    )
    return alt.X("x:Q", scale=alt.Scale(domain=[0, WIDTH], nice=False), axis=axis, title="layer")


def _dots(figure: StrengthFigure) -> Any:
    import altair as alt

    split = bool(np.isfinite(figure.uniform).any())
    scale = alt.Scale(domain=["local", "global"], range=[LOCAL, GLOBAL])
    colour = alt.Color(
        "kind:N",
        scale=scale,
        legend=alt.Legend(
            title=None,
            orient="top",
            labelExpr="datum.label == 'local' ? 'below half of uniform' : 'above'",
        ),
    )
    base = alt.Chart(alt.Data(values=_rows(figure)))
    dots = base.mark_point(filled=True, size=34, opacity=1, color=PLAIN)
    shown = dots.encode(x=_x(figure), y=alt.Y("mean:Q", title=figure.axis))
    return shown.encode(color=colour) if split else shown


def _whiskers(figure: StrengthFigure) -> Any:
    import altair as alt

    rows = [row for row in _rows(figure) if "low" in row]
    if not rows:
        return None
    base = alt.Chart(alt.Data(values=rows)).mark_rule(color="#9aa0a6", strokeWidth=1)
    return base.encode(x=_x(figure), y=alt.Y("low:Q", title=figure.axis), y2="high:Q")


def _references(figure: StrengthFigure) -> list[Any]:
    """Uniform attention dashed, half of it dotted."""
    import altair as alt

    step, marks = _step(figure), []
    for share, dash in ((1.0, [6, 4]), (0.5, [1, 3])):
        rows = [
            {"x": step * i, "x2": step * (i + 1), "y": float(share * value)}
            for i, value in enumerate(figure.uniform)
            if np.isfinite(value)
        ]
        if rows:
            base = alt.Chart(alt.Data(values=rows)).mark_rule(color="#5f6770", strokeDash=dash)
            marks.append(base.encode(x=_x(figure), x2="x2:Q", y=alt.Y("y:Q", title=figure.axis)))
    return marks


def _band(figure: StrengthFigure) -> Any:
    """Heads with random weights, from the smallest to the largest of each layer."""
    import altair as alt

    step = _step(figure)
    rows = [
        {"x": step * i, "x2": step * (i + 1), "low": float(low), "high": float(high)}
        for i, (low, high) in enumerate(zip(figure.control_low, figure.control_high, strict=True))
        if np.isfinite(low)
    ]
    if not rows:
        return None
    base = alt.Chart(alt.Data(values=rows)).mark_rect(color="#dfe2e6", opacity=1)
    y = alt.Y("low:Q", title=figure.axis)
    return base.encode(x=_x(figure), x2="x2:Q", y=y, y2="high:Q")


def _caption(figure: StrengthFigure) -> Any:
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
