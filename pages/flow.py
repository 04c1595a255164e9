"""Flow: where does the evidence come from, and which tokens drain attention?

Choose a model and a picture, wait until patches have been removed in every order, look, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _choose, _evidence, _set
from pages._components.flow import flow
from pages._shared import PICTURE, SIZE, WEIGHTS, here, loaded_model, note, show_notes
from pages._visit import open_lens, take_view

if TYPE_CHECKING:
    from analytics.studies.flow_record import Flow

LAST = "flow_last"
"""Session key of the flow that was shown last; it stays while another is computed."""


def page() -> None:
    """Left panel, computation, instrument."""
    state = st.session_state
    _evidence.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _choose.choose_picture()
        fit = st.container()
        _choose.choose_checkpoint()
    params = _evidence.wanted()
    asked = _evidence.wanted(state[_evidence.WHAT_IF]) if state[_evidence.WHAT_IF] else None
    record, changed = _records(params, asked)
    shown = record or _evidence.held(str(state.get(LAST, "")))
    with about:
        _describe(record)
    with fit:
        _choose.choose_fit(*_sizes(record, params))
    # In places of their own: what comes and goes above the instrument must not move it to
    # another position of the page, where it would be built anew under the user's hand.
    progress, notes = st.container(), st.container()
    keys = [str(one["job"]) for one in (params, asked) if one]
    with progress:
        _set.follow(*keys)
    with notes:
        show_notes(keys[0], _set.retry(params))
    _address.write(_evidence.link())
    if shown is None:
        _teach()
        return
    state[LAST] = shown.id
    sign = here().signer.sign
    waits = state[_evidence.WHAT_IF] is not None
    instrument(sign(shown.id), sign(changed.id) if changed else "", waits)


def _records(
    params: dict[str, object], asked: dict[str, object] | None
) -> tuple[Flow | None, Flow | None]:
    """The flow and, where it is asked for and there, its what-if."""
    if not st.session_state[PICTURE]:
        note("There is no picture yet; add one in the left panel.")
        return None, None
    if asked is None:
        return _evidence.flow_for(params), None
    job = here().jobs.get(str(asked["job"]))
    changed = _evidence.held(str(job.result)) if job and job.state == "done" else None
    if changed is not None:
        # It holds all that the plain one does, which may have had to leave the memory.
        plain = here().jobs.get(str(params["job"]))
        record = _evidence.held(str(plain.result)) if plain and plain.state == "done" else None
        return record or changed, changed
    record = _evidence.flow_for(params)
    changed = _evidence.flow_for(asked) if record is not None else None
    if record is not None and changed is None and not _alive(asked):
        # Failed or stopped: a note says why; the model as it is stays.
        st.session_state[_evidence.WHAT_IF] = None
    return record, changed


def _alive(params: dict[str, object]) -> bool:
    job = here().jobs.get(str(params["job"]))
    return job is not None and job.alive


def _sizes(record: Flow | None, params: dict[str, object]) -> tuple[tuple[int, ...], int | None]:
    """Input sizes on offer and the patch in pixels; none before the model has been loaded."""
    if record is None:
        return (), None
    checkpoint = str(params["checkpoint"]) if params["checkpoint"] else None
    loaded = loaded_model(str(params["model"]), checkpoint, st.session_state[SIZE])
    st.session_state[_choose.DEFAULT_SIZE] = loaded.input_size[0]
    return loaded.sizes, loaded.patch_size


def _describe(record: Flow | None) -> None:
    """Layers x heads, tokens and the start of the weights' hash."""
    if record is None:
        return
    counts = sorted(set(record.num_heads))
    per_layer = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    prefix = len(record.base_layout.prefix)
    patch = record.placement.width // record.base_layout.grid.columns
    lines = [
        f"{len(record.layer_labels)} layers × {per_layer} heads · patch {patch}",
        f"{prefix} prefix token{'s' if prefix != 1 else ''} · "
        f"weights {record.provenance.weights_sha256[:8]}…",
    ]
    st.html(f'<p class="atlas-facts">{"<br>".join(lines)}</p>')
    if st.session_state[WEIGHTS]:
        st.html('<p class="atlas-facts">The Lens says what of the weights file was used.</p>')


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**Where does the evidence come from?** Four maps follow the output back to the patches: "
        "attention rollout, relevance, LeGrad and the attention of one layer. Beside each stands "
        "how faithful it is: patches are removed in its order, and the output is measured again, "
        "beside random orders. Below: which tokens drain attention, and from which layer on."
    )


@st.fragment
def instrument(token: str, changed: str, asked: bool) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    view = {**(state.get(_address.VIEW) or {}), **state[_evidence.SHOWN]}
    result = flow(token, changed, asked, view, state[_address.SERIAL])
    if result.view:
        _take(dict(result.view))
        _address.write(_evidence.link())
    if result.what_if is not None:
        wish = dict(result.what_if)
        _take(dict(wish["view"]))
        _evidence.begin_what_if(_evidence.asked_what_if(wish))
        st.rerun()
    if result.lens:
        wish = dict(result.lens)
        _take(dict(wish["view"]))
        _open(wish)
    if result.gone:
        note("This flow is no longer held by the server; it is computed again.")
        state.pop(LAST, None)
        st.rerun()


def _take(view: dict[str, Any]) -> None:
    """What is chosen inside the instrument: the layer is the same on every page."""
    state = st.session_state
    take_view({"layer": view["layer"]})
    state[_evidence.SHOWN] = {name: str(view[name]) for name in state[_evidence.SHOWN]}


def _open(found: dict[str, object]) -> None:
    """Go to the lens with a layer, and with the patch that was clicked as its query."""
    state = st.session_state
    view = dict(state.get(_address.VIEW) or {})
    layer = found.get("layer")
    if view.get("layer") != layer:
        # Another layer may have fewer heads.
        view.pop("head", None)
    if found.get("q"):
        view["q"] = str(found["q"])
    state[_address.VIEW] = view
    open_lens({"layer": layer} if isinstance(layer, int) else {})


page()
