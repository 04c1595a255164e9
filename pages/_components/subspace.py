"""The instrument of the Subspace view as a Streamlit component: spectrum and layout of patches.

Its modules in `subspace/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined

FOLDER = Path(__file__).with_name("subspace")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "../binding/rowwords.js",
    "../binding/outline.js",
    "layoutdata.js",
    "turning.js",
    "motion.js",
    "subspacestate.js",
    "pointcloud.js",
    "tintedpicture.js",
    "spectrumbars.js",
    "pointlines.js",
    "apartlist.js",
    "subspacefacts.js",
    "subspacehelp.js",
    "subspacekeys.js",
    "subspacepointer.js",
    "subspacedesk.js",
    "subspace.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_mount = st.components.v2.component(
    "attention_atlas_subspace",
    html=(FOLDER / "subspace.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in (*STYLES, FOLDER / "subspace.css")),
    js=joined(MODULES, FOLDER),
)


def subspace(
    token: str, probes: Sequence[str], view: dict[str, str], serial: int, key: str = "subspace"
) -> Any:
    """Show where a probe looks and how a picture's patches lie there.

    Args:
        token: signed id of the layout, as the routes know it.
        probes: names of those that can read the picture.
        view: part, tint, axes, point and patch ("7,9") to start from, as text; empty ones have
            defaults.
        serial: another number makes the component go to `view`; otherwise the user's own
            choices stay when the token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument and `probe` where
        the user has chosen another) and the triggers `lens` (layer and q: open it there), `scene`
        (look at a made scene) and `gone` (the token that the server no longer holds).
    """
    data = {
        "token": token,
        "probes": list(probes),
        "view": view,
        "serial": serial,
        "base": base_path(),
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_lens_change=heard,
        on_scene_change=heard,
        on_gone_change=heard,
    )
