"""The figure of one query: the picture, and the chance that each patch is of the same object.

Small maps of other points may stand below, painted without the picture.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.types import Picture, Placement
from analytics.views.colours import QUERY, paint, table, veil
from analytics.views.lens import NEAREST
from analytics.views.raster import data_url, seen_by_model

PANEL = 420
"""Longer side of each of the two panels, figure pixels."""

SMALL_COLUMNS, SMALL_GAP = 7, 8
"""Small maps in a line, and pixels between them."""

COLOURS = "viridis"
OPACITY = 0.8


@dataclass(frozen=True)
class SameObjectFigure:
    """What the figure draws.

    `probability` is (rows, columns), 0 to 1; `query` the box of the query patch, (top, left,
    bottom, right) in picture pixels; `caption` sentences, one paragraph each; `small` further maps
    (rows, columns) with their names.
    """

    picture: Picture
    placement: Placement
    probability: np.ndarray
    query: tuple[float, float, float, float]
    title: str
    caption: tuple[str, ...]
    small: tuple[tuple[str, np.ndarray], ...] = ()


def same_object_chart(figure: SameObjectFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    size = panel_size(figure.placement)
    photo, query = _photo(figure, size), _query(figure, size)
    shown = _image(
        size, data_url(veil(figure.probability, COLOURS, 1.0, OPACITY)), f"{NEAREST}_map"
    )
    body = alt.hconcat(photo + query, photo + shown + query, spacing=16)
    small = [_small(figure)] if figure.small else []
    parts = alt.vconcat(body, _colour_bar(figure), *small, _caption(figure), spacing=12)
    return (
        parts.properties(
            title=alt.Title(figure.title, anchor="start", fontSize=16),
            background="white",
            padding=16,
        )
        .resolve_scale(x="independent", y="independent")
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def panel_size(placement: Placement) -> tuple[int, int]:
    """Width and height of a panel: the shape of what the model saw."""
    height = placement.height * placement.scale_y
    width = placement.width * placement.scale_x
    longer = max(height, width)
    return max(80, round(PANEL * width / longer)), max(80, round(PANEL * height / longer))


def _axes(width: float, height: float) -> dict[str, Any]:
    """Encodings of boxes in pixels of a panel, origin at the top left."""
    import altair as alt

    across = alt.Scale(domain=[0, width], range=[0, width], nice=False)
    down = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    return {
        "x": alt.X("x:Q", scale=across, axis=None),
        "y": alt.Y("y:Q", scale=down, axis=None),
    }


def small_size(placement: Placement) -> tuple[int, int]:
    """Width and height of a small map: a line of them is as wide as the two panels."""
    width, height = panel_size(placement)
    across = (2 * width + 16 - (SMALL_COLUMNS - 1) * SMALL_GAP) // SMALL_COLUMNS
    return across, max(16, round(across * height / width))


def _small(figure: SameObjectFigure) -> Any:
    """The small maps, in lines."""
    import altair as alt

    size = small_size(figure.placement)
    query = _query(figure, size, 1.5)
    maps = [
        (
            _image(size, data_url(paint(one, COLOURS, 1.0)), f"{NEAREST}_small{number}") + query
        ).properties(
            title=alt.Title(name, anchor="start", fontSize=11, fontWeight="normal", offset=3)
        )
        for number, (name, one) in enumerate(figure.small)
    ]
    return alt.concat(*maps, columns=SMALL_COLUMNS, spacing=SMALL_GAP)


def _image(size: tuple[int, int], url: str, name: str) -> Any:
    """An image that fills a panel."""
    import altair as alt

    width, height = size
    row = {"x": 0, "y": 0, "x2": width, "y2": height, "url": url}
    return (
        alt.Chart(alt.Data(values=[row]), name=name)
        .mark_image(aspect=False, aria=False)
        .encode(url="url:N", x2="x2:Q", y2="y2:Q", **_axes(width, height))
        .properties(width=width, height=height)
    )


def _photo(figure: SameObjectFigure, size: tuple[int, int]) -> Any:
    pixels = seen_by_model(figure.picture, figure.placement, 2 * PANEL)
    return _image(size, data_url(pixels, photo=True), "photo")


def _query(figure: SameObjectFigure, size: tuple[int, int], stroke: float = 3.5) -> Any:
    """The query patch outlined, white under blue, to be seen on any colour."""
    import altair as alt

    place = figure.placement
    width, height = size
    across = width / (place.width * place.scale_x)
    down = height / (place.height * place.scale_y)
    top, left, bottom, right = figure.query
    row = {
        "x": (left - place.left) * across,
        "y": (top - place.top) * down,
        "x2": (right - place.left) * across,
        "y2": (bottom - place.top) * down,
    }
    base = alt.Chart(alt.Data(values=[row])).encode(x2="x2:Q", y2="y2:Q", **_axes(width, height))
    under = base.mark_rect(filled=False, stroke="white", strokeWidth=stroke)
    return under + base.mark_rect(filled=False, stroke=QUERY, strokeWidth=stroke / 2)


def _colour_bar(figure: SameObjectFigure) -> Any:
    """The colours with their numbers."""
    import altair as alt

    width, _ = panel_size(figure.placement)
    row = {"x": 0, "y": 0, "x2": 1, "y2": 1, "url": data_url(table(COLOURS)[None])}
    axis = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        title="P(same object); faint below .25",
        axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2~f", grid=False),
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    return (
        alt.Chart(alt.Data(values=[row]), name=f"{NEAREST}_bar")
        .mark_image(aspect=False, aria=False)
        .encode(x=axis, y=y, x2="x2:Q", y2="y2:Q", url="url:N")
        .properties(width=width, height=12)
    )


def _caption(figure: SameObjectFigure) -> Any:
    """The caption, wrapped to the width of the figure."""
    import altair as alt

    width = 2 * panel_size(figure.placement)[0] + 16
    lines = [line for text in figure.caption for line in textwrap.wrap(text, int(width / 5.6))]
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    height = 15 * len(lines) + 4
    text = alt.Chart(alt.Data(values=rows)).mark_text(align="left", fontSize=11, color="#2b323c")
    return text.encode(text="text:N", **_axes(width, height)).properties(width=width, height=height)
