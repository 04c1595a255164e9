"""The Attention view: what an address means, what runs, and what a click in it does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from analytics.serve import binding_work
from pages import _address, _attending, _objects
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    patch.setattr(_attending, "COUNTS", (4, 5))
    yield
    patch.undo()


@pytest.fixture
def told(monkeypatch):
    """What the component was told, and what it answers once."""
    kept: dict = {"answer": {}}

    def attending(tokens, counts, view, serial):
        kept.update(tokens=tokens, counts=counts, view=view)
        answer, kept["answer"] = kept["answer"], {}
        return SimpleNamespace(**{"view": None, "lens": None, "gone": None, **answer})

    monkeypatch.setattr(_attending, "attending", attending)
    return kept


@pytest.fixture
def open_view(told):
    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": "test_vit:random", "view": "attending", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        return settle(settle(settle(app.run())))

    return run


def held(token: str):
    from analytics.serve.state import services

    return services().views.get(str(services().signer.open(token)))


def test_heads_are_measured_on_scenes_and_on_the_picture(open_view, told):
    app = open_view(scene="shared-palette:1")
    assert not app.exception
    scenes, picture = held(told["tokens"]["scenes"]), held(told["tokens"]["picture"])
    assert scenes.scope == "scenes" and len(scenes.link.images) == 4
    assert picture.scope == "picture" and picture.link.known and len(picture.link.images) == 1
    assert told["tokens"]["bound"] and told["tokens"]["lens"]
    assert told["view"]["measure"] == "auc_matched" and told["view"]["scenes"] == "4"


def test_a_photograph_is_compared_with_the_probe_alone(open_view, told):
    open_view()
    assert not held(told["tokens"]["picture"]).link.known
    assert "Nobody has marked" in held(told["tokens"]["picture"]).about


def test_a_link_says_what_is_shown_and_bad_parts_are_named(open_view, told):
    app = open_view(link="truth_rank", scope="picture", layer="2", head="1", scenes="5")
    assert told["view"] == {
        "measure": "truth_rank",
        "scope": "picture",
        "scenes": "5",
        "layer": "2",
        "head": "1",
        "patch": "",
    }
    assert app.query_params["link"] == "truth_rank" and app.query_params["scope"] == "picture"
    app = open_view(link="joy", layer="x")
    said = "\n".join(app.session_state[NOTES])
    assert "link='joy'" in said and "layer" in said


def test_what_is_chosen_inside_is_kept(open_view, told):
    app = open_view(scene="shared-palette:1")
    told["answer"] = {"view": {**told["view"], "head": "1", "layer": "2", "patch": "3,4"}}
    app = settle(app.run())
    assert app.session_state[_attending.LOOK]["head"] == "1"
    assert app.session_state[_objects.SHOWN]["patch"] == "3,4"
    assert app.query_params["head"] == "1"
    told["answer"] = {"view": {**told["view"], "measure": "joy", "head": "<b>", "patch": "a"}}
    app = settle(app.run())
    assert app.session_state[_attending.LOOK]["link"] == "auc_matched"
    assert app.session_state[_attending.LOOK]["head"] == "1"
    assert app.session_state[_objects.SHOWN]["patch"] == "3,4"


def test_a_click_opens_the_head_in_the_lens(open_view, told):
    app = open_view(scene="shared-palette:1")
    told["answer"] = {"lens": {"layer": 2, "head": 1, "q": "3,4"}}
    app = app.run()
    view = app.session_state[_address.VIEW]
    assert (view["layer"], view["head"], view["q"]) == (2, 1, "3,4")
