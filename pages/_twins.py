"""Copies: identical copies of one object, and what tells them apart, at which point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analytics.io.canvas_places import CopiesLayout, layout_text, read_layout
from analytics.serve.twins_export import DIFFERENCES, png_bytes
from analytics.serve.twins_work import held_twins
from pages import _address, _objects, _set
from pages._address import choice
from pages._components.twins import twins
from pages._job import PATIENCE, WARM_UP
from pages._shared import here, note
from pages._visit import open_lens

if TYPE_CHECKING:
    from analytics.jobs.queue import Job
    from analytics.serve.twins_work import HeldTwins
    from pages._views import Looked

CHOSEN, LAST, ASKED, DROPPED, SAME, HEARD = (
    "twins_chosen",
    "twins_last",
    "twins_asked",
    "twins_dropped",
    "twins_same",
    "twins_heard",
)
"""Session keys: what is chosen in the view; jobs of the canvas shown last and asked for last; jobs
that a newer layout made needless; the layout that was laid, and what was asked for to get it; what
the component said last."""

CHOICES: dict[str, tuple[str, ...]] = {
    "positions": ("with", "without"),
    "difference": tuple(DIFFERENCES),
}
"""What an address may say; the first is the default."""

MOST_MARKED = 30


def start(said: dict[str, str], notes: list[str]) -> None:
    """The choices of a first visit, or of a link."""
    chosen = {
        name: choice(said, name, allowed, allowed[0], notes) for name, allowed in CHOICES.items()
    }
    text = said.get("copies", "")
    try:
        layout = read_layout(text) if text else CopiesLayout()
    except ValueError as error:
        notes.append(f"The link's copies cannot be read: {error}.")
        layout = CopiesLayout()
    st.session_state[CHOSEN] = {"layout": layout_text(layout), "patch": "", **chosen}


def link() -> dict[str, str]:
    """What the address says of this view: the layout, and what is no default."""
    chosen = st.session_state.get(CHOSEN)
    if chosen is None:
        return {}
    more = {name: chosen[name] for name in CHOICES if chosen[name] != CHOICES[name][0]}
    return {"copies": chosen["layout"], **more}


def show(looked: Looked) -> None:
    """The canvas that was measured last, and the one on its way."""
    state = st.session_state
    if CHOSEN not in state:
        start({}, [])
    first = here().jobs.get(WARM_UP)
    job = None if first is not None and first.alive else _asked(looked)
    with st.container():
        _follow(job)
    found = held_twins(here(), job.key) if job is not None and job.state == "done" else None
    if found is not None:
        _take_laid(found)
    shown = found or held_twins(here(), str(state.get(LAST, "")))
    problem = job.error if job is not None and job.state == "failed" else ""
    if shown is None:
        _teach(problem)
        return
    _address.write(_objects.link())
    instrument(here().signer.sign(shown.id), _on_offer(looked), problem)


def _asked(looked: Looked) -> Job:
    """The job of the layout on screen, started where it is new; older ones are dropped."""
    state, jobs = st.session_state, here().jobs
    params = twins_params(looked)
    key = str(params["job"])
    dropped: set[str] = state.setdefault(DROPPED, set())
    before = jobs.get(str(state.get(ASKED, "")))
    if before is not None and before.alive and before.key != key:
        jobs.cancel(before.key)
        dropped.add(before.key)
    state[ASKED] = key
    job = jobs.get(key)
    gone = job is not None and job.state == "done" and held_twins(here(), key) is None
    again = job is not None and job.state == "cancelled" and key in dropped
    if job is None or job.state == "interrupted" or gone or again:
        dropped.discard(key)
        # A lane of its own: a preview that is being fitted takes longer than a canvas.
        jobs.submit("twins", params, key, f"{here().settings.device} copies")
        job = jobs.wait(key, PATIENCE)
    assert job is not None  # it was submitted
    return job


def twins_params(looked: Looked) -> dict[str, Any]:
    """Parameters of the job: model, probe if there is one, layout; a marked object's picture."""
    state = st.session_state
    study = _objects.study_params(False)
    sources = _objects.probe_sources(looked.record)
    row = _objects.chosen_probe(sources)
    shown = state[CHOSEN]["layout"]
    layout = state.get(SAME, {}).get(shown, shown)
    params = {name: study[name] for name in ("model", "checkpoint", "size")}
    if layout.startswith("marked:") and looked.wanted is not None:
        left = {name: looked.wanted[name] for name in looked.wanted if name != "job"}
        params = {**left, **params}
    return _set.named(
        "twins", {**params, "layout": layout, "study": sources.get(row, ""), "row": row}
    )


