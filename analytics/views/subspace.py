"""The figure of a probe's subspace: patches by two components, the picture, and the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from analytics.types import PatchGrid, Picture, Placement
from analytics.views.raster import data_url, seen_by_model
from analytics.views.sheet import sheet

Tint = Literal["object", "position", "picture"]
TINTS: tuple[Tint, ...] = get_args(Tint)

OBJECTS = (
    (214, 110, 28),
    (46, 116, 190),
    (52, 150, 96),
    (150, 92, 190),
    (200, 60, 66),
    (32, 152, 165),
    (160, 140, 30),
    (206, 92, 150),
    (120, 96, 66),
    (98, 122, 232),
)
"""Colours of objects in the order of their numbers, seen on white and on black."""

NONE = (140, 145, 152)
"""A patch of no object, or of one that nobody has marked."""

CORNERS = ((214, 92, 40), (60, 150, 70), (122, 78, 200), (30, 130, 205))
"""Colours of the picture's corners: top left, top right, bottom left, bottom right."""

PANEL = 300
LEVELS = ("positive", "negative")


@dataclass(frozen=True, eq=False)
class SubspaceFigure:
    """What the figure draws.

    `places` float32 (n, 2) with `explained` (2,); `colours` uint8 (n, 3) of patches, laid over
    the picture where `painted`; `spectrum` (k,) by falling size with `random` (k,) beside it, NaN
    where there is none; `marked` the rank up to which 90 % is held. `part` names the axes.
    """

    title: str
    part: str
    places: np.ndarray
    explained: np.ndarray
    colours: np.ndarray
    grid: PatchGrid
    picture: Picture
    placement: Placement
    painted: bool
    spectrum: np.ndarray
    random: np.ndarray
    marked: int
    caption: tuple[str, ...]


def patch_tints(
    tint: Tint, grid: PatchGrid, objects: np.ndarray | None, colours: np.ndarray
) -> np.ndarray:
    """Colour of every patch, uint8 (n, 3).

    Args:
        tint: by object, by position on the picture, or by the patch's own mean colour.
        grid: the patches.
        objects: int (n,), 0 for none; None where nobody has marked them.
        colours: uint8 (n, 3), mean of each patch.
    """
    if tint == "picture":
        return colours
    if tint == "position":
        return position_colours(grid)
    found = np.tile(np.array(NONE, np.uint8), (grid.count, 1))
    if objects is not None:
        for number, colour in object_colours(objects).items():
            found[objects == number] = colour
    return found


def object_colours(objects: np.ndarray) -> dict[int, tuple[int, int, int]]:
    """A colour for each object number but 0; beyond the first ten they are mixed with grey."""
    numbers = [int(one) for one in np.unique(objects) if one > 0]
    return {number: _series(i) for i, number in enumerate(numbers)}


