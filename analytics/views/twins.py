"""The figure of identical copies: the canvas, how they differ by point, and what a probe says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.views.raster import data_url
from analytics.views.sheet import sheet

SIDE = 250
"""Height of the panels, figure pixels; the longer side of the canvas."""

INKS = {
    "with positions": "#c8701d",
    "without positions": "#2a6ab0",
    "same place in two copies": "#7a5aa6",
    "two copies": "#3d8c95",
    "one copy": "#2f8a57",
}
_POINT = "point: 0 the embedding, l after l layers"


@dataclass(frozen=True, eq=False)
class TwinsFigure:
    """What the figure draws.

    `pixels` is uint8 (height, width, 3). `differences` (V, P): a row for each of `variants`.
    `chances` maps the kind of pair to (V, P), NaN where no probe has read it; `caption` one
    paragraph each.
    """

    title: str
    axis: str
    pixels: np.ndarray
    variants: tuple[str, ...]
    differences: np.ndarray
    chances: dict[str, np.ndarray]
    caption: tuple[str, ...]


def twins_chart(figure: TwinsFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    panels = [_canvas(figure)]
    dashed = "; dashed: without positions" if len(figure.variants) > 1 else ""
    chance = f"P(same object){dashed}"
    for rows, axis in ((difference_rows(figure), figure.axis), (chance_rows(figure), chance)):
        if rows:
            panels.append(_curves(rows, axis, figure.variants))
    body = alt.hconcat(*panels, spacing=24).resolve_scale(color="independent")
    return sheet(body, figure.title, figure.caption)


def difference_rows(figure: TwinsFigure) -> list[dict[str, Any]]:
    """One row of chart data for each variant and point that has a number."""
    return [
        {"name": name, "variant": name, "point": point, "value": float(value)}
        for name, row in zip(figure.variants, figure.differences, strict=True)
        for point, value in enumerate(row)
        if np.isfinite(value)
    ]


def chance_rows(figure: TwinsFigure) -> list[dict[str, Any]]:
    """One row of chart data for each kind of pair, variant and point that has a number."""
    return [
        {"name": kind, "variant": name, "point": point, "value": float(value)}
        for kind, table in figure.chances.items()
        for name, row in zip(figure.variants, table, strict=True)
        for point, value in enumerate(row)
        if np.isfinite(value)
    ]


def _canvas(figure: TwinsFigure) -> Any:
    import altair as alt

    height, width = figure.pixels.shape[:2]
    scale = SIDE / max(height, width)
    wide, high = round(width * scale), round(height * scale)
    row = {"x": 0, "y": 0, "x2": wide, "y2": high, "url": data_url(figure.pixels)}
    across = alt.Scale(domain=[0, wide], range=[0, wide])
    down = alt.Scale(domain=[0, high], range=[0, high])
    return (
        alt.Chart(alt.Data(values=[row]))
        .mark_image(aspect=False, aria=False)
        .encode(
            x=alt.X("x:Q", scale=across, axis=None),
            y=alt.Y("y:Q", scale=down, axis=None),
            x2="x2:Q",
            y2="y2:Q",
            url="url:N",
        )
        .properties(width=wide, height=high)
    )


def _curves(rows: list[dict[str, Any]], axis: str, variants: tuple[str, ...]) -> Any:
    import altair as alt

    names = list(dict.fromkeys(row["name"] for row in rows))
    points = list(range(max(row["point"] for row in rows) + 1))
    dashes = [[1, 0], [5, 3]][: len(variants)]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("point:Q", title=_POINT, axis=alt.Axis(values=points, format="d", grid=False)),
            y=alt.Y("value:Q", title=axis),
            color=alt.Color(
                "name:N",
                scale=alt.Scale(domain=names, range=[INKS.get(name, "#5f6770") for name in names]),
                legend=alt.Legend(title=None, orient="top", direction="vertical", labelLimit=260),
            ),
            strokeDash=alt.StrokeDash(
                "variant:N",
                scale=alt.Scale(domain=list(variants), range=dashes),
                legend=None,
            ),
            detail="variant:N",
        )
        .properties(width=SIDE, height=SIDE)
    )
