"""The Subspace view: what a link means, what runs, what stays when it is left."""

from __future__ import annotations

import pytest

from analytics.serve import binding_work
from pages import _objects, _subspace
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough for a preview."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    yield
    patch.undo()


@pytest.fixture
def open_view():
    """The Binding page on the view, as a visitor with an address opens it."""
    from streamlit.testing.v1 import AppTest

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, "view": "subspace", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        # The probe is fitted, the picture read with it, and its patches laid out.
        return settle(settle(settle(app.run())))

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The layout that the instrument shows."""
    from analytics.serve.state import services

    return services().views.get(app.session_state[_subspace.LAST])


def test_a_photograph_is_laid_out_without_objects(open_view):
    app = open_view()
    assert not app.exception and notes_of(app) == ""
    found = shown(app)
    assert found.row == "plda" and found.layout.objects is None
    assert app.query_params["view"] == "subspace" and "part" not in app.query_params


def test_a_link_chooses_scene_part_colour_and_axes(open_view):
    app = open_view(scene="strips-own:7", part="stream", tint="position", axes="2", point="3")
    assert not app.exception and notes_of(app) == ""
    found = shown(app)
    assert found.scene == "strips-own 900007" and found.layout.objects.max() > 0
    assert app.session_state[_subspace.LOOK] == {"part": "stream", "tint": "position", "axes": "2"}
    for name, value in {"part": "stream", "tint": "position", "axes": "2", "point": "3"}.items():
        assert app.query_params[name] == value


@pytest.mark.parametrize(("name", "value"), [("part", "soul"), ("tint", "joy"), ("axes", "4")])
def test_what_a_link_gets_wrong_is_noted_and_left_out(open_view, name, value):
    app = open_view(**{name: value})
    assert not app.exception and notes_of(app).count(f"{name}={value!r}") == 1
    assert app.session_state[_subspace.LOOK][name] == _subspace.CHOICES[name][0]


def test_a_model_without_one_grid_says_why(open_view):
    app = open_view(model="swin_tiny_patch4_window7_224:random")
    assert not app.exception and "share one grid of patches" in notes_of(app)
    assert any("Where does a probe look?" in one.value for one in app.markdown)


def test_what_the_instrument_says_is_kept_and_checked(open_view):
    app = open_view(scene="one-colour:1")
    state = app.session_state
    before = dict(state[_objects.SHOWN])
    assert before["probe"] == ""
    app.session_state["binding_view"] = "map"
    app = settle(app.run())
    assert not app.exception and app.session_state[_subspace.LOOK]["part"] == "binding"
    app.session_state["binding_view"] = "subspace"
    app = settle(app.run())
    assert not app.exception and shown(app).scene == "one-colour 900001"


def test_a_model_without_a_class_token(open_view):
    app = open_view(model="vit_relpos_small_patch16_224:random", scene="one-colour:1")
    assert not app.exception and notes_of(app) == ""
    assert shown(app).layout.grid.count == 196
