"""Strength: how far do heads look, and in what shape?

Choose a model and pictures, see every head by layer, look at one of them, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages import _address, _choose, _profile, _set
from pages._components.strength import strength
from pages._shared import PICTURE, here, note, show_notes
from pages._visit import open_lens, take_view

if TYPE_CHECKING:
    from analytics.studies.profile_record import Profile

LAST = "strength_last"
"""Session key of the profile that was shown last; it stays while another is measured."""


def page() -> None:
    """Left panel, computation, instrument."""
    state = st.session_state
    _profile.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _profile.choose_set()
        _choose.choose_fit((), None)
        _profile.choose_control()
        _choose.choose_checkpoint()
    params = _profile.wanted()
    record = _profile.profile_for(params)
    wanted = _profile.control_wanted(record)
    control = _profile.control_for(wanted)
    shown = record or _last()
    with about:
        _describe(record)
    _set.follow(str(params["job"]), *([str(wanted["job"])] if wanted else []))
    show_notes(str(params["job"]), _set.retry(params))
    _address.write(_profile.link())
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    sign = here().signer.sign
    instrument(sign(shown.id), sign(control.id) if control else "")


def _last() -> Profile | None:
    from analytics.serve.profile_work import held_profile

    known = st.session_state.get(LAST)
    return held_profile(here(), known) if known else None


def _describe(record: Profile | None) -> None:
    if record is None:
        return
    counts = sorted({layer.num_heads for layer in record.layers})
    per_layer = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    sha256 = record.provenance.weights_sha256[:8]
    text = f"{len(record.layers)} layers × {per_layer} heads<br>weights {sha256}…"
    st.html(f'<p class="atlas-facts">{text}</p>')


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**How far do heads look?** Every head of every layer gets a mean distance from a patch "
        "to the patches it attends to. Some heads look at their neighbours only, others at the "
        "whole picture; the dashed line says how far attention without any preference would look."
    )


@st.fragment
def instrument(token: str, control: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    view = {**(state.get(_address.VIEW) or {}), **state[_profile.SHOWN], "image": state[PICTURE]}
    result = strength(token, control, view, state[_address.SERIAL])
    if result.view:
        found = dict(result.view)
        take_view(found)
        state[_profile.SHOWN] = {name: found[name] for name in state[_profile.SHOWN]}
        _address.write(_profile.link())
    if result.lens:
        open_lens(dict(result.lens))
    if result.gone:
        note("This profile is no longer kept by the server; it is measured again.")
        state.pop(LAST, None)
        st.rerun()


page()
