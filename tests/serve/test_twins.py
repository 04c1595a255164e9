"""Identical copies: the job's known answers, its addresses, files and refusals."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from analytics.io.canvas_places import read_layout
from analytics.models.pool import ModelPool
from analytics.serve import binding_work, twins_work
from analytics.serve.twins_export import CHANCES, MIMETYPES, exact_words, export_twins
from analytics.serve.twins_work import held_twins
from analytics.serve.view_work import view_work
from analytics.store.pictures import PictureStore
from analytics.studies.binding_copies import ROUNDING
from tests.models.binding_cases import drawn_probe
from tests.serve.asking import run

MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None}
ALIGNED = "house~40~plain~4~grid~160~0.0_80.96"
POINTS, SIDE, PATCH = 7, 10, 16


@pytest.fixture
def measure(here, monkeypatch):
    """Measures a layout on a small model, with a probe of random numbers where a row is named."""
    object.__setattr__(here, "models", ModelPool())
    object.__setattr__(here, "pictures", PictureStore(here.data_dir / "own"))
    here.jobs.register("twins", view_work(here, twins_work.twins_maker()))
    probe = drawn_probe("quadratic", POINTS, 64, rank=4)
    probe.tensors["matrix"].mul_(0.05)
    monkeypatch.setattr(binding_work, "find_probe", lambda *_: (probe, "2 made scenes"))

    def asked(layout=ALIGNED, row="quadratic", key="twins-1", **more):
        params = {**MODEL, "layout": layout, "study": "b1", "row": row, "job": key, **more}
        job = run(here, "twins", params, key)
        return held_twins(here, key) if job.state == "done" else job.error

    return asked


@pytest.fixture
def address(here, measure):
    found = measure()
    return found, f"/atlas/twins/{here.signer.sign(found.id)}"


def test_aligned_copies_without_positions_are_equal_at_the_embedding_and_but_for_rounding_after(
    measure,
):
    found = measure().copies
    assert found.aligned and found.identical and found.patches.shape[0] == 2
    assert found.differences[1, 0] == 0 and found.cosines[1, 0] == 0
    assert (found.largest[1] < ROUNDING).all()
    assert found.differences[0, 0] > 1e-3 and found.cosines[0, 0] > 1e-7
    # Then a patch and its twin cannot be told apart: P of the twins is P of a patch with itself.
    same = measure().bounds[1].same
    own = [same.row(int(patch), 0).flat[patch] for patch in found.patches[0]]
    assert found.twins[1, 0] == pytest.approx(np.mean(own), abs=1e-3)


def test_free_copies_differ_from_the_embedding_on(measure):
    found = measure("house~40~plain~4~free~160~3.5_80.96")
    assert not found.copies.aligned and not found.copies.identical
    assert found.copies.differences[1, 0] > 1e-3
    assert "different pixels" in exact_words(found)[0]


def test_the_words_say_what_is_exact(measure):
    without, with_them = exact_words(measure())
    assert "by exactly 0 at the embedding" in without and "after it" in without
    assert with_them.startswith("With it they differ from the start: by 0.")


def test_on_a_ground_that_does_not_repeat_only_filled_patches_count(measure):
    plain = measure("box~60~plain~4~grid~160~0.0_80.48")
    soft = measure("box~60~soft~4~grid~160~0.0_80.48", key="twins-2")
    assert soft.copies.identical and soft.copies.largest[1, 0] == 0
    assert 0 < soft.copies.patches.shape[1] < plain.copies.patches.shape[1]
    small = measure("flower~15~soft~4~grid~160~0.0_80.48", key="twins-3")
    assert small.copies is None and "take a larger object" in small.notes[-1]


def test_one_copy_has_a_map_and_no_curves(here, client, measure):
    found = measure("house~40~plain~4~grid~160~0.0")
    assert found.copies is None and len(found.bounds) == 2
    assert found.notes == ("One copy has none to be compared with: add another.",)
    got = client.get(f"/atlas/twins/{here.signer.sign(found.id)}/export/csv")
    assert got.status_code == 400 and "add another" in got.json()["error"]


def test_without_a_probe_there_are_distances_and_no_chances(measure):
    found = measure(row="")
    assert found.bounds == () and found.row == ""
    assert np.isfinite(found.copies.differences).all() and np.isnan(found.copies.twins).all()


def test_what_cannot_be_laid_or_read_is_said_plainly(measure):
    assert "one grid of patches" in measure(model="swin_tiny_patch4_window7_224:random")
    assert "mark one" in measure("marked:1~35~plain~0~grid~160~", key="twins-2")
    found = measure("house~40~plain~4~grid~160~0.0_900.900_0.16", key="twins-3")
    assert found.canvas.layout.places == ((0, 0), (96, 112))
    assert any("moved inside" in one for one in found.notes)
    assert any("no room" in one for one in found.notes)


def test_an_object_of_a_scene_is_copied(measure):
    found = measure("marked:1~40~plain~4~grid~160~", scene=["one-colour", 900_001])
    assert found.canvas.layout.object == "marked:1" and found.copies.identical


def test_the_address_tells_layout_curves_and_maps(client, address):
    found, path = address
    about = client.get(path).json()
    assert about["layout"]["places"] == [[0, 0], [80, 96]] and about["asked"] == ALIGNED
    assert about["patch"] == [PATCH, PATCH] and about["input"] == [160, 160]
    assert about["curves"]["differences"][1][0] == 0
    assert about["compared"] == found.copies.patches.tolist()
    assert len(about["bounds"]) == 2
    for token in about["bounds"]:
        map_of = client.get(f"/atlas/bound/{token}").json()
        assert (map_of["rows"], map_of["columns"]) == (SIDE, SIDE)


def test_ground_and_object_come_unchanged_and_make_the_picture(client, address):
    found, path = address
    ground, figure = (
        np.asarray(Image.open(io.BytesIO(client.get(f"{path}/part/{name}").content)))
        for name in ("ground", "object")
    )
    made = ground.copy()
    for row, column in read_layout(ALIGNED).places:
        part = made[row : row + figure.shape[0], column : column + figure.shape[1]]
        part[figure[..., 3] > 0] = figure[figure[..., 3] > 0][:, :3]
    np.testing.assert_array_equal(made, found.canvas.image.pixels)
    picture = client.get(f"{path}/export/picture").content
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture))), made)


@pytest.mark.parametrize("kind", sorted(MIMETYPES))
def test_every_kind_of_file_is_made(client, address, kind):
    got = client.get(f"{address[1]}/export/{kind}?measure=cosines")
    assert got.status_code == 200 and got.headers["content-type"].startswith(MIMETYPES[kind])
    start = {
        "svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "parquet": b"PAR1", "npz": b"PK",
        "picture": b"\x89PNG", "csv": b"variant,point", "json": b"{",
    }[kind]  # fmt: skip
    assert got.content.startswith(start)


def test_the_files_hold_the_curves_and_the_layout(address):
    found, _ = address
    rows = list(csv.DictReader(io.StringIO(export_twins(found, "cosines", "csv")[2].decode())))
    assert len(rows) == 2 * POINTS
    first = next(row for row in rows if row["variant"] == "without positions")
    assert float(first["differences"]) == 0 and set(CHANCES) <= set(first)
    about = json.loads(export_twins(found, "cosines", "json")[2])
    assert about["layout"]["text"] == ALIGNED and about["layout"]["seed"] == 4
    arrays = np.load(io.BytesIO(export_twins(found, "cosines", "npz")[2]))
    np.testing.assert_array_equal(arrays["instances"], found.canvas.image.instances)


def test_what_is_not_held_or_unknown_is_refused(here, client, address):
    assert client.get(f"/atlas/twins/{here.signer.sign('gone')}").status_code == 410
    assert client.get("/atlas/twins/made-up").status_code == 404
    assert client.get(f"{address[1]}/part/sky").status_code == 404
    assert client.get(f"{address[1]}/export/gif").status_code == 400
    assert client.get(f"{address[1]}/export/svg?measure=beauty").status_code == 400
