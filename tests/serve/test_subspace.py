"""The Subspace view's job and addresses: exact numbers, real files, plain refusals."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import torch

from analytics.io.scenes import make_scene
from analytics.models.binding_probes import BindingProbe
from analytics.models.registry import load_model, parse_model
from analytics.serve import subspace_work
from analytics.serve.binding_subject import BindingSubject
from analytics.serve.subspace_export import MIMETYPES, caption, export_subspace
from analytics.serve.subspace_work import make_subspace
from analytics.serve.view_work import Reading
from analytics.types import Picture
from analytics.views.subspace import NONE, TINTS, object_colours, position_colours
from tests.models.binding_cases import drawn_probe
from tests.serve.asking import silent

POINTS, SIDE = 7, 10
PARAMS = {"fit": "crop", "scene": ["one-colour", 5], "study": "b1", "row": "quadratic"}


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def make(loaded):
    """A layout as the job makes it, with a probe of random numbers."""
    scene = make_scene("one-colour", 5, 224, 14)

    def run(kind="quadratic", marked=True, job="subspace-1"):
        probe = drawn_probe(kind, points=POINTS, width=64, rank=8)
        if kind == "quadratic":
            tensors = {**probe.tensors, "signs": torch.where(probe.tensors["signs"] < 0, -1.0, 1.0)}
            probe = BindingProbe(kind, tensors, {})
        picture = Picture("scene & co.png", "c" * 64, scene.pixels)
        subject = BindingSubject(picture, scene.instances if marked else None, "one-colour 5")
        with pytest.MonkeyPatch.context() as patch:
            reading = Reading(loaded, probe, "2 made scenes", subject)
            patch.setattr(subspace_work, "begin", lambda here, params, report: reading)
            params = {**PARAMS, "job": job}
            return make_subspace(None, params, silent)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def found(make):
    return make()


def keep(here, found):
    here.views.put(found.id, found, 1000)
    return f"/atlas/subspace/{here.signer.sign(found.id)}"


def test_places_and_colours_are_those_of_the_layout(here, client, found):
    address = keep(here, found)
    about = client.get(address).json()
    data = client.get(about["urls"]["places"]).content
    shape = (len(about["parts"]), len(about["points"]), SIDE * SIDE, 3)
    places = np.frombuffer(data, "<f4", int(np.prod(shape))).reshape(shape)
    np.testing.assert_array_equal(places, found.layout.places)
    colours = np.frombuffer(data, np.uint8, offset=places.nbytes).reshape(len(TINTS), -1, 3)
    np.testing.assert_array_equal(colours[1], position_colours(found.layout.grid))
    np.testing.assert_array_equal(colours[2], found.layout.colours)
    objects = np.array(about["objects"])
    for number, ink in object_colours(objects).items():
        assert (colours[0][objects == number] == ink).all()
        assert about["inks"][str(number)] == list(ink)
    assert (colours[0][objects == 0] == NONE).all()


def test_the_mask_comes_with_marked_pictures_alone(here, client, found, make):
    address = keep(here, found)
    data = np.frombuffer(client.get(f"{address}/mask").content, "<i4")
    np.testing.assert_array_equal(data, found.layout.mask.reshape(-1))
    unmarked = make(marked=False, job="subspace-2")
    address = keep(here, unmarked)
    about = client.get(address).json()
    assert about["objects"] is None and about["urls"]["mask"] == ""
    assert about["separations"][0][0][0] == [None] * 4
    assert client.get(f"{address}/mask").status_code == 404


def test_a_probe_without_a_matrix_has_no_spectrum(here, client, make):
    about = client.get(keep(here, make("linear", job="subspace-3"))).json()
    assert about["ranks"] == 0 and [one["name"] for one in about["parts"]] == ["stream"]
    assert about["random_dimensions"] == [None] * 3


def test_what_is_not_held_or_not_ours_is_refused(here, client):
    gone = client.get(f"/atlas/subspace/{here.signer.sign('gone')}")
    assert gone.status_code == 410 and "again" in gone.json()["error"]
    here.views.put("other", object(), 10)
    assert client.get(f"/atlas/subspace/{here.signer.sign('other')}").status_code == 410
    assert client.get("/atlas/subspace/made-up").status_code == 404


@pytest.mark.parametrize("kind", sorted(MIMETYPES))
def test_every_kind_of_file_is_made(here, client, found, kind):
    got = client.get(f"{keep(here, found)}/export/{kind}?point=3&part=rest&tint=object")
    assert got.status_code == 200 and got.headers["content-type"].startswith(MIMETYPES[kind])
    start = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "parquet": b"PAR1", "npz": b"PK"}
    assert got.content.startswith(start.get(kind, b""))


@pytest.mark.parametrize("kind", ["linear", "plda", "cosine"])
def test_figures_are_made_of_every_probe(make, kind):
    other = make(kind, marked=False, job=f"subspace-{kind}")
    data = export_subspace(other, "svg", 0, other.layout.parts[0], "picture")[2]
    assert b"<svg" in data and b"scene &amp; co.png" in data


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("gif", "an export out of"),
        ("svg?point=99", "a point out of 0, 1"),
        ("svg?point=-1", "the number of a point"),
        ("svg?part=soul", "a part out of binding"),
        ("svg?tint=joy", "a colouring out of object"),
    ],
)
def test_unknown_exports_are_refused_in_words(here, client, found, wrong, expected):
    got = client.get(f"{keep(here, found)}/export/{wrong}")
    assert got.status_code == 400 and expected in got.json()["error"]


def test_the_table_has_a_row_for_each_patch(found):
    data = export_subspace(found, "csv", 4, "binding", "object")[2]
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    assert len(lines) == SIDE * SIDE and lines[13]["row"] == "1" and lines[13]["column"] == "3"
    assert float(lines[13]["binding_pc2"]) == pytest.approx(
        float(found.layout.places[0, 4, 13, 1]), rel=1e-5
    )
    assert int(lines[13]["object"]) == found.layout.objects[13]


def test_arrays_and_record_carry_everything(found):
    with np.load(io.BytesIO(export_subspace(found, "npz", 0, "binding", "object")[2])) as file:
        np.testing.assert_array_equal(file["places"], found.layout.places)
        np.testing.assert_array_equal(file["spectra"], found.layout.spectra)
        assert json.loads(str(file["provenance"]))["fitted_on"] == "2 made scenes"
    plain = json.loads(export_subspace(found, "json", 0, "binding", "object")[2])
    assert plain["separations"]["all"]["auc"][0][3] == pytest.approx(
        float(found.layout.separations[0, 3, 0, 2])
    )
    assert "does not show that the model uses" in plain["about"]


def test_the_caption_names_what_is_ours_and_leaves_out_what_is_not_there(found, make):
    text = " ".join(caption(found, 3, "binding", "object"))
    assert "after layer L2" in text and "random matrices" in text and "(ours)" in text
    assert "between objects" in text
    text = " ".join(caption(make("plda", marked=False, job="x"), 0, "stream", "position"))
    assert "random matrices" not in text and "between objects" not in text
