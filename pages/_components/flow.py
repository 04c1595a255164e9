"""The instrument of the Flow page as a Streamlit component: what the output draws on.

Its modules in `flow/` are joined as the lens's are, after those of the lens and of the heads
that it shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("flow")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "evidence.js",
    "outlook.js",
    "mapscale.js",
    "ground.js",
    "faithful.js",
    "mapcards.js",
    "sinkmap.js",
    "sinklife.js",
    "normband.js",
    "shiftlines.js",
    "flowfacts.js",
    "whatif.js",
    "flowhelp.js",
    "flowkeys.js",
    "flowpointer.js",
    "flowdesk.js",
    "flow.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_mount = st.components.v2.component(
    "attention_atlas_flow",
    html=(FOLDER / "flow.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in (*STYLES, FOLDER / "flow.css")),
    js=joined(MODULES, FOLDER),
)


def flow(
    token: str,
    changed: str,
    asked: bool,
    view: dict[str, Any],
    serial: int,
    key: str = "flow",
) -> Any:
    """Show a flow; hover and choices happen in the browser.

    Args:
        token: signed id of the flow, as the routes know it.
        changed: signed id of the flow with its what-if, empty where there is none.
        asked: whether a what-if is asked for, there already or not.
        view: map, scaling, threshold, layer to start from; missing ones have defaults.
        serial: another number makes the component go to `view`; otherwise the user's own
            choices stay when the token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state: map, scaling, threshold, layer) and the triggers
        `lens` (layer, and q for a patch: open it there), `what_if` (threshold, p and prefix;
        none of them to go back), both with the view, and `gone` (the token whose flow the
        server no longer holds).
    """
    data = {
        "token": token,
        "changed": changed,
        "asked": asked,
        "view": view,
        "serial": serial,
        "base": base_path(),
        "palettes": {name: palettes()[name] for name in ("viridis", "inferno")},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_lens_change=heard,
        on_what_if_change=heard,
        on_gone_change=heard,
    )
