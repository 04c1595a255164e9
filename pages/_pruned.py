"""A pruned model: asked for on the Heads page, shown with what it costs and saves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages._address import SERIAL, VIEW
from pages._set import lane
from pages._shared import here, note

RUNNING, STEPWISE = "heads_prune_job", "heads_stepwise_job"


def begin(study: str, wanted: Mapping[str, Any]) -> None:
    """Ask for a model without the chosen heads."""
    params = {"result": study, "heads": [list(pair) for pair in wanted["heads"]]}
    text = json.dumps(params, sort_keys=True)
    key = "prune-" + hashlib.sha256(text.encode()).hexdigest()[:24]
    here().jobs.submit("prune", params, key, lane())
    st.session_state[RUNNING] = key


def show_finished() -> None:
    """A dialog with the result once it is there."""
    job = here().jobs.get(str(st.session_state.get(RUNNING, "")))
    if job is None or job.alive:
        return
    del st.session_state[RUNNING]
    if job.state == "done":
        _dialog(job.result)
    else:
        note(job.error or "Pruning was stopped; nothing was written.")


@st.dialog("Pruned model", width="medium")
def _dialog(found: Mapping[str, Any]) -> None:
    before, after = found["parameters"]
    slow, fast = found["milliseconds"]
    ratio, low, high = found["ratio"]
    threads = f"{found['threads']} thread{'' if found['threads'] == 1 else 's'}"
    lines = [
        "| | full | pruned |",
        "|---|---:|---:|",
        f"| Parameters | {before:,} | {after:,} ({after / before - 1:+.1%}) |",
        f"| Time of one batch, {threads} | {slow:.0f} ms | {fast:.0f} ms |",
    ]
    if found["accuracy"]:
        right, left = found["accuracy"]
        lines.append(
            f"| Named right, {found['images']} held-out pictures | {right:.1%} | {left:.1%} |"
        )
    st.markdown(f"**{len(found['heads'])} heads removed.**\n\n" + "\n".join(lines))
    predicted = found["predicted"]
    expected = "" if predicted is None else f"; single effects add up to {predicted:.3f}"
    st.markdown(
        f"Cosine to the unpruned embedding {found['measured']:.3f} over {found['images']} pictures"
        f"{expected}. Pruned over full time {ratio:.2f} (middle 80 % of rounds {low:.2f} to "
        f"{high:.2f})."
    )
    _verdict(found)
    address = f"/atlas/pruned/{here().signer.sign(found['file'])}"
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    st.link_button(
        "Download checkpoint, recipe and loader", f"/{base}{address}" if base else address
    )
    names = ", ".join(f"L{layer} H{head}" for layer, head in sorted(map(tuple, found["heads"])))
    st.caption(f"Removed: {names}. The zip holds a loader for plain timm; see the how-to.")


def _verdict(found: Mapping[str, Any]) -> None:
    """Whether the accuracy stayed within what chance allows."""
    if not found["accuracy"]:
        return
    from analytics.models.readout import wilson_interval

    total = found["images"]
    low, high = wilson_interval(round(found["accuracy"][0] * total), total)
    inside = low <= found["accuracy"][1] <= high
    words = "lies within" if inside else "does NOT lie within"
    st.markdown(
        f"The pruned accuracy {words} the 95 % interval of the full model, {low:.1%} to {high:.1%}."
    )


def choose_stepwise(study: str, total: int, metric: str) -> None:
    """Which heads go when importance is measured again after each step.

    Args:
        study: key of the study whose pictures are measured.
        total: heads of the model.
        metric: the chosen metric; one that the study does not have gives way to the cls shift.
    """
    from analytics.metrics.catalogue import HEAD_METRICS
    from analytics.serve.importance_work import held_importance

    record = held_importance(here(), study)
    chosen = metric if record is not None and metric in record.metrics else "cls_shift"
    with st.expander("Choose step by step"):
        count = st.number_input("Heads to remove", 1, total, max(1, total // 4))
        steps = st.number_input("Steps, measured again after each", 1, 12, 4)
        title = HEAD_METRICS[chosen].title
        if st.button(f"Choose by {title}", width="stretch", help="Fills the pruning set"):
            params = {"result": study, "metric": chosen, "count": int(count), "steps": int(steps)}
            key = f"iterate-{study[:24]}-{chosen}-{count}-{steps}"
            here().jobs.submit("iterate", params, key, lane())
            st.session_state[STEPWISE] = key
            st.rerun()


def take_stepwise() -> None:
    """Put the heads that were chosen step by step into the pruning set, once they are there."""
    state = st.session_state
    job = here().jobs.get(str(state.get(STEPWISE, "")))
    if job is None or job.alive:
        return
    del state[STEPWISE]
    if job.state != "done":
        note(job.error or "Choosing step by step was stopped.")
        return
    pairs = ",".join(f"{layer}:{head}" for layer, head in job.result)
    state[VIEW] = {**(state.get(VIEW) or {}), "heads": pairs}
    state[SERIAL] += 1  # the instrument goes to the new view
