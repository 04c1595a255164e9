"""The ablation view: what an address means, which jobs it asks for, what the component says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from analytics.serve import ablation_work, binding_work
from analytics.serve.state import services
from pages import _objects, _removing
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough here."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    patch.setattr(ablation_work, "STEPS", (0.0, 1.0))
    patch.setattr(ablation_work, "SWEPT", ("binding", "principal"))
    yield
    patch.undo()


@pytest.fixture
def shown(monkeypatch):
    """What the component was given, and what it answers once."""
    answers: list[dict] = []
    given: list[dict] = []

    def fake(sweep, running, edited, view, points, scenes, measures, can_inject, serial):
        given.append({"sweep": sweep, "edited": edited, "view": dict(view), "inject": can_inject})
        told = answers.pop(0) if answers else {}
        return SimpleNamespace(**{"view": None, "scene": None, "gone": None, **told})

    monkeypatch.setattr(_removing, "removing", fake)
    return given, answers


def visit(**params: str):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    named = {"model": SMALL, "view": "ablation", "scene": "one-colour:3", **params}
    for name, value in named.items():
        app.query_params[name] = value
    app.switch_page("pages/binding.py")
    app = app.run()
    for _ in range(4):
        app = settle(app)
    assert not app.exception
    return app


def test_the_view_shows_a_sweep_and_an_edit(shown):
    given, answers = shown
    app = visit(amount="0.5", dims="8", part="principal")
    last = given[-1]
    assert last["sweep"] and last["edited"] and last["inject"]
    assert (last["view"]["amount"], last["view"]["dims"]) == ("0.5", "8")
    signer, held = services().signer, services().views
    record = held.get(signer.open(last["sweep"])).record
    assert record.complete and record.dimension == 8 and len(record.images) == 24
    edit = held.get(signer.open(last["edited"]))
    assert (edit.subspace, edit.amount, edit.edit) == ("principal", 0.5, "shuffle")
    answers.append({"view": {**last["view"], "edit": "inject", "amount": "0", "patch": "1,2"}})
    app = settle(settle(app.run()))
    edit = held.get(signer.open(given[-1]["edited"]))
    assert (edit.edit, edit.amount) == ("inject", 0.0)
    assert app.session_state[_objects.SHOWN]["patch"] == "1,2"
    # The sweep has no part in what is done to the picture.
    assert given[-1]["sweep"] == last["sweep"]


def test_a_photograph_is_shuffled_though_the_link_injects(shown):
    given, answers = shown
    app = visit(scene="", edit="inject", dims="8")
    assert not given[-1]["inject"] and given[-1]["view"]["edit"] == "shuffle"
    answers.append({"scene": True})
    app.run()
    assert app.session_state[_objects.SUBJECT] == _objects.SCENE


def test_what_a_link_says_wrongly_is_left_out_in_words(shown):
    app = visit(amount="7", at="deep", dims="8")
    notes = " ".join(app.session_state[NOTES])
    assert "at=" in notes and "amount" in notes
    assert shown[0][-1]["view"]["amount"] == "1.0"


def test_only_what_is_no_default_stands_in_the_address(monkeypatch):
    first = {name: allowed[0] for name, allowed in _removing.CHOICES.items()}
    chosen = {**first, "at": "", "part": "stream"}
    monkeypatch.setattr(_removing.st, "session_state", {_removing.CHOSEN: chosen})
    assert _removing.link() == {"part": "stream"}
    chosen |= {"at": "3", "amount": "0.2"}
    assert _removing.link() == {"at": "3", "amount": "0.2", "part": "stream"}
