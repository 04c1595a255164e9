"""Heads: which heads matter, why, and what is left of the model without the others?

Choose a model and pictures, see a preview at once, measure exactly, look, prune, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _choose, _pruned, _search, _set, _study
from pages._components.heads import heads
from pages._shared import (
    LENS_READOUT,
    PICTURE,
    here,
    note,
    show_notes,
)
from pages._visit import open_lens, take_view

if TYPE_CHECKING:
    from analytics.studies.importance_record import Importance

LAST = "heads_last"
"""Session key of the study that was shown last; it stays on screen while another is measured."""

VIEW = ("metric", "layer", "head", "heads")
"""What of the instrument's view is remembered; the heads are those of the pruning set."""

CURVES = "heads_curves_job"
JOBS = (_pruned.RUNNING, _pruned.STEPWISE, CURVES)
"""Session keys of jobs that were asked for inside the instrument."""


def page() -> None:
    """Left panel, computation, instrument."""
    state = st.session_state
    _address.seed()
    _study.start()
    _search.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _study.choose_set()
        _study.choose_ablation()
        search = st.container()
        _choose.choose_fit((), None)
        stepwise = st.container()
        _choose.choose_checkpoint()
    params = _study.wanted(state[_study.EFFORT])
    record = _study.study_for(params)
    if record is None and params["effort"] == "exact":
        # Until the first pictures have been measured exactly, the preview stays.
        record = _study.measured(_study.wanted("quick"))
    shown = record or _last()
    with about:
        _describe(record)
    if record is not None:
        with search:
            wanted = _search.search(record)
        if wanted is not None:
            open_lens({"layer": wanted[0], "head": wanted[1]})
        with stepwise:
            metric = str((state.get(_address.VIEW) or {}).get("metric", ""))
            _pruned.choose_stepwise(record.id, len(record.heads), metric)
    # In places of their own: what comes and goes above the instrument must not move it to
    # another position of the page, where it would be built anew under the user's hand.
    progress, notes = st.container(), st.container()
    with progress:
        _set.follow(str(params["job"]), *_jobs())
    _pruned.show_finished()
    _pruned.take_stepwise()
    _notice_curves()
    with notes:
        show_notes(str(params["job"]), _set.retry(params))
    _address.write(_link())
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    # The lens asks the same read-out what switching heads off does to the classes.
    request = (here().importance.plan(shown.id) or {}).get("request", {})
    state[LENS_READOUT] = request.get("readout_name") or state.get(LENS_READOUT)
    instrument(here().signer.sign(shown.id), shown.id, _search.found() if record else None)


def _jobs() -> list[str]:
    """Keys of what was asked for besides the study."""
    return [_search.running(), *(str(st.session_state.get(name, "")) for name in JOBS)]


def _link() -> dict[str, str]:
    return _study.link() | _search.link()


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


def _notice_curves() -> None:
    """Say why there are no curves where they failed or were stopped; they can be asked again."""
    state = st.session_state
    job = here().jobs.get(str(state.get(CURVES, "")))
    if job is None or job.alive:
        return
    del state[CURVES]
    if job.state != "done":
        note(job.error or "Stopped before it was done; there are no pruning curves yet.")
        state[_address.SERIAL] += 1


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**Which heads matter?** Each head is taken out in turn, and what changes is its "
        "importance: the cls token, the patches, the saliency map, or class probabilities "
        "where there is a read-out. A preview from one backward pass comes first."
    )


@st.fragment
def instrument(token: str, study: str, found: dict[str, Any] | None) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    view = {**(state.get(_address.VIEW) or {}), "image": state[PICTURE]}
    result = heads(token, view, state[_address.SERIAL], found)
    if result.view:
        take_view(dict(result.view), VIEW)
        _address.write(_link())
    if result.curves:
        state[CURVES] = f"curves-{study}"
        here().jobs.submit("curves", {"result": study}, state[CURVES], _set.lane())
        st.rerun()
    if result.prune:
        _pruned.begin(study, result.prune)
        st.rerun()
    if result.lens:
        open_lens(dict(result.lens), VIEW)
    if result.gone:
        note("This study is no longer kept by the server; it is measured again.")
        state.pop(LAST, None)
        st.rerun()


page()
