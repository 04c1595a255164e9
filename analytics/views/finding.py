"""Figures of object discovery: masks on the picture side by side, and means over made scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from analytics.types import Picture, Placement
from analytics.views.raster import data_url, seen_by_model
from analytics.views.sheet import sheet

SIDE, ACROSS = 150, 4
"""Longer side of a panel in figure pixels, and panels in a line."""

INKS: Mapping[str, str] = MappingProxyType(
    {
        "lost": "#e0662a",
        "tokencut": "#179a8b",
        "maskcut": "#a24fc0",
        "cls_mean": "#2f6fd0",
        "cls_heads": "#62a4f0",
        "spectral": "#4f9d3a",
        "centre_box": "#a58a3c",
        "whole": "#8b9099",
    }
)
"""Colour of each method, the same in every picture and chart."""

TRUTH = "#ffffff"
STEP, STEPS = 0.3, 3
"""Further masks of a method are mixed with white, in turn."""


@dataclass(frozen=True, eq=False)
class FindingPanel:
    """One picture of the figure: `labels` int (rows, columns), 0 for none, in the ink's shades."""

    title: str
    words: str
    labels: np.ndarray
    ink: str


@dataclass(frozen=True, eq=False)
class FindingFigure:
    """Panels over one picture, and a caption of one paragraph each."""

    title: str
    picture: Picture
    placement: Placement
    panels: tuple[FindingPanel, ...]
    caption: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MeansFigure:
    """Means with intervals: `ends` is (rows, 3) of mean, low and high, NaN where unknown."""

    title: str
    axis: str
    rows: tuple[str, ...]
    inks: tuple[str, ...]
    controls: tuple[bool, ...]
    ends: np.ndarray
    caption: tuple[str, ...]


def shade(ink: str, number: int) -> tuple[int, int, int]:
    """Colour of a method's mask, numbered from 1: its ink, then lighter in turn.

    Known answer: the first mask has the ink itself.
    """
    mix = STEP * ((number - 1) % STEPS)
    red, green, blue = (int(ink[i : i + 2], 16) for i in (1, 3, 5))
    red, green, blue = (round(one + (255 - one) * mix) for one in (red, green, blue))
    return red, green, blue


def paint_masks(pixels: np.ndarray, labels: np.ndarray, ink: str) -> np.ndarray:
    """Lay masks over a picture: filled lightly, with contours.

    Args:
        pixels: uint8 (height, width, 3).
        labels: int (rows, columns), number of each patch's mask from 1, 0 for none.
        ink: "#rrggbb".

    Returns:
        uint8 (height, width, 3).
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * labels.shape[0] // height
    columns = np.arange(width) * labels.shape[1] // width
    large = labels[rows[:, None], columns]  # height, width
    edge = np.zeros(large.shape, bool)
    for axis in (0, 1):
        padded = np.pad(large, [(1, 1) if one == axis else (0, 0) for one in (0, 1)])
        differs = np.diff(padded, axis=axis) != 0
        edge |= np.delete(differs, 0, axis) | np.delete(differs, -1, axis)
    painted = pixels.astype(np.float64)
    for number in np.unique(large[large > 0]):
        colour, own = np.array(shade(ink, int(number)), float), large == number
        painted[own] = 0.6 * painted[own] + 0.4 * colour
        painted[own & edge] = colour
    return np.rint(painted).astype(np.uint8)


def finding_chart(figure: FindingFigure) -> Any:
    """Every panel as an Altair chart, with the caption."""
    import altair as alt

    pixels = seen_by_model(figure.picture, figure.placement, 2 * SIDE)
    panels = [_panel(pixels, one) for one in figure.panels]
    lines = [
        alt.hconcat(*panels[i : i + ACROSS], spacing=14) for i in range(0, len(panels), ACROSS)
    ]
    return sheet(alt.vconcat(*lines, spacing=12), figure.title, figure.caption)


def _panel(pixels: np.ndarray, panel: FindingPanel) -> Any:
    import altair as alt

    scale = SIDE / max(pixels.shape[:2])
    high, wide = (max(1, round(one * scale)) for one in pixels.shape[:2])
    url = data_url(paint_masks(pixels, panel.labels, panel.ink))
    row = {"x": 0, "y": 0, "x2": wide, "y2": high, "url": url}
    place = {
        "x": alt.X("x:Q", scale=alt.Scale(domain=[0, wide], range=[0, wide]), axis=None),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[0, high], range=[0, high]), axis=None),
    }
    title = alt.Title(
        panel.title, subtitle=panel.words, anchor="start", fontSize=12, subtitleFontSize=11
    )
    image = alt.Chart(alt.Data(values=[row])).mark_image(aspect=False, aria=False)
    return image.encode(x2="x2:Q", y2="y2:Q", url="url:N", **place).properties(
        width=wide, height=high, title=title
    )


def means_chart(figure: MeansFigure) -> Any:
    """Means with their intervals, a line each, as an Altair chart with the caption."""
    import altair as alt

    known = [row for row in mean_rows(figure) if row["mean"] is not None]
    order = list(dict.fromkeys(figure.rows))
    place = {"y": alt.Y("row:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))}
    ink = alt.Color("ink:N", scale=None)
    base = alt.Chart(alt.Data(values=known))
    span = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=figure.axis), x2="high:Q", color=ink, **place
    )
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X("mean:Q", title=figure.axis),
        color=ink,
        shape=alt.Shape("shape:N", scale=None),
        **place,
    )
    body = alt.layer(span, dots).properties(width=420, height=20 * len(order))
    return sheet(body, figure.title, figure.caption)


def mean_rows(figure: MeansFigure) -> list[dict[str, Any]]:
    """One row of chart data for each line; None where a number is unknown."""
    rows = []
    parts = zip(figure.rows, figure.inks, figure.controls, figure.ends, strict=True)
    for name, ink, control, ends in parts:
        mean, low, high = (float(one) if np.isfinite(one) else None for one in ends)
        shape = "diamond" if control else "circle"
        rows.append({"row": name, "ink": ink, "shape": shape, "mean": mean})
        rows[-1] |= {"low": mean if low is None else low, "high": mean if high is None else high}
    return rows
