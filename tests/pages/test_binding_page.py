"""The Binding page: what an address means, what runs, what is said when it fails."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from analytics.serve import binding_work
from pages import _address, _objects
from pages._shared import NOTES, PICTURE
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    """The names on offer come with timm; a few scenes are enough for a preview."""
    import timm  # noqa: F401

    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    patch.setattr(binding_work, "WHOLE_SCENES", 12)
    yield
    patch.undo()


@pytest.fixture
def open_binding():
    """The Binding page as a visitor with an address opens it, on a small model."""

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        # First the probe is fitted, then the picture is read with it.
        return settle(settle(app.run()))

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The picture that the instrument shows."""
    from analytics.serve.state import services

    return services().bounds.get(app.session_state["binding_last"])


def button(app, label: str):
    [one] = [one for one in app.button if one.label == label]
    return one


def test_the_page_fits_a_preview_and_reads_the_first_sample(open_binding):
    from pages._shared import sample_pictures

    app = open_binding()
    assert not app.exception and notes_of(app) == ""
    found = shown(app)
    assert found.picture.sha256 == sample_pictures()[0].sha256
    assert found.row == "plda" and found.mask is None
    assert app.query_params["measure"] == "auc_colour_matched" and "scene" not in app.query_params


def test_a_link_chooses_scene_measure_point_and_patch(open_binding):
    app = open_binding(scene="strips-own:7", measure="accuracy", point="3", patch="2,5")
    assert not app.exception and notes_of(app) == ""
    assert shown(app).scene == "strips-own 900007"
    wanted = {"measure": "accuracy", "probe": "", "point": "3", "patch": "2,5"}
    assert app.session_state[_objects.SHOWN] == wanted
    assert app.query_params["scene"] == "strips-own:7" and app.query_params["patch"] == "2,5"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scene", "clouds:3"),
        ("scene", "strips-own:-1"),
        ("measure", "beauty"),
        ("point", "last"),
        ("patch", "7"),
        ("probe", "../x"),
    ],
)
def test_what_a_link_gets_wrong_is_noted_once_and_left_out(open_binding, name, value):
    app = open_binding(**{name: value})
    assert not app.exception
    assert notes_of(app).count(f"{name}={value!r}") == 1
    assert app.session_state[_objects.SUBJECT] == "photograph"
    assert app.session_state[_objects.SHOWN]["measure"] == "auc_colour_matched"


def test_a_probe_that_is_not_fitted_gives_way_to_one_that_is(open_binding):
    app = open_binding(probe="diagonal")
    assert not app.exception and shown(app).row == "plda"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("swin_tiny_patch4_window7_224:random", "share one grid of patches"),
        ("resnet18:random", "choose a ViT"),
    ],
)
def test_models_that_cannot_be_read_say_why(open_binding, model, expected):
    app = open_binding(model=model)
    assert not app.exception
    assert expected in notes_of(app)
    assert button(app, "Fit all probes").disabled
    assert "Try again" in [one.label for one in app.button]
    assert any("Do these two patches belong together?" in one.value for one in app.markdown)


def test_another_scene_is_read_with_the_same_probe(open_binding):
    app = open_binding(scene="one-colour:1")
    before = shown(app)
    [number] = [one for one in app.number_input if one.label == "Number"]
    app = settle(number.set_value(2).run())
    assert not app.exception
    assert shown(app).scene == "one-colour 900002" and shown(app).study == before.study


def test_all_probes_are_fitted_when_they_are_asked_for(open_binding, monkeypatch):
    from analytics.serve.state import services
    from analytics.studies import binding_choices

    small = binding_choices.BindingChoices(
        probes=("plda", "quadratic"), controls=(), seeds=(0,), rank=4, epochs=2, link=False
    )
    monkeypatch.setattr(binding_choices, "BindingChoices", lambda: small)
    # Another model: the other tests of this process find previews of theirs alone.
    app = open_binding(fit="stretch", model="test_vit2:random")
    app = settle(settle(button(app, "Fit all probes").click().run()))
    assert not app.exception and notes_of(app) == ""
    assert _objects.BEST_FIRST[0] == "quadratic" and shown(app).row == "quadratic"
    job = next(j for j in services().jobs.jobs() if j.params.get("whole"))
    assert shown(app).study == str(job.result)
    assert "Fit all probes" not in [one.label for one in app.button]


def test_from_the_lens_to_binding_and_back_everything_stays(open_page):
    from pages._shared import sample_pictures

    second = sample_pictures()[1].sha256
    app = open_page(model=SMALL, image=second[:16], layer="3", head="1")
    for page in ("pages/binding.py", "pages/strength.py", "pages/binding.py", "pages/lens.py"):
        app.switch_page(page)
        app = settle(app.run())
        assert not app.exception and notes_of(app) == ""
        assert app.session_state[PICTURE] == second
        view = app.session_state[_address.VIEW]
        assert (view["layer"], view["head"]) == (3, 1)
