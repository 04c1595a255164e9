"""Binding: do these two patches belong together?

Choose a model and a picture, wait until a first probe is fitted, point at a patch, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _annotated_sets, _choose, _objects, _set, _views
from pages._annotated_sets import SCENES
from pages._components.binding import binding
from pages._shared import SIZE, heading, here, loaded_model, note, show_notes
from pages._visit import open_lens

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from analytics.studies.binding_record import Binding

LAST = "binding_last"
"""Session key of the picture's map that was shown last; it stays while another is computed."""


def page() -> None:
    """Left panel, computation, instrument."""
    state = st.session_state
    _objects.start()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _objects.choose_subject()
        fit, study = st.container(), st.container()
        _choose.choose_checkpoint()
    fits = _objects.whole_count()
    record = _objects.study_record()
    sources = _objects.probe_sources(record)
    wanted = _objects.bound_params(sources)
    found = _objects.bound_for(wanted)
    with about:
        _describe(record)
    with fit:
        _choose.choose_fit(*_sizes(record))
    with study:
        _choose_probes(record)
    keys = [str(_objects.study_params(whole)["job"]) for whole in (False, True)]
    # In places of their own: what comes and goes must not move the instrument.
    view = _views.choose()
    progress, notes = st.container(), st.container()
    with progress:
        _set.follow(*keys, *([str(wanted["job"])] if wanted else []))
    with notes:
        failed = (wanted, *(_objects.study_params(whole) for whole in (False, True)))
        again = [retry for one in failed if one and (retry := _set.retry(one))]
        show_notes(keys[0], again[0] if again else None)
    _address.write(_objects.link())
    if view != _views.MAP:
        _views.show(view, _views.Looked(record, wanted, found))
        return
    shown = found or here().bounds.get(str(state.get(LAST, "")))
    if shown is None and record is None:
        _teach()
        return
    sign = here().signer.sign
    state[LAST] = shown.id if shown else ""
    picture, study_token = sign(shown.id) if shown else "", sign(record.id) if record else ""
    instrument(picture, study_token, record.done if record else 0, list(sources))
    job = _objects.whole_job()
    if job is not None and job.alive:
        _objects.refresh(fits)


def _sizes(record: Binding | None) -> tuple[tuple[int, ...], int | None]:
    """Input sizes on offer and the patch in pixels; none before the model has been loaded."""
    if record is None:
        return (), None
    chosen = _objects.study_params(False)
    checkpoint = str(chosen["checkpoint"]) if chosen["checkpoint"] else None
    loaded = loaded_model(str(chosen["model"]), checkpoint, st.session_state[SIZE])
    st.session_state[_choose.DEFAULT_SIZE] = loaded.input_size[0]
    return loaded.sizes, loaded.patch_size


def _describe(record: Binding | None) -> None:
    if record is None:
        return
    grid, sha256 = record.grid, record.provenance.weights_sha256[:8]
    text = f"{record.points - 1} layers · {grid.rows}×{grid.columns} patches<br>weights {sha256}…"
    st.html(f'<p class="atlas-facts">{text}</p>')


def _choose_probes(record: Binding | None) -> None:
    """The preview fits itself; all probes are fitted when they are asked for."""
    heading("Probes")
    _annotated_sets.choose_fitted()
    words, scenes = _annotated_sets.words, _annotated_sets.fitted_on().source == SCENES
    job = _objects.whole_job()
    if job is not None and job.alive:
        st.caption("All probes are being fitted; those that are ready are shown.")
        return
    if job is not None and job.state == "done":
        st.caption(f"All probes and controls, fitted on {words(record, True)}.")
        return
    time = ", some 20 seconds on two cores" if scenes else ""
    st.caption(f"Preview: PLDA on {words(record, False)}{time}.")
    st.button(
        "Fit all probes",
        on_click=_objects.fit_all,
        disabled=record is None,
        width="stretch",
        help=f"Nine probes, two controls and three seeds on {words(None, True)}: many minutes on "
        "two cores, in the background. It can be stopped and goes on where it was",
    )


def _teach() -> None:
    """What the page will show, while there is nothing yet."""
    st.markdown(
        "**Do these two patches belong together?** Point at a patch: every other patch is "
        "coloured by how likely a probe holds it to be part of the same object, at every layer. "
        "The probe is fitted on made scenes whose objects are known; beside it stands what the "
        "place and the colours of two patches alone would tell."
    )


@st.fragment
def instrument(picture: str, study: str, done: int, probes: list[str]) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    state = st.session_state
    result = binding(picture, study, done, probes, state[_objects.SHOWN], state[_address.SERIAL])
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
    """What is chosen inside the instrument; whether another probe has to read the picture."""
    state = st.session_state
    before = state[_objects.SHOWN]
    now = {name: str(view.get(name, "")) for name in before}
    state[_objects.SHOWN] = now
    return now["probe"] != before["probe"]


def _open(found: dict[str, Any]) -> None:
    """Go to the lens with the patch as its query, on the picture that is on screen."""
    state = st.session_state
    shown: BoundPicture | None = here().bounds.get(str(state.get(LAST, "")))
    view = dict(state.get(_address.VIEW) or {})
    view.pop("head", None)
    state[_address.VIEW] = {**view, **({"q": str(found["q"])} if found.get("q") else {})}
    wish = {"image": shown.picture.sha256} if shown else {}
    layer = found.get("layer")
    open_lens({**wish, **({"layer": layer} if isinstance(layer, int) else {})})


page()
