"""Data: pictures with their masks, made or one's own, and what a purity leaves of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _annotated_pick, _annotated_sets, _objects, _set
from pages._address import choice
from pages._annotated_sets import SCENES
from pages._components.annotated import annotated
from pages._job import WARM_UP
from pages._shared import here, note

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.serve.annotated_work import SurveyedData
    from pages._views import Looked

CHOSEN, LAST, HEARD = "annotated_chosen", "annotated_last", "annotated_heard"
"""Session keys: what is chosen in the view, as text; the gallery shown last; what the component
said last."""

ALL = "all"
SIDES = (224, 336, 448, 518)
"""Sides of scenes on offer, each brought down to whole patches; 0 is the model's own."""

ON_A_PAGE = 12
LOOKS = ("patches", "objects", "picture")
_DEFAULTS = {
    "source": SCENES,
    "family": ALL,
    "side": "0",
    "page": "0",
    "look": "patches",
    "purity": "0.60",
    "background": "0",
}


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link."""
    from analytics.io.scenes import FAMILIES

    chosen = dict(_DEFAULTS)
    chosen["family"] = choice(said, "family", (ALL, *FAMILIES), ALL, notes)
    chosen["look"] = choice(said, "look", LOOKS, LOOKS[0], notes)
    side = _address.number(said, "side", notes) or 0
    chosen["side"] = str(side if SIDES[0] <= side <= SIDES[-1] else 0)
    purities = tuple(f"{0.05 * step:.2f}" for step in range(1, 21))
    chosen["purity"] = choice(said, "purity", purities, "0.60", notes)
    chosen["background"] = choice(said, "background", ("0", "1"), "0", notes)
    page = _address.number(said, "page", notes)
    chosen["page"] = str(page or 0)
    source = said.get("data", "")
    if source and source != SCENES:
        if _annotated_sets.know(source):
            chosen["source"] = source
        else:
            notes.append("The annotated set of this link is not on this server; add it again.")
    st.session_state[CHOSEN] = chosen


def link() -> dict[str, str]:
    """What the address says of this view; nothing of defaults."""
    chosen = st.session_state.get(CHOSEN, _DEFAULTS)
    said = {name: chosen[name] for name in chosen if chosen[name] != _DEFAULTS[name]}
    return {("data" if name == "source" else name): value for name, value in said.items()}


def show(looked: Looked) -> None:
    """The gallery that is chosen, or the one before while it is read."""
    state = st.session_state
    if CHOSEN not in state:
        start({}, [])
    _add()
    first = here().jobs.get(WARM_UP)
    with st.container():
        found = None if first is not None and first.alive else _found(looked)
    shown = found or here().views.get(str(state.get(LAST, "")))
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    instrument(shown.id)


def _add() -> None:
    """A place to add a set, small enough to stand above the gallery."""
    st.space(8)
    with st.popover("Add annotated pictures"):
        st.caption(
            "ADE20K, ADEChallenge, COCO, VOC, or pictures with masks (images/ and masks/); each "
            "mask says to which object every pixel belongs. Files stay on this server."
        )
        added = _annotated_sets.add()
        said = str(st.session_state.get(_annotated_sets.SAID, ""))
        if said:
            st.text(said)
    if added is None:
        return
    if added:
        _take({**st.session_state[CHOSEN], "source": added, "page": "0"})
    # Drawn again, the uploader is empty; a refusal stands beside it.
    st.rerun()


def _found(looked: Looked) -> SurveyedData | None:
    """The gallery that is chosen if it is there; otherwise sees to it, in words."""
    study = _objects.study_params(False)
    model = {name: study[name] for name in ("model", "checkpoint", "size")}
    params = _set.named("annotated", {**model, "data": _data()})
    job = _objects.ask("annotated", params, _has_left, f"{here().settings.device} data")
    if job is not None and job.alive:
        _follow(job, looked)
    again = _set.retry(params)
    if again is not None:
        st.button("Read these pictures again", on_click=again)
    return here().views.get(job.key) if job is not None and job.state == "done" else None


def _has_left(job: Job) -> bool:
    return job.state == "done" and here().views.get(job.key) is None


def _follow(job: Job, looked: Looked) -> None:
    """Words on the job; where the page tells of another one already, only its end is seen."""
    others = [_objects.study_params(whole) for whole in (False, True)]
    told = [here().jobs.get(str(one["job"])) for one in (*others, looked.wanted or {"job": ""})]
    if any(one is not None and one.alive for one in told):
        _wait(job.key)
    else:
        _set.follow(job.key)


@st.fragment(run_every=0.4)
def _wait(key: str) -> None:
    job = here().jobs.get(key)
    if job is None or not job.alive:
        st.rerun()


def _data() -> dict[str, Any]:
    """What the job is told of the pictures."""
    from analytics.io.scenes import FAMILIES

    chosen = st.session_state[CHOSEN]
    if chosen["source"] != SCENES:
        return {"set": chosen["source"]}
    families = FAMILIES if chosen["family"] == ALL else (chosen["family"],)
    count = len(families) if chosen["family"] == ALL else ON_A_PAGE
    steps = 1 if chosen["family"] == ALL else ON_A_PAGE
    page = min(int(chosen["page"]), _scene_pages() - 1)
    return {
        "families": list(families),
        "first": _objects.FIRST_SEED + page * steps,
        "count": min(count, len(families) * (_objects.MOST_SCENES + 1 - page * steps)),
        "side": int(chosen["side"]),
    }


def _scene_pages() -> int:
    """How many pages of scenes there are that can be looked at."""
    numbers = _objects.MOST_SCENES + 1
    return numbers if st.session_state[CHOSEN]["family"] == ALL else -(-numbers // ON_A_PAGE)


def _teach() -> None:
    """What the view will show, while there is nothing yet."""
    st.markdown(
        "**What do probes learn from?** Pictures with a mask that says which object each pixel "
        "belongs to: made scenes, or your own. A patch counts where one object covers enough of "
        "it; how much is enough is the purity."
    )


@st.fragment
def instrument(survey_id: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    found: SurveyedData | None = here().views.get(survey_id)
    if found is None:
        st.rerun()
        return
    chosen = state[CHOSEN]
    scenes = "set" not in found.data
    result = annotated(
        here().signer.sign(found.id),
        {**chosen, "page": str(min(int(chosen["page"]), _scene_pages() - 1))} if scenes else chosen,
        [(SCENES, "made scenes"), *_annotated_sets.known_sets().items()],
        _families(),
        _sides(found),
        _scene_pages() if scenes else None,
        _annotated_pick.looked_at(found),
        _fitted_words(),
        state[_address.SERIAL],
    )
    said = {name: str(value) for name, value in dict(result.view or {}).items()}
    # What the component said before a link was followed says nothing of that link.
    if said and said != state.get(HEARD):
        state[HEARD] = said
        changed = _take(said)
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.pick:
        _annotated_pick.pick(dict(result.pick))
        st.rerun()
    if result.fit:
        _fit(dict(result.fit))
        st.rerun()
    if result.gone:
        note("What was shown is no longer held by the server; it is read again.")
        state.pop(LAST, None)
        st.rerun()


def _families() -> list[tuple[str, str]]:
    from analytics.io.scenes import FAMILIES

    return [(ALL, "all families"), *((name, name.replace("-", " ")) for name in FAMILIES)]


def _sides(found: SurveyedData) -> list[tuple[str, str]]:
    """The model's own, and others of whole patches."""
    patch = found.input_size[1] // found.grid.columns
    own = max(found.input_size)
    sides = sorted({side // patch * patch for side in SIDES} - {own})
    named = [("0", "the model's size"), *((str(side), f"{side} px") for side in sides if side)]
    chosen = st.session_state[CHOSEN]["side"]
    known = {value for value, _ in named}
    return named if chosen in known else [*named, (chosen, f"{chosen} px")]


def _fitted_words() -> str:
    chosen = _annotated_sets.fitted_on()
    counted = ", unlabelled counted as an object" if chosen.background else ""
    words = _annotated_sets.words(None, False)
    return f"The preview is fitted on {words}, purity {chosen.purity:.2f}{counted}."


def _take(view: Mapping[str, str]) -> bool:
    """What is chosen inside the instrument; whether other pictures have to be read."""
    from analytics.io.scenes import FAMILIES

    state = st.session_state
    before = _data()
    now = {name: str(view.get(name, state[CHOSEN][name])) for name in _DEFAULTS}
    if now["source"] not in (SCENES, *_annotated_sets.known_sets()):
        now["source"] = SCENES
    if now["family"] not in (ALL, *FAMILIES):
        now["family"] = ALL
    for name in ("side", "page"):
        text = now[name]
        now[name] = text if text.isascii() and text.isdecimal() and len(text) < 5 else "0"
    state[CHOSEN] = now
    return _data() != before


def _fit(asked: Mapping[str, Any]) -> None:
    """Fit probes on what is shown, at the purity that is chosen."""
    source, purity = str(asked.get("source", "")), asked.get("purity")
    known = source == SCENES or source in _annotated_sets.known_sets()
    if known and isinstance(purity, int | float) and 0 < purity <= 1:
        _annotated_sets.fit_on(source, round(float(purity), 2), bool(asked.get("background")))
