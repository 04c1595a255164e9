"""The figure of a flow: its maps over the picture on one scale, each with its curves."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from analytics.types import Picture, Placement
from analytics.views.colours import table, veil
from analytics.views.maps import CLIP
from analytics.views.raster import data_url, seen_by_model

Scaling = Literal["same", "own"]
"""`same`: multiples of each map's mean, one scale for all; `own`: raw, each its own range."""

SCALING_WORDS = {
    "same": "each map divided by its mean (1 = every patch alike), one scale from 0",
    "own": "each map from its smallest value on its own scale",
}
CMAP = "inferno"
PANEL, HIGH = 210, 130
"""Longer side of a map and height of its curves, figure pixels."""

DELETION, INSERTION, RANDOM = "#b23a3a", "#7a5aa6", "#5f6770"


@dataclass(frozen=True)
class FlowPanel:
    """One map with its curves: float32 (rows, columns) and (steps + 1,) each."""

    title: str
    values: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    areas: str


@dataclass(frozen=True)
class FlowFigure:
    """Everything that the figure draws.

    `random_deletion` and `random_insertion` are (orders, steps + 1); `score` names what the
    curves measure; `caption` has one paragraph each.
    """

    title: str
    picture: Picture
    placement: Placement
    panels: tuple[FlowPanel, ...]
    scaling: Scaling
    fractions: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray
    score: str
    caption: tuple[str, ...]


def scaled(maps: Sequence[np.ndarray], scaling: Scaling) -> list[tuple[np.ndarray, float, float]]:
    """Every map as it is coloured: its values, and those of the first and the last colour.

    Args:
        maps: (rows, columns) each; NaN where there is no number.
        scaling: `same` divides each map by its mean and gives all the same limits, from 0 to
            the `CLIP`th percentile of all; `own` leaves values, from the smallest to the
            map's own `CLIP`th percentile.

    Returns:
        For each map values, low and high. Known answer: (1, 3) and (10, 30) are both
        (0.5, 1.5) on the same scale. A map of zeros stays so.

    Raises:
        ValueError: another scaling.
    """
    if scaling not in get_args(Scaling):
        raise ValueError(f"expected a scaling out of same, own; got {scaling!r}")
    if scaling == "own":
        return [(one, *_range(one)) for one in maps]
    parts = [_by_mean(one) for one in maps]
    known = [part[np.isfinite(part)] for part in parts]
    every = np.concatenate(known) if known else np.zeros(0)
    high = float(np.percentile(every, CLIP)) if every.size else 0.0
    return [(part, 0.0, high) for part in parts]


