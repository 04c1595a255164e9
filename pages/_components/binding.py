"""The instrument of the Binding page as a Streamlit component: which patches belong together.

Its modules in `binding/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("binding")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "rowwords.js",
    "reading.js",
    "outline.js",
    "bindingstate.js",
    "bigmap.js",
    "pointstrip.js",
    "probecurve.js",
    "rowlist.js",
    "bindingfacts.js",
    "bindinghelp.js",
    "bindingkeys.js",
    "bindingpointer.js",
    "bindingdesk.js",
    "binding.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_mount = st.components.v2.component(
    "attention_atlas_binding",
    html=(FOLDER / "binding.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in (*STYLES, FOLDER / "binding.css")),
    js=joined(MODULES, FOLDER),
)


def binding(
    picture: str,
    study: str,
    done: int,
    probes: Sequence[str],
    view: dict[str, Any],
    serial: int,
    key: str = "binding",
) -> Any:
    """Show a picture as a probe reads it beside every probe's curve.

    Args:
        picture: signed id of the picture with its probe, as the routes know it; empty where
            there is none yet.
        study: signed id of the result with the curves, empty where there is none yet.
        done: fits in the result so far; another number makes the component fetch it again.
        probes: names of those that can read the picture.
        view: measure, probe, point and patch ("7,9") to start from, as text; empty ones have
            defaults.
        serial: another number makes the component go to `view`; otherwise the user's own
            choices stay when a token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the
        triggers `lens` (layer and q: open it there) and `gone` (the token that the server no
        longer holds).
    """
    data = {
        "picture": picture,
        "study": study,
        "done": done,
        "probes": list(probes),
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
