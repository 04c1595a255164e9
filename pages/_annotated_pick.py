"""Looking at a picture of the Data view, with its masks, in every view of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _address, _objects
from pages._shared import PICTURE, Shown, here, note

if TYPE_CHECKING:
    from analytics.serve.annotated_work import SurveyedData

PICKED = "annotated_picked"
"""Session key: hash of the annotated picture that was picked last, and the hash of its file."""


def looked_at(found: SurveyedData) -> int:
    """The picture of the gallery that the page looks at; -1 where it is none of them."""
    from analytics.io.scenes import scene_name

    state = st.session_state
    names = [one.name for one in found.images]
    if state[_objects.SUBJECT] == _objects.SCENE:
        number = _objects.FIRST_SEED + state[_objects.NUMBER]
        name = scene_name(state[_objects.FAMILY], number)
        own = "set" not in found.data and not found.data["side"]
        return names.index(name) if own and name in names else -1
    sha256, picture = state.get(PICKED, ("", ""))
    known = [one.sha256 for one in found.images]
    return known.index(sha256) if picture == state[PICTURE] and sha256 in known else -1


def pick(asked: Mapping[str, Any]) -> None:
    """Look at a picture of the gallery, with its masks, in every view of the page."""
    found: SurveyedData | None = here().views.get(str(asked.get("survey", "")))
    row = asked.get("row")
    if found is None or not isinstance(row, int) or not 0 <= row < len(found.images):
        return
    state, image = st.session_state, found.images[row]
    state[_objects.SHOWN] = {**state[_objects.SHOWN], "patch": ""}
    if "set" not in found.data and not found.data["side"]:
        family, number = image.name.rsplit(" ", 1)
        state[_objects.SUBJECT], state[_objects.FAMILY] = _objects.SCENE, family
        state[_objects.NUMBER] = int(number) - _objects.FIRST_SEED
        return
    try:
        picture, marks = _kept(found, row)
    except ValueError as error:
        note(str(error))
        return
    _address.keep_own(Shown(picture, image.name))
    state[PICTURE], state[_objects.SUBJECT] = picture, _objects.PHOTOGRAPH
    state[PICKED] = (image.sha256, picture)
    _objects.keep_marks_of(picture, marks)
    if not marks:
        note(f"{image.name} has no marked object; it is looked at as a photograph.")


def _kept(found: SurveyedData, row: int) -> tuple[str, str]:
    """Store a picture and its masks: hash of the picture, id of the marks (empty for none)."""
    import numpy as np

    from analytics.serve.annotated_images import subject_bytes
    from analytics.serve.marks import MOST_OBJECTS, keep_marks

    image = found.sources[row].load()
    picture = here().pictures.put(subject_bytes(found.sources[row], image), image.name)
    instances = image.instances
    if not instances.any():
        return picture.sha256, ""
    if instances.max() > MOST_OBJECTS:
        known, places = np.unique(np.append(instances.ravel(), 0), return_inverse=True)
        if len(known) > MOST_OBJECTS:
            raise ValueError(
                f"{image.name}: expected at most {MOST_OBJECTS:,} instances to look at, got "
                f"{len(known):,}; the mask may hold smoothed edges"
            )
        instances = places[:-1].reshape(instances.shape).astype(np.int32)
    return picture.sha256, keep_marks(here(), picture.sha256, instances)
