"""The instrument of the Discovery view as a Streamlit component: masks side by side, and means.

Its modules in `finding/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.binding import FOLDER as BINDING
from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("finding")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "../binding/rowwords.js",
    "../binding/outline.js",
    "findingdata.js",
    "findingstate.js",
    "maskpaint.js",
    "bigmask.js",
    "maskcards.js",
    "meanrows.js",
    "findingfacts.js",
    "findinghelp.js",
    "findingkeys.js",
    "findingbar.js",
    "findingdesk.js",
    "finding.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_LOOKS = (*STYLES, BINDING / "binding.css", FOLDER / "finding.css")

_mount = st.components.v2.component(
    "attention_atlas_finding",
    html=(FOLDER / "finding.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _LOOKS),
    js=joined(MODULES, FOLDER),
)


def finding(
    token: str,
    scenes: str,
    job: str,
    view: Mapping[str, str],
    serial: int,
    key: str = "finding",
) -> Any:
    """Show what methods hold to be objects of a picture, and how they did on made scenes.

    Args:
        token: signed id of the masks, as the routes know it.
        scenes: signed id of the scores over scenes that were measured last; empty where there
            are none.
        job: of the scores that belong to what is chosen: `new` (nobody asked), `running`,
            `stopped` or `done`; empty where they cannot be had.
        view: features, at (the point, empty for the last), groups, found (the method that is
            enlarged) and score to start from, as text.
        serial: another number makes the component go to `view`; otherwise the user's own
            choices stay when a token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the triggers
        `measure` (measure on made scenes), `lens` (layer and q: open it there), `scene` (look at a
        made scene) and `gone` (a token that the server no longer holds).
    """
    data = {
        "token": token,
        "scenes": scenes,
        "job": job,
        "view": dict(view),
        "serial": serial,
        "base": base_path(),
        "palettes": {"viridis": palettes()["viridis"]},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_measure_change=heard,
        on_scene_change=heard,
        on_lens_change=heard,
        on_gone_change=heard,
    )
