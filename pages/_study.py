"""Choosing what a study of heads runs over, and asking for it in the background."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.metrics.catalogue import ABLATIONS
from analytics.serve.sets import zip_path
from pages._address import choice, number, own_pictures
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
    from analytics.studies.importance_record import Importance

SET, ZIPS, ABLATION, READOUT, READ_LAYER, LIMIT, EFFORT = (
    "study_set",
    "study_zips",
    "study_ablation",
    "study_readout",
    "study_layer",
    "study_limit",
    "study_effort",
)
SAMPLES, MINE, LABELLED = "samples", "mine", "labelled"
READOUTS = {"": "none", "linear": "linear", "knn": "nearest neighbours"}
EFFORTS = ("quick", "exact")
MOST_PICTURES, LAST_LAYER = 64, 99
_ROUND = "_set_round"


def lane() -> str:
    """Studies take minutes: they run beside the lens's short jobs, not before them."""
    return f"{here().settings.device} study"


def start() -> None:
    """The choices of a session's first visit: what the address says, else the defaults."""
    state, said = st.session_state, st.query_params.to_dict()
    if SET in state:
        return
    zips = {}
    if zip_path(here(), said.get("set", "")):
        zips[said["set"]] = "Zip of the link"
    offered = {SAMPLES, LABELLED, *zips}
    state[ZIPS] = zips
    state[SET] = said["set"] if said.get("set") in offered else SAMPLES
    if said.get("set") and said["set"] not in offered:
        note("The pictures of this link are not on this server; the samples are shown.")
    notes: list[str] = []
    state[ABLATION] = choice(said, "ablation", ABLATIONS, "zero", notes)
    readout = choice(said, "readout", tuple(READOUTS), "", notes)
    state[READOUT] = readout if is_labelled() else ""
    if readout and not is_labelled():
        notes.append("A read-out needs labelled pictures; the link's was left out.")
    layer = number(said, "after", notes)
    state[READ_LAYER] = None if layer is None else min(layer, LAST_LAYER)
    count = number(said, "pictures", notes)
    state[LIMIT] = 16 if count is None else min(max(count, 1), MOST_PICTURES)
    state[EFFORT] = choice(said, "effort", EFFORTS, "quick", notes)
    for sentence in notes:
        note(sentence)


def link() -> dict[str, str]:
    """What the address says of the choices on this page; own pictures are nobody else's."""
    state = st.session_state
    parts = {
        "set": "" if state[SET] == MINE else state[SET],
        "ablation": state[ABLATION],
        "effort": state[EFFORT],
    }
    if is_labelled():
        parts |= {"readout": state[READOUT], "pictures": str(state[LIMIT])}
    if state[READOUT] and state[READ_LAYER] is not None:
        parts["after"] = str(state[READ_LAYER])
    return {name: value for name, value in parts.items() if value}


def choose_set() -> None:
    """Which pictures are measured; own ones and labelled zips can be added."""
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
    if is_labelled():
        _choose_readout()


def _take_set() -> None:
    remember(SET)
    st.session_state[EFFORT] = "quick"
    if not is_labelled():
        st.session_state[READOUT] = ""


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
    state["_" + LIMIT] = state[LIMIT]
    st.number_input(
        "Pictures to measure",
        min_value=1,
        max_value=MOST_PICTURES,
        key="_" + LIMIT,
        on_change=remember,
        args=(LIMIT,),
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
    chosen = state[SET]
    pictures: dict[str, Any]
    if chosen in (SAMPLES, MINE):
        offered = sample_pictures() if chosen == SAMPLES else own_pictures()
        pictures = {"kind": "pictures", "images": [one.sha256 for one in offered]}
    elif chosen == LABELLED:
        pictures = {"kind": "shipped"}
    else:
        pictures = {"kind": "zip", "sha256": chosen}
    readout = None
    if is_labelled() and state[READOUT]:
        readout = {"kind": state[READOUT], "layer": state[READ_LAYER]}
    params: dict[str, Any] = {
        "model": state[MODEL],
        "checkpoint": checkpoint_path(state[WEIGHTS]) if state[WEIGHTS] else None,
        "size": state[SIZE],
        "fit": state[FIT],
        "set": pictures,
        "readout": readout,
        "limit": int(state[LIMIT]) if is_labelled() else MOST_PICTURES,
        "seed": 0,
        "effort": effort,
        "ablation": state[ABLATION] if effort == "exact" else "zero",
    }
    text = json.dumps(params, sort_keys=True)
    return {**params, "job": "importance-" + hashlib.sha256(text.encode()).hexdigest()[:24]}


def study_for(params: Mapping[str, Any]) -> Importance | None:
    """The study as far as it is measured; sees to it that it is being measured."""
    job = _ask(params)
    record = measured(params) if job is not None else None
    if record is None and job is not None and job.state == "done":
        # Its result had to leave the disk.
        here().jobs.submit("importance", params, job.key, lane())
    return record


def measured(params: Mapping[str, Any]) -> Importance | None:
    """The study as far as it has been measured; asks for nothing."""
    from analytics.serve.importance_work import find_result, held_importance

    job = here().jobs.get(str(params["job"]))
    done = job is not None and job.state == "done"
    found = str(job.result) if job and done else find_result(here(), str(params["job"]))
    record = held_importance(here(), found) if found else None
    return record if record is not None and record.images else None


def _ask(params: Mapping[str, Any]) -> Job | None:
    """The job as it stands, started where it is new; None while the server still warms up.

    What failed or was stopped is said above the page.
    """
    jobs, key = here().jobs, str(params["job"])
    first = jobs.get(WARM_UP)
    if first is not None and first.alive:
        return None
    job = jobs.get(key)
    if job is None or job.state == "interrupted":
        jobs.submit("importance", params, key, lane())
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
