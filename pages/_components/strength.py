"""The instrument of the Strength page as a Streamlit component: how far heads look.

Its modules in `strength/` are joined as the lens's are, after those of the lens and of the
heads that it shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("strength")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "profile.js",
    "sight.js",
    "bylayer.js",
    "marks.js",
    "hopbars.js",
    "overpictures.js",
    "templates.js",
    "offsets.js",
    "blockmass.js",
    "sentences.js",
    "headfacts.js",
    "guide.js",
    "strengthbar.js",
    "strengthkeys.js",
    "strengthpointer.js",
    "bench.js",
    "strength.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_mount = st.components.v2.component(
    "attention_atlas_strength",
    html=(FOLDER / "strength.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in (*STYLES, FOLDER / "strength.css")),
    js=joined(MODULES, FOLDER),
)


def strength(
    token: str, control: str, view: dict[str, Any], serial: int, key: str = "strength"
) -> Any:
    """Show a profile; hover and selection happen in the browser.

    Args:
        token: signed id of the profile, as the routes know it.
        control: signed id of the profile with random weights, empty where there is none.
        view: metric, rule, unit, layer, head, image (sha256) to start from; missing ones have
            defaults.
        serial: another number makes the component fetch the profile again and go to `view`;
            otherwise the user's own choices stay when the token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the
        triggers `lens` (layer, head, image: open it there) and `gone` (the token whose
        profile the server no longer holds).
    """
    data = {
        "token": token,
        "control": control,
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
        on_gone_change=heard,
    )
