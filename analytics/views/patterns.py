"""The figure of an atlas of heads: points and decoded patterns as pixels, names in letters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.views.colours import table
from analytics.views.lens import NEAREST
from analytics.views.raster import data_url

WIDTH, HEIGHT = 760, 560
"""Of the plane, in figure pixels."""

SCALE = 3
"""Pixels of the raster for each figure pixel."""

ROOM = 0.05
"""Free edge around the points, as a share of their extent."""

PALE_END = 0.87
"""Layers use the colour table up to here: its last colours are too pale on white."""

FEW_POINTS, SOME_POINTS = 2_000, 20_000
"""Up to so many, points are five or three pixels wide, and two above."""

ENCLOSED = (0.95, 0.8, 0.6, 0.4, 0.2)
"""Shares of all points that the bands of density enclose."""

BINS, BAND = 96, 7
"""Cells of the density along each side; how much darker each band is than the one around it."""

BOOST = 1.9
"""Lines one value wide would fade in a small tile."""


@dataclass(frozen=True, eq=False)
class AtlasFigure:
    """What the figure draws.

    `x`, `y` and `layer` are those of the points, (n,). `heads` are (model, layer, head) with
    `head_positions` (heads, 2). `clusters` are names with the median x and y of their points.
    `grid_x` and `grid_y` are places with the patterns `decoded`, uint8 (gy, gx, side, side),
    and `near` (gy, gx) where points lie nearby. `axis` names the plane, `caption` are
    sentences, one paragraph each.
    """

    title: str
    axis: str
    x: np.ndarray
    y: np.ndarray
    layer: np.ndarray
    heads: Sequence[tuple[int, int, int]]
    head_positions: np.ndarray
    clusters: Sequence[tuple[str, float, float]]
    grid_x: np.ndarray
    grid_y: np.ndarray
    decoded: np.ndarray
    near: np.ndarray
    caption: tuple[str, ...]


def atlas_chart(figure: AtlasFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    body = _ground(figure) + _dots(figure) + _names(figure)
    return (
        alt.vconcat(
            body.properties(width=WIDTH, height=HEIGHT, view={"stroke": "#dcdedc"}),
            _caption(figure),
            spacing=14,
            background="white",
            padding=16,
        )
        .properties(title=alt.Title(figure.title, anchor="start", fontSize=16))
        .configure(font="Helvetica, Arial, sans-serif", view={"stroke": None})
    )


def extent(figure: AtlasFigure) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the plane: all points and grid places, with some room."""
    found: list[float] = []
    for values, more in ((figure.x, figure.grid_x), (figure.y, figure.grid_y)):
        both = np.concatenate([np.ravel(values), np.ravel(more)]).astype(np.float64)
        low, high = float(both.min()), float(both.max())
        room = ROOM * (high - low) or 1.0
        found += [low - room, high + room]
    return found[0], found[1], found[2], found[3]


