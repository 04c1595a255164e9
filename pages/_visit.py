"""Going from a study of heads to the lens, with everything that was chosen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import streamlit as st

from pages import _address
from pages._shared import PICTURE, SIZE, Shown, here, sample_pictures

SAME_EVERYWHERE = ("layer", "head")
"""What of a view is the same on every page."""


def take_view(found: dict[str, Any], names: Collection[str] = SAME_EVERYWHERE) -> None:
    """Remember the picture and what else of a view is to be found again on other pages."""
    state = st.session_state
    if found.get("image"):
        state[PICTURE] = found["image"]
    shared = {name: found[name] for name in names if name in found}
    state[_address.VIEW] = {**(state.get(_address.VIEW) or {}), **shared}


def open_lens(found: dict[str, Any], names: Collection[str] = SAME_EVERYWHERE) -> None:
    """Open a head (`layer`, `head`) on a picture (`image`, its hash) in the lens."""
    take_view(found, names)
    picture = st.session_state[PICTURE]
    if picture not in {one.sha256 for one in (*sample_pictures(), *_address.own_pictures())}:
        _address.keep_own(Shown(picture, here().pictures.name(picture)))
    st.session_state[_address.SERIAL] += 1
    if st.session_state[SIZE] is None:
        st.session_state.pop("lens_last", None)
    st.switch_page("pages/lens.py")
