"""The view of identical copies: what an address means, what is measured, what is said."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from analytics.serve import binding_work
from pages import _objects, _twins
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"
TWO = "house~40~plain~4~grid~160~0.0_80.96"


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough for a preview."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    yield
    patch.undo()


@pytest.fixture
def open_copies():
    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, "view": "twins", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        # First the probe is fitted, then the copies are measured with it.
        return settle(settle(app.run()))

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def measured(app):
    from analytics.serve.state import services
    from analytics.serve.twins_work import held_twins

    return held_twins(services(), app.session_state[_twins.LAST])


def test_three_copies_are_found_and_stand_in_the_address(open_copies):
    app = open_copies()
    assert not app.exception and notes_of(app) == ""
    found = measured(app)
    assert len(found.canvas.layout.places) == 3 and found.row in ("plda", "quadratic")
    assert found.copies.identical and len(found.bounds) == 2
    text = app.query_params["copies"]
    assert "_" in (text if isinstance(text, str) else text[0])
    before = app.session_state[_twins.ASKED]
    assert settle(app.run()).session_state[_twins.ASKED] == before


def test_a_link_lays_the_same_copies(open_copies):
    app = open_copies(copies=TWO, positions="without", difference="cosines", point="2")
    assert not app.exception and notes_of(app) == ""
    assert measured(app).canvas.layout.places == ((0, 0), (80, 96))
    chosen = app.session_state[_twins.CHOSEN]
    assert (chosen["positions"], chosen["difference"]) == ("without", "cosines")
    assert app.session_state[_objects.SHOWN]["point"] == "2"


@pytest.mark.parametrize(
    ("name", "value"), [("copies", "zoo"), ("positions", "maybe"), ("difference", "beauty")]
)
def test_what_a_link_gets_wrong_is_noted_and_left_out(open_copies, name, value):
    app = open_copies(**{name: value})
    assert not app.exception and repr(value) in notes_of(app)
    assert len(measured(app).canvas.layout.places) == 3


def test_a_windowed_model_says_why_it_cannot(open_copies):
    app = open_copies(model="swin_tiny_patch4_window7_224:random")
    assert not app.exception and "share one grid of patches" in notes_of(app)
    assert any("What tells identical copies apart?" in one.value for one in app.markdown)


def test_a_model_without_position_embedding_has_one_curve(open_copies):
    app = open_copies(model="vit_relpos_small_patch16_224:random")
    assert not app.exception
    found = measured(app)
    assert len(found.bounds) in (0, 1) and "there is one curve" in " ".join(found.notes)


def test_objects_of_a_made_scene_can_be_copied(open_copies):
    app = open_copies(scene="one-colour:3", copies="marked:1~35~plain~0~grid~160~")
    assert not app.exception
    assert measured(app).canvas.layout.object == "marked:1"


def test_what_the_component_says_is_checked(open_copies):
    app = open_copies(copies=TWO)
    state = app.session_state
    assert _twins._is_layout(state[_twins.CHOSEN]["layout"]) and not _twins._is_layout("x~y")
