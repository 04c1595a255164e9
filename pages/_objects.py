"""What the Binding page asks for: fitted probes, and a picture as one of them reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _annotated_sets, _choose, _set, _views
from pages._address import choice
from pages._job import PATIENCE, WARM_UP
from pages._shared import (
    BUNDLED,
    FIT,
    MODEL,
    PICTURE,
    SIZE,
    WEIGHTS,
    checkpoint_path,
    heading,
    here,
    loaded_model,
    note,
    remember,
)

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.serve.binding_work import BoundPicture
    from analytics.studies.binding_record import Binding

SHOWN, SUBJECT, FAMILY, NUMBER, MARKS = (
    "binding_shown",
    "binding_subject",
    "binding_family",
    "binding_number",
    "binding_marks",
)
"""Session keys: measure, probe, point and patch; photograph or scene; which scene; ids of marked
objects by the hash of their picture."""

PHOTOGRAPH, SCENE = "photograph", "scene"
SUBJECTS = (PHOTOGRAPH, SCENE)
MARKING = "marking"
"""The view in which objects are marked."""

FIRST_SEED = 900_000
"""Scenes to look at begin here: probes are fitted on scenes of smaller seeds."""

MOST_SCENES = 999
BEST_FIRST = ("quadratic", "plda")
"""Probes that are shown before any was chosen, where they are there."""

_POINT, _PATCH = re.compile(r"\d{1,3}"), re.compile(r"\d{1,4},\d{1,4}")
_NAME = re.compile(r"[a-z_]{2,12}")


def start() -> None:
    """The choices of a session's first visit, or of a link: what the address says."""
    from analytics.metrics.binding import MEASURES

    state, said = st.session_state, st.query_params.to_dict()
    known = SHOWN in state and said in ({}, state.get(_address.WRITTEN))
    _address.seed()
    if known:
        return
    notes: list[str] = []
    state[SHOWN] = {
        "measure": choice(said, "measure", MEASURES, "auc_colour_matched", notes),
        "probe": _plain(said, "probe", _NAME, "the name of a probe as quadratic", notes),
        "point": _plain(said, "point", _POINT, "a number from 0", notes),
        "patch": _plain(said, "patch", _PATCH, "a patch as 7,9", notes),
    }
    _start_scene(said, notes)
    state.setdefault(MARKS, {})
    if said.get("marks") and state[PICTURE]:
        _start_marks(said["marks"], notes)
    _annotated_sets.start(said, notes)
    _views.start(said, notes)
    for sentence in notes:
        note(sentence)


def _plain(
    said: Mapping[str, str], name: str, allowed: re.Pattern[str], words: str, notes: list[str]
) -> str:
    text = said.get(name, "")
    if not text or allowed.fullmatch(text):
        return text
    notes.append(f"The link has {name}={text[:20]!r}; expected {words}.")
    return ""


def _start_scene(said: Mapping[str, str], notes: list[str]) -> None:
    """`scene=strips-own:3` names a scene; without it a photograph is looked at."""
    from analytics.io.scenes import FAMILIES

    state = st.session_state
    family, _, number = said.get("scene", "").partition(":")
    fits = family in FAMILIES and number.isascii() and number.isdecimal() and len(number) <= 3
    if said.get("scene") and not fits:
        notes.append(f"The link has scene={said['scene'][:30]!r}; expected one as strips-own:3.")
    state[SUBJECT] = SCENE if fits else PHOTOGRAPH
    state[FAMILY], state[NUMBER] = (family, int(number)) if fits else (FAMILIES[1], 0)


def take_patch(text: str) -> None:
    """Remember the patch that is asked about, as 7,9; empty for none, anything else is ignored."""
    if not text or _PATCH.fullmatch(text):
        st.session_state[SHOWN] = {**st.session_state[SHOWN], "patch": text}


def _start_marks(key: str, notes: list[str]) -> None:
    """`marks=` names objects that somebody marked on the picture of the link."""
    from analytics.serve.marks import find_marks

    try:
        picture = find_marks(here(), key).picture
    except ValueError as error:
        notes.append(str(error))
        return
    keep_marks_of(picture, key)


def marks_of(picture: str | None) -> str:
    """Id of the objects that were marked on a picture; empty where there are none."""
    return str(st.session_state.get(MARKS, {}).get(picture, ""))


