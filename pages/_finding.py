"""Discovery: what methods that are told of no object hold to be one, beside what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.serve import finding_work
from analytics.studies.discovery_methods import MEASURES, METHODS, SOURCES
from pages import _address, _asking, _objects, _set
from pages._address import choice
from pages._components.finding import finding
from pages._job import WARM_UP
from pages._shared import here, note
from pages._visit import open_lens

if TYPE_CHECKING:
    from analytics.serve.finding_work import HeldFinding
    from pages._views import Looked

CHOSEN, WANTED, LAST, LAST_SCENES = (
    "finding_chosen",
    "finding_wanted",
    "finding_last",
    "finding_last_scenes",
)
"""Session keys: what is chosen in the view; what names model, picture and probe; the masks, and the
scores over scenes, that were shown last."""

TRUTH, COHERENCE = "truth", "coherence"
GROUPS = tuple(str(number) for number in range(2, 11))
CHOICES: dict[str, tuple[str, ...]] = {
    "features": tuple(SOURCES),
    "groups": ("5", *(one for one in GROUPS if one != "5")),
    "found": (*METHODS, TRUTH, COHERENCE),
    "score": tuple(MEASURES),
}
"""What an address may say; the first is the default."""

SHAPES = ("features", "at", "groups")
"""Choices for which masks have to be looked for again."""

_POINT = re.compile(r"\d{1,3}")
_ANY = "any"


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link; `at` is a point, empty for the last."""
    chosen = {
        name: choice(said, name, allowed, allowed[0], notes) for name, allowed in CHOICES.items()
    }
    at = said.get("at", "")
    if at and not _POINT.fullmatch(at):
        notes.append(f"The link has at={at[:20]!r}; expected a number from 0.")
        at = ""
    st.session_state[CHOSEN] = {**chosen, "at": at}


def link() -> dict[str, str]:
    """What the address says of this view; nothing of defaults."""
    chosen = st.session_state.get(CHOSEN, {})
    more = {"at": chosen["at"]} if chosen.get("at") else {}
    return more | {name: chosen[name] for name in CHOICES if chosen and _differs(chosen, name)}


def _differs(chosen: Mapping[str, str], name: str) -> bool:
    return chosen[name] != CHOICES[name][0]


def show(looked: Looked) -> None:
    """Masks on the picture on screen, and scores over made scenes once they were asked for."""
    state = st.session_state
    if CHOSEN not in state:
        start({}, [])
    progress, scenes = st.container(), st.container()
    params = wanted(looked)
    found, job = None, ""
    state[WANTED] = params
    if params is not None:
        with progress:
            # Without a probe it need not wait until one is fitted.
            lane = None if params["row"] else here().settings.device
            found = _asking.record_of("finding", params, _more(), lane)
        with scenes:
            job = _scenes(params)
    shown: HeldFinding | None = found or here().views.get(str(state.get(LAST, "")))
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    sign = here().signer.sign
    scored = str(state.get(LAST_SCENES, ""))
    token = sign(scored) if here().views.get(scored) is not None else ""
    instrument(sign(shown.id), token, job)


def wanted(looked: Looked) -> dict[str, Any] | None:
    """Parameters that name model, picture and probe, the probe's empty where none is fitted.

    None where there is no picture, or while the server still imports what takes seconds.
    """
    if looked.wanted is not None:
        return dict(looked.wanted)
    first = here().jobs.get(WARM_UP)
    if first is not None and first.alive:
        return None
    # What names the picture does not hang on the probe.
    named = _objects.bound_params({_ANY: ""})
    return None if named is None else {**named, "study": "", "row": ""}


def _more() -> dict[str, Any]:
    chosen = st.session_state[CHOSEN]
    point = int(chosen["at"]) if chosen["at"] else None
    return {"features": chosen["features"], "point": point, "groups": int(chosen["groups"])}


def scenes_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the job that measures methods on made scenes."""
    names = ("model", "checkpoint", "size", "fit", "study", "row")
    shared = {name: params[name] for name in names}
    return _set.named("finding-scenes", {**shared, **_more(), "scenes": finding_work.SCENES})


def _scenes(params: Mapping[str, Any]) -> str:
    """Scores over scenes as far as somebody asked for them; the state of their job, in a word."""
    state = st.session_state
    asked = scenes_params(params)
    job = here().jobs.get(str(asked["job"]))
    if job is None:
        return "new"
    shared = {name: value for name, value in asked.items() if name != "job"}
    record = _asking.record_of("finding-scenes", shared, {}, _set.lane())
    if record is not None:
        state[LAST_SCENES] = asked["job"]
        return "done"
    job = here().jobs.get(str(asked["job"]))
    return "running" if job is not None and job.alive else "stopped"


def _teach() -> None:
    """What the view will show, while there is nothing yet."""
    st.markdown(
        "**Can objects be found without being told of any?** LOST, TokenCut and MaskCut group "
        "patches whose features are alike, the cls token attends to some of them, and a probe's "
        "matrix can be cut into groups. Their masks stand side by side on the picture; where "
        "objects are known, each with its score."
    )


@st.fragment
def instrument(token: str, scenes: str, job: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    result = finding(token, scenes, job, state[CHOSEN], state[_address.SERIAL])
    if result.view:
        changed = _take(dict(result.view))
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.measure:
        _measure()
    if result.scene:
        state[_objects.SUBJECT] = _objects.SCENE
        st.rerun()
    if result.lens:
        _open(dict(result.lens))
    if result.gone:
        note("What was shown is no longer held by the server; it is computed again.")
        state.pop(LAST, None)
        state.pop(LAST_SCENES, None)
        st.rerun()


def _measure() -> None:
    """Start the job over made scenes for what is chosen, or go on with it."""
    params = st.session_state.get(WANTED)
    if params is not None:
        asked = scenes_params(params)
        here().jobs.submit("finding-scenes", asked, str(asked["job"]), _set.lane())
    st.rerun()


def _take(view: Mapping[str, Any]) -> bool:
    """What is chosen inside the instrument; whether masks have to be looked for again."""
    state = st.session_state
    before = state[CHOSEN]
    now = {
        name: str(view.get(name)) if str(view.get(name)) in allowed else before[name]
        for name, allowed in CHOICES.items()
    }
    at = str(view.get("at", ""))
    now["at"] = at if not at or _POINT.fullmatch(at) else before["at"]
    state[CHOSEN] = now
    return any(now[name] != before[name] for name in SHAPES)


def _open(found: Mapping[str, Any]) -> None:
    """Go to the lens with the picture that is on screen, at the layer whose cls row is shown."""
    state = st.session_state
    shown: HeldFinding | None = here().views.get(str(state.get(LAST, "")))
    view = dict(state.get(_address.VIEW) or {})
    view.pop("head", None)
    state[_address.VIEW] = {**view, **({"q": str(found["q"])} if found.get("q") else {})}
    wish: dict[str, Any] = {"image": shown.picture.sha256} if shown else {}
    layer = found.get("layer")
    open_lens({**wish, **({"layer": layer} if isinstance(layer, int) else {})})
