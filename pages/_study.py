"""Choosing what a study of heads runs over, and asking for it in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.metrics.catalogue import ABLATIONS
from pages import _set
from pages._address import choice, number
from pages._set import is_labelled
from pages._shared import heading, here, note, remember

if TYPE_CHECKING:
    from analytics.studies.importance_record import Importance

ABLATION, READOUT, READ_LAYER, EFFORT = (
    "study_ablation",
    "study_readout",
    "study_layer",
    "study_effort",
)
READOUTS = {"": "none", "linear": "linear", "knn": "nearest neighbours"}
EFFORTS = ("quick", "exact")
LAST_LAYER = 99


def start() -> None:
    """The choices of a session's first visit: what the address says, else the defaults."""
    state, said = st.session_state, st.query_params.to_dict()
    notes: list[str] = []
    _set.start(notes)
    if EFFORT in state:
        return
    state[ABLATION] = choice(said, "ablation", ABLATIONS, "zero", notes)
    readout = choice(said, "readout", tuple(READOUTS), "", notes)
    state[READOUT] = readout if is_labelled() else ""
    if readout and not is_labelled():
        notes.append("A read-out needs labelled pictures; the link's was left out.")
    layer = number(said, "after", notes)
    state[READ_LAYER] = None if layer is None else min(layer, LAST_LAYER)
    state[EFFORT] = choice(said, "effort", EFFORTS, "quick", notes)
    for sentence in notes:
        note(sentence)


def link() -> dict[str, str]:
    """What the address says of the choices on this page; own pictures are nobody else's."""
    state = st.session_state
    parts = {**_set.link(), "ablation": state[ABLATION], "effort": state[EFFORT]}
    if is_labelled():
        parts["readout"] = state[READOUT]
    if state[READOUT] and state[READ_LAYER] is not None:
        parts["after"] = str(state[READ_LAYER])
    return {name: value for name, value in parts.items() if value}


def choose_set() -> None:
    """Which pictures are measured, and the read-out that labelled ones allow."""
    _set.choose_set(_take_set)
    if is_labelled():
        _choose_readout()
        _set.choose_limit()


def _take_set() -> None:
    st.session_state[EFFORT] = "quick"
    if not is_labelled():
        st.session_state[READOUT] = ""


def _choose_readout() -> None:
    state = st.session_state
    state["_" + READOUT] = state[READOUT]
    st.selectbox(
        "Read-out",
        list(READOUTS),
        key="_" + READOUT,
        format_func=lambda kind: f"Read-out: {READOUTS[kind]}",
        label_visibility="collapsed",
        on_change=remember,
        args=(READOUT,),
        help="A classifier fitted on frozen features of a part of the pictures; the heads are "
        "then measured on pictures held out of the fit",
    )
    if state[READOUT]:
        state["_" + READ_LAYER] = state[READ_LAYER]
        st.number_input(
            "Features after layer (empty: the model's end)",
            min_value=0,
            max_value=LAST_LAYER,
            value=None,
            step=1,
            key="_" + READ_LAYER,
            on_change=remember,
            args=(READ_LAYER,),
        )


def choose_ablation() -> None:
    """What stands in for a removed head, and the button that starts the exact measurement."""
    heading("Removing a head")
    state = st.session_state
    state["_" + ABLATION] = state[ABLATION]
    st.segmented_control(
        "Ablation",
        ABLATIONS,
        key="_" + ABLATION,
        required=True,
        width="stretch",
        label_visibility="collapsed",
        on_change=remember,
        args=(ABLATION,),
        help="What the head hands on instead: nothing, its mean over the pictures, or its output "
        "on another picture. Zero overstates how much a model depends on a head",
    )
    exact = state[EFFORT] == "exact"
    st.button(
        "Exact measurement" if exact else "Measure exactly",
        on_click=_measure_exactly,
        disabled=exact,
        type="primary",
        width="stretch",
        help="Takes out one head after the other on every picture. Until then a preview from "
        "one backward pass is shown",
    )


def _measure_exactly() -> None:
    st.session_state[EFFORT] = "exact"


def wanted(effort: str) -> dict[str, Any]:
    """Parameters of the job for what is chosen in the left panel."""
    state = st.session_state
    readout = None
    if is_labelled() and state[READOUT]:
        readout = {"kind": state[READOUT], "layer": state[READ_LAYER]}
    ablation = state[ABLATION] if effort == "exact" else "zero"
    params = {**_set.chosen(), "readout": readout, "effort": effort, "ablation": ablation}
    return _set.named("importance", params)


def study_for(params: Mapping[str, Any]) -> Importance | None:
    """The study as far as it is measured; sees to it that it is being measured."""
    job = _set.ask("importance", params)
    record = measured(params) if job is not None else None
    if record is None and job is not None and job.state == "done":
        # Its result had to leave the disk.
        here().jobs.submit("importance", params, job.key, _set.lane())
    return record


def measured(params: Mapping[str, Any]) -> Importance | None:
    """The study as far as it has been measured; asks for nothing."""
    from analytics.serve.begun import find_result
    from analytics.serve.importance_work import held_importance

    job = here().jobs.get(str(params["job"]))
    done = job is not None and job.state == "done"
    found = str(job.result) if job and done else find_result(here(), str(params["job"]))
    record = held_importance(here(), found) if found else None
    return record if record is not None and record.images else None
