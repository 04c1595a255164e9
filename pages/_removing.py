"""Ablation: what the model's end loses when the binding part of the stream is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.serve.ablation_export import MEASURES
from analytics.serve.ablation_work import SCENES, SWEPT, held_ablation, held_edited
from pages import _address, _asking, _objects, _set
from pages._address import choice
from pages._components.removing import removing
from pages._shared import here, note

if TYPE_CHECKING:
    from pages._views import Looked

CHOSEN, LAST, HEARD = "removing_chosen", "removing_last", "removing_heard"
"""Session keys: what is chosen in the view; the edit that was shown last, with the parameters that
name its picture; what the component said last."""

CHOICES: dict[str, tuple[str, ...]] = {
    "dims": ("16", "all", "32", "8", "4"),
    "scenes": tuple(str(count) for count in SCENES),
    "measured": tuple(MEASURES),
    "edit": ("shuffle", "inject"),
    "part": SWEPT,
    "amount": ("1.0", *(f"{tenth / 10:.1f}" for tenth in range(10))),
}
"""What an address may say; the first is the default."""

SWEEP, EDIT = ("dims", "scenes", "at"), ("dims", "edit", "part", "amount", "at")
"""Choices on which the sweep, and the edit of the picture, depend."""

KINDS = ("quadratic", "plda", "full")
"""Probes with a matrix, the best first."""

_POINT = re.compile(r"\d{1,3}")


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link; `at` is a point, empty for the middle."""
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
    chosen = st.session_state.get(CHOSEN)
    if chosen is None:
        return {}
    more = {"at": chosen["at"]} if chosen["at"] else {}
    return more | {
        name: chosen[name] for name, (first, *_) in CHOICES.items() if chosen[name] != first
    }


def show(looked: Looked) -> None:
    """The sweep over made scenes, and the picture on screen before and after."""
    state = st.session_state
    if CHOSEN not in state:
        start({}, [])
    points = _points(looked)
    row = _probe(looked)
    if looked.wanted is None or points is None:
        _teach("The ablation starts as soon as a first probe is fitted.")
        return
    if row is None:
        _teach("It needs a probe with a matrix, quadratic or PLDA; fit one on the left.")
        return
    wanted = {**looked.wanted, **row}
    at = min(int(state[CHOSEN]["at"] or points // 2), points - 1)
    can_inject = bool(wanted.get("scene") or wanted.get("marks"))
    edited, sweep = _edited(wanted, at, can_inject), _sweep(wanted, at)
    _address.write(_objects.link())
    instrument(sweep, edited, at, points, can_inject)


def _points(looked: Looked) -> int | None:
    if looked.record is not None:
        return looked.record.points
    return None if looked.found is None else max(looked.found.same.points) + 1


def _probe(looked: Looked) -> dict[str, str] | None:
    """The chosen probe if it has a matrix, else the best that has one, with where it is from."""
    sources = _objects.probe_sources(looked.record)
    names = [_objects.chosen_probe(sources), *KINDS]
    name = next((one for one in names if one in sources and one in KINDS), "")
    return {"row": name, "study": sources[name]} if name else None


def _dimensions() -> int | None:
    dims = st.session_state[CHOSEN]["dims"]
    return None if dims == "all" else int(dims)


def _shown_edit(can_inject: bool) -> str:
    """The injection needs marked objects; a picture without them is shuffled."""
    edit = str(st.session_state[CHOSEN]["edit"])
    return edit if can_inject else "shuffle"


def sweep_params(wanted: Mapping[str, Any], at: int) -> dict[str, Any]:
    """Parameters of the sweep's job, which the picture on screen has no part in."""
    names = ("model", "checkpoint", "size", "fit", "study", "row")
    shared = {name: wanted[name] for name in names}
    chosen = st.session_state[CHOSEN]
    more = {"point": at, "dimensions": _dimensions(), "scenes": int(chosen["scenes"])}
    return _set.named("ablation", {**shared, **more})


def _sweep(wanted: Mapping[str, Any], at: int) -> tuple[str, bool]:
    """Key of the sweep's job, and whether it runs or waits; it is started where it is new."""
    params = sweep_params(wanted, at)
    shared = {name: value for name, value in params.items() if name != "job"}
    key = str(params["job"])
    _asking.record_of("ablation", shared, {}, _set.lane())
    job = here().jobs.get(key)
    alive = job is not None and job.alive
    return (key if alive or held_ablation(here(), key) else ""), alive


def _edited(wanted: Mapping[str, Any], at: int, can_inject: bool) -> str:
    """Id of the picture before and after; of the edit before while a new one is computed."""
    state = st.session_state
    chosen = state[CHOSEN]
    edit, amount = _shown_edit(can_inject), float(chosen["amount"])
    asked = {"edit": edit, "subspace": chosen["part"], "amount": amount}
    found = _asking.record_of("edited", wanted, {"point": at, "dimensions": _dimensions(), **asked})
    picture = {name: wanted.get(name) for name in ("model", "size", "fit", "picture", "scene")}
    if found is not None:
        state[LAST] = (picture, found.id)
    last, key = state.get(LAST, ({}, ""))
    return key if last == picture and held_edited(here(), key) else ""


def _teach(sentence: str) -> None:
    """What the view will show, while there is nothing yet."""
    st.markdown(
        "**What is lost when the binding part is taken away?** At one point of a real forward pass "
        "the part of every patch that a probe reads objects from is shuffled between patches, or "
        "moved to the mean of its object. Beside it stand a PCA and a random part that move as "
        "much energy: only what the binding part loses beyond them says anything. " + sentence
    )


@st.fragment
def instrument(
    sweep: tuple[str, bool], edited: str, at: int, points: int, can_inject: bool
) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    sign, chosen = here().signer.sign, state[CHOSEN]
    patch = str(state[_objects.SHOWN].get("patch", ""))
    view = {**chosen, "at": str(at), "patch": patch, "edit": _shown_edit(can_inject)}
    result = removing(
        sign(sweep[0]) if sweep[0] else "",
        sweep[1],
        sign(edited) if edited else "",
        view,
        points,
        SCENES,
        MEASURES,
        can_inject,
        state[_address.SERIAL],
    )
    said = dict(result.view or {})
    # What the component said before a link was followed says nothing of that link.
    if said and said != state.get(HEARD):
        state[HEARD] = said
        changed = _take(said)
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.scene:
        state[_objects.SUBJECT] = _objects.SCENE
        st.rerun()
    if result.gone:
        note("What was shown is no longer held by the server; it is computed again.")
        state.pop(LAST, None)
        st.rerun()


def _take(view: Mapping[str, Any]) -> bool:
    """What is chosen inside the instrument; whether something has to be computed for it."""
    state = st.session_state
    before = state[CHOSEN]
    told = {**view, "amount": _tenth(view.get("amount"))}
    now = {
        name: str(told.get(name)) if str(told.get(name)) in allowed else before[name]
        for name, allowed in CHOICES.items()
    }
    at = str(view.get("at", ""))
    now["at"] = at if _POINT.fullmatch(at) else before["at"]
    state[CHOSEN] = now
    patch = str(view.get("patch", ""))
    state[_objects.SHOWN] = {**state[_objects.SHOWN], "patch": patch}
    return any(now[name] != before[name] for name in (*SWEEP, *EDIT))


def _tenth(amount: Any) -> str:
    try:
        return f"{float(amount):.1f}"
    except (TypeError, ValueError):
        return ""
