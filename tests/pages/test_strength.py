"""The Strength page: what an address means, what runs, what stays, what is said when it fails."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages import _address, _profile, _set
from pages._shared import MODEL, NOTES, PICTURE
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def timm_is_there():
    """The names on offer come with timm; AppTest cannot follow titles that change meanwhile."""
    import timm  # noqa: F401


@pytest.fixture
def open_strength():
    """The Strength page as a visitor with an address opens it, on a small model."""

    def run(wait=settle, **params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/strength.py")
        return wait(app.run())

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The profile that the instrument shows."""
    from analytics.serve.profile_work import held_profile
    from analytics.serve.state import services

    return held_profile(services(), app.session_state["strength_last"])


def button(app, label: str):
    [one] = [one for one in app.button if one.label == label]
    return one


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_measures_the_samples(open_strength):
    from pages._shared import sample_pictures

    app = open_strength()
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert record.complete
    assert [one.sha256 for one in record.images] == [one.sha256 for one in sample_pictures()]
    for name, value in {
        "set": "samples",
        "metric": "mean_distance",
        "rule": "renormalised",
    }.items():
        assert app.query_params[name] == value
    assert app.query_params["unit"] == "patches"


def test_a_link_chooses_metric_rule_unit_layer_and_head(open_strength):
    app = open_strength(metric="nmi", rule="raw", unit="pixels", layer="3", head="1", control="off")
    assert not app.exception and notes_of(app) == ""
    state = app.session_state
    assert state[_profile.SHOWN] == {"metric": "nmi", "rule": "raw", "unit": "pixels"}
    assert (state[_address.VIEW]["layer"], state[_address.VIEW]["head"]) == (3, 1)
    assert state[_profile.CONTROL] is False
    for name in ("metric", "rule", "unit", "layer", "head", "control"):
        assert name in app.query_params


def test_what_a_link_gets_wrong_is_noted_once_and_left_out(open_strength):
    app = open_strength(
        metric="beauty", rule="half", unit="miles", control="maybe", set="elsewhere"
    )
    assert not app.exception
    said = notes_of(app)
    for part in ("metric='beauty'", "rule='half'", "unit='miles'", "control='maybe'"):
        assert said.count(part) == 1
    assert "pictures of this link are not on this server" in said
    expected = {"metric": "mean_distance", "rule": "renormalised", "unit": "patches"}
    assert app.session_state[_profile.SHOWN] == expected


def test_a_metric_of_this_page_is_no_mistake_on_another(open_page):
    app = open_page(model=SMALL, metric="hop_entropy")
    assert not app.exception and notes_of(app) == ""
    assert "metric" not in app.session_state[_address.VIEW]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("resnet18:random", "no attention between the places of a picture"),
        ("xcit_nano_12_p16_224:random", "between channels"),
    ],
)
def test_models_that_cannot_be_measured_say_why(open_strength, model, expected):
    app = open_strength(model=model)
    assert not app.exception
    assert expected in notes_of(app)
    assert "Try again" in [one.label for one in app.button]
    assert any("How far do heads look?" in one.value for one in app.markdown)


def test_another_choice_keeps_the_profile_before_on_screen(open_strength):
    app = open_strength()
    before = app.session_state["strength_last"]
    app.session_state[MODEL] = "resnet18:random"
    app = settle(app.run())
    assert not app.exception and "no attention" in notes_of(app)
    assert app.session_state["strength_last"] == before


def test_one_own_picture_is_measured_alone(open_strength):
    app = open_strength()
    [uploader] = [one for one in app.file_uploader if one.label.startswith("Pictures, or a zip")]
    uploader.upload("mine.png", png(1), "application/octet-stream")
    app = settle(app.run())
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert [image.name for image in record.images] == ["mine.png"]
    assert np.isnan(record.content_agnosticism).all()


def test_a_profile_that_left_the_disk_is_measured_again(open_strength):
    from analytics.serve.state import services

    app = open_strength(fit="stretch")
    key = app.session_state["strength_last"]
    services().profile.remove(key)
    app = settle(app.run())
    assert not app.exception
    assert shown(settle(app)).id == key


def test_cancel_keeps_and_labels_what_was_measured_and_try_again_goes_on(open_strength):
    from analytics.serve.state import services

    jobs = services().jobs
    whole = jobs._kinds["profile"]

    def stopping(params, report):
        """The real work, stopped by the visitor after the first part."""

        def heard(done, total, message=""):
            if done:
                jobs.cancel(params["job"])
            report(done, total, message)

        return whole(params, heard)

    jobs.register("profile", stopping)
    try:
        app = open_strength(fit="pad")
    finally:
        jobs.register("profile", whole)
    assert not app.exception
    assert "Stopped before it was done; what was measured is kept." in notes_of(app)
    part = shown(app)
    assert 0 < len(part.images) <= 8
    app = settle(button(app, "Try again").click().run())
    assert not app.exception and notes_of(app) == ""
    assert shown(app).id == part.id and shown(app).complete


def test_the_control_has_random_weights_and_the_same_grid(open_strength, monkeypatch):
    from analytics.serve.profile_work import held_profile
    from analytics.serve.state import services

    # A model with weights needs a network; the same one stands in for it.
    monkeypatch.setattr(_profile, "random_model", lambda model: model)
    app = open_strength(set="labelled", pictures="4")
    app = settle(settle(app))
    assert not app.exception and notes_of(app) == ""
    jobs = [job for job in services().jobs.jobs() if job.kind == "profile"]
    [control] = [job for job in jobs if job.params["size"] is not None]
    found = held_profile(services(), str(control.result))
    assert control.params["size"] == 160 and len(found.images) == 3
    assert [one.grid for one in found.layers] == [one.grid for one in shown(app).layers]
    assert len(shown(app).images) == 4 and app.session_state[_set.LIMIT] == 4


def test_without_the_control_nothing_else_is_measured(open_strength, monkeypatch):
    from analytics.serve.state import services

    monkeypatch.setattr(_profile, "random_model", lambda model: model)
    before = {job.key for job in services().jobs.jobs()}
    app = settle(open_strength(set="labelled", pictures="5", control="off"))
    assert not app.exception
    new = [job for job in services().jobs.jobs() if job.key not in before]
    assert [job.params["size"] for job in new if job.kind == "profile"] == [None]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("bundled", "vit_small_patch14_dinov2:random"),
        ("vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224:random"),
        ("test_vit", "test_vit:random"),
        ("test_vit:random", ""),
        ("hf-hub:timm/test_vit", ""),
    ],
)
def test_which_model_has_random_weights_to_compare_with(model, expected):
    assert _profile.random_model(model) == expected


def test_from_the_lens_to_strength_and_back_everything_stays(open_page):
    from pages._shared import sample_pictures

    second = sample_pictures()[1].sha256
    app = open_page(model=SMALL, image=second[:16], layer="3", head="1")
    for page in ("pages/strength.py", "pages/heads.py", "pages/strength.py", "pages/lens.py"):
        app.switch_page(page)
        app = settle(app.run())
        assert not app.exception and notes_of(app) == ""
        assert app.session_state[MODEL] == SMALL
        assert app.session_state[PICTURE] == second
        view = app.session_state[_address.VIEW]
        assert (view["layer"], view["head"]) == (3, 1)
