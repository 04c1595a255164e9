"""The ablation view as a Streamlit component: charts of a sweep, and a picture before and after.

Its modules in `removing/` are joined as the lens's are, after those of other instruments that it
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

FOLDER = Path(__file__).with_name("removing")

MODULES = (
    *(f"../lens/{name}" for name in SHARED),
    "../heads/atlas.js",
    "../heads/plot.js",
    "../heads/facts.js",
    "../flow/ground.js",
    "../binding/rowwords.js",
    "../binding/reading.js",
    "removingdata.js",
    "removingstate.js",
    "removingkeys.js",
    "removingcurves.js",
    "removingmaps.js",
    "removingfacts.js",
    "removinghelp.js",
    "removingbar.js",
    "removingdesk.js",
    "removing.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_LOOKS = (*STYLES, BINDING / "binding.css", FOLDER / "removing.css")

_mount = st.components.v2.component(
    "attention_atlas_removing",
    html=(FOLDER / "removing.html").read_text(encoding="utf-8"),
    css="".join(path.read_text(encoding="utf-8") for path in _LOOKS),
    js=joined(MODULES, FOLDER),
)


def removing(
    sweep: str,
    running: bool,
    edited: str,
    view: Mapping[str, str],
    points: int,
    scenes: Sequence[int],
    measures: Mapping[str, str],
    can_inject: bool,
    serial: int,
    key: str = "removing",
) -> Any:
    """Show what is left of measures when a part of the stream is changed, and one picture.

    Args:
        sweep: signed id of the sweep's job, as the routes know it; the component asks again while
            it is `running`. Empty where there is none.
        running: whether the job runs or waits.
        edited: signed id of the picture before and after; empty where there is none yet.
        view: at (the point), dims, scenes, measured, edit, part, amount and patch to start from,
            as text.
        points: number of points of the model.
        scenes: numbers of made scenes on offer, the first the preview.
        measures: names of measures with their titles.
        can_inject: whether the objects of the picture are known.
        serial: another number makes the component go to `view`; otherwise the user's own choices
            stay when a token changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument) and the triggers
        `scene` (look at a made scene) and `gone` (a token that the server no longer holds).
    """
    data = {
        "sweep": sweep,
        "running": running,
        "edited": edited,
        "view": dict(view),
        "points": points,
        "scenes": list(scenes),
        "measures": dict(measures),
        "canInject": can_inject,
        "serial": serial,
        "base": base_path(),
        "palettes": {name: palettes()[name] for name in ("inferno", "viridis")},
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_scene_change=heard,
        on_gone_change=heard,
    )
