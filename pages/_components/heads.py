"""The instrument of the Heads page as a Streamlit component: which heads matter.

Its modules in `heads/` are joined as the lens's are, after those of the lens that it shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.lens import FOLDER as LENS
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("heads")
SHARED = (
    "half.js",
    "record.js",
    "scale.js",
    "geometry.js",
    "rows.js",
    "theme.js",
    "listening.js",
    "dialog.js",
    "mounting.js",
)
"""Modules of the lens that this component uses as well."""

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "atlas.js",
    "choice.js",
    "plot.js",
    "grid.js",
    "ranking.js",
    "perhead.js",
    "pictures.js",
    "curves.js",
    "tables.js",
    "side.js",
    "facts.js",
    "detail.js",
    "pruning.js",
    "about.js",
    "topbar.js",
    "deeds.js",
    "headkeys.js",
    "headpointer.js",
    "pressing.js",
    "desk.js",
    "heads.js",
)
"""Order of dependencies: a module stands after everything it imports."""

STYLES = (LENS / "lens.css", LENS / "panel.css", FOLDER / "heads.css")
"""The lens's look first, then what this page adds."""

_mount = st.components.v2.component(
    "attention_atlas_heads",
    html=(FOLDER / "heads.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in STYLES),
    js=joined(MODULES, FOLDER),
)


def heads(
    token: str,
    view: dict[str, Any],
    serial: int,
    found: dict[str, Any] | None = None,
    key: str = "heads",
) -> Any:
    """Show a study of head importance; hover and selection happen in the browser.

    Args:
        token: signed id of the study, as the routes know it.
        view: metric, layer, head, image (sha256), heads ("3:5,4:1", the pruning set) to start
            from; missing ones have defaults.
        serial: another number makes the component fetch the study again and go to `view`;
            otherwise the user's own choices stay when the token changes.
        found: heads to mark in the matrix: `heads` as pairs, and `words` that say what they are.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the
        triggers `lens` (a view like that: open it there), `curves` (id of the study whose
        pruning curves are wanted), `prune` (heads as pairs, and the metric they were chosen
        by) and `gone` (the token whose study the server no longer holds).
    """
    data = {
        "token": token,
        "view": view,
        "serial": serial,
        "found": found,
        "base": base_path(),
        "palettes": {"viridis": palettes()["viridis"]},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_lens_change=heard,
        on_curves_change=heard,
        on_prune_change=heard,
        on_gone_change=heard,
    )
