"""The instrument of the Attention view as a Streamlit component: heads beside a probe.

Its modules in `attending/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.binding import FOLDER as BINDING
from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined, palettes

FOLDER = Path(__file__).with_name("attending")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/grid.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "../binding/rowwords.js",
    "../binding/reading.js",
    "../binding/outline.js",
    "headtable.js",
    "layercurve.js",
    "strongest.js",
    "headmaps.js",
    "attendingstate.js",
    "attendingfacts.js",
    "attendinghelp.js",
    "attendingkeys.js",
    "attendingpointer.js",
    "attendingdesk.js",
    "attending.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_STYLES = (*STYLES, BINDING / "binding.css", FOLDER / "attending.css")

_mount = st.components.v2.component(
    "attention_atlas_attending",
    html=(FOLDER / "attending.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _STYLES),
    js=joined(MODULES, FOLDER),
)


def attending(
    tokens: dict[str, str],
    counts: Sequence[int],
    view: dict[str, str],
    serial: int,
    key: str = "attending",
) -> Any:
    """Show every head's attention beside a probe, and one head on the picture.

    Args:
        tokens: signed ids as the routes know them, empty where there is nothing yet: `scenes` and
            `picture` (heads compared there), `bound` (the picture as the probe reads it) and
            `lens` (its attention).
        counts: numbers of made scenes on offer.
        view: measure, scope, scenes, layer, head and patch ("7,9") to start from, as text; empty
            ones have defaults.
        serial: another number makes the component go to `view`; otherwise the user's own
            choices stay when a token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the
        triggers `lens` (layer, head and q: open it there) and `gone` (the token that the server no
        longer holds).
    """
    data = {
        **{name: tokens.get(name, "") for name in ("scenes", "picture", "bound", "lens")},
        "counts": [str(one) for one in counts],
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
