"""Asking for a flow and for its what-if, and what the address says of the Flow page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.studies.flow_record import MAP_NAMES
from pages import _address, _set
from pages._address import choice
from pages._job import PATIENCE, WARM_UP
from pages._shared import (
    FIT,
    LENS_READOUT,
    MODEL,
    PICTURE,
    SIZE,
    WEIGHTS,
    checkpoint_path,
    here,
    note,
)

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.studies.flow_record import Flow

SHOWN, WHAT_IF = "flow_shown", "flow_what_if"
"""Session keys: map, scaling and threshold; the what-if that is asked for, or None."""

SCALINGS = ("same", "own")
DEFAULT_THRESHOLD = "5"
_THRESHOLD = re.compile(r"\d{1,3}(\.\d{1,2})?")


def start() -> None:
    """The choices of a session's first visit, or of a link: what the address says."""
    state, said = st.session_state, st.query_params.to_dict()
    known = SHOWN in state and said in ({}, state.get(_address.WRITTEN))
    _address.seed()
    if known:
        return
    notes: list[str] = []
    state[SHOWN] = {
        "map": choice(said, "map", MAP_NAMES, MAP_NAMES[0], notes),
        "scaling": choice(said, "scaling", SCALINGS, SCALINGS[0], notes),
        "threshold": _threshold(said.get("threshold", ""), notes),
    }
    state[WHAT_IF] = None
    for sentence in notes:
        note(sentence)


def _threshold(text: str, notes: list[str]) -> str:
    if _THRESHOLD.fullmatch(text) and float(text) > 0:
        return text
    if text:
        notes.append(f"The link has threshold={text[:20]!r}; expected a number above 0 as 5.")
    return DEFAULT_THRESHOLD


def link() -> dict[str, str]:
    """What the address says of the choices on this page."""
    return {name: str(value) for name, value in st.session_state[SHOWN].items()}


def wanted(what_if: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Parameters of the job for what is chosen in the left panel."""
    state = st.session_state
    chosen = {
        "model": state[MODEL],
        "checkpoint": checkpoint_path(state[WEIGHTS]) if state[WEIGHTS] else None,
        "picture": state[PICTURE],
        "fit": state[FIT],
        "size": state[SIZE],
        "readout": state.get(LENS_READOUT),
        "what_if": dict(what_if) if what_if else None,
    }
    return _set.named("flow", chosen)


def flow_for(params: Mapping[str, Any]) -> Flow | None:
    """The flow if it is there; otherwise sees to its computation and returns None."""
    jobs, key = here().jobs, str(params["job"])
    first, job = jobs.get(WARM_UP), jobs.get(key)
    if first is not None and first.alive:
        return None
    if job is None or job.state == "interrupted" or _left(job):
        jobs.submit("flow", params, key, _lane())
        job = jobs.wait(key, PATIENCE)
    if job is None:
        return None
    if job.state in ("failed", "cancelled"):
        note(job.error if job.state == "failed" else "Stopped before it was done.")
    return held(str(job.result)) if job.state == "done" else None


def _left(job: Job) -> bool:
    """Whether a finished job's record is gone: out of memory, or of a server that has ended."""
    return job.state == "done" and held(str(job.result)) is None


def _lane() -> str:
    """A flow takes seconds: it waits neither for long studies nor the lens for it."""
    return f"{here().settings.device} flow"


def held(identifier: str) -> Flow | None:
    """A flow that the server holds; None where it has left or never was."""
    return here().flows.get(identifier)


def begin_what_if(what_if: Mapping[str, Any] | None) -> None:
    """Ask for a what-if, also for one that failed or was stopped before; None to go back."""
    st.session_state[WHAT_IF] = what_if
    if what_if is None:
        return
    params = wanted(what_if)
    job = here().jobs.get(str(params["job"]))
    if job is not None and job.state in ("failed", "cancelled"):
        here().jobs.submit("flow", params, job.key, _lane())


def asked_what_if(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the instrument asks for, checked; None to go back to the model as it is."""
    try:
        threshold, p = float(found["threshold"]), float(found["p"])
    except (KeyError, TypeError, ValueError):
        return None
    if not (0 < threshold < 1e6 and 0 <= p <= 1):
        return None
    return {"threshold": threshold, "p": p, "prefix": bool(found.get("prefix", True))}
