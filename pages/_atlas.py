"""Choosing what an atlas of patterns is made from, and asking for it in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _choose, _set
from pages._address import choice
from pages._shared import BUNDLED, MODEL, heading, here, model_names, note

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.studies.patterns_record import Atlas

LAYOUT, TRAIN, OTHER = "patterns_layout", "patterns_train", "patterns_other"
"""Session keys: plane, whether a coder is trained on these pictures, the second model."""

LAYOUTS = ("autoencoder", "umap")
NONE = ""
RANDOM = ":random"


def start() -> None:
    """The choices of a session's first visit, or of a link: what the address says."""
    state, said = st.session_state, st.query_params.to_dict()
    known = LAYOUT in state and said in ({}, state.get(_address.WRITTEN))
    _address.seed()
    notes: list[str] = []
    _set.start(notes)
    if not known:
        state[LAYOUT] = choice(said, "layout", LAYOUTS, LAYOUTS[0], notes)
        state[TRAIN] = choice(said, "coder", ("shipped", "own"), "shipped", notes) == "own"
        state[OTHER] = _other_of(said.get("with", ""), notes)
    for sentence in notes:
        note(sentence)


def _other_of(text: str, notes: list[str]) -> str:
    # As for the first model: a link must not name files of the server.
    if text.startswith("file:"):
        notes.append("A link cannot name a file on the server; no second model is shown.")
        return NONE
    return text.strip()


def link() -> dict[str, str]:
    """What the address says of the choices on this page."""
    state = st.session_state
    coder = {"coder": "own"} if state[TRAIN] else {}
    other = {"with": state[OTHER]} if state[OTHER] else {}
    return {**_set.link(), "layout": state[LAYOUT], **coder, **other}


def choose_set() -> None:
    """Which pictures are shown; of a labelled set a part is enough."""
    _set.choose_set(_take_set)
    if _set.is_labelled():
        _set.choose_limit()


def _take_set() -> None:
    st.session_state[TRAIN] = False


def choose_coder() -> None:
    """The shipped autoencoder, or one that is trained on these pictures."""
    heading("Autoencoder")
    own = st.session_state[TRAIN]
    st.button(
        "Back to the shipped one" if own else "Train on these pictures",
        on_click=_take_train,
        args=(not own,),
        type="secondary" if own else "primary",
        width="stretch",
        help="Until one is trained here, the autoencoder that is shipped with the app places "
        "the heads. Training takes minutes on a processor; a part of the pictures is held out",
    )


def _take_train(own: bool) -> None:
    st.session_state[TRAIN] = own


def choose_other() -> None:
    """A second model, whose heads are placed into the same atlas."""
    heading("Second model")
    state = st.session_state
    bare = state[OTHER].removesuffix(RANDOM)
    options = [NONE, BUNDLED, *model_names()]
    options = options if bare in options else [bare, *options]
    state["_" + OTHER] = bare
    st.selectbox(
        "Second model",
        options,
        key="_" + OTHER,
        format_func=lambda name: _choose.model_title(name) if name else "none",
        accept_new_options=True,
        label_visibility="collapsed",
        help="Its heads are placed into the same atlas, with marks of their own",
        on_change=_take_other,
    )
    if bare and bare != BUNDLED and not bare.startswith("hf-hub:"):
        state["_random_other"] = state[OTHER].endswith(RANDOM)
        st.toggle(
            "Random weights (a control)",
            key="_random_other",
            on_change=_take_random,
            help="The same architecture, untrained",
        )


def _take_other() -> None:
    state = st.session_state
    state[OTHER] = _choose.spelled((state["_" + OTHER] or NONE).strip())


def _take_random() -> None:
    state = st.session_state
    bare = state[OTHER].removesuffix(RANDOM)
    state[OTHER] = bare + (RANDOM if state["_random_other"] else "")


def wanted(train: bool | None = None, layout: str | None = None) -> dict[str, Any]:
    """Parameters of the job for what is chosen in the left panel.

    Args:
        train: another choice of the coder than the panel's.
        layout: another plane than the chosen one.
    """
    state = st.session_state
    other = state[OTHER] if state[OTHER] != state[MODEL] else NONE
    params = {
        **_set.chosen(),
        "train": state[TRAIN] if train is None else train,
        "layout": layout or state[LAYOUT],
        "other": other or None,
    }
    return _set.named("patterns", params)


def atlas_for(params: Mapping[str, Any]) -> Atlas | None:
    """The atlas as far as it is computed; sees to it that it is being computed."""
    job = _set.ask("patterns", params)
    record = known_atlas(params) if job is not None else None
    if record is None and job is not None and job.state == "done":
        # Its result had to leave the disk.
        here().jobs.submit("patterns", params, job.key, _set.lane())
    return record


def known_atlas(params: Mapping[str, Any]) -> Atlas | None:
    """The atlas as far as it has been computed; asks for nothing."""
    from analytics.serve.begun import find_result
    from analytics.serve.patterns_work import held_atlas

    job: Job | None = here().jobs.get(str(params["job"]))
    done = job is not None and job.state == "done"
    found = str(job.result) if job and done else find_result(here(), str(params["job"]))
    record = held_atlas(here(), found) if found else None
    return record if record is not None and record.count else None
