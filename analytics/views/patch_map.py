"""Numbers on a grid of patches as a chart whose squares answer to the pointer."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Scale = Literal["inferno", "viridis", "redblue", "category10"]


def patch_chart(
    values: np.ndarray,
    title: str,
    limits: tuple[float, float],
    scheme: Scale = "inferno",
    query: int | None = None,
    name: str = "value",
    side: int = 165,
    pick: str | None = None,
    legend: bool = True,
) -> Any:
    """One map.

    Args:
        values: (rows, columns); NaN is left empty.
        title: above the map.
        limits: ends of the scale.
        scheme: colours; `redblue` for signed differences around 0 alone.
        query: a patch to frame, row-major.
        name: what the numbers are.
        side: longer side in pixels.
        pick: name of a selection that a click on a patch makes; None for none.
        legend: whether a colour bar stands below.
    """
    import altair as alt

    rows, columns = values.shape
    cells = [
        {"row": i, "column": j, "value": None if np.isnan(values[i, j]) else float(values[i, j])}
        for i in range(rows)
        for j in range(columns)
    ]
    scale = alt.Scale(scheme=scheme, domain=list(limits), reverse=scheme == "redblue", clamp=True)
    bar = alt.Legend(
        title=name, orient="bottom", gradientLength=min(side - 20, 200), gradientThickness=8
    )
    place = {
        "x": alt.X("column:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)),
        "y": alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)),
    }
    base = alt.Chart(alt.Data(values=cells))
    squares = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=scale, legend=bar if legend else None),
        tooltip=[
            alt.Tooltip("row:O"),
            alt.Tooltip("column:O"),
            alt.Tooltip("value:Q", title=name, format=".3f"),
        ],
        **place,
    )
    if pick is not None:
        squares = squares.add_params(alt.selection_point(name=pick, fields=["row", "column"]))
    layers = [squares]
    if query is not None:
        row, column = divmod(query, columns)
        frame = alt.Chart(alt.Data(values=[{"row": row, "column": column}]))
        layers.append(
            frame.mark_rect(fillOpacity=0, stroke="#d43d51", strokeWidth=2).encode(**place)
        )
    step = side / max(rows, columns)
    return alt.layer(*layers).properties(
        title=alt.Title(title, anchor="start", fontSize=12),
        width=round(step * columns),
        height=round(step * rows),
    )
