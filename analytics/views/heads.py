"""The figure of a study of heads: layer x head matrix, and the most important heads ranked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RANKED = 20
"""Heads that the ranking shows."""

MISSING = "#c9ccd1"
"""Grey of a head without a number, which is not 0."""


@dataclass(frozen=True)
class HeadsFigure:
    """What the figure draws.

    `heads` are (layer, head) of each column; `mean`, `low` and `high` one metric's mean over
    pictures and its interval, NaN where unknown. `axis` is the metric with its unit, `title`
    one line, and `caption` sentences, one paragraph each. `signed` colours around 0.
    """

    title: str
    axis: str
    heads: Sequence[tuple[int, int]]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    caption: tuple[str, ...]
    signed: bool = False


def heads_chart(figure: HeadsFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    body = alt.hconcat(_matrix(figure), _ranking(figure), spacing=36)
    return (
        alt.vconcat(body, _caption(figure), spacing=14, background="white", padding=16)
        .resolve_scale(color="independent")
        .properties(title=alt.Title(figure.title, anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
        .configure_scale(invalid={"color": {"value": MISSING}})
    )


def _rows(figure: HeadsFigure) -> list[dict[str, Any]]:
    """One row of chart data for each head; unknown numbers are None."""

    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    parts = zip(figure.heads, figure.mean, figure.low, figure.high, strict=True)
    return [
        {
            "layer": f"L{layer}",
            "head": f"H{head}",
            "name": f"L{layer} H{head}",
            "mean": plain(mean),
            "low": plain(low),
            "high": plain(high),
        }
        for (layer, head), mean, low, high in parts
    ]


def _matrix(figure: HeadsFigure) -> Any:
    import altair as alt

    layers = list(dict.fromkeys(f"L{layer}" for layer, _ in figure.heads))
    most = max(head for _, head in figure.heads) + 1
    known = figure.mean[np.isfinite(figure.mean)]
    end = float(np.abs(known).max()) if known.size else 1.0
    scale = alt.Scale(scheme="viridis")
    if figure.signed:
        scale = alt.Scale(scheme="blueorange", domain=[-end or -1.0, end or 1.0])
    cell = int(np.clip(420 / max(len(layers), most), 14, 34))
    return (
        alt.Chart(alt.Data(values=_rows(figure)))
        .mark_rect(stroke="white", strokeWidth=1, invalid=None)
        .encode(
            x=alt.X(
                "head:O",
                sort=[f"H{i}" for i in range(most)],
                title=None,
                axis=alt.Axis(orient="top", labelAngle=0, ticks=False, domain=False),
            ),
            y=alt.Y("layer:O", sort=layers, title=None, axis=alt.Axis(ticks=False, domain=False)),
            color=alt.Color("mean:Q", scale=scale, title=figure.axis.split(" · ")[-1]),
        )
        .properties(width=cell * most, height=cell * len(layers))
    )


def _ranking(figure: HeadsFigure) -> Any:
    import altair as alt

    known = [row for row in _rows(figure) if row["mean"] is not None]
    best = sorted(known, key=lambda row: -_size(row["mean"], figure.signed))[:RANKED]
    order = [row["name"] for row in best]
    base = alt.Chart(alt.Data(values=best)).encode(
        y=alt.Y("name:O", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    )
    zero = alt.Scale(zero=True)
    dots = base.mark_point(filled=True, size=42, color="#2a6ab0", opacity=1).encode(
        x=alt.X("mean:Q", title=figure.axis, scale=zero, axis=alt.Axis(grid=True))
    )
    with_interval = [row for row in best if row["low"] is not None]
    if not with_interval:
        return dots.properties(width=260, height=15 * len(best))
    whiskers = (
        alt.Chart(alt.Data(values=with_interval))
        .mark_rule(color="#2a6ab0")
        .encode(y=alt.Y("name:O", sort=order), x="low:Q", x2="high:Q")
    )
    return (whiskers + dots).properties(width=260, height=15 * len(best))


def _size(mean: float, signed: bool) -> float:
    """How important: of a signed metric the size counts, as where heads are removed."""
    return abs(mean) if signed else mean


def _caption(figure: HeadsFigure) -> Any:
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
