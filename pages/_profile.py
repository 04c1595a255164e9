"""Choosing what a profile of all heads runs over, and asking for it and for its control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.metrics.strength_catalogue import RULES
from pages import _address, _set
from pages._address import choice
from pages._shared import BUNDLED, MODEL, heading, here, note, remember

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.studies.profile_record import Profile

SHOWN, CONTROL = "strength_shown", "strength_control"
"""Session keys: metric, cls rule and unit; whether random weights are measured as well."""

UNITS = ("patches", "pixels", "uniform")
CONTROL_PICTURES = 3
RANDOM = ":random"


def start() -> None:
    """The choices of a session's first visit, or of a link: what the address says."""
    state, said = st.session_state, st.query_params.to_dict()
    known = SHOWN in state and said in ({}, state.get(_address.WRITTEN))
    _address.seed()
    notes: list[str] = []
    _set.start(notes)
    if not known:
        names, metric = _address.strength_metrics(), said.get("metric", "")
        state[SHOWN] = {
            # Of an unknown one the address itself has said so.
            "metric": metric if metric in names else names[0],
            "rule": choice(said, "rule", RULES, RULES[0], notes),
            "unit": choice(said, "unit", UNITS, UNITS[0], notes),
        }
        state[CONTROL] = choice(said, "control", ("on", "off"), "on", notes) == "on"
    for sentence in notes:
        note(sentence)


def link() -> dict[str, str]:
    """What the address says of the choices on this page."""
    state = st.session_state
    return {**_set.link(), **state[SHOWN], **({} if state[CONTROL] else {"control": "off"})}


def choose_set() -> None:
    """Which pictures are measured; of a labelled set a part is enough."""
    _set.choose_set()
    if _set.is_labelled():
        _set.choose_limit()


def choose_control() -> None:
    """Whether the same architecture with random weights is measured as well."""
    heading("Control")
    st.session_state["_" + CONTROL] = st.session_state[CONTROL]
    st.toggle(
        "Random weights",
        key="_" + CONTROL,
        on_change=remember,
        args=(CONTROL,),
        help="The same architecture with random weights, as timm draws them, on at most "
        f"{CONTROL_PICTURES} of the pictures. What shows there too comes from the "
        "architecture or the pictures, not from training",
    )


def wanted() -> dict[str, Any]:
    """Parameters of the job for what is chosen in the left panel."""
    return _set.named("profile", _set.chosen())


def profile_for(params: Mapping[str, Any]) -> Profile | None:
    """The profile as far as it is measured; sees to it that it is being measured."""
    return _found(params, _set.ask("profile", params))


def control_wanted(record: Profile | None) -> dict[str, Any] | None:
    """Parameters of the control's job; None where there is nothing to compare yet.

    It sees the same input size, so that both have the same grid.
    """
    if not st.session_state[CONTROL] or record is None or not record.complete:
        return None
    model, size = random_model(st.session_state[MODEL]), _side(record)
    if not model or size is None:
        return None
    limit = min(CONTROL_PICTURES, len(record.images))
    chosen = {**_set.chosen(), "model": model, "checkpoint": None, "size": size, "limit": limit}
    return _set.named("profile", chosen)


def control_for(params: Mapping[str, Any] | None) -> Profile | None:
    """The profile with random weights, once it is whole; asks for it where it is not there."""
    if params is None:
        return None
    jobs, key = here().jobs, str(params["job"])
    job = jobs.get(key)
    if job is None or job.state == "interrupted":
        jobs.submit("profile", params, key, _set.lane())
        job = jobs.get(key)
    if job is not None and job.state == "failed":
        note(f"There is no control with random weights: {job.error}")
    record = _found(params, job)
    return record if record is not None and record.complete else None


def random_model(model: str) -> str:
    """The same architecture with random weights, as models are spelled; empty where unknown."""
    if model.endswith(RANDOM) or model.startswith("hf-hub:"):
        return ""
    if model == BUNDLED:
        from analytics.models.bundled import ARCHITECTURE

        return ARCHITECTURE + RANDOM
    return model.partition(".")[0] + RANDOM


def _side(record: Profile) -> int | None:
    """Side of the square input in pixels; None where it is not square."""
    for layer in record.layers:
        if layer.grid.count:
            height = round(layer.grid.rows * layer.patch_px[0])
            width = round(layer.grid.columns * layer.patch_px[1])
            return height if height == width else None
    return None


def _found(params: Mapping[str, Any], job: Job | None) -> Profile | None:
    """What a job has measured so far; a result that had to leave the disk is asked for again."""
    from analytics.serve.begun import find_result
    from analytics.serve.profile_work import held_profile

    if job is None:
        return None
    key = str(job.result) if job.state == "done" else find_result(here(), str(params["job"]))
    record = held_profile(here(), key) if key else None
    if record is None and job.state == "done":
        here().jobs.submit("profile", params, job.key, _set.lane())
    return record if record is not None and record.images else None
