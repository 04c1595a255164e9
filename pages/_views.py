"""The views of the Binding page: what can be asked of a picture and a probe, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages._address import choice
from pages._shared import remember

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from analytics.studies.binding_record import Binding

VIEW = "binding_view"
"""Session key: which view is shown."""

MAP = "map"
VIEWS: dict[str, tuple[str, str]] = {
    MAP: ("Map", ""),
    "annotated": ("Data", "_annotated"),
    "marking": ("Mark", "_marking"),
    "ablation": ("Ablation", "_removing"),
    "subspace": ("Subspace", "_subspace"),
    "attending": ("Attention", "_attending"),
    "finding": ("Discovery", "_finding"),
    "twins": ("Copies", "_twins"),
}
"""Title of each view, and the module of `pages` whose `show(looked)` draws it; MAP is the page's
own instrument. Such a module may have `start(said, notes)` and `link()` for what of its own
choices stands in the address, as this one has."""


@dataclass(frozen=True)
class Looked:
    """What a view is given.

    `record` holds the curves, None before a first probe is fitted; `wanted` the parameters of
    the job that reads the picture with the chosen probe (see `serve.binding_work.bound_work`),
    None where there is nothing to read; `found` is that job's result, None until it is there.
    """

    record: Binding | None
    wanted: dict[str, Any] | None
    found: BoundPicture | None


def start(said: dict[str, str], notes: list[str]) -> None:
    """The view of a session's first visit, or of a link."""
    chosen = st.session_state[VIEW] = choice(said, "view", tuple(VIEWS), MAP, notes)
    begin = _hook(chosen, "start")
    if begin is not None:
        begin(said, notes)


def link() -> dict[str, str]:
    """What the address says of the view; nothing of the first one."""
    chosen = st.session_state[VIEW]
    more = _hook(chosen, "link")
    return {} if chosen == MAP else {"view": chosen, **(more() if more else {})}


def _hook(view: str, name: str) -> Callable[..., Any] | None:
    """A function that a view's module may have."""
    return None if view == MAP else getattr(import_module(f"pages.{VIEWS[view][1]}"), name, None)


def choose() -> str:
    """One view of those on offer."""
    state = st.session_state
    state["_" + VIEW] = state[VIEW]
    st.segmented_control(
        "View",
        list(VIEWS),
        key="_" + VIEW,
        format_func=lambda name: VIEWS[name][0],
        required=True,
        label_visibility="collapsed",
        on_change=remember,
        args=(VIEW,),
    )
    return str(state[VIEW])


def show(view: str, looked: Looked) -> None:
    """Draw a view other than the map."""
    draw: Callable[[Looked], None] = import_module(f"pages.{VIEWS[view][1]}").show
    draw(looked)
