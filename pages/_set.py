"""Choosing the pictures that a study runs over, and asking for a study in the background."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.serve.sets import zip_path
from pages._address import number, own_pictures
from pages._choose import store_pictures
from pages._job import WARM_UP, watch
from pages._shared import (
    FIT,
    MODEL,
    NOTES,
    SIZE,
    WEIGHTS,
    checkpoint_path,
    heading,
    here,
    note,
    remember,
    sample_pictures,
)

if TYPE_CHECKING:
    from analytics.jobs.queue import Job

SET, ZIPS, LIMIT = "study_set", "study_zips", "study_limit"
SAMPLES, MINE, LABELLED = "samples", "mine", "labelled"
MOST_PICTURES = 64
_ROUND = "_set_round"


def lane() -> str:
    """Studies take minutes: they run beside the lens's short jobs, not before them."""
    return f"{here().settings.device} study"


def start(notes: list[str]) -> bool:
    """The pictures of a session's first visit: what the address says, else the samples.

    Args:
        notes: gets one plain sentence for each part of the address that was left out.

    Returns:
        Whether this is the first visit of a page that studies a set.
    """
    state, said = st.session_state, st.query_params.to_dict()
    if SET in state:
        return False
    zips = {}
    if zip_path(here(), said.get("set", "")):
        zips[said["set"]] = "Zip of the link"
    offered = {SAMPLES, LABELLED, *zips}
    state[ZIPS] = zips
    state[SET] = said["set"] if said.get("set") in offered else SAMPLES
    if said.get("set") and said["set"] not in offered:
        notes.append("The pictures of this link are not on this server; the samples are shown.")
    count = number(said, "pictures", notes)
    state[LIMIT] = 16 if count is None else min(max(count, 1), MOST_PICTURES)
    return True


def link() -> dict[str, str]:
    """What the address says of the pictures; own ones are nobody else's."""
    state = st.session_state
    parts = {"set": state[SET]} if state[SET] != MINE else {}
    return parts | ({"pictures": str(state[LIMIT])} if is_labelled() else {})


def choose_set(on_change: Callable[[], None] | None = None) -> None:
    """Which pictures are measured; own ones and zips with class folders can be added.

    Args:
        on_change: called after another set was chosen.
    """
    heading("Pictures")
    state = st.session_state
    options = [SAMPLES, *([MINE] if own_pictures() else []), LABELLED, *state[ZIPS]]
    if state[SET] not in options:
        state[SET] = SAMPLES
    state["_" + SET] = state[SET]
    titles = {name: _set_title(name) for name in options}
    st.selectbox(
        "Pictures",
        options,
        key="_" + SET,
        format_func=lambda name: titles[name],
        label_visibility="collapsed",
        on_change=_take_set,
        args=(on_change,),
        help="A labelled set allows a read-out, and with it class probabilities",
    )
    files = st.file_uploader(
        "Pictures, or a zip with one folder per class",
        type=["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "heic", "avif", "zip"],
        accept_multiple_files=True,
        key=f"_set_files_{state.get(_ROUND, 0)}",
        label_visibility="collapsed",
    )
    if files:
        for file in files:
            _take_file(file.getvalue(), file.name)
        state[_ROUND] = state.get(_ROUND, 0) + 1
        st.rerun()


def choose_limit() -> None:
    """How many pictures of a labelled set are measured."""
    st.session_state["_" + LIMIT] = st.session_state[LIMIT]
    st.number_input(
        "Pictures to measure",
        min_value=1,
        max_value=MOST_PICTURES,
        key="_" + LIMIT,
        on_change=remember,
        args=(LIMIT,),
    )


def _take_set(on_change: Callable[[], None] | None) -> None:
    remember(SET)
    if on_change is not None:
        on_change()


def _take_file(data: bytes, name: str) -> None:
    """A zip with class folders becomes a set; everything else joins the own pictures."""
    from analytics.serve.sets import keep_zip

    state = st.session_state
    if name.lower().endswith(".zip"):
        try:
            sha256 = keep_zip(here(), data)
        except ValueError as error:
            note(f"{name}: {error}")
            return
        state[ZIPS] = {**state[ZIPS], sha256: name}
        state[SET] = sha256
        return
    if store_pictures(data, name):
        state[SET] = MINE


def _set_title(name: str) -> str:
    if name == SAMPLES:
        return f"Samples ({len(sample_pictures())})"
    if name == MINE:
        return f"My pictures ({len(own_pictures())})"
    if name == LABELLED:
        return "Labelled sample (clothing)"
    return f"{st.session_state[ZIPS][name]}, labelled"


def is_labelled() -> bool:
    """Whether the chosen set has class names."""
    return st.session_state[SET] not in (SAMPLES, MINE)


def chosen() -> dict[str, Any]:
    """The model, the pictures and how they are fitted: what every study's job is told."""
    state = st.session_state
    name = state[SET]
    pictures: dict[str, Any]
    if name in (SAMPLES, MINE):
        offered = sample_pictures() if name == SAMPLES else own_pictures()
        pictures = {"kind": "pictures", "images": [one.sha256 for one in offered]}
    elif name == LABELLED:
        pictures = {"kind": "shipped"}
    else:
        pictures = {"kind": "zip", "sha256": name}
    return {
        "model": state[MODEL],
        "checkpoint": checkpoint_path(state[WEIGHTS]) if state[WEIGHTS] else None,
        "size": state[SIZE],
        "fit": state[FIT],
        "set": pictures,
        "readout": None,
        "limit": int(state[LIMIT]) if is_labelled() else MOST_PICTURES,
        "seed": 0,
    }


def named(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the job's own key, `job`: equal parameters find the same job."""
    text = json.dumps(params, sort_keys=True)
    return {**params, "job": f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"}


def ask(kind: str, params: Mapping[str, Any]) -> Job | None:
    """The job as it stands, started where it is new; None while the server still warms up.

    What failed or was stopped is said above the page.
    """
    jobs, key = here().jobs, str(params["job"])
    first = jobs.get(WARM_UP)
    if first is not None and first.alive:
        return None
    job = jobs.get(key)
    if job is None or job.state == "interrupted":
        jobs.submit(kind, params, key, lane())
        job = jobs.wait(key, 0.35)
    if job is not None and job.state == "failed":
        note(job.error)
    elif job is not None and job.state == "cancelled":
        note("Stopped before it was done; what was measured is kept.")
    return job


def follow(*keys: str) -> None:
    """Progress of that one of these jobs which runs, else of the first that waits.

    One at a time: a study, a pruned model and curves share a line.
    """
    known = [here().jobs.get(key) for key in (WARM_UP, *keys)]
    alive = [job for job in known if job is not None and job.alive]
    if alive:
        watch(min(alive, key=lambda job: job.state != "running").key)


def retry(params: Mapping[str, Any]) -> Callable[[], None] | None:
    """What goes on with a failed or stopped job; None where there is none."""
    job = here().jobs.get(str(params["job"]))
    if job is None or job.state not in ("failed", "cancelled"):
        return None
    return partial(_again, job)


def _again(job: Job) -> None:
    st.session_state[NOTES] = {}
    here().jobs.submit(job.kind, job.params, job.key, job.device)
