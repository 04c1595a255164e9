"""Objects marked by hand: draw them on a photograph, or bring a mask; all views then know them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from pages import _asking, _objects, _views
from pages._components.marking import marking
from pages._shared import FIT, PICTURE, here, loaded_model, note

if TYPE_CHECKING:
    import numpy as np

    from analytics.types import Picture
    from pages._views import Looked

MASK_TYPES = ["png", "tif", "tiff", "bmp", "gif"]
MOST_DRAWN = 255
"""Most objects of a drawing: it has one byte a pixel."""

_ROUND, _SERIAL = "_marking_round", "_marking_serial"


def show(looked: Looked) -> None:
    """The drawing tool, and below it what was marked as a file."""
    state = st.session_state
    if state[_objects.SUBJECT] != _objects.PHOTOGRAPH or not state[PICTURE]:
        _asking.needs(
            "A made scene knows its objects. To mark your own, choose Photograph on the left."
        )
        return
    picture = here().pictures.get(state[PICTURE])
    kept = _objects.marks_of(picture.sha256)
    _bring(picture)
    result = marking(
        picture.sha256,
        drawing_size(picture),
        *_grid(looked, picture),
        _addresses(picture, kept),
        state.get(_SERIAL, 0),
    )
    if result.marks:
        _use(picture, str(result.marks))


def drawing_size(picture: Picture) -> tuple[int, int]:
    """Height and width of the drawing: the picture's, made smaller to the tool's longest side."""
    from analytics.serve.marks import DRAWN_SIDE

    shrink = min(1.0, DRAWN_SIDE / max(picture.height, picture.width))
    return max(1, round(picture.height * shrink)), max(1, round(picture.width * shrink))


def _addresses(picture: Picture, kept: str) -> dict[str, str]:
    sign = here().signer.sign
    return {
        "photo": f"/atlas/picture/{sign(picture.sha256)}?side=1600",
        "put": f"/atlas/marks/{sign(picture.sha256)}",
        "marked": f"/atlas/marked/{sign(kept)}/labels" if kept else "",
    }


def _grid(
    looked: Looked, picture: Picture
) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
    """The model's patches, and its input on the drawing; nothing before the model is known."""
    from analytics.io.fitting import place

    height, width = drawing_size(picture)
    if looked.record is None:
        return (0, 0), (0.0, 0.0, float(height), float(width))
    wanted = _objects.study_params(False)
    checkpoint = str(wanted["checkpoint"]) if wanted["checkpoint"] else None
    loaded = loaded_model(str(wanted["model"]), checkpoint, wanted["size"])
    placed = place(picture.height, picture.width, st.session_state[FIT], *loaded.input_size)
    down, across = height / picture.height, width / picture.width
    top, left = placed.top * down, placed.left * across
    frame = (
        top,
        left,
        top + placed.height * placed.scale_y * down,
        left + placed.width * placed.scale_x * across,
    )
    return (looked.record.grid.rows, looked.record.grid.columns), frame


def _use(picture: Picture, marks: str) -> None:
    """Remember the marks and go to the map, which now knows the objects."""
    _objects.keep_marks_of(picture.sha256, marks)
    st.session_state[_views.VIEW] = _views.MAP
    st.rerun()


def _bring(picture: Picture) -> None:
    """A mask as a file, and what was marked as one."""
    from analytics.serve.marks import keep_marks

    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Mask as a file", width="content")
        file = st.file_uploader(
            "A mask of this picture: each value or colour is an object, 0 or black is nothing",
            type=MASK_TYPES,
            key=f"_mask_{state.get(_ROUND, 0)}",
            label_visibility="collapsed",
            width=200,
        )
        kept = _objects.marks_of(picture.sha256)
        if kept:
            st.download_button(
                "Objects as PNG",
                data=lambda: (here().data_dir / "marks" / f"{kept}.png").read_bytes(),
                file_name="objects.png",
                mime="image/png",
                on_click="ignore",
            )
            st.button("Forget these objects", on_click=_forget, args=(picture.sha256,))
    if file is None:
        return
    state[_ROUND] = state.get(_ROUND, 0) + 1
    try:
        instances = read_mask(file.getvalue(), file.name, picture)
        _objects.keep_marks_of(picture.sha256, keep_marks(here(), picture.sha256, instances))
        state[_SERIAL] = state.get(_SERIAL, 0) + 1
        if words := limits(int(instances.max())):
            note(words)
    except ValueError as error:
        note(str(error))
    st.rerun()


def read_mask(data: bytes, name: str, picture: Picture) -> np.ndarray:
    """The objects in a mask file of a picture, int32 (height, width) numbered from 1.

    Raises:
        ValueError: it cannot be read, has another size, or nothing is marked in it.
    """
    from analytics.io.annotated_labels import packed, ranked, read_labels
    from analytics.io.sources import ImageFile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask"
        path.write_bytes(data)
        values = read_labels(ImageFile(name, path), picture)
    return ranked(packed(values) if values.ndim == 3 else values)


def limits(objects: int) -> str:
    """What so many objects do not allow; empty where nothing is missing."""
    if objects == 1:
        return (
            "One object is marked: the map shows its outline and how it parts from the rest; "
            "pairs of different objects need a second one."
        )
    if objects > MOST_DRAWN:
        return (
            f"{objects:,} objects are marked, and the map knows all of them. The drawing shows the "
            f"first {MOST_DRAWN}: using a drawing instead would leave the others out."
        )
    return ""


def _forget(picture: str) -> None:
    _objects.keep_marks_of(picture, "")
    st.session_state[_SERIAL] = st.session_state.get(_SERIAL, 0) + 1