def _by_mean(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if known.size else 0.0
    return values / mean if mean > 0 else values


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 0.0
    return float(known.min()), float(np.percentile(known, CLIP))


def flow_chart(figure: FlowFigure) -> Any:
    """The whole figure as an Altair chart.

    Raises:
        ValueError: a flow without maps has no figure.
    """
    import altair as alt

    if not figure.panels:
        raise ValueError(
            "expected at least one map for a figure, this flow has none; take JSON, CSV or NPZ"
        )
    photo = data_url(seen_by_model(figure.picture, figure.placement, 2 * PANEL), photo=True)
    coloured = scaled([one.values for one in figure.panels], figure.scaling)
    columns = [
        alt.vconcat(
            _map(figure, panel, photo, *colours),
            _bar(figure, *colours[1:]),
            _curves(figure, panel, first=i == 0),
            spacing=10,
        )
        for i, (panel, colours) in enumerate(zip(figure.panels, coloured, strict=True))
    ]
    width = len(figure.panels) * (_size(figure)[0] + 46)
    return (
        alt.vconcat(
            alt.hconcat(*columns, spacing=26),
            _caption(figure, max(width, 420)),
            spacing=14,
            background="white",
            padding=16,
        )
        .properties(title=alt.Title(figure.title, anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def _size(figure: FlowFigure) -> tuple[int, int]:
    """Width and height of a map: the shape of what the model saw."""
    height = figure.placement.height * figure.placement.scale_y
    width = figure.placement.width * figure.placement.scale_x
    longer = max(height, width)
    return max(60, round(PANEL * width / longer)), max(60, round(PANEL * height / longer))


def _map(
    figure: FlowFigure, panel: FlowPanel, photo: str, values: np.ndarray, low: float, high: float
) -> Any:
    import altair as alt

    width, height = _size(figure)
    painted = data_url(veil((values - low).astype(np.float32), CMAP, high - low, 0.85))
    layers = [
        _image(photo, width, height, f"photo_{panel.title}"),
        _image(painted, width, height, f"nearest_{panel.title}"),
    ]
    title = alt.Title(panel.title, anchor="start", fontSize=12, fontWeight="bold")
    return alt.layer(*layers).properties(width=width, height=height, title=title)


def _image(url: str, width: int, height: int, name: str) -> Any:
    import altair as alt

    rows = [{"x": 0, "y": 0, "x2": width, "y2": height, "url": url}]
    across = alt.Scale(domain=[0, width], range=[0, width], nice=False)
    down = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    plain = "".join(letter for letter in name if letter.isalnum() or letter == "_")
    return (
        alt.Chart(alt.Data(values=rows), name=plain)
        .mark_image(aspect=False, aria=False)
        .encode(
            x=alt.X("x:Q", scale=across, axis=None),
            y=alt.Y("y:Q", scale=down, axis=None),
            x2="x2:Q",
            y2="y2:Q",
            url="url:N",
        )
    )


def _bar(figure: FlowFigure, low: float, high: float) -> Any:
    import altair as alt

    end = high if high > low else low + 1e-9
    rows = [{"x": low, "y": 0, "x2": end, "y2": 1, "url": data_url(table(CMAP)[None])}]
    unit = "× the map's mean" if figure.scaling == "same" else "raw value"
    axis = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[low, end], nice=False),
        title=unit,
        axis=alt.Axis(values=list(np.linspace(low, end, 3)), format=".3~g", grid=False),
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_image(aspect=False, aria=False)
        .encode(x=axis, y=y, x2="x2:Q", y2="y2:Q", url="url:N")
        .properties(width=_size(figure)[0], height=9)
    )


def _curves(figure: FlowFigure, panel: FlowPanel, first: bool) -> Any:
    import altair as alt

    lines = {"deletion": panel.deletion, "insertion": panel.insertion}
    rows = [
        {"x": float(x), "y": float(y), "curve": name}
        for name, curve in lines.items()
        for x, y in zip(figure.fractions, curve, strict=True)
        if np.isfinite(y)
    ]
    band = [
        {"x": float(x), "low": float(low), "high": float(high), "curve": name}
        for name, curves in (
            ("deletion", figure.random_deletion),
            ("insertion", figure.random_insertion),
        )
        if len(curves)
        for x, low, high in zip(figure.fractions, curves.min(0), curves.max(0), strict=True)
    ]
    title = alt.Title(panel.areas, anchor="start", fontSize=10, fontWeight="normal")
    colours = alt.Scale(domain=["deletion", "insertion"], range=[DELETION, INSERTION])
    area = (
        alt.Chart(alt.Data(values=band))
        .mark_area(opacity=0.2, color=RANDOM)
        .encode(x="x:Q", y="low:Q", y2="high:Q", detail="curve:N")
    )
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.75)
        .encode(
            x=alt.X("x:Q", title="share of patches changed", axis=alt.Axis(tickCount=3)),
            y=alt.Y("y:Q", title=figure.score if first else None, axis=alt.Axis(tickCount=4)),
            color=alt.Color("curve:N", scale=colours, legend=None),
        )
    )
    return alt.layer(area, line).properties(width=_size(figure)[0], height=HIGH, title=title)


def _caption(figure: FlowFigure, width: int) -> Any:
    import altair as alt

    lines = [line for text in figure.caption for line in textwrap.wrap(text, int(width / 5.4))]
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    height = 15 * len(lines) + 4
    across = alt.Scale(domain=[0, width], range=[0, width], nice=False)
    down = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_text(align="left", fontSize=11, color="#2b323c")
        .encode(
            x=alt.X("x:Q", scale=across, axis=None),
            y=alt.Y("y:Q", scale=down, axis=None),
            text="text:N",
        )
        .properties(width=width, height=height)
    )
