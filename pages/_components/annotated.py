"""The Data view as a Streamlit component: a gallery of pictures with their masks.

Its modules in `annotated/` are joined as the lens's are, after those of other instruments that it
shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.binding import FOLDER as BINDING
from pages._components.heads import SHARED, STYLES
from pages._components.lens import base_path, heard, joined

FOLDER = Path(__file__).with_name("annotated")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "annotatedstate.js",
    "annotatedtiles.js",
    "annotatedfacts.js",
    "annotatedhelp.js",
    "annotatedkeys.js",
    "annotateddesk.js",
    "annotated.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_LOOKS = (*STYLES, BINDING / "binding.css", FOLDER / "annotated.css")

_mount = st.components.v2.component(
    "attention_atlas_annotated",
    html=(FOLDER / "annotated.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _LOOKS),
    js=joined(MODULES, FOLDER),
)


def annotated(
    token: str,
    view: Mapping[str, str],
    sources: Sequence[tuple[str, str]],
    families: Sequence[tuple[str, str]],
    sides: Sequence[tuple[str, str]],
    pages: int | None,
    looked: int,
    fitted: str,
    serial: int,
    key: str = "annotated",
) -> Any:
    """Show a gallery; purity, looks and pages of a set change in the browser.

    Args:
        token: signed id of the pictures, as the routes know it.
        view: source, family, side, page, look, purity and background ("0" or "1") as text.
        sources: values and titles of what can be shown.
        families: likewise of the families of scenes.
        sides: likewise of the sides of scenes.
        pages: how many pages of scenes there are; None for a set, all of which the token names.
        looked: the picture that is under study, -1 for none of these.
        fitted: what probes are fitted on, in words.
        serial: another number makes the component go to `view`.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the triggers
        `pick` (survey and row: look at this picture), `fit` (source, purity and background: fit
        probes so) and `gone` (the token that the server no longer holds).
    """
    data = {
        "token": token,
        "view": dict(view),
        "sources": [list(one) for one in sources],
        "families": [list(one) for one in families],
        "sides": [list(one) for one in sides],
        "pages": pages,
        "looked": looked,
        "fitted": fitted,
        "serial": serial,
        "base": base_path(),
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_pick_change=heard,
        on_fit_change=heard,
        on_gone_change=heard,
    )
