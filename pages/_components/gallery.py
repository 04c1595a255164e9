"""Thumbnails to choose a picture from: one radio group, reachable by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from pages._components.lens import base_path
from pages._shared import Shown

FOLDER = Path(__file__).with_name("lens")
SIDE = 96
"""Longer side of a thumbnail's file in pixels; twice its size on screen."""

_mount = st.components.v2.component(
    "attention_atlas_gallery",
    html='<div class="gallery" role="radiogroup" aria-label="Pictures"></div>',
    css=(FOLDER / "gallery.css").read_text(encoding="utf-8"),
    js=(FOLDER / "gallery.js").read_text(encoding="utf-8"),
)


def gallery(
    pictures: Sequence[Shown], chosen: str, sign: Callable[[str], str], key: str = "gallery"
) -> str | None:
    """Show thumbnails.

    Args:
        pictures: on offer, in order.
        chosen: hash of the one under study.
        sign: turns a hash into a token of the picture route.
        key: Streamlit's key.

    Returns:
        The hash of the thumbnail that was pressed in this run, or None.
    """
    entries = [
        {
            "id": one.sha256,
            "title": f"{one.title} ({one.licence})" if one.licence else one.title,
            "src": f"{base_path()}/atlas/picture/{sign(one.sha256)}?side={SIDE}",
        }
        for one in pictures
    ]
    result = _mount(
        key=key, data={"entries": entries, "chosen": chosen}, on_pick_change=lambda: None
    )
    return result.pick if isinstance(result.pick, str) else None