def keep_marks_of(picture: str, key: str) -> None:
    """Remember the marks of a picture; an empty id forgets them."""
    marks = {**st.session_state.get(MARKS, {}), picture: key}
    st.session_state[MARKS] = {name: one for name, one in marks.items() if one}


def link() -> dict[str, str]:
    """What the address says of the choices on this page."""
    state = st.session_state
    parts = {name: str(value) for name, value in state[SHOWN].items() if str(value)}
    parts |= _annotated_sets.link() | _views.link()
    if state[SUBJECT] == SCENE:
        parts["scene"] = f"{state[FAMILY]}:{state[NUMBER]}"
    elif marks_of(state[PICTURE]):
        parts["marks"] = marks_of(state[PICTURE])
    return parts


def choose_subject() -> None:
    """A photograph, or a made scene whose objects are known."""
    heading("Look at")
    state = st.session_state
    state["_" + SUBJECT] = state[SUBJECT]
    st.segmented_control(
        "Look at",
        SUBJECTS,
        key="_" + SUBJECT,
        format_func={PHOTOGRAPH: "Photograph", SCENE: "Made scene"}.__getitem__,
        required=True,
        width="stretch",
        label_visibility="collapsed",
        help="Of a made scene every object is known, so that the probe can be compared with it",
        on_change=remember,
        args=(SUBJECT,),
    )
    if state[SUBJECT] == PHOTOGRAPH:
        _choose.choose_picture()
        _offer_marking(state[PICTURE])
    else:
        _choose_scene()


def _offer_marking(picture: str | None) -> None:
    """A way from the photograph to the tool that marks its objects."""
    if not picture or st.session_state[_views.VIEW] == MARKING:
        return
    st.button(
        "Change objects" if marks_of(picture) else "Mark objects",
        on_click=_open_marking,
        width="stretch",
        help="Draw the objects of this photograph, or bring a mask: every view then knows them",
    )


def _open_marking() -> None:
    st.session_state[_views.VIEW] = MARKING


def _choose_scene() -> None:
    from analytics.io.scenes import FAMILIES, FAMILY_TITLES

    heading("Scene")
    state = st.session_state
    state["_" + FAMILY], state["_" + NUMBER] = state[FAMILY], state[NUMBER]
    st.selectbox(
        "Family",
        FAMILIES,
        key="_" + FAMILY,
        format_func=lambda name: name.replace("-", " "),
        help="\n".join(f"- {name}: {title}" for name, title in FAMILY_TITLES.items()),
        on_change=remember,
        args=(FAMILY,),
    )
    st.number_input(
        "Number",
        min_value=0,
        max_value=MOST_SCENES,
        key="_" + NUMBER,
        help="Another number is another scene; probes are never fitted on these",
        on_change=remember,
        args=(NUMBER,),
    )
    st.caption(FAMILY_TITLES[state[FAMILY]])


def study_params(whole: bool) -> dict[str, Any]:
    """Parameters of the job that fits probes: all of them, or the preview."""
    chosen = {**_model(), "fit": "crop", "whole": whole, "seed": 0}
    return _set.named("binding", {**chosen, **_annotated_sets.study_data()})


def _model() -> dict[str, Any]:
    state = st.session_state
    return {
        "model": state[MODEL],
        "checkpoint": checkpoint_path(state[WEIGHTS]) if state[WEIGHTS] else None,
        "size": state[SIZE],
    }


def quick_lane() -> str:
    """What takes seconds waits neither for long studies nor they for it."""
    return f"{here().settings.device} binding"


def fit_all() -> None:
    """Start, or go on with, the whole study in the background."""
    params = study_params(True)
    here().jobs.submit("binding", params, str(params["job"]), _set.lane())


def whole_job() -> Job | None:
    """The whole study's job, whatever became of it; None where nobody has asked for it."""
    return here().jobs.get(str(study_params(True)["job"]))


def study_record() -> Binding | None:
    """The whole study as far as it is fitted, else the preview; sees to it that there is one."""
    if _warming():
        return None
    whole, known = study_params(True), whole_job()
    if known is not None:
        if known.state == "interrupted":
            fit_all()
        _say(known)
        record = _found(whole, known)
        if record is not None and fitted(record):
            return record
    preview = study_params(False)
    return _found(preview, ask("binding", preview, lambda job: False))


def _warming() -> bool:
    """Whether the server still imports what takes seconds; two threads at it can fail."""
    first = here().jobs.get(WARM_UP)
    return first is not None and first.alive


