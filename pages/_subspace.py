"""Subspace: the directions that a probe reads, and a picture's patches laid out in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _asking, _objects
from pages._address import choice
from pages._components.subspace import subspace
from pages._shared import here, note
from pages._visit import open_lens

if TYPE_CHECKING:
    from analytics.serve.subspace_work import SubspaceLook
    from pages._views import Looked

LOOK, LAST = "subspace_look", "subspace_last"
"""Session keys: what is chosen in the view beside point and patch; the layout shown last."""

CHOICES: dict[str, tuple[str, ...]] = {
    "part": ("binding", "stream", "rest"),
    "tint": ("object", "position", "picture"),
    "axes": ("3", "2"),
}
"""What an address may say; the first is the default."""


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link."""
    st.session_state[LOOK] = {
        name: choice(said, name, allowed, allowed[0], notes) for name, allowed in CHOICES.items()
    }


def link() -> dict[str, str]:
    """What the address says of this view; nothing of defaults."""
    chosen = st.session_state.get(LOOK, {})
    return {name: chosen[name] for name in chosen if chosen[name] != CHOICES[name][0]}


def show(looked: Looked) -> None:
    """The layout of the picture on screen with the chosen probe."""
    state = st.session_state
    if LOOK not in state:
        start({}, [])
    with st.container():
        found = None
        # After the page's own reading of the picture: one progress, one note of what fails.
        if looked.wanted is not None and looked.found is not None:
            found = _asking.record_of("subspace", looked.wanted, {})
    shown: SubspaceLook | None = found or here().views.get(str(state.get(LAST, "")))
    if shown is None:
        _teach(looked)
        return
    state[LAST] = shown.id
    instrument(here().signer.sign(shown.id), list(_objects.probe_sources(looked.record)))


def _teach(looked: Looked) -> None:
    """What the view will show, while there is nothing yet."""
    begun = "" if looked.wanted is not None else " It starts as soon as a first probe is fitted."
    st.markdown(
        "**Where does a probe look?** The spectrum says in how many directions it reads whether "
        "two patches belong together; in these directions the patches of the picture are laid "
        f"out, beside the whole stream and what is left of it.{begun}"
    )


@st.fragment
def instrument(token: str, probes: list[str]) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    chosen = {**state[LOOK], **{name: state[_objects.SHOWN][name] for name in ("point", "patch")}}
    result = subspace(token, probes, chosen, state[_address.SERIAL])
    if result.view:
        changed = _take(dict(result.view))
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.scene:
        state[_objects.SUBJECT] = _objects.SCENE
        st.rerun()
    if result.lens:
        _open(dict(result.lens))
    if result.gone:
        note("What was shown is no longer held by the server; it is computed again.")
        state.pop(LAST, None)
        st.rerun()


def _take(view: dict[str, Any]) -> bool:
    """What is chosen inside the instrument; whether another probe has to read the picture."""
    state = st.session_state
    state[LOOK] = {
        name: str(view.get(name)) if str(view.get(name)) in allowed else state[LOOK][name]
        for name, allowed in CHOICES.items()
    }
    before = state[_objects.SHOWN]
    more = {name: str(view.get(name, "")) for name in ("point", "patch")}
    probe = str(view.get("probe", "")) or before["probe"]
    state[_objects.SHOWN] = {**before, **more, "probe": probe}
    return bool(probe != before["probe"])


def _open(found: dict[str, Any]) -> None:
    """Go to the lens with the patch as its query, on the picture that is on screen."""
    state = st.session_state
    shown: SubspaceLook | None = here().views.get(str(state.get(LAST, "")))
    view = dict(state.get(_address.VIEW) or {})
    view.pop("head", None)
    state[_address.VIEW] = {**view, **({"q": str(found["q"])} if found.get("q") else {})}
    wish: dict[str, Any] = {"image": shown.picture.sha256} if shown else {}
    layer = found.get("layer")
    open_lens({**wish, **({"layer": layer} if isinstance(layer, int) else {})})
