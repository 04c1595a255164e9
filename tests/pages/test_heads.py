"""The Heads page: what an address means, what runs, what stays, what is said when it fails."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages import _address, _set, _study
from pages._shared import MODEL, NOTES, PICTURE
from tests.pages.conftest import ROOT, settle

SMALL = "test_vit:random"


@pytest.fixture(autouse=True, scope="module")
def timm_is_there():
    """The names on offer come with timm; AppTest cannot follow titles that change meanwhile."""
    import timm  # noqa: F401


@pytest.fixture
def open_heads():
    """The Heads page as a visitor with an address opens it, on a small model."""

    def run(wait=settle, **params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/heads.py")
        return wait(app.run())

    return run


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def shown(app):
    """The study that the instrument shows."""
    from analytics.serve.importance_work import held_importance
    from analytics.serve.state import services

    return held_importance(services(), app.session_state["heads_last"])


def button(app, label: str):
    [one] = [one for one in app.button if one.label == label]
    return one


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
    pixels[:, : 8 + seed % 20] = (seed % 256, 200, 90)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def upload(app, *files: tuple[str, bytes]):
    [uploader] = [one for one in app.file_uploader if one.label.startswith("Pictures, or a zip")]
    for name, data in files:
        uploader.upload(name, data, "application/octet-stream")
    return settle(app.run())


def test_the_page_opens_with_a_preview_of_the_samples(open_heads):
    from pages._shared import sample_pictures

    app = open_heads()
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert set(record.metrics) == {"sensitivity", "taylor", "confidence", "contribution"}
    samples = [one.sha256 for one in sample_pictures()]
    assert [image.sha256 for image in record.images] == samples
    assert app.query_params["set"] == "samples"
    assert app.query_params["effort"] == "quick"
    assert "Measure exactly" in [one.label for one in app.button]


def test_measure_exactly_measures_every_metric_with_the_chosen_ablation(open_heads):
    app = open_heads()
    preview = app.session_state["heads_last"]
    app.segmented_control(key="_" + _study.ABLATION).set_value("mean")
    app = settle(button(app.run(), "Measure exactly").click().run())
    assert not app.exception
    record = shown(app)
    assert record.id != preview and record.ablation == "mean" and record.complete
    assert "cls_shift" in record.metrics
    assert button(app, "Exact measurement").disabled
    assert (app.query_params["effort"], app.query_params["ablation"]) == ("exact", "mean")


def test_heads_chosen_step_by_step_fill_the_pruning_set(open_heads):
    app = open_heads()
    [count] = [one for one in app.number_input if one.label == "Heads to remove"]
    assert count.value == 3  # a quarter of 12
    count.set_value(2)
    serial = app.session_state[_address.SERIAL]
    app = settle(button(app.run(), "Choose by cls shift").click().run())
    assert not app.exception and notes_of(app) == ""
    chosen = app.session_state[_address.VIEW]["heads"].split(",")
    assert len(set(chosen)) == 2
    assert app.session_state[_address.SERIAL] == serial + 1
    assert app.query_params["heads"] == ",".join(chosen)


def test_steps_go_by_the_metric_on_view_where_the_study_has_it(open_heads):
    labelled = {"set": "labelled", "readout": "knn", "pictures": "5", "after": "1"}
    app = open_heads(**labelled, effort="exact", metric="js_divergence")
    [count] = [one for one in app.number_input if one.label == "Heads to remove"]
    count.set_value(3)
    app = settle(button(app.run(), "Choose by JS divergence").click().run())
    assert not app.exception and notes_of(app) == ""
    chosen = app.session_state[_address.VIEW]["heads"].split(",")
    # The read-out reads layer 1: a head after it changes no class.
    assert len(set(chosen)) == 3 and all(pair[0] not in "01" for pair in chosen)
    # Without a read-out the study has no classes, and the cls shift stands in.
    app = open_heads(metric="js_divergence")
    assert not button(app, "Choose by cls shift").disabled


def test_a_link_chooses_a_labelled_set_and_its_readout(open_heads):
    app = open_heads(set="labelled", readout="knn", pictures="5", after="1", effort="exact")
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert len(record.images) == 5 and len(record.classes) == 10
    assert "Nearest-neighbour read-out of L1" in record.readout
    assert all(image.label in record.classes for image in record.images)
    assert "js_divergence" in record.metrics and record.probabilities is not None
    for name, value in {"set": "labelled", "readout": "knn", "pictures": "5", "after": "1"}.items():
        assert app.query_params[name] == value


def test_what_a_link_gets_wrong_is_noted_and_left_out(open_heads):
    app = open_heads(
        set="elsewhere", ablation="half", readout="oracle", pictures="many", after="-1",
        effort="most", metric="beauty",
    )  # fmt: skip
    assert not app.exception
    said = notes_of(app)
    for part in (
        "pictures of this link are not on this server",
        "ablation='half'",
        "readout='oracle'",
        "pictures='many'",
        "after='-1'",
        "effort='most'",
        "metric='beauty'",
    ):
        assert part in said
    state = app.session_state
    assert (state[_set.SET], state[_study.ABLATION]) == ("samples", "zero")
    assert (state[_study.EFFORT], state[_set.LIMIT]) == ("quick", 16)


def test_a_readout_without_labels_is_noted(open_heads):
    app = open_heads(readout="linear")
    assert "needs labelled pictures" in notes_of(app)
    assert app.session_state[_study.READOUT] == ""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("resnet18:random", "no attention between the places of a picture"),
        ("xcit_nano_12_p16_224:random", "between channels"),
        ("vit_smal_patch16", "the nearest names are"),
    ],
)
def test_models_that_cannot_be_measured_say_why(open_heads, model, expected):
    app = open_heads(model=model)
    assert not app.exception
    assert expected in notes_of(app)
    assert "Try again" in [one.label for one in app.button]
    assert any("Which heads matter?" in one.value for one in app.markdown)


def test_another_choice_keeps_the_study_before_on_screen(open_heads):
    app = open_heads()
    before = app.session_state["heads_last"]
    app.session_state[MODEL] = "resnet18:random"
    app = settle(app.run())
    assert not app.exception and "no attention" in notes_of(app)
    assert app.session_state["heads_last"] == before


def test_cancel_keeps_and_labels_what_was_measured_and_try_again_goes_on(open_heads):
    from analytics.serve.state import services

    jobs = services().jobs
    whole = jobs._kinds["importance"]

    def stopping(params, report):
        """The real work, stopped by the visitor when the second part begins."""

        def heard(done, total, message=""):
            if message.startswith("pictures 5"):
                jobs.cancel(params["job"])
            report(done, total, message)

        return whole(params, heard)

    jobs.register("importance", stopping)
    try:
        app = open_heads(effort="exact", ablation="resample")
    finally:
        jobs.register("importance", whole)
    assert not app.exception
    assert "Stopped before it was done; what was measured is kept." in notes_of(app)
    part = shown(app)
    assert len(part.images) == 4 and not part.complete
    app = settle(button(app, "Try again").click().run())
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert record.id == part.id and record.complete
    assert np.array_equal(record.values[:, :4], part.values)


def test_an_exact_link_shows_progress_of_one_job_at_a_time(open_heads):
    from analytics.serve.state import services

    app = open_heads(wait=lambda app: app, effort="exact", ablation="resample", fit="pad")
    assert not app.exception
    assert len([one for one in app.button if one.label == "Cancel"]) <= 1
    asked = [job.params for job in services().jobs.jobs() if job.kind == "importance"]
    assert [one["effort"] for one in asked if one["fit"] == "pad"] == ["exact"]
    app = settle(app)
    assert not app.exception and shown(app).ablation == "resample"


def test_a_result_that_left_the_disk_is_measured_again(open_heads):
    from analytics.serve.state import services

    app = open_heads(fit="stretch")
    key = app.session_state["heads_last"]
    services().importance.remove(key)
    app = settle(app.run())
    assert not app.exception
    assert shown(settle(app)).id == key


def test_from_the_lens_to_the_heads_and_back_everything_stays(open_page):
    from pages._shared import sample_pictures

    second = sample_pictures()[1].sha256
    app = open_page(model=SMALL, image=second[:16], layer="3", head="1", heads="2:0,1:1")
    app.switch_page("pages/heads.py")
    app = settle(app.run())
    assert not app.exception
    for _ in range(2):
        assert app.session_state[MODEL] == SMALL
        assert app.session_state[PICTURE] == second
        view = app.session_state[_address.VIEW]
        assert (view["layer"], view["head"], view["heads"]) == (3, 1, "2:0,1:1")
        app.switch_page("pages/lens.py")
        app = settle(app.run())
        assert not app.exception


def test_one_own_picture_is_measured_alone(open_heads):
    app = upload(open_heads(), ("mine.png", png(1)))
    assert not app.exception and notes_of(app) == ""
    record = shown(app)
    assert [image.name for image in record.images] == ["mine.png"]
    assert "taylor" not in record.metrics and np.isfinite(record.values).all()
    assert "set" not in app.query_params
    app.segmented_control(key="_" + _study.ABLATION).set_value("mean")
    app = settle(button(app.run(), "Measure exactly").click().run())
    assert not app.exception and "got 1 picture" in notes_of(app)


def test_the_same_picture_twice_is_one(open_heads):
    app = upload(open_heads(), ("a.png", png(2)), ("b.png", png(2)), ("c.png", png(3)))
    assert not app.exception
    assert len(shown(app).images) == 2
    assert app.session_state[_set.SET] == "mine"


def test_a_labelled_zip_is_a_set_that_a_link_finds_again(open_heads):
    members = {f"{name}/{i}.png": png(10 * k + i) for k, name in enumerate("ab") for i in range(8)}
    app = upload(open_heads(), ("two.zip", packed(members)))
    assert not app.exception and notes_of(app) == ""
    chosen = app.session_state[_set.SET]
    assert len(chosen) == 64 and len(shown(app).images) == 16
    app = open_heads(set=chosen, readout="linear", pictures="3")
    assert not app.exception and notes_of(app) == ""
    assert shown(app).classes == ("a", "b") and len(shown(app).images) == 3


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"1.png": png(1), "2.png": png(2)}, "expected a folder for each class in the zip"),
        ({"a/1.png": png(1), "a/2.png": png(2)}, "at least two class folders, got 1"),
        ({"a/read.txt": b"nothing"}, "picture"),
    ],
)
def test_a_zip_that_is_no_labelled_set_says_what_was_expected(open_heads, members, expected):
    app = open_heads()
    before = app.session_state["heads_last"]
    app = upload(app, ("odd.zip", packed(members)))
    assert not app.exception
    assert notes_of(app).startswith("odd.zip: ") and expected in notes_of(app)
    assert app.session_state[_set.SET] == "samples"
    assert app.session_state["heads_last"] == before


def test_the_layer_of_the_features_can_be_emptied(open_heads):
    app = open_heads(set="labelled", readout="linear", pictures="2", after="2")
    [field] = [one for one in app.number_input if one.label.startswith("Features after")]
    assert field.value == 2
    app = settle(field.set_value(None).run())
    assert not app.exception
    assert app.session_state[_study.READ_LAYER] is None
    assert "of the model's end" in shown(app).readout
    assert "after" not in app.query_params


def test_failed_curves_say_why(open_heads):
    from analytics.serve.state import services

    app = open_heads()
    params = {"result": "0" * 64}
    services().jobs.submit("curves", params, "curves-gone", "test")
    app.session_state["heads_curves_job"] = "curves-gone"
    serial = app.session_state[_address.SERIAL]
    app = settle(app)
    assert not app.exception and "no longer kept on this server" in notes_of(app)
    assert app.session_state[_address.SERIAL] == serial + 1
    assert "heads_curves_job" not in app.session_state


def test_a_pruned_model_is_shown_with_what_it_saves(open_heads):
    from analytics.serve.state import services

    app = open_heads(fit="pad")
    params = {"result": app.session_state["heads_last"], "heads": [[0, 0], [2, 1]]}
    services().jobs.submit("prune", params, "prune-test", "test")
    app.session_state["heads_prune_job"] = "prune-test"
    app = settle(app)
    assert not app.exception
    said = "\n".join(one.value for one in app.markdown)
    assert "2 heads removed" in said and "Parameters" in said
    assert "L0 H0, L2 H1" in "\n".join(one.value for one in app.caption)
    assert "heads_prune_job" not in app.session_state
