"""Annotated sets that a session knows, adding one, and which of them probes are fitted on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages._shared import here

if TYPE_CHECKING:
    from analytics.studies.binding_record import Binding

SETS, FITTED = "annotated_sets", "annotated_fitted"
"""Session keys: names of the sets known, by id; what probes are fitted on."""

SCENES = "scenes"
"""Stands for made scenes where a set's id may stand."""

SAID, ROUND = "annotated_said", "_annotated_round"
_FITTED = re.compile(r"(scenes|[0-9a-f]{64}):(0\.\d{2}|1\.00):([01])")


@dataclass(frozen=True)
class Fitted:
    """What probes are fitted on: a set's id or `SCENES`, and how patches get their object."""

    source: str = SCENES
    purity: float = 0.6
    background: bool = False

    def text(self) -> str:
        """As the address says it."""
        return f"{self.source}:{self.purity:.2f}:{int(self.background)}"


def known_sets() -> dict[str, str]:
    """Names of the sets of this session by id, oldest first."""
    return dict(st.session_state.get(SETS, {}))


def know(set_id: str) -> bool:
    """Take a set that the server holds into this session; whether there is one."""
    from analytics.serve.annotated_sets import kept_set

    kept = kept_set(here(), set_id)
    if kept is not None:
        st.session_state[SETS] = {**known_sets(), kept.id: kept.name}
    return kept is not None


def start(said: Mapping[str, str], notes: list[str]) -> None:
    """What a link says that probes are fitted on."""
    text = said.get("fitted", "")
    found = _FITTED.fullmatch(text)
    chosen = Fitted()
    if found is not None and float(found[2]) > 0:
        chosen = Fitted(found[1], float(found[2]), found[3] == "1")
    elif text:
        notes.append(f"The link has fitted={text[:20]!r}; expected one as scenes:0.60:0.")
    if chosen.source != SCENES and not know(chosen.source):
        notes.append("The annotated set of this link is not on this server; add it again.")
        chosen = Fitted()
    st.session_state[FITTED] = chosen


def link() -> dict[str, str]:
    """What the address says of it; nothing of the default."""
    chosen = fitted_on()
    return {} if chosen == Fitted() else {"fitted": chosen.text()}


def fitted_on() -> Fitted:
    """What probes are fitted on in this session."""
    chosen: Fitted = st.session_state.get(FITTED, Fitted())
    return chosen


def fit_on(source: str, purity: float, background: bool) -> None:
    """Fit probes on a set, or on made scenes, from now on."""
    st.session_state[FITTED] = Fitted(source, purity, background)


def study_data() -> dict[str, Any]:
    """The part of a study's parameters that names its pictures; nothing for the default."""
    chosen = fitted_on()
    if chosen == Fitted():
        return {}
    return {
        "data": None if chosen.source == SCENES else chosen.source,
        "purity": chosen.purity,
        "count_background": chosen.background,
    }


def choose_fitted() -> None:
    """Made scenes or a set of this session, for the preview and for all probes."""
    state, names = st.session_state, {SCENES: "Made scenes", **known_sets()}
    chosen = fitted_on()
    if len(names) > 1:
        state["_annotated_source"] = chosen.source if chosen.source in names else SCENES
        st.selectbox(
            "Fit on",
            list(names),
            key="_annotated_source",
            format_func=names.__getitem__,
            help="Pictures with masks that probes learn from; add your own in the view Data",
            on_change=_take_source,
        )
    if (chosen.purity, chosen.background) != (Fitted.purity, Fitted.background):
        counted = "; unlabelled counts as an object" if chosen.background else ""
        st.caption(f"Purity {chosen.purity:.2f}{counted}.")


def _take_source() -> None:
    chosen = fitted_on()
    fit_on(st.session_state["_annotated_source"], chosen.purity, chosen.background)


def words(record: Binding | None, whole: bool) -> str:
    """What probes are or will be fitted on, as "66 made scenes" or "12 pictures of cells.zip"."""
    from analytics.serve.binding_work import PREVIEW_SCENES, WHOLE_SCENES

    source, most = fitted_on().source, WHOLE_SCENES if whole else PREVIEW_SCENES
    if source == SCENES:
        return f"{most} made scenes"
    name = known_sets().get(source, "an annotated set")
    if record is None:
        return f"at most {most} pictures of {name}"
    return f"{len(record.images)} pictures of {name}"


def add() -> str | None:
    """Upload a zip, or name a folder on the server.

    Returns:
        The id of the set that was brought, empty where it was refused (SAID says why), None
        where nothing was brought.
    """
    from analytics.serve.annotated_sets import KINDS

    state = st.session_state
    turn = state.get(ROUND, 0)
    titles: dict[str, str] = {"": "tell it from the files"}
    titles |= {str(name): str(name) for name in KINDS}
    kind = st.selectbox("Layout", list(titles), format_func=titles.__getitem__, key="_ann_kind")
    file_name = ""
    if kind == "coco":
        file_name = st.text_input("File of annotations, where there are several", key="_ann_file")
    file = st.file_uploader("A zip of pictures with masks", key=f"_ann_zip_{turn}")
    added = None
    if file is not None:
        state[ROUND] = turn + 1
        added = _added("upload", file.getvalue(), file.name, kind, file_name)
    roots = here().settings.roots
    if roots:
        path = st.text_input("Or a folder on the server", key="_ann_place", value=str(roots[0]))
        if st.button("Open the folder", width="stretch"):
            added = _added("place", b"", path, kind, file_name)
    return added


def _added(way: str, data: bytes, name: str, kind: str, file_name: str) -> str:
    """Keep a set and know it; a refusal stays to be read beside the upload."""
    from analytics.serve.annotated_sets import keep_place, keep_upload

    try:
        if way == "upload":
            kept = keep_upload(here(), data, name, kind, file_name.strip())
        else:
            kept = keep_place(here(), name, kind, file_name.strip())
    except ValueError as error:
        st.session_state[SAID] = str(error)
        return ""
    st.session_state[SAID] = ""
    st.session_state[SETS] = {**known_sets(), kept.id: kept.name}
    return kept.id
