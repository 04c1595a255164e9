"""Asking for a computation and waiting for it in words, with a way to stop it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from pages._shared import (
    BUNDLED,
    FIT,
    LENS_READOUT,
    MODEL,
    OFF,
    PICTURE,
    SIZE,
    WEIGHTS,
    checkpoint_path,
    here,
    loaded_model,
    note,
    sample_pictures,
)

if TYPE_CHECKING:
    from analytics.jobs.queue import Job, Report
    from analytics.studies.attend import LensRecord

WARM_UP = "warm-up"
PATIENCE = 0.35
"""Seconds in which a short computation may end before the page says that it runs."""


def warm_up() -> None:
    """Before the first visitor: import what takes seconds, load the model, make the first view.

    A job like any other, so the imports run in the thread that computes and a visitor who
    comes early waits in words; two threads that import timm at once can fail.
    """
    jobs, lane = here().jobs, here().settings.device
    jobs.register(WARM_UP, _load)
    jobs.submit(WARM_UP, {}, WARM_UP, lane)


def _load(_params: Mapping[str, Any], report: Report) -> None:
    report(0, 3, "loading torch and timm")
    import timm  # noqa: F401
    import torch  # noqa: F401

    report(1, 3, "storing the samples")
    samples = sample_pictures()
    report(2, 3, "loading the bundled model")
    loaded_model(BUNDLED, None, None)
    if samples:
        first = _params_of(BUNDLED, "", samples[0].sha256, "crop", None)
        here().jobs.submit("attend", first, key_of(first), here().settings.device)


def _params_of(
    model: str, weights: str, picture: str, fit: str, size: int | None
) -> dict[str, object]:
    checkpoint = checkpoint_path(weights) if weights else None
    return {"model": model, "checkpoint": checkpoint, "picture": picture, "fit": fit, "size": size}


def _what_if() -> dict[str, object]:
    """Heads that are switched off, and the read-out that says what this does to classes."""
    off = st.session_state.get(OFF) or ()
    if not off:
        return {}
    pairs = [list(pair) for pair in off]
    return {"off": pairs, "readout": st.session_state.get(LENS_READOUT)}


def wanted() -> dict[str, object]:
    """Parameters of the job for what is chosen in the left panel."""
    state = st.session_state
    chosen = _params_of(state[MODEL], state[WEIGHTS], state[PICTURE], state[FIT], state[SIZE])
    return {**chosen, **_what_if()}


def key_of(params: dict[str, object]) -> str:
    """Name of a computation by its content: a reload, or another user, finds the same job."""
    text = json.dumps(params, sort_keys=True)
    return "attend-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def record_for(params: dict[str, object]) -> LensRecord | None:
    """The record if it is there; otherwise sees to its computation and returns None."""
    jobs, key = here().jobs, key_of(params)
    job = jobs.get(key)
    if job is None or job.state == "interrupted" or _evicted(job):
        jobs.submit("attend", params, key, here().settings.device)
        job = jobs.wait(key, PATIENCE)
    if job is None:
        return None
    if job.state == "done":
        return here().records.get(str(job.result))
    if job.state in ("failed", "cancelled"):
        # One line says why there is no result; the last good view stays below it.
        note(job.error if job.state == "failed" else "Stopped before it was done.")
    else:
        watch(key)
    return None


def _evicted(job: Job) -> bool:
    """Whether a finished job's record has had to leave the memory meanwhile."""
    return job.state == "done" and here().records.get(str(job.result)) is None


def has_failed(params: dict[str, object]) -> bool:
    """Whether the computation ended with an error."""
    job = here().jobs.get(key_of(params))
    return job is not None and job.state == "failed"


def retry(params: dict[str, object]) -> Callable[[], None] | None:
    """What starts a failed or stopped computation again; None where there is none."""
    job = here().jobs.get(key_of(params))
    if job is None or job.state not in ("failed", "cancelled"):
        return None
    return partial(_submit_again, job)


def _submit_again(job: Job) -> None:
    here().jobs.submit(job.kind, job.params, job.key, job.device)


@st.fragment(run_every=0.4)
def watch(key: str) -> None:
    """Progress of a running job; redraws the page when it has ended."""
    job = here().jobs.get(key)
    if job is None or not job.alive:
        st.rerun()
    try:
        place = st.container(key="atlas_status")
    except StreamlitDuplicateElementKey:
        return  # another progress is shown; this one is, when that has ended
    with place:
        st.text(words(job))
        share = job.done / job.total if job.total else 0.0
        st.progress(min(1.0, share))
        if st.button("Cancel", key=f"cancel-{key}"):
            here().jobs.cancel(key)


def words(job: Job) -> str:
    """What runs now and how long it will take, as far as it is known."""
    if job.state == "queued":
        first = here().jobs.get(WARM_UP)
        if first is not None and first.alive:
            return "Loading torch, timm and the bundled model: some seconds after a start"
        return "Waiting for another computation to end"
    text = job.message[:1].upper() + job.message[1:] if job.message else "Starting"
    spent = time.time() - job.started
    if job.total < 6 or not job.done:
        # A few steps of unlike length foretell nothing.
        return f"{text} · {round(spent)} s so far"
    return f"{text} · about {max(1, round(spent * (job.total - job.done) / job.done))} s left"
