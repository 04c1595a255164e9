"""A chart as a sheet to hand on: title above, caption below, white ground."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

COLUMNS = 112
"""Letters in a line of the caption."""


def sheet(body: Any, title: str, caption: Sequence[str]) -> Any:
    """Put title and caption to an Altair chart.

    Args:
        body: the chart, with sizes.
        title: one line.
        caption: paragraphs, wrapped here.
    """
    import altair as alt

    parts = alt.vconcat(body, _caption(caption), spacing=14, background="white", padding=16)
    return parts.properties(title=alt.Title(title, anchor="start", fontSize=16)).configure(
        font="Helvetica, Arial, sans-serif", view={"stroke": None}
    )


def _caption(paragraphs: Sequence[str]) -> Any:
    import altair as alt

    lines = [line for text in paragraphs for line in textwrap.wrap(text, COLUMNS)]
    rows = [{"x": 0, "y": 8 + 15 * i, "text": line} for i, line in enumerate(lines)]
    width, height = 640, 15 * len(lines) + 4
    pixels = {
        "x": alt.X("x:Q", scale=alt.Scale(domain=[0, width], range=[0, width]), axis=None),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[0, height], range=[0, height]), axis=None),
    }
    text = alt.Chart(alt.Data(values=rows)).mark_text(align="left", fontSize=11, color="#2b323c")
    return text.encode(text="text:N", **pixels).properties(width=width, height=height)
