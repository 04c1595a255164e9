"""Marking objects: what the view shows, keeps and says."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from analytics.serve import binding_work
from analytics.serve.marks import keep_marks
from pages import _marking, _objects, _views
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle


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
    """A view of the Binding page as a visitor with an address opens it, on a small model."""

    def run(view: str, **params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": "test_vit:random", "view": view, **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        return settle(settle(app.run()))

    return run


@pytest.fixture
def drawn(monkeypatch):
    """What the tool was told, and the id that it hands in once."""
    told: dict = {"marks": None}

    def marking(*args):
        told["args"] = args
        marks, told["marks"] = told["marks"], None
        return SimpleNamespace(marks=marks)

    monkeypatch.setattr(_marking, "marking", marking)
    return told


def first_sample():
    from analytics.serve.state import services
    from pages._shared import sample_pictures

    return services().pictures.get(sample_pictures()[0].sha256)


def halves(picture) -> np.ndarray:
    marks = np.ones((picture.height, picture.width), np.int32)
    marks[:, picture.width // 2 :] = 2
    return marks


def test_objects_that_were_drawn_are_the_truth_of_the_map(open_view, drawn):
    from analytics.serve.state import services

    app = open_view("marking")
    assert not app.exception
    sha256, size, grid, frame, addresses, _ = drawn["args"]
    picture = first_sample()
    assert sha256 == picture.sha256 and grid == (10, 10) and addresses["marked"] == ""
    assert max(size) <= 1024 and size[0] * picture.width == pytest.approx(
        size[1] * picture.height, rel=0.01
    )
    top, left, bottom, right = frame
    assert bottom - top == pytest.approx(right - left)  # a square input
    drawn["marks"] = keep_marks(services(), picture.sha256, halves(picture))
    app = settle(settle(app.run()))
    assert app.session_state[_views.VIEW] == _views.MAP
    assert app.query_params["marks"] == _objects_key(picture)
    found = services().bounds.get(app.session_state["binding_last"])
    assert found.scene == "" and set(np.unique(found.objects)) == {1, 2}


def _objects_key(picture) -> str:
    from analytics.serve.state import services

    return keep_marks(services(), picture.sha256, halves(picture))


def test_a_link_brings_its_marks(open_view, drawn):
    picture = first_sample()
    app = open_view("marking", marks=_objects_key(picture))
    assert app.session_state[_objects.MARKS] == {picture.sha256: _objects_key(picture)}
    assert drawn["args"][4]["marked"].endswith("/labels")
    app = open_view("marking", marks="gone")
    assert "mark the objects again" in "\n".join(app.session_state[NOTES])


def test_a_scene_needs_no_marks(open_view, drawn):
    app = open_view("marking", scene="strips-own:3")
    assert "args" not in drawn
    assert any("A made scene knows its objects" in one.value for one in app.get("html"))


def test_a_mask_file_is_read_as_objects():
    picture = first_sample()
    colours = np.zeros((picture.height, picture.width, 3), np.uint8)
    colours[:20], colours[-20:] = (255, 0, 0), (0, 0, 255)
    found = _marking.read_mask(png(colours), "mask.png", picture)
    assert found[0, 0] == 2 and found[-1, 0] == 1 and found[picture.height // 2, 0] == 0
    with pytest.raises(ValueError, match=r"mask.png: expected a mask of .* got 3 x 4"):
        _marking.read_mask(png(colours[:4, :3]), "mask.png", picture)
    with pytest.raises(ValueError, match="mask"):
        _marking.read_mask(b"no picture", "mask.png", picture)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_one_object_and_too_many_to_draw_are_said():
    assert "need a second one" in _marking.limits(1)
    assert _marking.limits(2) == _marking.limits(255) == ""
    assert "300 objects are marked" in _marking.limits(300)
    assert "first 255" in _marking.limits(300)


def test_the_photograph_leads_to_the_tool(open_view, drawn):
    app = open_view("map")
    button = next(one for one in app.button if one.label == "Mark objects")
    app = settle(button.click().run())
    assert app.session_state[_views.VIEW] == "marking"
    assert drawn["args"][0] == first_sample().sha256
    assert not any(one.label == "Mark objects" for one in app.button)
