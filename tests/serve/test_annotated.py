"""The Data view's job and routes: what patches keep, what is served, what is exported."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from analytics.io.annotated import AnnotatedImage
from analytics.metrics.patch_objects import patch_objects
from analytics.serve.annotated_export import export_annotated, objects_at
from analytics.serve.annotated_images import PURITIES, live_counts, shown_image, subject_bytes
from analytics.serve.annotated_sets import keep_upload
from analytics.serve.annotated_work import input_grid, make_annotated
from analytics.types import PatchGrid
from tests.io.annotated_making import halves, palette, photo, zipped

GRID = PatchGrid(4, 4)
PARAMS = {"model": "small", "checkpoint": None, "size": None, "job": "annotated-1"}


def annotated(instances: np.ndarray, shade: int = 90) -> AnnotatedImage:
    pixels = np.full((*instances.shape, 3), shade, np.uint8)
    return AnnotatedImage("one.png", pixels, instances.astype(np.int32), {7: "cup"})


def silent(done, total, message=""):
    """A report that nobody hears."""


@pytest.fixture
def survey(here, monkeypatch):
    """Reads data as the job does, for a model of 8 x 8 pixels with patches of 2."""
    loaded = SimpleNamespace(
        input_size=(8, 8),
        patch_size=2,
        label="small",
        weights_sha256="b" * 64,
        spec=SimpleNamespace(public_id="small"),
        device="cpu",
    )
    from analytics.serve import binding_subject

    monkeypatch.setattr(binding_subject, "binding_model", lambda here, params: loaded)

    def read(data, key="annotated-1"):
        found = make_annotated(here, {**PARAMS, "data": data, "job": key}, silent)
        here.views.put(found.id, found, found.nbytes)
        return found

    return read


@pytest.fixture
def pair(here, tmp_path):
    """A set of two pictures of 8 x 8: halves, and one whose masks are all background."""
    folder = tmp_path / "made"
    for name, mask in (("a", halves(8, 8)), ("b", np.zeros((8, 8)))):
        photo(folder / "images" / f"{name}.png", 8, 8, 90 if name == "a" else 120)
        palette(folder / "masks" / f"{name}.png", mask)
    return keep_upload(here, zipped(folder).read_bytes(), "made.zip").id


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("purity", PURITIES)
def test_counts_are_those_of_patch_objects(purity, background):
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 4, (8, 8)).repeat(3, 0).repeat(3, 1)
    image = annotated(blocks)
    shown = shown_image(image, (24, 24), GRID)
    kept, live = live_counts(shown.most, shown.shares)
    truth, _ = patch_objects(image.instances, GRID, purity, background)
    row, column = PURITIES.index(purity), int(background)
    assert kept[row, column] == (truth >= 0).sum()
    assert live[row, column] == len(np.unique(truth[truth >= 0]))
    ids = np.array([-1, 0, *shown.ids])
    np.testing.assert_array_equal(ids[objects_at(shown, purity, background) + 1], truth)


def test_two_patches_of_one_instance():
    kept, live = live_counts(np.array([[1, 1]]), np.array([[1, 0.5]], np.float32))
    at = PURITIES.index
    assert kept[at(0.5)].tolist() == [2, 2] and kept[at(0.55)].tolist() == [1, 1]
    assert live[at(0.5)].tolist() == [1, 1] and live[at(1.0)].tolist() == [1, 1]


def test_a_one_pixel_object_is_an_instance_that_keeps_no_patch():
    instances = np.zeros((8, 8), int)
    instances[:, :4], instances[5, 6] = 7, 9
    shown = shown_image(annotated(instances), (8, 8), GRID)
    assert shown.ids == (7, 9) and shown.classes == ("cup", "") and shown.pixels == (32, 1)
    assert live_counts(shown.most, shown.shares)[1][PURITIES.index(0.6)].tolist() == [1, 2]


def test_three_hundred_instances_are_all_told_apart():
    places = np.arange(400).reshape(20, 20) % 301
    shown = shown_image(annotated(places), (20, 20), PatchGrid(20, 20))
    assert shown.whole == 300 and len(shown.ids) == 300
    assert live_counts(shown.most, shown.shares)[1][-1].tolist() == [300, 301]


def test_what_the_crop_loses_is_said():
    wide = np.zeros((8, 24), int)
    wide[:, :4], wide[:, 10:12] = 1, 2
    shown = shown_image(annotated(wide), (8, 8), GRID)
    assert shown.ids == (2,) and shown.whole == 2
    assert "1 of 2 instances lie outside the crop" in shown.notes


def test_large_inputs_are_shown_smaller_with_mask_and_picture_alike():
    shown = shown_image(annotated(halves(560, 560)), (560, 560), GRID)
    assert shown.shown == (280, 280)
    assert Image.open(io.BytesIO(shown.picture)).size == (280, 280)


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [((224, 224), 14, (16, 16)), ((224, 192), 32, (7, 6)), ((224, 224), None, (14, 14))],
)
def test_the_grid_of_a_model(size, patch, expected):
    grid = input_grid(SimpleNamespace(input_size=size, patch_size=patch))
    assert (grid.rows, grid.columns) == expected


def test_a_set_is_read_and_served(survey, pair, here, client):
    found = survey({"set": pair})
    assert (found.title, found.kind) == ("made.zip", "masks")
    told = client.get(f"/atlas/annotated/{here.signer.sign(found.id)}").json()
    assert [one["whole"] for one in told["images"]] == [2, 0] and told["source"] == pair
    assert any("no instance" in note for note in told["images"][1]["notes"])
    assert told["notes"][0].startswith("Recognised as pictures with masks: 2 pairs")
    at = told["purities"].index(0.6)
    assert told["live"][0][at] == [2, 2] and told["live"][1][at] == [0, 1]
    tile = client.get(f"{told['urls']['tile']}/0").json()
    mask = np.frombuffer(base64.b64decode(tile["mask"]), "<u2").reshape(tile["shown"])
    np.testing.assert_array_equal(mask, halves(8, 8))
    assert tile["ids"] == [1, 2] and len(tile["most"]) == len(tile["shares"]) == 16
    picture = client.get(f"{told['urls']['picture']}/0")
    assert Image.open(io.BytesIO(picture.content)).size == (8, 8)


def test_what_is_not_there_is_refused(survey, pair, here, client):
    token = here.signer.sign(survey({"set": pair}).id)
    assert client.get(f"/atlas/annotated/{token}/tile/2").status_code == 404
    assert client.get(f"/atlas/annotated/{token}/tile/x").status_code == 400
    assert client.get(f"/atlas/annotated/{here.signer.sign('gone')}").status_code == 410
    answer = client.get(f"/atlas/annotated/{token}/export/csv?purity=0.61")
    assert answer.status_code == 400 and "expected a purity" in answer.json()["error"]


def test_scenes_take_the_families_in_turn(survey):
    data = {"families": ["one-colour", "split"], "first": 900_004, "count": 3, "side": 168}
    found = survey(data)
    names = [one.name for one in found.images]
    assert names == ["one-colour 900004", "split 900004", "one-colour 900005"]
    assert found.kind == "scenes" and all(one.whole >= 1 for one in found.images)


def test_unreadable_pictures_are_skipped_with_their_reason(survey, here, tmp_path):
    folder = tmp_path / "mixed"
    photo(folder / "images" / "good.png", 8, 8)
    palette(folder / "masks" / "good.png", halves(8, 8))
    photo(folder / "images" / "wrong.png", 8, 8)
    palette(folder / "masks" / "wrong.png", halves(6, 6))
    (folder / "images" / "again.png").write_bytes((folder / "images" / "good.png").read_bytes())
    (folder / "masks" / "again.png").write_bytes((folder / "masks" / "good.png").read_bytes())
    found = survey({"set": keep_upload(here, zipped(folder).read_bytes(), "mixed.zip").id})
    assert [one.name for one in found.images] == ["images/again.png"]
    reasons = dict(found.skipped)
    assert reasons["images/good.png"] == "the same as images/again.png"
    assert "expected a mask of 8 x 8 pixels" in reasons["images/wrong.png"]


def test_a_set_of_which_nothing_can_be_read_says_why(survey, here, tmp_path):
    folder = tmp_path / "sizes"
    photo(folder / "images" / "a.png", 8, 8)
    palette(folder / "masks" / "a.png", halves(4, 4))
    kept = keep_upload(here, zipped(folder).read_bytes(), "sizes.zip")
    with pytest.raises(ValueError, match=r"none of 1 pictures.*8 x 8 pixels.*got 4 x 4"):
        survey({"set": kept.id})


def test_exports_hold_pictures_and_those_that_were_skipped(survey, pair):
    found = replace(survey({"set": pair}), skipped=(("c.png", "damaged"),))
    name, _, data = export_annotated(found, "csv", 0.6, False, (0, 12))
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert name == "annotated.csv" and [row["image"] for row in rows][2] == "c.png"
    assert rows[0]["objects_kept"].startswith("2") and rows[2]["skipped"] == "damaged"
    about = json.loads(export_annotated(found, "json", 0.6, True, (0, 12))[2])
    assert about["unlabelled_counts"] and about["images"][1]["objects_kept"] == 1
    arrays = np.load(io.BytesIO(export_annotated(found, "npz", 0.6, False, (0, 12))[2]))
    assert arrays["objects"].shape == (2, 4, 4) and arrays["objects"][0, 3].tolist() == [1, 1, 2, 2]
    assert (arrays["objects"][1] == -1).all()


@pytest.mark.parametrize(
    ("kind", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_contact_sheet_is_drawn(survey, pair, kind, begins):
    found = survey({"set": pair})
    _, _, data = export_annotated(found, kind, 0.6, False, (0, 12))
    assert data.lstrip().startswith(begins)
    if kind == "svg":
        assert b"2 of 2 objects" in data and data.count(b"<image") == 2


def test_a_sheet_without_pictures_and_other_kinds_are_refused(survey, pair):
    found = survey({"set": pair})
    with pytest.raises(ValueError, match="first picture below 2"):
        export_annotated(found, "svg", 0.6, False, (24, 12))
    with pytest.raises(ValueError, match="expected an export"):
        export_annotated(found, "exe", 0.6, False, (0, 12))


def test_the_subject_is_the_file_itself_or_the_pixels(tmp_path, survey, pair):
    found = survey({"set": pair})
    image = found.sources[0].load()
    data = subject_bytes(found.sources[0], image)
    assert data == (tmp_path / "made" / "images" / "a.png").read_bytes()
    made = subject_bytes(SimpleNamespace(name="scene"), image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(made))), image.pixels)


def test_colours_are_those_of_the_browser_and_pale_patches_are_white():
    from analytics.views.annotated import instance_colour, painted

    assert instance_colour(0) == (150, 150, 150)
    assert len({instance_colour(place) for place in range(1, 25)}) == 24
    laid = painted(np.zeros((2, 4, 3), np.uint8), np.array([[-1, 1]]))
    assert laid[0, 0].tolist() == [184] * 3
    expected = [round(0.55 * one) for one in instance_colour(1)]
    assert laid[0, 3].tolist() == expected


def test_more_colours_than_can_be_told_apart_are_no_unlabelled_pixels():
    places = 1 + np.arange(300 * 300).reshape(300, 300)
    shown = shown_image(annotated(places), (300, 300), PatchGrid(300, 300))
    assert shown.whole == 90_000 and shown.most.min() == 1 and shown.most.max() == 65_535
