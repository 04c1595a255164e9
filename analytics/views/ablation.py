"""Charts of an ablation: what is left of a measure as more of a part is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

COLOURS = {"binding": "#c8701d", "principal": "#2a6ab0", "random": "#8a9098", "stream": "#7a5aa6"}
EDITS = {
    "shuffle": "share of patches shuffled",
    "inject": "alpha: 1 unchanged, 0 the mean of the object",
}


@dataclass(frozen=True, eq=False)
class AblationLine:
    """One line: `points` float (amounts, 4) of amount, value, low and high."""

    subspace: str
    edit: str
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class AblationFigure:
    """All lines of a measure, named `axis`, and its value `clean` in the unchanged model."""

    axis: str
    clean: float
    lines: Sequence[AblationLine]


def ablation_chart(figure: AblationFigure, width: int = 300, height: int = 230) -> Any:
    """Two panels with one vertical scale: the shuffle, and the injection from right to left."""
    import altair as alt

    panels = [one.properties(width=width) for one in ablation_panels(figure, height)]
    return alt.hconcat(*panels, spacing=26).resolve_scale(color="shared")


def ablation_panels(figure: AblationFigure, height: int = 190) -> list[Any]:
    """A chart for each edit, as wide as the place that it gets, with one vertical scale."""
    return [_panel(figure, edit, height) for edit in EDITS if _rows(figure, edit)]


def _limits(figure: AblationFigure) -> list[float]:
    """Ends of the vertical scale, the same in all panels."""
    ends = np.concatenate([line.points[:, 1:].ravel() for line in figure.lines])
    ends = np.append(ends[np.isfinite(ends)], figure.clean)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = max(0.01, 0.05 * (high - low))
    return [low - room, high + room]


def _rows(figure: AblationFigure, edit: str) -> list[dict[str, Any]]:
    rows = []
    for line in figure.lines:
        if line.edit != edit:
            continue
        for amount, value, low, high in line.points.tolist():
            if np.isfinite(value):
                row = {"subspace": line.subspace, "amount": amount, "value": value}
                rows.append(row | ({"low": low, "high": high} if np.isfinite(low) else {}))
    return rows


def _panel(figure: AblationFigure, edit: str, height: int) -> Any:
    import altair as alt

    names = [name for name in COLOURS if any(one.subspace == name for one in figure.lines)]
    reverse = edit == "inject"
    x = alt.X("amount:Q", title=EDITS[edit], scale=alt.Scale(domain=[0, 1], reverse=reverse))
    scale = alt.Scale(domain=_limits(figure), nice=False)
    y = alt.Y("value:Q", title=figure.axis, scale=scale)
    inks = alt.Scale(domain=names, range=[COLOURS[name] for name in names])
    colour = alt.Color(
        "subspace:N",
        scale=inks,
        legend=alt.Legend(title=None, orient="top", symbolType="stroke"),
    )
    tips = [
        alt.Tooltip("subspace:N", title="subspace"),
        alt.Tooltip("amount:Q", title="amount"),
        alt.Tooltip("value:Q", title=figure.axis, format=".3f"),
        alt.Tooltip("low:Q", title="95 % from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    base = alt.Chart(alt.Data(values=_rows(figure, edit)))
    faint = alt.Color("subspace:N", scale=inks, legend=None)
    band = base.mark_area(opacity=0.13).encode(
        x=x, y=alt.Y("low:Q", title=figure.axis, scale=scale), y2="high:Q", color=faint
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=46), strokeWidth=2).encode(
        x=x, y=y, color=colour, tooltip=tips
    )
    layers = [band, line]
    if np.isfinite(figure.clean):
        rule = alt.Chart(alt.Data(values=[{"value": figure.clean}]))
        layers.append(rule.mark_rule(strokeDash=[5, 4], opacity=0.7).encode(y=y))
    return alt.layer(*layers).resolve_legend(color="independent").properties(height=height)