def ground_pixels(figure: AtlasFigure) -> np.ndarray:
    """Decoded patterns in grey under the points, each in the colour of its layer.

    Returns:
        uint8 (HEIGHT * SCALE, WIDTH * SCALE, 3). Known answer: a point far from all patterns
        has exactly its layer's colour.
    """
    from PIL import Image, ImageChops

    left, right, bottom, top = extent(figure)
    canvas = Image.fromarray(_bands(figure)).convert("RGB")
    across, down = canvas.width / (right - left), canvas.height / (top - bottom)
    side = _tile_side(figure, across, down)
    for row, y in enumerate(figure.grid_y):
        for column, x in enumerate(figure.grid_x):
            strength = 0.32 if figure.near[row, column] else 0.05
            ink = np.minimum(255.0, BOOST * figure.decoded[row, column])
            shade = 255 - np.rint(strength * ink).astype(np.uint8)
            tile = Image.fromarray(shade).resize((side, side), Image.Resampling.NEAREST)
            place = (round((x - left) * across - side / 2), round((top - y) * down - side / 2))
            under = canvas.crop((*place, place[0] + side, place[1] + side))
            canvas.paste(ImageChops.multiply(under, tile.convert("RGB")), place)
    pixels = np.array(canvas)
    columns = np.rint((figure.x - left) * across).astype(int)
    rows = np.rint((top - figure.y) * down).astype(int)
    # In mixed order, so that no layer covers the others.
    order = np.random.default_rng(0).permutation(len(columns))
    colours = layer_colours(figure.layer)[order]
    wide = 5 if len(columns) <= FEW_POINTS else 3 if len(columns) <= SOME_POINTS else 2
    reach = range(-(wide // 2), wide - wide // 2)
    for dy in reach:
        for dx in reach:
            inside_rows = np.clip(rows[order] + dy, 0, pixels.shape[0] - 1)
            pixels[inside_rows, np.clip(columns[order] + dx, 0, pixels.shape[1] - 1)] = colours
    return pixels


def _bands(figure: AtlasFigure) -> np.ndarray:
    """Grey that darkens where points are dense, one step at each of `ENCLOSED`, uint8."""
    from PIL import Image

    density = smoothed_density(figure)
    sorted_down = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(sorted_down) / density.sum()
    levels = [sorted_down[np.searchsorted(mass, share)] for share in ENCLOSED]
    size = (WIDTH * SCALE, HEIGHT * SCALE)
    fine = np.asarray(Image.fromarray(density).resize(size, Image.Resampling.BICUBIC))
    return (255 - BAND * sum((fine > level).astype(int) for level in levels)).astype(np.uint8)


def smoothed_density(figure: AtlasFigure) -> np.ndarray:
    """Points counted on a grid over the plane and smoothed, float32 (96, 96), top row first.

    Known answer: it sums to the number of points that lie well inside.
    """
    left, right, bottom, top = extent(figure)
    counts, _, _ = np.histogram2d(
        top - figure.y, figure.x - left, BINS, [[0, top - bottom], [0, right - left]]
    )
    kernel = np.array([1.0])
    for _ in range(3):  # three means over five cells are nearly a Gaussian
        kernel = np.convolve(kernel, np.full(5, 0.2))
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    return counts.astype(np.float32)


def layer_colours(layer: np.ndarray) -> np.ndarray:
    """Colours of layers on one ramp, first to last, uint8 (n, 3)."""
    last = max(1, int(layer.max(initial=0)))
    return table("viridis")[np.rint(layer / last * PALE_END * 255).astype(int)]


def _tile_side(figure: AtlasFigure, across: float, down: float) -> int:
    steps = []
    for places, scale in ((figure.grid_x, across), (figure.grid_y, down)):
        if len(places) > 1:
            steps.append(float(np.diff(places).min()) * scale)
    return max(4, round(0.88 * min(steps or [80.0])))


def _axes(figure: AtlasFigure) -> dict[str, Any]:
    import altair as alt

    left, right, bottom, top = extent(figure)
    plain = alt.Axis(labels=False, ticks=False, grid=False, domain=False, titleColor="#5b6573")
    return {
        "x": alt.X(
            "x:Q", scale=alt.Scale(domain=[left, right], nice=False), title=figure.axis, axis=plain
        ),
        "y": alt.Y(
            "y:Q", scale=alt.Scale(domain=[bottom, top], nice=False), title=None, axis=plain
        ),
    }


def _ground(figure: AtlasFigure) -> Any:
    import altair as alt

    left, right, bottom, top = extent(figure)
    url = data_url(ground_pixels(figure))
    row = {"x": left, "y": top, "x2": right, "y2": bottom, "url": url}
    return (
        alt.Chart(alt.Data(values=[row]), name=f"{NEAREST}_ground")
        .mark_image(aspect=False, aria=False)
        .encode(**_axes(figure), x2="x2:Q", y2="y2:Q", url="url:N")
    )


def _dots(figure: AtlasFigure) -> Any:
    import altair as alt

    layers = np.array([layer for _, layer, _ in figure.heads])
    colours = layer_colours(layers)
    rows = [
        {
            "x": float(x),
            "y": float(y),
            "name": f"L{layer} H{head}",
            "colour": "#{:02x}{:02x}{:02x}".format(*colour),
            "shape": "diamond" if model else "circle",
        }
        for (model, layer, head), (x, y), colour in zip(
            figure.heads, figure.head_positions, colours, strict=True
        )
    ]
    known = [row for row in rows if np.isfinite(row["x"])]
    base = alt.Chart(alt.Data(values=known)).encode(**_axes(figure))
    dots = base.mark_point(filled=True, size=52, opacity=1, stroke="white", strokeWidth=1).encode(
        color=alt.Color("colour:N", scale=None),
        shape=alt.Shape(
            "shape:N",
            scale=alt.Scale(domain=["circle", "diamond"], range=["circle", "diamond"]),
            legend=None,
        ),
    )
    named = [rows[i] for i in with_room(figure)]
    texts = alt.Chart(alt.Data(values=named)).encode(**_axes(figure))
    return dots + _haloed(texts, "name", 7.5, {"align": "left", "dx": 6})


def with_room(figure: AtlasFigure) -> list[int]:
    """Heads whose names cover no other name and no other dot, in order."""
    left, right, bottom, top = extent(figure)
    across, down = WIDTH / (right - left), HEIGHT / (top - bottom)
    places = [((x - left) * across, (top - y) * down) for x, y in figure.head_positions]
    taken = [(x - 4.0, y - 4.0, x + 4.0, y + 4.0) for x, y in places]
    for name, x, y in figure.clusters:
        half = 3.9 * len(name)
        middle, high = (x - left) * across, (top - y) * down
        taken.append((middle - half, high - 8, middle + half, high + 8))
    found = []
    for i, (x, y) in enumerate(places):
        wide = 4.3 * len(f"L{figure.heads[i][1]} H{figure.heads[i][2]}")
        box = (x + 5, y - 5, x + 6 + wide, y + 5)
        # A head none of whose maps is finite has no place: every comparison is False.
        if x + 6 + wide < WIDTH and not any(_meet(box, one) for one in taken):
            taken.append(box)
            found.append(i)
    return found


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _names(figure: AtlasFigure) -> Any:
    import altair as alt

    rows = [
        {"x": float(x), "y": float(y), "name": name}
        for name, x, y in figure.clusters
        if np.isfinite(x) and np.isfinite(y)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(**_axes(figure))
    return _haloed(base, "name", 13, {"fontWeight": 600})


def _haloed(base: Any, field: str, size: float, more: dict[str, Any]) -> Any:
    """Text over a white outline of itself, to be read on any ground."""
    text = base.encode(text=f"{field}:N")
    under = text.mark_text(fontSize=size, stroke="white", strokeWidth=3, color="white", **more)
    return under + text.mark_text(fontSize=size, color="#1d2126", **more)


def _caption(figure: AtlasFigure) -> Any:
    import altair as alt

    lines = [line for text in figure.caption for line in textwrap.wrap(text, 128)]
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    height = 15 * len(lines) + 4
    pixels = {
        "x": alt.X("x:Q", scale=alt.Scale(domain=[0, WIDTH], range=[0, WIDTH]), axis=None),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[0, height], range=[0, height]), axis=None),
    }
    text = alt.Chart(alt.Data(values=rows)).mark_text(align="left", fontSize=11, color="#2b323c")
    return text.encode(text="text:N", **pixels).properties(width=WIDTH, height=height)
