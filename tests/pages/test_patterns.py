"""The Patterns page: what an address means, what runs, what stays, what is said when it fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages import _address, _atlas, _set
from pages._shared import MODEL, NOTES, PICTURE
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def timm_is_there():
    """The names on offer come with timm; AppTest cannot follow titles that change meanwhile."""
    import timm  # noqa: F401


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch):
    from analytics.serve import patterns_work

    plain = patterns_work.choices_of
    monkeypatch.setattr(patterns_work, "choices_of", lambda one: replace(plain(one), epochs=2))


@pytest.fixture
def open_patterns():
    """The page as a visitor with an address opens it, on a small model."""

    def run(wait=settle, **params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/patterns.py")
        return wait(app.run())

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The atlas that the instrument shows."""
    from analytics.serve.patterns_work import held_atlas
    from analytics.serve.state import services

    return held_atlas(services(), app.session_state["patterns_last"])


def button(app, label: str):
    [one] = [one for one in app.button if one.label == label]
    return one


def test_the_page_opens_with_the_shipped_coder_on_the_samples(open_patterns):
    app = open_patterns()
    assert not app.exception and notes_of(app) == ""
    atlas = shown(app)
    assert atlas.pretrained and len(atlas.images) == 8
    assert atlas.count == 8 * len(atlas.heads)
    assert app.query_params["layout"] == "autoencoder"
    assert "coder" not in app.query_params


def test_training_replaces_the_shipped_coder_and_back(open_patterns):
    app = open_patterns()
    first = shown(app).id
    button(app, "Train on these pictures").click()
    app = settle(app.run())
    atlas = shown(app)
    assert not atlas.pretrained and len(atlas.train_losses) == 2
    assert app.query_params["coder"] == "own"
    button(app, "Back to the shipped one").click()
    assert shown(settle(app.run())).id == first


def test_a_link_to_a_trained_coder_shows_the_shipped_one_meanwhile(open_patterns):
    app = open_patterns(coder="own", fit="pad")
    assert not app.exception
    assert app.session_state[_atlas.TRAIN] is True
    assert not shown(app).pretrained
    # Both were made: one to look at, one that was asked for.
    from analytics.serve.state import services

    kinds = [job.params["train"] for job in services().jobs.jobs() if job.kind == "patterns"]
    assert {True, False} <= set(kinds)


def test_a_second_model_is_placed(open_patterns):
    app = open_patterns(**{"with": "test_vit2:random"})
    atlas = shown(app)
    assert len(atlas.model_labels) == 2 and set(np.unique(atlas.model)) == {0, 1}
    assert app.query_params["with"] == "test_vit2:random"
    assert app.session_state[_atlas.OTHER] == "test_vit2:random"


def test_the_same_model_twice_is_no_comparison(open_patterns):
    app = open_patterns(**{"with": SMALL})
    assert len(shown(app).model_labels) == 1


def test_umap_is_another_plane_of_the_same_heads(open_patterns):
    app = open_patterns(layout="umap")
    atlas = shown(app)
    assert atlas.layout == "umap" and atlas.count == 8 * len(atlas.heads)


def test_an_address_is_checked(open_patterns):
    app = open_patterns(layout="spiral", coder="mine", **{"with": "file:/etc/passwd"})
    said = notes_of(app)
    assert "spiral" in said and "mine" in said and "file on the server" in said
    assert app.session_state[_atlas.LAYOUT] == "autoencoder"
    assert app.session_state[_atlas.OTHER] == ""
    assert shown(app).pretrained


def test_layer_head_and_image_come_from_the_address(open_patterns):
    from pages._shared import sample_pictures

    picture = sample_pictures()[2].sha256
    app = open_patterns(layer="2", head="1", image=picture[:16])
    view = app.session_state[_address.VIEW]
    assert (view["layer"], view["head"]) == (2, 1)
    assert app.session_state[PICTURE] == picture
    assert app.query_params["layer"] == "2"


def test_another_set_goes_back_to_the_shipped_coder(open_patterns):
    app = open_patterns(coder="own")
    [menu] = [one for one in app.selectbox if one.label == "Pictures"]
    menu.select(_set.LABELLED)
    app = app.run()
    assert app.session_state[_atlas.TRAIN] is False


def test_a_model_without_attention_is_refused_and_the_atlas_stays(open_patterns):
    app = open_patterns()
    before = shown(app).id
    app.session_state[MODEL] = "resnet18:random"
    app = settle(app.run())
    assert "attention" in notes_of(app)
    assert shown(app).id == before and not app.exception


def test_parameters_name_the_job(open_patterns):
    app = open_patterns()
    assert not app.exception
    params = {"a": 1, "train": True}
    assert _set.named("patterns", params) == _set.named("patterns", dict(params))
    other = _set.named("patterns", {**params, "train": False})
    assert other["job"] != _set.named("patterns", params)["job"]
