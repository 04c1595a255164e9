"""Attention: do heads attend where a probe, or the truth, says 'same object'?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _asking, _job, _objects, _set
from pages._address import choice
from pages._components.attending import attending
from pages._shared import here, note
from pages._visit import open_lens

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from pages._views import Looked

LOOK, LAST = "attending_look", "attending_last"
"""Session keys: what is chosen in the view beside head and patch; the picture shown last."""

COUNTS = (24, 48)
"""Numbers of made scenes on offer; the first is the default."""

SCOPES = ("scenes", "picture")


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link."""
    from analytics.serve.attending_export import DEFAULT, LINK_TITLES

    counts = tuple(str(one) for one in COUNTS)
    st.session_state[LOOK] = {
        "link": choice(said, "link", tuple(LINK_TITLES), DEFAULT, notes),
        "scope": choice(said, "scope", SCOPES, SCOPES[0], notes),
        "scenes": choice(said, "scenes", counts, counts[0], notes),
        "layer": "",
        "head": "",
    }
    view = st.session_state.get(_address.VIEW) or {}
    if "layer" in said and "head" in said and "layer" in view and "head" in view:
        chosen = {name: str(view[name]) for name in ("layer", "head")}
        st.session_state[LOOK] |= chosen


def link() -> dict[str, str]:
    """What the address says of this view."""
    chosen = st.session_state.get(LOOK, {})
    return {name: chosen[name] for name in chosen if chosen[name]}


def show(looked: Looked) -> None:
    """All heads on made scenes and on the picture on screen, beside the chosen probe."""
    state = st.session_state
    if LOOK not in state:
        start({}, [])
    with st.container():
        if looked.wanted is None:
            _asking.needs(
                "Does attention follow objects? Every head's attention is compared with a "
                "probe; it starts as soon as a first probe is fitted."
            )
            return
        scenes = {"picture": None, "scene": None, "marks": None}
        many = {**scenes, "scenes": int(state[LOOK]["scenes"])}
        tokens = {
            "scenes": _of("scene-link", {**looked.wanted, **scenes}, many, _set.lane()),
            "picture": _of("picture-link", looked.wanted, {}, None),
        }
    if looked.found is not None:
        state[LAST] = looked.found.id
    shown: BoundPicture | None = here().bounds.get(str(state.get(LAST, "")))
    with st.container():
        if shown is not None:
            tokens |= {"bound": here().signer.sign(shown.id), "lens": _lens(looked, shown)}
    instrument(tokens)


def _of(kind: str, wanted: dict[str, Any], more: dict[str, Any], lane: str | None) -> str:
    """Signed id of a view's record; empty while it is computed."""
    found = _asking.record_of(kind, wanted, more, lane)
    return here().signer.sign(found.id) if found is not None else ""


def _lens(looked: Looked, shown: BoundPicture) -> str:
    """Signed id of the picture's attention, which the lens shows too; empty while computed."""
    assert looked.wanted is not None
    params: dict[str, object] = {
        "model": looked.wanted["model"],
        "checkpoint": looked.wanted["checkpoint"],
        "picture": shown.picture.sha256,
        "fit": looked.wanted["fit"],
        "size": looked.wanted["size"],
    }
    record = _job.record_for(params)
    return here().signer.sign(record.id) if record is not None else ""


@st.fragment
def instrument(tokens: dict[str, str]) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    chosen = state[LOOK]
    view = {name: chosen[name] for name in ("scope", "scenes", "layer", "head")}
    view |= {"measure": chosen["link"], "patch": state[_objects.SHOWN]["patch"]}
    result = attending(tokens, COUNTS, view, state[_address.SERIAL])
    if result.view:
        changed = _take(dict(result.view))
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.lens:
        _open(dict(result.lens))
    if result.gone:
        note("What was shown is no longer held by the server; it is computed again.")
        state.pop(LAST, None)
        st.rerun()


def _take(view: dict[str, Any]) -> bool:
    """What is chosen inside the instrument; whether another number of scenes is asked for."""
    from analytics.serve.attending_export import LINK_TITLES

    state = st.session_state
    before = state[LOOK]
    now = dict(before)
    allowed = {"scope": SCOPES, "scenes": tuple(str(one) for one in COUNTS)}
    now |= {name: str(view[name]) for name in allowed if view.get(name) in allowed[name]}
    if view.get("measure") in LINK_TITLES:
        now["link"] = str(view["measure"])
    ends = [str(view.get(name, "")) for name in ("layer", "head")]
    if all(one.isdecimal() for one in ends):
        now |= {"layer": ends[0], "head": ends[1]}
        state[_address.VIEW] = {
            **(state.get(_address.VIEW) or {}),
            "layer": int(ends[0]),
            "head": int(ends[1]),
        }
    state[LOOK] = now
    _objects.take_patch(str(view.get("patch", "")))
    return bool(now["scenes"] != before["scenes"])


def _open(found: dict[str, Any]) -> None:
    """Go to the lens with layer, head and the patch as query, on the picture on screen."""
    state = st.session_state
    shown: BoundPicture | None = here().bounds.get(str(state.get(LAST, "")))
    state[_address.VIEW] = {**(state.get(_address.VIEW) or {}), "q": str(found["q"]), "dir": "to"}
    wish: dict[str, Any] = {"image": shown.picture.sha256} if shown else {}
    open_lens({**wish, "layer": int(found["layer"]), "head": int(found["head"])})