def _series(index: int) -> tuple[int, int, int]:
    mix = 0.35 * min(2, index // len(OBJECTS))
    red, green, blue = (round(c + (140 - c) * mix) for c in OBJECTS[index % len(OBJECTS)])
    return red, green, blue


def position_colours(grid: PatchGrid) -> np.ndarray:
    """Colours that run between four at the corners, uint8 (n, 3)."""
    corners = np.array(CORNERS, np.float64).reshape(2, 2, 3)
    down = np.linspace(0, 1, grid.rows)[:, None, None]
    across = np.linspace(0, 1, grid.columns)[None, :, None]
    top = corners[0, 0] * (1 - across) + corners[0, 1] * across
    bottom = corners[1, 0] * (1 - across) + corners[1, 1] * across
    return np.rint(top * (1 - down) + bottom * down).astype(np.uint8).reshape(-1, 3)


def subspace_chart(figure: SubspaceFigure) -> Any:
    """The whole figure as an Altair chart."""
    import altair as alt

    row = alt.hconcat(_cloud(figure), _picture(figure), spacing=24)
    body = alt.vconcat(row, _spectrum(figure), spacing=20) if len(figure.spectrum) else row
    return sheet(
        body.resolve_scale(color="independent", x="independent", y="independent"),
        figure.title,
        figure.caption,
    )


def cloud_rows(figure: SubspaceFigure) -> list[dict[str, Any]]:
    """One row of chart data for each patch."""
    return [
        {"x": float(x), "y": float(y), "colour": _hex(colour), "patch": f"{patch}"}
        for patch, ((x, y), colour) in enumerate(zip(figure.places, figure.colours, strict=True))
    ]


def spectrum_rows(figure: SubspaceFigure) -> list[dict[str, Any]]:
    """One row of chart data for each eigenvalue; `random` where there is a counterpart."""
    rows = []
    for rank, value in enumerate(figure.spectrum, start=1):
        row = {"rank": rank, "value": float(value), "sign": LEVELS[int(value < 0)]}
        if np.isfinite(figure.random[rank - 1]):
            row["random"] = float(figure.random[rank - 1])
        rows.append(row)
    return rows


def _cloud(figure: SubspaceFigure) -> Any:
    import altair as alt

    titles = [
        f"PC{i + 1} of {figure.part} ({100 * share:.0f} % of its variance)"
        for i, share in enumerate(figure.explained)
    ]
    return (
        alt.Chart(alt.Data(values=cloud_rows(figure)))
        .mark_circle(size=34, opacity=0.85)
        .encode(
            x=alt.X("x:Q", title=titles[0], scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=titles[1], scale=alt.Scale(zero=False)),
            color=alt.Color("colour:N", scale=None),
        )
        .properties(width=PANEL, height=PANEL)
    )


def _picture(figure: SubspaceFigure) -> Any:
    """The picture as the model saw it, patches in the colours of the points."""
    import altair as alt

    place, grid = figure.placement, figure.grid
    tall, wide = place.height * place.scale_y, place.width * place.scale_x
    width = max(60, round(PANEL * wide / max(tall, wide)))
    height = max(60, round(PANEL * tall / max(tall, wide)))
    axes = {
        "x": alt.X("x:Q", scale=alt.Scale(domain=[0, grid.columns], nice=False), axis=None),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[grid.rows, 0], nice=False), axis=None),
        "x2": "x2:Q",
        "y2": "y2:Q",
    }
    url = data_url(seen_by_model(figure.picture, place, 2 * PANEL), photo=True)
    whole = {"x": 0, "y": 0, "x2": grid.columns, "y2": grid.rows, "url": url}
    photo = alt.Chart(alt.Data(values=[whole])).mark_image(aspect=False, aria=False)
    layers = [photo.encode(url="url:N", **axes)]
    if figure.painted:
        layers.append(_squares(figure).encode(color=alt.Color("colour:N", scale=None), **axes))
    return alt.layer(*layers).properties(width=width, height=height)


def _squares(figure: SubspaceFigure) -> Any:
    import altair as alt

    rows = []
    for patch, colour in enumerate(figure.colours):
        row, column = divmod(patch, figure.grid.columns)
        # Patches of no object stay as they are.
        if tuple(int(one) for one in colour) != NONE:
            box = {"x": column, "y": row, "x2": column + 1, "y2": row + 1}
            rows.append({**box, "colour": _hex(colour)})
    return alt.Chart(alt.Data(values=rows)).mark_rect(opacity=0.55)


def _spectrum(figure: SubspaceFigure) -> Any:
    import altair as alt

    rows = spectrum_rows(figure)
    base = alt.Chart(alt.Data(values=rows))
    # Some 12 numbers below the bars, and a bar for each eigenvalue.
    every = [one["rank"] for one in rows if (one["rank"] - 1) % max(1, len(rows) // 12) == 0]
    x = alt.X("rank:O", title="rank by size", axis=alt.Axis(values=every, labelAngle=0))
    sign = alt.Scale(domain=list(LEVELS), range=["#c8701d", "#2a6ab0"])
    legend = alt.Legend(title="eigenvalue")
    layers = [
        base.mark_bar().encode(
            x=x,
            y=alt.Y("value:Q", title="eigenvalue"),
            color=alt.Color("sign:N", scale=sign, legend=legend),
        )
    ]
    if any("random" in row for row in rows):
        line = base.mark_line(color="#5f6770", strokeDash=[4, 3]).encode(x=x, y="random:Q")
        layers.append(line)
    if 0 < figure.marked <= len(rows):
        mark = alt.Chart(alt.Data(values=[{"rank": figure.marked}]))
        layers.append(mark.mark_rule(color="#1d2126").encode(x=x))
    return alt.layer(*layers).properties(width=2 * PANEL - 20, height=150)


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(one):02x}" for one in colour)