def _take_laid(found: HeldTwins) -> None:
    """Places that were found or had to change stand in the address from now on."""
    state = st.session_state
    laid = layout_text(found.canvas.layout)
    state[LAST] = found.id
    state[SAME] = {laid: found.asked}
    state[CHOSEN] = {**state[CHOSEN], "layout": laid}


def _follow(job: Job | None) -> None:
    """Words on a job that runs; what goes on with one that was stopped."""
    if job is not None and job.alive:
        _set.follow(job.key)
    elif job is not None and job.state == "cancelled":
        st.button("Measure these copies", on_click=_set.retry(job.params))


def _on_offer(looked: Looked) -> list[dict[str, Any]]:
    """What can be copied, in groups; marked objects where the picture has some."""
    from analytics.io.scenes_canvas import object_names
    from analytics.io.scenes_shapes import FIGURES

    names = object_names()
    drawn = [[name, title] for name, title in names.items() if ":" not in name]
    photos = [[name, title] for name, title in names.items() if ":" in name]
    groups = [
        ("Figures", [one for one in drawn if one[0] in FIGURES]),
        ("Shapes", [one for one in drawn if one[0] not in FIGURES]),
        ("Photographed", photos),
        ("Marked on the picture", _marked(looked)),
    ]
    return [{"group": title, "options": options} for title, options in groups]


def _marked(looked: Looked) -> list[list[str]]:
    mask = None if looked.found is None else looked.found.mask
    if mask is None:
        return []
    numbers = sorted({int(value) for value in mask.flat if value})[:MOST_MARKED]
    return [[f"marked:{number}", f"object {number}"] for number in numbers]


def _teach(problem: str) -> None:
    """What the view will show, while there is nothing yet."""
    if problem:
        st.text(problem)
    st.markdown(
        "**What tells identical copies apart?** Lay copies of one object on a canvas: to the pixel "
        "they are equal, so only their place can part them. At every layer it is measured how far "
        "the same patches of two copies are from each other, with the model's position embedding "
        "and with zeros for it, and how likely a probe holds them to be one object."
    )


@st.fragment
def instrument(token: str, objects: list[dict[str, Any]], problem: str) -> None:
    """The component. A fragment: what the user does inside redraws nothing else."""
    from analytics.io.scenes_canvas import GROUNDS

    state = st.session_state
    chosen = state[CHOSEN]
    view = {
        "layout": chosen["layout"],
        "patch": chosen["patch"],
        "variant": chosen["positions"],
        "measure": chosen["difference"],
        "point": state[_objects.SHOWN]["point"],
    }
    result = twins(token, view, objects, GROUNDS, problem, state[_address.SERIAL])
    said = dict(result.view or {})
    # What the component said before a link was followed says nothing of that link.
    if said and said != state.get(HEARD):
        state[HEARD] = said
        changed = _take(said)
        _address.write(_objects.link())
        if changed:
            st.rerun()
    if result.lens:
        _open(dict(result.lens))
    if result.gone:
        note("What was shown is no longer held by the server; it is measured again.")
        state.pop(LAST, None)
        st.rerun()


def _take(view: Mapping[str, Any]) -> bool:
    """What is chosen inside the instrument; whether other copies have to be measured."""
    state = st.session_state
    before = state[CHOSEN]
    now = {name: str(view.get(name, "")) for name in ("layout", "patch", "variant", "measure")}
    asked = state.get(SAME, {}).get(before["layout"], before["layout"])
    if now["layout"] == asked or not _is_layout(now["layout"]):
        now["layout"] = before["layout"]
    state[CHOSEN] = {
        "layout": now["layout"],
        "patch": now["patch"],
        "positions": now["variant"] if now["variant"] in CHOICES["positions"] else "with",
        "difference": now["measure"] if now["measure"] in DIFFERENCES else "differences",
    }
    state[_objects.SHOWN] = {**state[_objects.SHOWN], "point": str(view.get("point", ""))}
    return now["layout"] != before["layout"]


def _is_layout(text: str) -> bool:
    try:
        read_layout(text)
    except ValueError:
        return False
    return True


def _open(found: Mapping[str, Any]) -> None:
    """Go to the lens with the canvas as its picture and the patch as its query."""
    state = st.session_state
    shown = held_twins(here(), str(state.get(LAST, "")))
    if shown is None:
        return
    picture = here().pictures.put(
        png_bytes(shown.canvas.image.pixels), f"{shown.canvas.image.name}.png".replace(":", " ")
    )
    view = dict(state.get(_address.VIEW) or {})
    view.pop("head", None)
    state[_address.VIEW] = {**view, **({"q": str(found["q"])} if found.get("q") else {})}
    layer = found.get("layer")
    wish: dict[str, Any] = {"image": picture.sha256}
    open_lens({**wish, **({"layer": layer} if isinstance(layer, int) else {})})
