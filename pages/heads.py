"""Heads: which heads matter, why, and what is left of the model without the others?

Choose a model and pictures, see a preview at once, measure exactly, look, prune, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _choose, _pruned, _study
from pages._components.heads import heads
from pages._shared import PICTURE, SIZE, here, note, show_notes

if TYPE_CHECKING:
    from analytics.studies.importance_record import Importance

LAST = "heads_last"
"""Session key of the study that was shown last; it stays on screen while another is measured."""


def page() -> None:
    """Left panel, computation, instrument."""
    _address.seed()
    _study.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _study.choose_set()
        _study.choose_ablation()
        _choose.choose_fit((), None)
        _choose.choose_checkpoint()
    params = _study.wanted(st.session_state[_study.EFFORT])
    record = _study.study_for(params)
    if record is None and params["effort"] == "exact":
        # Until the first pictures have been measured exactly, the preview stays.
        record = _study.study_for(_study.wanted("quick"))
    shown = record or _last()
    with about:
        _describe(record)
    _pruned.show_finished()
    show_notes(str(params["job"]), _study.retry(params))
    _address.write(_study.link())
    if shown is None:
        _teach()
        return
    st.session_state[LAST] = shown.id
    instrument(here().signer.sign(shown.id), shown.id)


def _last() -> Importance | None:
    from analytics.serve.importance_work import held_importance

    known = st.session_state.get(LAST)
    return held_importance(here(), known) if known else None


def _describe(record: Importance | None) -> None:
    if record is None:
        return
    counts = sorted(set(record.num_heads))
    per_layer = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    sha256 = record.provenance.weights_sha256[:8]
    text = f"{len(record.num_heads)} layers × {per_layer} heads<br>weights {sha256}…"
    st.html(f'<p class="atlas-facts">{text}</p>')


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**Which heads matter?** Each head is taken out in turn, and what changes is its "
        "importance: the cls token, the patches, the saliency map, or class probabilities "
        "where there is a read-out. A preview from one backward pass comes first."
    )


@st.fragment
def instrument(token: str, study: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    view = {**(state.get(_address.VIEW) or {}), "image": state[PICTURE]}
    result = heads(token, view, state[_address.SERIAL])
    if result.view:
        _take_view(dict(result.view))
        _address.write(_study.link())
    if result.curves:
        params = {"result": study}
        here().jobs.submit("curves", params, f"curves-{study}", _study.lane())
        st.rerun()
    if result.prune:
        _pruned.begin(study, result.prune)
        st.rerun()
    if result.lens:
        _open_lens(dict(result.lens))
    if result.gone:
        note("This study is no longer kept by the server; it is measured again.")
        state.pop(LAST, None)
        st.rerun()


def _take_view(found: dict[str, Any]) -> None:
    """Layer, head, chosen heads and picture are the same on every page."""
    state = st.session_state
    image = found.pop("image", None)
    if image:
        state[PICTURE] = image
    state[_address.VIEW] = {**(state.get(_address.VIEW) or {}), **found}


def _open_lens(found: dict[str, Any]) -> None:
    _take_view(found)
    st.session_state[_address.SERIAL] += 1
    if st.session_state[SIZE] is None:
        st.session_state.pop("lens_last", None)
    st.switch_page("pages/lens.py")


page()
