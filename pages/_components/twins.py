"""The view of identical copies as a Streamlit component: a canvas to lay them on, and curves.

Its modules in `twins/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.binding import FOLDER as BINDING
from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("twins")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "../binding/rowwords.js",
    "../binding/reading.js",
    "twinsplaces.js",
    "twinscanvas.js",
    "twinscurves.js",
    "twinsstate.js",
    "twinsfacts.js",
    "twinshelp.js",
    "twinskeys.js",
    "twinsdeeds.js",
    "twinspointer.js",
    "twinsbar.js",
    "twinsdesk.js",
    "twins.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_LOOKS = (*STYLES, BINDING / "binding.css", FOLDER / "twins.css")

_mount = st.components.v2.component(
    "attention_atlas_twins",
    html=(FOLDER / "twins.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _LOOKS),
    js=joined(MODULES, FOLDER),
)


def twins(
    token: str,
    view: Mapping[str, str],
    objects: Sequence[Mapping[str, Any]],
    grounds: Mapping[str, str],
    problem: str,
    serial: int,
    key: str = "twins",
) -> Any:
    """Show a canvas of copies; moving them happens in the browser, measuring on the server.

    Args:
        token: signed id of what was measured last, as the routes know it.
        view: layout, point, patch, variant ("with" or "without") and measure to start from, as
            text.
        objects: what can be copied, as groups: `group` (its title) and `options` (pairs of name
            and title).
        grounds: names of grounds with what they are.
        problem: why the copies on screen could not be measured; empty where they could.
        serial: another number makes the component go to `view`; otherwise the user's own choices
            stay when a token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the triggers
        `lens` (layer and q: open the picture there) and `gone` (the token that the server no
        longer holds).
    """
    data = {
        "token": token,
        "view": dict(view),
        "objects": [dict(one) for one in objects],
        "grounds": dict(grounds),
        "problem": problem,
        "serial": serial,
        "base": base_path(),
        "palettes": {"inferno": palettes()["inferno"]},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_lens_change=heard,
        on_gone_change=heard,
    )
