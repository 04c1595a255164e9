"""The Discovery view's jobs and addresses: exact masks, real files, plain refusals, resuming."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from analytics.io.scenes import make_scene
from analytics.models.registry import load_model, parse_model
from analytics.serve.finding_export import (
    MIMETYPES,
    export_finding,
    labels_png,
    score_words,
    scores_table,
)
from analytics.serve.finding_scenes import export_scenes, means_figure
from analytics.serve.finding_work import make_finding, make_finding_scenes
from analytics.studies.discovery_methods import MEASURES, METHODS
from analytics.studies.discovery_record import DiscoverySet
from tests.serve.asking import silent

MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None, "fit": "crop"}
PLAIN = {**MODEL, "study": "", "row": "", "features": "keys", "point": None, "groups": 3}
SCENE = {**PLAIN, "scene": ["one-colour", 900_005], "picture": None, "job": "finding-1"}
SIDE = 10


class Models:
    """One small model for every name."""

    def __init__(self):
        self.loaded = load_model(parse_model("test_vit:random"))

    def get(self, *_):
        return self.loaded

    def held(self):
        return ()


@pytest.fixture(scope="module")
def models():
    return Models()


@pytest.fixture
def ready(here, models):
    object.__setattr__(here, "models", models)
    from analytics.io.images import Limits
    from analytics.store.pictures import PictureStore

    pictures = PictureStore(here.data_dir / "pictures", limits=Limits())
    object.__setattr__(here, "pictures", pictures)
    return here


@pytest.fixture
def found(ready):
    record = make_finding(ready, SCENE, silent)
    ready.views.put(record.id, record, 1000)
    return record


def address(here, found, kind="finding"):
    return f"/atlas/{kind}/{here.signer.sign(found.id)}"


def test_masks_travel_bit_for_bit(ready, client, found):
    about = client.get(address(ready, found)).json()
    data = client.get(about["urls"]["masks"]).content
    coherence = np.frombuffer(data, "<f4", SIDE * SIDE)
    np.testing.assert_array_equal(coherence, found.discovery.coherence.reshape(-1))
    masks = np.frombuffer(data, np.uint8, offset=4 * SIDE * SIDE).reshape(-1, SIDE, SIDE)
    every = np.concatenate([one.masks for one in found.discovery.found])
    np.testing.assert_array_equal(masks, every)
    counts = [one["count"] for one in about["methods"]]
    assert sum(counts) == len(every) and counts[-1] == 1
    assert [one["name"] for one in about["methods"]] == list(METHODS)
    by_name = {one["name"]: one for one in about["methods"]}
    assert by_name["spectral"]["absent"] == "no probe is fitted yet"
    assert by_name["whole"]["scores"]["best_iou"] == pytest.approx(
        found.discovery.found[-1].scores["best_iou"]
    )
    mask = np.frombuffer(client.get(about["urls"]["mask"]).content, "<i4")
    np.testing.assert_array_equal(mask.reshape(found.mask.shape), found.mask)


def test_the_truth_of_a_scene_is_its_most_frequent_instance(found):
    scene = make_scene("one-colour", 900_005, 224, 14)
    assert found.scene == scene.name and found.discovery.unscored == ""
    assert {*np.unique(found.mask)} <= {*np.unique(scene.instances)}
    patch = found.mask[:16, :16].reshape(-1)
    assert found.discovery.objects[0, 0] == np.bincount(patch).argmax()


def test_a_photograph_is_not_marked(ready):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)).save(
        buffer, "PNG"
    )
    picture = ready.pictures.put(buffer.getvalue(), "a photo.png")
    asked = {**SCENE, "scene": None, "picture": picture.sha256, "job": "finding-2"}
    record = make_finding(ready, asked, silent)
    assert record.mask is None and "nobody has marked" in record.discovery.unscored
    assert score_words(record.discovery.found[0]) == "not marked"
    with pytest.raises(ValueError, match="nobody has marked"):
        labels_png(record, "truth")


def test_labels_are_a_picture_of_16_bits_in_the_models_size(found):
    for method in ("lost", "truth", "cls_heads"):
        read = np.array(Image.open(io.BytesIO(labels_png(found, method))))
        assert read.dtype == np.uint16 and read.shape == found.mask.shape
    patches = found.discovery.objects
    truth = np.array(Image.open(io.BytesIO(labels_png(found, "truth"))))
    np.testing.assert_array_equal(truth[8::16, 8::16], patches)
    heads = next(one for one in found.discovery.found if one.method == "cls_heads")
    alone = np.array(Image.open(io.BytesIO(labels_png(found, "cls_heads", 1))))
    np.testing.assert_array_equal(alone[8::16, 8::16] == 1, heads.masks[1])
    with pytest.raises(ValueError, match="mask of 0 to"):
        labels_png(found, "cls_heads", 99)
    with pytest.raises(ValueError, match="method out of"):
        labels_png(found, "sam")


@pytest.mark.parametrize(
    ("kind", "start"),
    [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("npz", b"PK"), ("json", b"{")],
)
def test_files_are_what_they_say(found, kind, start):
    name, mimetype, data = export_finding(found, kind, "lost", None)
    assert name == f"discovery.{kind}" and mimetype == MIMETYPES[kind]
    assert data.lstrip().startswith(start)


def test_the_table_has_a_line_for_each_method(ready, client, found):
    response = client.get(f"{address(ready, found)}/export/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["method"] for row in rows] == list(METHODS)
    assert float(rows[-1]["patches"]) == SIDE * SIDE
    assert set(MEASURES) <= set(scores_table(found).columns)
    held = np.load(io.BytesIO(export_finding(found, "npz", "lost", None)[2]))
    np.testing.assert_array_equal(held["masks_lost"], found.discovery.found[0].masks)


def test_what_is_not_held_or_not_known_is_said(ready, client, found):
    gone = client.get(f"/atlas/finding/{ready.signer.sign('finding-9')}")
    assert gone.status_code == 410 and "look for them again" in gone.json()["error"]
    scenes = client.get(f"/atlas/finding-scenes/{ready.signer.sign(found.id)}")
    assert scenes.status_code == 410
    for path in ("export/exe", "export/labels?method=sam", "export/labels?mask=x"):
        answer = client.get(f"{address(ready, found)}/{path}")
        assert answer.status_code == 400 and "expected" in answer.json()["error"]
    assert client.get("/atlas/finding/forged").status_code == 404


def test_scores_over_scenes_are_kept_and_found_again(ready, client):
    asked = {**PLAIN, "scenes": 6, "job": "finding-scenes-1"}
    record = make_finding_scenes(ready, asked, silent)
    assert isinstance(record, DiscoverySet) and record.done == 6
    [key] = ready.discovery.keys()
    assert ready.discovery.plan(key)["request"]["job"] == "finding-scenes-1"
    said = []
    again = make_finding_scenes(ready, asked, lambda *one: said.append(one[2]))
    np.testing.assert_array_equal(again.values, record.values)
    assert not any(one.startswith("picture ") for one in said)

    ready.views.put("finding-scenes-1", record, 1000)
    place = f"/atlas/finding-scenes/{ready.signer.sign('finding-scenes-1')}"
    about = client.get(place).json()
    assert about["done"] == 6 and about["families"][0] == "all"
    means = record.means()
    assert about["ends"][0][0][0][0] == pytest.approx(means[0, 0, 0, 0])
    kinds = {row["name"]: row["kind"] for row in about["rows"]}
    assert kinds["lost, random weights"] == "control" and kinds["whole"] == "baseline"
    table = client.get(f"{place}/export/csv").text
    assert len(list(csv.DictReader(io.StringIO(table)))) == len(about["rows"]) * len(
        about["families"]
    )
    wrong = client.get(f"{place}/export/svg?measure=beauty")
    assert wrong.status_code == 400 and "measure out of" in wrong.json()["error"]
    figure = means_figure(record, "correct", "all")
    np.testing.assert_allclose(figure.ends[0], means[0, 0, list(MEASURES).index("correct"), :3])
    for kind, start in (("svg", b"<svg"), ("pdf", b"%PDF"), ("npz", b"PK")):
        assert export_scenes(record, kind, "correct", "all")[2].lstrip().startswith(start)
    plain = json.loads(export_scenes(record, "json", "correct", "all")[2])
    assert plain["families"]["all"]["whole"]["masks"]["mean"] == 1


def test_a_model_without_one_grid_is_refused(ready, models):
    loaded = models.loaded
    models.loaded = load_model(parse_model("swin_tiny_patch4_window7_224:random"))
    try:
        for make, asked in ((make_finding, SCENE), (make_finding_scenes, {**SCENE, "scenes": 2})):
            with pytest.raises(ValueError, match="share one grid of patches"):
                make(ready, asked, silent)
    finally:
        models.loaded = loaded
