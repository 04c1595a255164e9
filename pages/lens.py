"""The lens: what does every head of every layer attend to from the patch under the mouse?

Choose a model and a picture, wait for one forward pass, look, export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _choose, _job
from pages._components.lens import lens
from pages._shared import OFF, PICTURE, SIZE, Shown, here, loaded_model, note, show_notes

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

LAST = "lens_last"
"""Session key of the record that was shown last; it stays on screen while another is computed."""


def page() -> None:
    """Left panel, computation, instrument."""
    _address.seed()
    with st.sidebar:
        _choose.choose_model()
        about = st.container()
        _choose.choose_picture()
        fit = st.container()
        _choose.choose_checkpoint()
    record = _record()
    shown = record or last_record()
    with about:
        _choose.describe_model(record)
        _choose.describe_report(record)
    with fit:
        _choose.choose_fit(*_sizes(record))
    study = _job.key_of(_job.wanted())
    if shown is None:
        show_notes(study, _job.retry(_job.wanted()))
        return
    st.session_state[LAST] = shown.id
    view = _address.fit_view(shown)
    show_notes(study, _job.retry(_job.wanted()))
    sign = here().signer.sign
    instrument(sign(shown.id), sign(shown.picture.sha256), view)


def _record() -> LensRecord | None:
    """The record of what is chosen; None while it is computed or when that failed."""
    if not st.session_state[PICTURE]:
        note("There is no picture yet; add one in the left panel.")
        return None
    record = _job.record_for(_job.wanted())
    if record is None and st.session_state.get(OFF) and _job.has_failed(_job.wanted()):
        # Most likely a head that this model does not have: its note stays, the rest is shown.
        st.session_state[OFF] = ()
        st.rerun()
    return record


def last_record() -> LensRecord | None:
    """The record shown before, if the server still holds it."""
    known = st.session_state.get(LAST)
    return here().records.get(known) if known else None


def _sizes(record: LensRecord | None) -> tuple[tuple[int, ...], int | None]:
    """Input sizes on offer and the patch in pixels; none before the model has been loaded."""
    if record is None:
        return (), None
    wanted = _job.wanted()
    loaded = loaded_model(str(wanted["model"]), _text(wanted["checkpoint"]), st.session_state[SIZE])
    st.session_state[_choose.DEFAULT_SIZE] = loaded.input_size[0]
    return loaded.sizes, loaded.patch_size


def _text(value: object) -> str | None:
    return str(value) if value else None


@st.fragment
def instrument(token: str, picture: str, view: dict[str, Any]) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    result = lens(
        token=token,
        picture=f"/atlas/picture/{picture}?side=1600",
        view=view,
        link=_address.link(),
        serial=st.session_state[_address.SERIAL],
    )
    if result.view:
        st.session_state[_address.VIEW] = {**view, **dict(result.view)}
    _address.write()
    if result.off is not None:
        st.session_state[OFF] = tuple((int(layer), int(head)) for layer, head in result.off)
        st.rerun()
    if result.upload:
        stored = result.upload
        _address.keep_own(Shown(stored["sha256"], stored["name"]))
        for sentence in stored.get("notes") or []:
            note(f"{stored['name']}: {sentence}")
        st.session_state[PICTURE] = stored["sha256"]
        st.rerun()
    if result.gone:
        st.rerun()


page()
