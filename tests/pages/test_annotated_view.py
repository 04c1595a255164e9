"""The Data view: what an address means, adding sets, picking a picture, fitting on a set."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analytics.serve import binding_work
from pages import _annotated, _annotated_sets, _objects
from pages._shared import NOTES, PICTURE
from tests.io.annotated_making import halves, palette, photo, write, zipped
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
def open_data():
    """The Data view as a visitor with an address opens it, on a small model."""

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": SMALL, "view": "annotated", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/binding.py")
        return settle(settle(app.run()))

    return run


@pytest.fixture
def says(monkeypatch):
    """Makes the component answer once, as a click in it does."""
    answers: list[dict] = []
    shown: list[dict] = []

    def fake(token, view, sources, families, sides, pages, looked, fitted, serial):
        shown.append({"view": dict(view), "looked": looked, "fitted": fitted, "pages": pages})
        told = answers.pop(0) if answers else {}
        return SimpleNamespace(**{"view": None, "pick": None, "fit": None, "gone": None, **told})

    monkeypatch.setattr(_annotated, "annotated", fake)
    return answers, shown


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> bytes:
    """Eight noisy pictures of two objects, and one without any."""
    folder = tmp_path_factory.mktemp("cells") / "set"
    rng = np.random.default_rng(0)
    for number in range(9):
        mask = np.roll(halves(80, 80), 4 * number, axis=1) if number < 8 else np.zeros((80, 80))
        pixels = 90 * mask[..., None] + rng.integers(0, 60, (80, 80, 3))
        write(folder / "images" / f"{number}.png", pixels.astype(np.uint8))
        palette(folder / "masks" / f"{number}.png", mask)
    return zipped(folder).read_bytes()


@pytest.fixture
def cells_id(cells):
    from analytics.serve.annotated_sets import keep_upload
    from analytics.serve.state import services

    return keep_upload(services(), cells, "cells.zip").id


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def survey(app):
    """The gallery on screen."""
    from analytics.serve.state import services

    return services().views.get(app.session_state[_annotated.LAST])


def upload(app, name: str, data: bytes):
    [box] = [one for one in app.file_uploader if one.label == "A zip of pictures with masks"]
    return settle(settle(box.upload(name, data, "application/octet-stream").run()))


def texts(app) -> str:
    return "\n".join(one.value for one in app.text)


def test_scenes_of_every_family_are_shown_first(open_data):
    from analytics.io.scenes import FAMILIES

    app = open_data()
    assert not app.exception and notes_of(app) == ""
    assert [one.family for one in survey(app).images] == list(FAMILIES)
    assert app.query_params["view"] == "annotated" and "data" not in app.query_params


def test_a_link_chooses_family_side_page_and_purity(open_data):
    app = open_data(family="split", side="224", page="2", purity="0.85", background="1")
    assert not app.exception and notes_of(app) == ""
    names = [one.name for one in survey(app).images]
    assert names == [f"split {900_024 + number}" for number in range(12)]
    assert survey(app).images[0].height == 224
    chosen = app.session_state[_annotated.CHOSEN]
    assert (chosen["purity"], chosen["background"]) == ("0.85", "1")
    assert app.query_params["purity"] == "0.85" and app.query_params["page"] == "2"


@pytest.mark.parametrize(
    ("name", "value"), [("family", "clouds"), ("purity", "0.61"), ("look", "x"), ("fitted", "all")]
)
def test_what_a_link_gets_wrong_is_noted_and_left_out(open_data, name, value):
    app = open_data(**{name: value})
    assert not app.exception and notes_of(app).count(f"{name}={value!r}") == 1
    assert app.session_state[_annotated_sets.FITTED] == _annotated_sets.Fitted()


@pytest.mark.parametrize("name", ["data", "fitted"])
def test_a_set_that_is_not_here_gives_way_to_scenes(open_data, name):
    value = "0" * 64 + (":0.60:0" if name == "fitted" else "")
    app = open_data(**{name: value})
    assert not app.exception and "not on this server" in notes_of(app)
    assert survey(app).kind == "scenes"


def test_an_uploaded_set_is_shown_at_once(open_data, cells):
    app = upload(open_data(), "cells.zip", cells)
    assert not app.exception
    found = survey(app)
    assert (found.title, found.kind, len(found.images)) == ("cells.zip", "masks", 9)
    assert app.query_params["data"] == found.data["set"]
    assert app.session_state[_annotated_sets.SAID] == ""


@pytest.mark.parametrize(
    ("name", "cut", "expected"),
    [
        ("cells.zip", 0.6, "expected a whole zip, got one that is damaged or cut short"),
        ("index_ade20k.pkl", 0, "a pickle can run any program"),
    ],
)
def test_what_cannot_be_read_is_said_beside_the_upload(open_data, cells, name, cut, expected):
    data = cells[: int(len(cells) * cut)] if cut else b"\x80\x04\x95index"
    app = upload(open_data(), name, data)
    assert not app.exception and expected in texts(app)
    assert survey(app).kind == "scenes"


def test_a_set_whose_masks_have_another_size_says_so_on_the_page(open_data, tmp_path):
    folder = tmp_path / "set"
    photo(folder / "images" / "a.png", 20, 20)
    palette(folder / "masks" / "a.png", halves(10, 10))
    app = upload(open_data(), "sizes.zip", zipped(folder).read_bytes())
    assert not app.exception
    assert "expected a mask of 20 x 20 pixels" in notes_of(app)
    assert survey(app).kind == "scenes"


def test_a_picked_scene_is_looked_at(open_data, says):
    answers, shown = says
    app = open_data()
    answers.append({"pick": {"survey": survey(app).id, "row": 6}})
    app = settle(settle(app.run()))
    assert not app.exception
    state = app.session_state
    chosen = (state[_objects.SUBJECT], state[_objects.FAMILY], state[_objects.NUMBER])
    assert chosen == ("scene", "strips-own", 0)
    assert app.query_params["scene"] == "strips-own:0" and shown[-1]["looked"] == 6


def test_a_picked_picture_of_a_set_is_looked_at_with_its_masks(open_data, says, cells_id):
    from analytics.serve.marks import find_marks
    from analytics.serve.state import services

    answers, shown = says
    app = open_data(data=cells_id)
    answers.append({"pick": {"survey": survey(app).id, "row": 3}})
    app = settle(settle(app.run()))
    assert not app.exception and notes_of(app) == ""
    picture, marks = app.session_state[PICTURE], app.query_params["marks"]
    assert services().pictures.name(picture) == "images/3.png" and shown[-1]["looked"] == 3
    image = survey(app).sources[3].load()
    held = find_marks(services(), marks)
    assert held.picture == picture
    np.testing.assert_array_equal(held.instances, image.instances)


def test_a_picture_without_objects_is_looked_at_as_a_photograph(open_data, says, cells_id):
    answers, _ = says
    app = open_data(data=cells_id)
    answers.append({"pick": {"survey": survey(app).id, "row": 8}})
    app = settle(settle(app.run()))
    assert not app.exception and "has no marked object" in notes_of(app)
    assert "marks" not in app.query_params and app.session_state[_objects.SUBJECT] == "photograph"


def test_probes_are_fitted_on_the_set_from_then_on(open_data, says, cells_id):
    from analytics.serve.binding_work import find_probe
    from analytics.serve.state import services
    from pages._shared import loaded_model

    answers, shown = says
    app = open_data(data=cells_id)
    asked = {"source": cells_id, "purity": 0.7, "background": True}
    answers.append({"fit": asked})
    app = settle(settle(settle(app.run())))
    assert not app.exception and notes_of(app) == ""
    assert app.query_params["fitted"] == f"{cells_id}:0.70:1"
    assert "9 pictures of cells.zip" in "\n".join(one.value for one in app.caption)
    assert "cells.zip, purity 0.70, unlabelled counted" in shown[-1]["fitted"]
    job = next(
        job
        for job in services().jobs.jobs()
        if job.kind == "binding" and job.params.get("data") == cells_id
    )
    assert job.state == "done" and job.params["purity"] == 0.7
    loaded = loaded_model(SMALL, None, None)
    words = find_probe(services(), str(job.result), "plda", loaded)[1]
    assert words.endswith("pictures of cells.zip")
    [source] = [one for one in app.selectbox if one.label == "Fit on"]
    app = settle(settle(source.set_value("scenes").run()))
    assert app.query_params["fitted"] == "scenes:0.70:1"


def test_a_set_too_small_to_fit_on_says_so(open_data, tmp_path):
    from analytics.serve.annotated_sets import keep_upload
    from analytics.serve.state import services

    folder = tmp_path / "set"
    for number in range(2):
        photo(folder / "images" / f"{number}.png", 80, 80, 60 + number)
        palette(folder / "masks" / f"{number}.png", halves(80, 80))
    few = keep_upload(services(), zipped(folder).read_bytes(), "few.zip").id
    app = open_data(data=few, fitted=f"{few}:0.60:0")
    assert not app.exception and "at least 3" in notes_of(app)


@pytest.mark.parametrize("model", ["resnet18:random", "swin_tiny_patch4_window7_224:random"])
def test_models_without_one_grid_of_patches_do_not_stop_the_gallery(open_data, model):
    app = open_data(model=model, family="split")
    assert not app.exception and survey(app).kind == "scenes"
    assert survey(app).grid.count > 100


def test_one_pixel_pictures_can_be_in_a_set(open_data, tmp_path):
    from analytics.serve.annotated_sets import keep_upload
    from analytics.serve.state import services

    folder = tmp_path / "set"
    photo(folder / "images" / "a.png", 1, 1)
    palette(folder / "masks" / "a.png", np.ones((1, 1)))
    dots = keep_upload(services(), zipped(folder).read_bytes(), "dots.zip").id
    app = open_data(data=dots)
    assert not app.exception and survey(app).images[0].whole == 1
