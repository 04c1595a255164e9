"""The figure of a lens view: the picture under one head, and every head beside it.

All drawing is in pixels of the figure; `render` in `analytics.views.figure` turns the
chart into SVG, PNG or PDF.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.types import PatchGrid, Picture, Placement
from analytics.views import maps
from analytics.views.colours import NO_DATA, QUERY, paint, table, veil
from analytics.views.maps import LayerMaps, LensView
from analytics.views.raster import data_url, seen_by_model

PANEL = 480
"""Longer side of the left panel, figure pixels."""

NEAREST = "nearest"
"""Charts whose name starts so are drawn without smoothing: one square is one patch."""


@dataclass(frozen=True)
class LensFigure:
    """Everything the figure needs, from a record and a view.

    `base` is the finest grid, on which a mean over heads is drawn. `query` is the box of
    the query patch, (top, left, bottom, right) in picture pixels; None for a prefix token.
    `caption` are sentences, one paragraph each.
    """

    picture: Picture
    placement: Placement
    base: PatchGrid
    layers: tuple[LayerMaps, ...]
    view: LensView
    query: tuple[float, float, float, float] | None
    caption: tuple[str, ...]


def lens_chart(figure: LensFigure) -> Any:
    """The whole figure as an Altair chart.

    Raises:
        ValueError: the view's layer or heads do not exist.
    """
    import altair as alt

    maps.check_view(figure.view, figure.layers)
    left = alt.vconcat(_picture(figure), _colour_bar(figure), spacing=14)
    body = alt.hconcat(left, _matrix(figure), spacing=28)
    return (
        alt.vconcat(body, _caption(figure), spacing=12, background="white", padding=16)
        .properties(title=alt.Title(maps.title(figure.view), anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def _panel(figure: LensFigure) -> tuple[int, int]:
    """Width and height of the left panel: the shape of what the model saw."""
    height = figure.placement.height * figure.placement.scale_y
    width = figure.placement.width * figure.placement.scale_x
    longer = max(height, width)
    return max(80, round(PANEL * width / longer)), max(80, round(PANEL * height / longer))


def _images(rows: list[dict[str, Any]], width: int, height: int, name: str) -> Any:
    """Images between x, y and x2, y2, in pixels of a panel."""
    import altair as alt

    return (
        alt.Chart(alt.Data(values=rows), name=name)
        .mark_image(aspect=False, aria=False)
        .encode(url="url:N", **_corners(width, height))
    )


def _frames(rows: list[dict[str, Any]], width: int, height: int) -> Any:
    """Outlines between x, y and x2, y2: white under blue, to be seen on any colour."""
    import altair as alt

    base = alt.Chart(alt.Data(values=rows)).encode(**_corners(width, height))
    under = base.mark_rect(filled=False, stroke="white", strokeWidth=3.5)
    return under + base.mark_rect(filled=False, stroke=QUERY, strokeWidth=1.75)


def _corners(width: int, height: int) -> dict[str, Any]:
    """Encodings of a panel whose origin is at the top left."""
    return {**_point(width, height), "x2": "x2:Q", "y2": "y2:Q"}


def _point(width: int, height: int) -> dict[str, Any]:
    """Encodings of points in pixels of a panel."""
    import altair as alt

    across = alt.Scale(domain=[0, width], range=[0, width], nice=False)
    down = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    return {
        "x": alt.X("x:Q", scale=across, axis=None),
        "y": alt.Y("y:Q", scale=down, axis=None),
    }


def _box(x: float, y: float, x2: float, y2: float, **more: Any) -> dict[str, Any]:
    """A row of chart data: corners and what else it carries."""
    return {"x": x, "y": y, "x2": x2, "y2": y2, **more}


def _picture(figure: LensFigure) -> Any:
    """What the model saw, the enlarged map over it and the query patch outlined."""
    width, height = _panel(figure)
    whole = (0, 0, width, height)
    photo = data_url(seen_by_model(figure.picture, figure.placement, 2 * PANEL), photo=True)
    high = maps.enlarged_limit(figure.view, figure.layers, figure.base)
    values = maps.enlarged(figure.view, figure.layers, figure.base)
    painted = data_url(veil(values, figure.view.cmap, high, figure.view.opacity))
    chart = _images([_box(*whole, url=photo)], width, height, "photo") + _images(
        [_box(*whole, url=painted)], width, height, f"{NEAREST}_overlay"
    )
    if figure.query is not None:
        chart = chart + _frames([_on_panel(figure, figure.query)], width, height)
    return chart.properties(width=width, height=height)


def _on_panel(figure: LensFigure, box: tuple[float, float, float, float]) -> dict[str, Any]:
    """A box in picture pixels as a row of chart data in pixels of the left panel."""
    width, height = _panel(figure)
    place = figure.placement
    across = width / (place.width * place.scale_x)
    down = height / (place.height * place.scale_y)
    top, left, bottom, right = box
    return _box(
        (left - place.left) * across,
        (top - place.top) * down,
        (right - place.left) * across,
        (bottom - place.top) * down,
    )


def _colour_bar(figure: LensFigure) -> Any:
    """The colours of the enlarged map with their numbers and the name of the scale."""
    import altair as alt

    width, _ = _panel(figure)
    end = maps.enlarged_limit(figure.view, figure.layers, figure.base) or 1e-9
    url = data_url(table(figure.view.cmap)[None])  # (1, 256, 3)
    words = "mean, own scale" if figure.view.heads else maps.SCALE_WORDS[figure.view.scale]
    axis = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, end], nice=False),
        title=f"attention ({words}; clipped at percentile {maps.CLIP})",
        axis=alt.Axis(values=list(np.linspace(0, end, 5)), format=".3~g", grid=False),
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    return (
        alt.Chart(alt.Data(values=[_box(0, 0, end, 1, url=url)]), name=f"{NEAREST}_bar")
        .mark_image(aspect=False, aria=False)
        .encode(x=axis, y=y, x2="x2:Q", y2="y2:Q", url="url:N")
        .properties(width=width, height=12)
    )


def _cell(figure: LensFigure) -> int:
    """Side of one small map in the matrix, figure pixels."""
    most = max(len(layer.attention) for layer in figure.layers)
    return int(np.clip(min(PANEL / len(figure.layers), 600 / most), 18, 56))


def _matrix(figure: LensFigure) -> Any:
    """Every head of every layer, layer 0 at the top; chosen heads are outlined."""
    import altair as alt

    cell, gutter = _cell(figure), 26
    most = max(len(layer.attention) for layer in figure.layers)
    width, height = gutter + cell * most, gutter + cell * len(figure.layers)
    images, frames = [], []
    limits = maps.limits(figure.layers, figure.view.scale)
    for row, layer in enumerate(figure.layers):
        for head, values in enumerate(layer.patches):
            x, y = gutter + head * cell, gutter + row * cell
            box = _fitted(x, y, cell - 2, layer.grid)
            url = data_url(paint(values, figure.view.cmap, limits[row][head]))
            images.append(_box(*box, url=url))
            if (row, head) in figure.view.chosen:
                frames.append(_box(*box))
    labels = [
        {"x": gutter + cell * (i + 0.5), "y": gutter - 8, "text": f"H{i}"} for i in range(most)
    ] + [
        {"x": gutter / 2 - 2, "y": gutter + cell * (i + 0.5), "text": f"L{i}"}
        for i in range(len(figure.layers))
    ]
    text = alt.Chart(alt.Data(values=labels)).mark_text(
        fontSize=min(10, cell * 0.42), color="#5b6573", baseline="middle"
    )
    text = text.encode(text="text:N", **_point(width, height))
    chart = _images(images, width, height, f"{NEAREST}_matrix") + text
    return (chart + _frames(frames, width, height)).properties(width=width, height=height)


def _fitted(x: float, y: float, side: float, grid: PatchGrid) -> tuple[float, ...]:
    """Corners of a map with square patches, centred in a square of `side` pixels."""
    across = side * grid.columns / max(grid.rows, grid.columns)
    down = side * grid.rows / max(grid.rows, grid.columns)
    x, y = x + (side - across) / 2, y + (side - down) / 2
    return x, y, x + across, y + down


def _caption(figure: LensFigure) -> Any:
    """The caption, wrapped to the width of the figure."""
    import altair as alt

    width, _ = _panel(figure)
    most = max(len(layer.attention) for layer in figure.layers)
    whole = width + 28 + 26 + _cell(figure) * most
    lines = [line for text in figure.caption for line in textwrap.wrap(text, int(whole / 5.6))]
    if any(np.isnan(layer.attention).any() for layer in figure.layers):
        red, green, blue = NO_DATA
        lines.append(f"Grey (rgb {red} {green} {blue}): no such token in that layer.")
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    height = 15 * len(lines) + 4
    text = alt.Chart(alt.Data(values=rows)).mark_text(align="left", fontSize=11, color="#2b323c")
    text = text.encode(text="text:N", **_point(whole, height))
    return text.properties(width=whole, height=height)
