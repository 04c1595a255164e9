"""The instrument of the Patterns page as a Streamlit component: an atlas of all heads.

Its modules in `patterns/` are joined as the lens's are, after those of the lens and of the
heads that it shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("patterns")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "tints.js",
    "space.js",
    "cloud.js",
    "contours.js",
    "splat.js",
    "tiles.js",
    "marks.js",
    "scene.js",
    "plane.js",
    "lasso.js",
    "mappair.js",
    "loss.js",
    "learning.js",
    "countlists.js",
    "pointed.js",
    "planehelp.js",
    "planebar.js",
    "planekeys.js",
    "planepointer.js",
    "boarddeeds.js",
    "board.js",
    "patterns.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_mount = st.components.v2.component(
    "attention_atlas_patterns",
    html=(FOLDER / "patterns.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in (*STYLES, FOLDER / "patterns.css")),
    js=joined(MODULES, FOLDER),
)


def patterns(
    token: str, view: dict[str, Any], serial: int, training: str = "", key: str = "patterns"
) -> Any:
    """Show an atlas of heads; hover, zoom and selection happen in the browser.

    Args:
        token: signed id of the atlas, as the routes know it.
        view: layer, head, image (sha256) to start from; missing ones have defaults.
        serial: another number makes the component fetch the atlas again and go to `view`;
            otherwise the user's own choices stay when the token changes.
        training: signed key of the job that trains another coder, empty for none.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the
        triggers `lens` (model, layer, head, image: open it there), `layout` (another plane is
        wanted: `umap`, or the coder's own) and `gone` (the token whose atlas the server no
        longer holds).
    """
    data = {
        "token": token,
        "view": view,
        "serial": serial,
        "training": training,
        "base": base_path(),
        "palettes": {"inferno": palettes()["inferno"]},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_lens_change=heard,
        on_layout_change=heard,
        on_gone_change=heard,
    )
