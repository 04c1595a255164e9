"""Addresses of object binding: exact numbers, real files, plain refusals."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from analytics.metrics.binding import MEASURES
from analytics.serve.binding import half_reads
from analytics.serve.binding_export import (
    MEASURE_TITLES,
    MIMETYPES,
    caption,
    export_binding,
    export_bound,
)
from tests.made_binding import POINTS, ROWS, made_binding, made_bound


@pytest.fixture
def study(here):
    """A result that the server holds, and its address."""
    record = made_binding(unfitted=("linear",))
    here.bindings.put((record.id, 0), record, record.nbytes)
    return record, f"/atlas/binding/{here.signer.sign(record.id)}"


def keep(here, found):
    here.bounds.put(found.id, found, found.nbytes)
    return f"/atlas/bound/{here.signer.sign(found.id)}"


def test_every_measure_has_a_title():
    assert set(MEASURE_TITLES) == set(MEASURES)


def test_the_description_has_each_row_as_the_mean_over_seeds(client, study):
    record, address = study
    found = client.get(address).json()
    assert [row["name"] for row in found["rows"]] == list(ROWS)
    place = MEASURES.index("auc_matched")
    expected = record.values[0, 1, :, place, 0].mean()
    assert found["rows"][0]["curves"]["auc_matched"][1][0] == pytest.approx(expected)
    assert found["images"] == {"train": 2, "validation": 1, "test": 1}
    assert not found["complete"] and (found["done"], found["wanted"]) == (8, 10)


def test_what_is_not_fitted_is_null(client, study):
    found = client.get(study[1]).json()
    assert found["rows"][1]["curves"]["auc"] == [[None, None, None]] * POINTS


def test_the_reads_give_the_row_that_the_map_gives(here, client):
    found = made_bound()
    address = keep(here, found)
    about = client.get(address).json()
    data = client.get(f"{address}/reads").content
    points, patches, width = 3, 6, about["width"]
    own = np.frombuffer(data, "<f4", points * patches).reshape(points, patches)
    signs = np.frombuffer(data, "<f4", points * width, own.nbytes).reshape(points, width)
    z = np.frombuffer(data, "<f2", offset=own.nbytes + signs.nbytes).astype(np.float32)
    z = z.reshape(points, patches, width)
    for point in range(points):
        for query in range(patches):
            odds = [
                sum(signs[point, k] * z[point, query, k] * z[point, other, k] for k in range(width))
                + own[point, query]
                + own[point, other]
                + about["bias"][point]
                for other in range(patches)
            ]
            expected = found.same.row(query, point).reshape(-1)
            np.testing.assert_allclose(1 / (1 + np.exp(-np.array(odds))), expected, atol=2e-3)


def test_the_size_of_a_sign_goes_into_the_reads():
    z, signs = half_reads(np.full((1, 1, 2), 3, np.float32), np.array([[-4.0, 0]], np.float32))
    assert z.tolist() == [[[6, 0]]] and signs.tolist() == [[-1, 0]]
    assert np.isfinite(half_reads(np.full((1, 1, 1), 1e6), np.ones((1, 1)))[0]).all()


def test_a_scene_has_its_mask_and_a_photograph_none(here, client):
    found = made_bound()
    address = keep(here, found)
    about = client.get(address).json()
    assert about["objects"] == [1, -1, -1, 1, -1, -1] and about["input"] == [8, 12]
    data = np.frombuffer(client.get(f"{address}/mask").content, "<i4").reshape(8, 12)
    np.testing.assert_array_equal(data, found.mask)
    photograph = keep(here, made_bound("bound2", scene=False))
    about = client.get(photograph).json()
    assert about["objects"] is None and about["urls"]["mask"] == ""
    assert client.get(f"{photograph}/mask").status_code == 404


def test_what_is_not_held_or_not_ours_is_refused(here, client):
    for kind in ("binding", "bound"):
        gone = client.get(f"/atlas/{kind}/{here.signer.sign('gone')}")
        assert gone.status_code == 410 and "again" in gone.json()["error"]
        assert client.get(f"/atlas/{kind}/made-up").status_code == 404


def test_a_table_has_a_line_for_each_point_probe_and_seed():
    name, _, data = export_binding(made_binding(unfitted=("linear",)), "auc", "csv")
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    assert name == "binding.csv"
    # plda and the control at three points, two baselines once; two seeds each.
    assert len(lines) == 2 * (2 * POINTS + 2)
    assert {line["probe"] for line in lines} == set(ROWS) - {"linear"}


def test_the_record_as_json_is_strict_and_says_what_it_does_not_show():
    data = export_binding(made_binding(unfitted=("linear",)), "auc", "json")[2]
    found = json.loads(data, parse_constant=lambda text: pytest.fail(text))
    assert found["curves"]["auc"]["linear"][0] == [None, None, None]
    assert "does not show that the model uses" in found["about"]


@pytest.mark.parametrize("kind", ["svg", "png", "pdf", "parquet"])
def test_every_kind_of_file_is_made(client, study, kind):
    got = client.get(f"{study[1]}/export/{kind}?measure=accuracy")
    assert got.status_code == 200 and got.headers["content-type"].startswith(MIMETYPES[kind])
    start = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "parquet": b"PAR1"}[kind]
    assert got.content.startswith(start)


def test_a_figure_shows_the_measure_that_takes_most_shortcuts_out(client, study):
    words = {one["name"]: one["without"] for one in client.get(study[1]).json()["measures"]}
    assert all("aken out" in words[measure] for measure in MEASURES)
    assert "Left in: colour" in words["auc_matched"]
    assert "Left in" not in words["auc_colour_matched"]
    drawn = client.get(f"{study[1]}/export/svg").text
    assert "colour-matched AUC" in drawn and "distance-matched AUC" not in drawn


def test_unknown_exports_are_refused_in_words(here, client, study):
    assert client.get(f"{study[1]}/export/gif").status_code == 400
    assert "auc_matched" in client.get(f"{study[1]}/export/svg?measure=joy").json()["error"]
    address = keep(here, made_bound())
    for wrong in ("npz?q=6", "npz?q=-1", "npz?q=x", "svg?q=6", "svg?point=9", "svg?point=x", "gif"):
        got = client.get(f"{address}/export/{wrong}")
        assert got.status_code == 400 and "expected" in got.json()["error"]


def test_the_map_of_a_patch_as_a_figure(here, client):
    address = keep(here, made_bound())
    first = client.get(f"{address}/export/svg?q=4&point=0")
    assert first.status_code == 200 and first.headers["content-type"].startswith("image/svg")
    assert "Same object as patch 1,1, read at the embedding" in first.text
    assert first.text.count(">embedding<") == 1 and first.text.count(">L1<") == 1  # small maps
    last = client.get(f"{address}/export/svg?q=4").text
    assert "read after layer L1" in last
    assert client.get(f"{address}/export/pdf?q=0").content.startswith(b"%PDF")


def test_shipped_probes_stand_beside_what_was_fitted(here, client, study, monkeypatch):
    from analytics.studies import binding_ready

    curves = {measure: [[0.9, 0.8, 1.0]] * 3 for measure in MEASURES}
    ready = {"plda": (curves, 220), "quadratic": (curves, 220)}
    monkeypatch.setattr(binding_ready, "ready_rows", lambda made: ready)
    rows = {row["name"]: row for row in client.get(study[1]).json()["rows"]}
    assert rows["quadratic"]["measured_on"] == 220
    assert rows["quadratic"]["curves"]["auc"][0] == [0.9, 0.8, 1.0]
    assert "measured_on" not in rows["plda"]  # its own was fitted


def test_the_map_of_a_patch_as_arrays():
    found = made_bound()
    with np.load(io.BytesIO(export_bound(found, 4, "npz")[2])) as file:
        np.testing.assert_array_equal(file["same_object"][1], found.same.row(4, 1))
        np.testing.assert_array_equal(file["mask"], found.mask)
        about = json.loads(str(file["provenance"]))
    assert about["query"] == [1, 1] and about["fitted_on"] == "2 made scenes"
    plain = json.loads(export_bound(found, 4, "json")[2])
    np.testing.assert_allclose(plain["same_object"], [found.same.row(4, p) for p in (0, 1, 2)])


def test_the_caption_says_what_is_partial():
    assert any(
        "Partial: 8 of 10" in line for line in caption(made_binding(unfitted=("plda",)), "auc")
    )
    assert not any("Partial" in line for line in caption(made_binding(), "auc"))
