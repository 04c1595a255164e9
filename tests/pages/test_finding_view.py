"""The Discovery view: what a link means, what runs and when, what is said of what cannot run."""

from __future__ import annotations

import pytest

from analytics.serve import binding_work, finding_work
from pages import _finding, _objects, _set, _views
from pages._shared import NOTES
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    patch.setattr(finding_work, "SCENES", 4)
    yield
    patch.undo()


@pytest.fixture
def open_view():
    """The Binding page on the view, as a visitor with an address opens it."""
    from streamlit.testing.v1 import AppTest

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, "view": "finding", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        # The probe is fitted, the picture read with it, and objects looked for.
        return settle(settle(settle(app.run())))

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The masks that the instrument shows."""
    from analytics.serve.state import services

    return services().views.get(app.session_state[_finding.LAST])


def test_a_photograph_has_masks_without_scores(open_view):
    app = open_view()
    assert not app.exception and notes_of(app) == ""
    found = shown(app)
    assert found.row == "plda" and "nobody has marked" in found.discovery.unscored
    assert found.discovery.choices.features == "keys" and found.discovery.choices.point == 6
    assert app.query_params["view"] == "finding" and "features" not in app.query_params


def test_a_link_chooses_scene_features_point_and_groups(open_view):
    asked = {"features": "stream", "at": "3", "groups": "4", "found": "maskcut"}
    app = open_view(scene="strips-own:7", **asked)
    assert not app.exception and notes_of(app) == ""
    found = shown(app)
    assert found.scene == "strips-own 900007" and found.discovery.unscored == ""
    chosen = found.discovery.choices
    assert (chosen.features, chosen.point, chosen.groups) == ("stream", 3, 4)
    assert {name: app.query_params[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("name", "value"),
    [("features", "values"), ("at", "last"), ("groups", "0"), ("found", "sam"), ("score", "x")],
)
def test_what_a_link_gets_wrong_is_noted_and_left_out(open_view, name, value):
    app = open_view(**{name: value})
    assert not app.exception and f"{name}={value!r}" in notes_of(app)
    assert shown(app).discovery.choices.point == 6


def test_a_point_that_has_no_keys_says_so_and_can_be_left(open_view):
    app = open_view(at="0")
    assert not app.exception and "no layer has made keys" in notes_of(app)
    assert any("Can objects be found" in one.value for one in app.markdown)


def test_scenes_are_measured_when_somebody_asks_and_found_again(open_view):
    from analytics.serve.state import services

    app = open_view(scene="one-colour:1")
    jobs = services().jobs
    params = app.session_state[_finding.WANTED]
    asked = _set.named(
        "finding-scenes",
        {
            **{n: params[n] for n in ("model", "checkpoint", "size", "fit", "study", "row")},
            "features": "keys",
            "point": None,
            "groups": 5,
            "scenes": 4,
        },
    )
    assert jobs.get(asked["job"]) is None and _finding.LAST_SCENES not in app.session_state
    jobs.submit("finding-scenes", asked, asked["job"], "auto study")
    assert jobs.wait(asked["job"], 120).state == "done"
    app.run()
    assert not app.exception and app.session_state[_finding.LAST_SCENES] == asked["job"]
    assert services().views.get(asked["job"]).done == 4


def test_before_a_probe_is_fitted_the_picture_is_named_all_the_same(open_view, monkeypatch):
    app = open_view(scene="one-colour:2")
    with_probe = app.session_state[_finding.WANTED]
    monkeypatch.setattr(_objects, "probe_sources", lambda record: {})
    app.run()
    settle(app)
    bare = app.session_state[_finding.WANTED]
    assert not app.exception and (bare["row"], bare["study"]) == ("", "")
    assert bare["scene"] == with_probe["scene"] and bare["model"] == with_probe["model"]
    found = shown(app)
    assert found.row == "" and found.discovery.found[5].absent == "no probe is fitted yet"


def test_a_model_that_cannot_be_read_says_why(open_view):
    app = open_view(model="swin_tiny_patch4_window7_224:random")
    assert not app.exception and "share one grid of patches" in notes_of(app)


def test_what_is_chosen_stays_while_another_view_is_looked_at(open_view):
    app = open_view(features="stream", at="2")
    app.session_state[_views.VIEW] = _views.MAP
    app.run()
    assert "features" not in app.query_params
    app.session_state[_views.VIEW] = "finding"
    app.run()
    assert not app.exception and app.session_state[_finding.CHOSEN]["at"] == "2"