def fitted(record: Binding) -> list[str]:
    """Probes of the first seed that are fitted so far."""
    import numpy as np

    known = np.isfinite(record.values[:, :, 0, :, 0]).any(axis=(1, 2))
    rows = zip(record.rows, record.kinds, known, strict=True)
    return [name for name, kind, there in rows if kind == "probe" and there]


def _found(params: Mapping[str, Any], job: Job | None) -> Binding | None:
    """What a job has fitted so far; a result that had to leave the disk is asked for again."""
    from analytics.serve.binding_work import find_binding, held_binding

    if job is None:
        return None
    key = str(job.result) if job.state == "done" else find_binding(here(), str(params["job"]))
    record = held_binding(here(), key) if key else None
    if record is None and job.state == "done":
        here().jobs.submit("binding", params, job.key, job.device)
    return record


def ask(
    kind: str, params: Mapping[str, Any], left: Callable[[Job], bool], lane: str | None = None
) -> Job | None:
    """A job as it stands, started where it is new or its result has left; short where no lane."""
    jobs, key = here().jobs, str(params["job"])
    job = jobs.get(key)
    if job is None or job.state == "interrupted" or left(job):
        jobs.submit(kind, params, key, lane or quick_lane())
        job = jobs.wait(key, PATIENCE)
    if job is not None:
        _say(job)
    return job


def _say(job: Job) -> None:
    if job.state == "failed":
        note(job.error)
    elif job.state == "cancelled":
        note("Stopped before it was done; what was fitted is kept.")


def probe_sources(record: Binding | None) -> dict[str, str]:
    """Probes that can read a picture, with where each comes from: a result, or `shipped`."""
    from analytics.serve.binding_work import SHIPPED

    state = st.session_state
    bundled = state[MODEL] == BUNDLED and not state[WEIGHTS]
    own = {} if record is None else dict.fromkeys(fitted(record), record.id)
    ready = _ready_names(state[SIZE]) if bundled and not _warming() else ()
    came = dict.fromkeys(ready, SHIPPED)
    # A preview gives way to what was fitted on more; the user's own whole study comes first.
    whole = record is not None and whole_job() is not None and len(record.rows) > len(own) + 4
    if own and _annotated_sets.study_data():
        return own
    return {**came, **own} if whole else {**own, **came}


@st.cache_resource(show_spinner=False)
def _ready_names(size: int | None) -> tuple[str, ...]:
    """Probes that come with the app for the bundled model at an input size."""
    from analytics.studies.binding_ready import ready_probes

    return tuple(ready_probes(loaded_model(BUNDLED, None, size)) or ())


def chosen_probe(sources: Mapping[str, str]) -> str:
    """The probe that was chosen, or the best that is there; empty where there is none."""
    wanted = (st.session_state[SHOWN]["probe"], *BEST_FIRST, *sources)
    return next((name for name in wanted if name in sources), "")


def bound_params(sources: Mapping[str, str]) -> dict[str, Any] | None:
    """Parameters of the job that reads the picture; None where there is nothing to read."""
    state, row = st.session_state, chosen_probe(sources)
    scene = [state[FAMILY], FIRST_SEED + state[NUMBER]] if state[SUBJECT] == SCENE else None
    if not row or (scene is None and not state[PICTURE]):
        return None
    picture = None if scene else state[PICTURE]
    return _set.named(
        "bound",
        {
            **_model(),
            "fit": state[FIT],
            "picture": picture,
            "scene": scene,
            "marks": (marks_of(picture) or None) if picture else None,
            "study": sources[row],
            "row": row,
        },
    )


def bound_for(params: Mapping[str, Any] | None) -> BoundPicture | None:
    """The picture as its probe reads it, if it is there; otherwise sees to it."""
    if params is None or _warming():
        return None
    job = ask("bound", params, lambda job: job.state == "done" and _held(job) is None)
    return _held(job) if job is not None and job.state == "done" else None


def _held(job: Job) -> BoundPicture | None:
    return here().bounds.get(str(job.result))


@st.fragment(run_every=2.0)
def refresh(seen: int) -> None:
    """Redraws the page when the study in the background has another probe."""
    if whole_count() != seen:
        st.rerun()


def whole_count() -> int:
    """Fits of the whole study that are kept so far."""
    from analytics.serve.binding_work import find_binding

    key = find_binding(here(), str(study_params(True)["job"]))
    return here().binding.count(key) if key else 0
