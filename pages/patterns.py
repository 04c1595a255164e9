"""Patterns: in what patterns do heads attend, and which heads are alike?

Choose a model and pictures, see every head on every picture as a point of one plane, look at
maps beside their reconstructions, train an autoencoder, place a second model, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _atlas, _choose, _set
from pages._components.patterns import patterns
from pages._shared import MODEL, PICTURE, here, note, show_notes
from pages._visit import open_lens, take_view

if TYPE_CHECKING:
    from analytics.studies.patterns_record import Atlas

LAST = "patterns_last"
"""Session key of the atlas that was shown last; it stays while another is computed."""


def page() -> None:
    """Left panel, computation, instrument."""
    state = st.session_state
    _atlas.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _atlas.choose_set()
        _choose.choose_fit((), None)
        _atlas.choose_coder()
        _atlas.choose_other()
        _choose.choose_checkpoint()
    params = _atlas.wanted()
    # The shipped coder needs no training: it shows the heads until another one is ready.
    first = None
    if params["train"] and _atlas.known_atlas(params) is None:
        first = _atlas.atlas_for(_atlas.wanted(train=False))
    atlas = _atlas.atlas_for(params)
    shown = atlas or first or _last()
    with about:
        _describe(atlas or first)
    # In places of their own: what comes and goes above the instrument must not move it.
    progress, notes = st.container(), st.container()
    with progress:
        _set.follow(str(params["job"]))
    with notes:
        show_notes(str(params["job"]), _set.retry(params))
    _address.write(_atlas.link())
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    sign = here().signer.sign
    # By its job: the atlas has no id before the pictures have been read.
    training = sign(str(params["job"])) if params["train"] and atlas is None else ""
    instrument(sign(shown.id), training)


def _last() -> Atlas | None:
    from analytics.serve.patterns_work import held_atlas

    known = st.session_state.get(LAST)
    return held_atlas(here(), known) if known else None


def _describe(atlas: Atlas | None) -> None:
    if atlas is None:
        return
    heads = [(layer, head) for model, layer, head in atlas.heads if model == 0]
    layers = len({layer for layer, _ in heads})
    sha256 = atlas.provenance.weights_sha256[:8]
    text = f"{layers} layers, {len(heads)} heads<br>weights {sha256}…"
    st.html(f'<p class="atlas-facts">{text}</p>')


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**In what patterns do heads attend?** Every head on every picture becomes a point of "
        "one plane: heads with similar attention maps lie near each other. An autoencoder makes "
        "the plane; behind the points stand the patterns it sees there."
    )


@st.fragment
def instrument(token: str, training: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    view = {**(state.get(_address.VIEW) or {}), "image": state[PICTURE]}
    result = patterns(token, view, state[_address.SERIAL], training)
    if result.view:
        take_view(dict(result.view))
        _address.write(_atlas.link())
    if result.layout:
        state[_atlas.LAYOUT] = "umap" if result.layout == "umap" else "autoencoder"
        st.rerun()
    if result.lens:
        _open(dict(result.lens))
    if result.gone:
        note("This atlas is no longer kept by the server; it is computed again.")
        state.pop(LAST, None)
        st.rerun()


def _open(found: dict[str, Any]) -> None:
    """In the lens; a head of the second model takes that model along."""
    state = st.session_state
    if found.pop("model", 0) and state[_atlas.OTHER]:
        state[MODEL] = state[_atlas.OTHER]
        state["atlas_weights"] = ""
    open_lens(found)


page()
