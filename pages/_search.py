"""Finding the K most important heads by one metric, on as few pictures as it takes."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.metrics.catalogue import HEAD_METRICS
from pages import _set, _study
from pages._address import SERIAL, VIEW, choice, number
from pages._job import PATIENCE
from pages._set import is_labelled
from pages._shared import BUNDLED, MODEL, here, note

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.studies.importance_record import Importance

ASKED = "search_asked"
"""Session key of what was searched for last: the parameters of its job, or None."""

METRIC, TOP, DRAW = "_search_metric", "_search_top", "_search_draw"
STOPPED = "Stopped before it was done. What was measured is kept: Find them goes on after it."

MOST_DRAWN, USUAL_DRAWN, USUAL_TOP = 1000, 200, 10
WHOLE_BELOW = 24
"""Smaller sets are measured whole: too few pictures would be left for a bound on their mean."""


def start() -> None:
    """The search that the address names, once a session; needs `_study.start` first."""
    state, said = st.session_state, st.query_params.to_dict()
    if ASKED in state:
        return
    state[ASKED] = None
    notes: list[str] = []
    top = number(said, "top", notes)
    if top:
        known = tuple(name for name, metric in HEAD_METRICS.items() if not metric.signed)
        metric = choice(said, "by", known, "cls_shift", notes)
        drawn = number(said, "drawn", notes) or USUAL_DRAWN
        state[ASKED] = _params(metric, top, min(drawn, MOST_DRAWN))
    for sentence in notes:
        note(sentence)


def _params(metric: str, top: int, drawn: int) -> dict[str, Any]:
    """Parameters of the job that searches what is chosen in the left panel."""
    left_out = ("job", "effort")
    chosen = {k: v for k, v in _study.wanted("exact").items() if k not in left_out}
    drawn = drawn if is_labelled() else chosen["limit"]
    return _set.named("search", {**chosen, "metric": metric, "top": top, "limit": drawn})


def asked() -> dict[str, Any] | None:
    """What was searched for, where it was these pictures, this model and this ablation."""
    last: dict[str, Any] | None = st.session_state[ASKED]
    if last is None:
        return None
    return last if last == _params(last["metric"], last["top"], last["limit"]) else None


def running() -> str:
    """Key of the job that was asked for last, of whatever pictures; empty where none was."""
    last = st.session_state[ASKED]
    return str(last["job"]) if last else ""


def link() -> dict[str, str]:
    """What the address says of the search on screen: a reload finds it again."""
    params = asked()
    if params is None:
        return {}
    drawn = {"drawn": str(params["limit"])} if is_labelled() else {}
    return {"top": str(params["top"]), "by": params["metric"], **drawn}


def found() -> dict[str, Any] | None:
    """The heads of the search as the instrument marks them; None where none were found."""
    params = asked()
    job = here().jobs.get(str(params["job"])) if params else None
    if params is None or job is None or job.state != "done":
        return None
    heads = job.result["heads"]
    metric = HEAD_METRICS[params["metric"]].title
    return {"heads": heads, "words": f"top {len(heads)} by {metric}"}


def search(record: Importance) -> tuple[int, int] | None:
    """The expander in the left panel: what to find, how it went, what was found.

    Args:
        record: the study on screen; its heads are those to choose from.

    Returns:
        The head that the user wants to see in the lens.
    """
    params = asked()
    if len(record.heads) < 2:
        return None
    with st.expander("Find the top heads", expanded=params is not None):
        _form(record)
        job = _job(params) if params else None
        if params is None or job is None or job.alive:
            return None
        if job.state != "done":
            _say(job.error or STOPPED)
            return None
        return _result(params, job.result, record)


def _form(record: Importance) -> None:
    from analytics.studies.top_importance import ERROR_RATE

    state, total = st.session_state, len(record.heads)
    last, options = state[ASKED] or {}, _metrics(record)
    shown = (state.get(VIEW) or {}).get("metric")
    wanted = [name for name in (state.get(METRIC), last.get("metric"), shown) if name in options]
    state[METRIC] = wanted[0] if wanted else options[0]
    usual = max(1, min(USUAL_TOP, total // 4))
    state[TOP] = min(state.get(TOP) or last.get("top") or usual, total - 1)
    st.selectbox("By", options, key=METRIC, format_func=lambda name: HEAD_METRICS[name].title)
    st.number_input("How many heads", min_value=1, max_value=total - 1, key=TOP)
    if is_labelled():
        state[DRAW] = state.get(DRAW) or last.get("limit") or USUAL_DRAWN
        st.number_input("Pictures to draw from", min_value=1, max_value=MOST_DRAWN, key=DRAW)
    _say(f"At {100 * (1 - ERROR_RATE):.0f} % confidence for the set of heads.")
    st.button(
        "Find them",
        on_click=_begin,
        width="stretch",
        help="Takes heads out on more and more pictures, and stops for each as soon as it is "
        f"surely in or out. Sets of fewer than {WHOLE_BELOW} pictures are measured whole",
    )


def _metrics(record: Importance) -> list[str]:
    """Metrics that are never negative and that take one run for each head.

    What one pass gives for all heads at once leaves nothing to save, and is not offered. Those
    of classes are, where there is a read-out or the study on screen has measured them.
    """
    have = {"tokens"}
    have |= {"classes"} if record.readout or "js_divergence" in record.metrics else set()
    have |= {"saliency"} if st.session_state[MODEL] == BUNDLED else set()
    return [
        name for name, metric in HEAD_METRICS.items() if metric.needs <= have and not metric.signed
    ]


def _begin() -> None:
    state = st.session_state
    drawn = state.get(DRAW) or USUAL_DRAWN
    params = state[ASKED] = _params(state[METRIC], int(state[TOP]), int(drawn))
    job = here().jobs.get(params["job"])
    if job is not None and job.state in ("failed", "cancelled"):
        here().jobs.submit("search", params, job.key, _set.lane())


def _job(params: Mapping[str, Any]) -> Job | None:
    """The search as it stands, begun where it is new; one that was stopped stays so."""
    jobs, key = here().jobs, str(params["job"])
    job = jobs.get(key)
    if job is None or job.state == "interrupted":
        jobs.submit("search", params, key, _set.lane())
        job = jobs.wait(key, PATIENCE)
    return job


def _say(*paragraphs: str) -> None:
    for text in paragraphs:
        st.html(f'<p class="atlas-facts">{html.escape(text)}</p>')


def _title(params: Mapping[str, Any], count: int) -> str:
    heads = "most important head" if count == 1 else f"{count} most important heads"
    return f"the {heads} by {HEAD_METRICS[params['metric']].title}"


def _result(
    params: Mapping[str, Any], found: Mapping[str, Any], record: Importance
) -> tuple[int, int] | None:
    """What was found in words; the heads to open, and the others to prune."""
    heads = [tuple(pair) for pair in found["heads"]]
    title = _title(params, len(heads))
    _say(f"{title[0].upper()}{title[1:]}, {params['ablation']} ablation.")
    wanted = st.pills(
        "Open in the lens",
        heads,
        format_func=lambda pair: f"L{pair[0]} H{pair[1]}",
        key=f"_search_open_{params['job']}",
        help="The largest mean first; marked in the matrix. A click opens the head in the lens",
    )
    _say(*words(found))
    others = [pair for pair in record.heads if pair not in heads]
    st.button("Others into the pruning set", on_click=_prune, args=(others,), width="stretch")
    return wanted


def words(found: Mapping[str, Any]) -> list[str]:
    """How the search went, and how far it can be trusted, one paragraph each.

    Args:
        found: as `search_summary` gives it.
    """
    drawn, images = found["images_drawn"], found["images"]
    if found["exact"]:
        many = f"the {images} pictures" if images > 1 else "the one picture"
        return [f"Exact: every head was measured on all of {many}; nothing is inferred."]
    work, rate = (f"{100 * found[name]:.0f} %" for name in ("work", "error_rate"))
    return [
        f"{drawn} of {images} pictures drawn, {work} of the work of measuring everything.",
        f"Error rate {rate}: the chance that this is not the right set for the {images} pictures; "
        "the order within it is not covered.",
        "The bound is approximate, no theorem: heads that matter on few pictures only are missed "
        "more often.",
    ]


def _prune(others: list[tuple[int, int]]) -> None:
    state = st.session_state
    pairs = ",".join(f"{layer}:{head}" for layer, head in others)
    state[VIEW] = {**(state.get(VIEW) or {}), "heads": pairs}
    state[SERIAL] += 1  # the instrument goes to the new view
