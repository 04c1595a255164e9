"""The tool with which objects are marked on a picture, as a Streamlit component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from pages._components.heads import LENS, SHARED
from pages._components.lens import base_path, heard, joined

FOLDER = Path(__file__).with_name("marking")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "labels.js",
    "easel.js",
    "draft.js",
    "markingdesk.js",
    "marking.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_STYLES = (LENS / "lens.css", LENS / "panel.css", FOLDER / "marking.css")

_mount = st.components.v2.component(
    "attention_atlas_marking",
    html=(FOLDER / "marking.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _STYLES),
    js=joined(MODULES, FOLDER),
)


def marking(
    picture: str,
    size: tuple[int, int],
    grid: tuple[int, int],
    frame: tuple[float, float, float, float],
    addresses: dict[str, str],
    serial: int,
    key: str = "marking",
) -> Any:
    """Show a picture to draw on.

    Args:
        picture: SHA-256 of the picture: names the draft that the browser keeps.
        size: height and width of the drawing.
        grid: rows and columns of the model's patches; 0, 0 where no model is known yet.
        frame: where the model's input lies on the drawing: top, left, bottom, right.
        addresses: of the `photo`, to `put` marks, and of those `marked` before ("" for none).
        serial: another number begins again from the marks that are kept.
        key: Streamlit's key.

    Returns:
        The component's result with the trigger `marks`, the id of marks that were handed in.
    """
    data = {
        "picture": picture,
        "height": size[0],
        "width": size[1],
        "rows": grid[0],
        "columns": grid[1],
        "frame": list(frame),
        **addresses,
        "serial": serial,
        "base": base_path(),
    }
    return _mount(key=key, data=data, on_marks_change=heard)
