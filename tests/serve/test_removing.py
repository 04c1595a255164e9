"""Addresses of the ablation view: a growing sweep, an edited picture, files, plain refusals."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from analytics.serve.ablation_export import MIMETYPES as SWEEP_KINDS
from analytics.serve.ablation_export import SUBSPACES, export_ablation, words_of
from analytics.serve.ablation_work import EditedPicture, HeldAblation, partial_key
from analytics.serve.removing_export import MIMETYPES, export_edited
from analytics.studies.binding_ablation_record import ABLATION_MEASURES
from tests.made_binding import made_bound
from tests.serve.test_ablation import record as made_ablation

QUERY = 2


def half_done():
    """The full shuffle of the principal part is not measured yet."""
    record = made_ablation(0.7, 0.6)
    values, moved = record.values.copy(), record.moved.copy()
    values[2, 1], moved[2, 1] = np.nan, np.nan
    return replace(record, values=values, moved=moved)


def edited():
    before = made_bound()
    same = replace(before.same, bias=before.same.bias + 1)
    after = replace(before, id="after", same=same)
    return EditedPicture("edit", 1, None, "shuffle", "binding", 0.5, before, after, 0.25)


@pytest.fixture
def sweep(here, client):
    def ask(record, key="sweep", path=""):
        held = HeldAblation(record, "quadratic", "40 made scenes")
        here.views.put(key, held, held.nbytes)
        return client.get(f"/atlas/ablation/{here.signer.sign('sweep')}{path}")

    return ask


def test_a_sweep_is_told_step_by_step(sweep):
    found = sweep(half_done(), partial_key("sweep")).json()
    assert (found["done"], found["wanted"], found["complete"]) == (5, 6, False)
    assert found["values"][2][1][0] == [None, None, None] and found["moved"][2][1] is None
    assert found["values"][0][1][0][0] == pytest.approx(0.7)
    assert [one["title"] for one in found["subspaces"]] == [
        SUBSPACES[name] for name in ("binding", "random", "principal")
    ]
    assert not found["alive"]
    # The whole record takes the place of the part.
    assert sweep(made_ablation(0.7, 0.6)).json()["complete"]


def test_the_words_of_a_partial_sweep_leave_out_what_is_not_measured():
    effect, verdict = words_of(half_done(), "auc_matched")
    assert "PCA" not in effect and "random part, equal energy -0.010" in effect
    assert "moves 20.0% of the patches' variance" in effect
    assert "more than its controls" in verdict


def test_the_whole_stream_is_no_control():
    record = made_ablation(0.5, 0.8)
    names = ("binding", "stream", "principal")
    told = replace(record, subspaces=names, values=record.values.copy())
    told.values[1, 1, 0] = 0.1, 0.09, 0.11
    effect, verdict = words_of(told, "auc_matched")
    assert "whole stream, its own energy -0.800" in effect
    assert "more than its controls of equal energy" in verdict


def test_where_the_part_is_the_whole_stream_nothing_is_compared():
    record = made_ablation(0.5, 0.8)
    whole = replace(record, held=np.array([1, 1, 1], np.float32))
    assert words_of(whole, "auc_matched")[1].startswith("The part is the whole stream")


def test_one_picture_has_no_interval_and_shows_nothing():
    record = made_ablation(0.5, 0.8)
    record.values[:, 1, 0, 1:] = np.nan
    effect, verdict = words_of(record, "auc_matched")
    assert "(" not in effect.split("by:")[1] and "no difference is shown" in verdict


@pytest.mark.parametrize("kind", SWEEP_KINDS)
def test_every_kind_of_sweep_is_a_file(kind):
    name, mimetype, data = export_ablation(half_done(), "auc_matched", kind)
    assert name.endswith(f".{kind}") and mimetype == SWEEP_KINDS[kind]
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "parquet": b"PAR1"}
    assert data.startswith(starts.get(kind, b""))
    if kind == "svg":
        assert b"Partial: 5 of 6" in data
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert len(rows) == 6 and float(rows[1]["auc_matched"]) == pytest.approx(0.7)
    if kind == "json":
        assert json.loads(data)["steps_done"] == 5


def test_what_is_unknown_of_a_sweep_is_refused(sweep, here, client):
    assert "auc_matched" in sweep(half_done(), path="/export/csv?measure=none").json()["error"]
    assert sweep(half_done(), path="/export/docx").status_code == 400
    gone = client.get(f"/atlas/ablation/{here.signer.sign('gone')}")
    assert gone.status_code == 410 and "measure it again" in gone.json()["error"]
    assert client.get("/atlas/ablation/unsigned").status_code == 404
    assert client.get(f"/atlas/edited/{here.signer.sign('sweep')}").status_code == 410


def test_an_edit_names_its_two_maps(here, client):
    found = edited()
    here.views.put(found.id, found, found.nbytes)
    address = f"/atlas/edited/{here.signer.sign(found.id)}"
    about = client.get(address).json()
    assert (about["edit"], about["part"], about["amount"]) == ("shuffle", "binding", 0.5)
    assert about["moved"] == 0.25
    maps = [client.get(f"/atlas/bound/{token}").json() for token in about["bounds"]]
    assert [one["bias"][-1] for one in maps] == [
        pytest.approx(float(one.same.bias[-1])) for one in (found.before, found.after)
    ]
    assert client.get(f"{address}/export/json?q=x").status_code == 400
    answer = client.get(f"{address}/export/npz?q={QUERY}")
    with np.load(io.BytesIO(answer.content)) as arrays:
        np.testing.assert_allclose(
            arrays["difference"], found.after.same.row(QUERY) - found.before.same.row(QUERY)
        )


@pytest.mark.parametrize("kind", MIMETYPES)
def test_every_kind_of_picture_is_a_file(kind):
    found = edited()
    name, mimetype, data = export_edited(found, QUERY, kind)
    assert name == f"ablation-picture.{kind}" and mimetype == MIMETYPES[kind]
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "npz": b"PK"}
    assert data.startswith(starts.get(kind, b"{"))
    if kind == "svg":
        assert b"shuffle 0.5 of the binding part at point 1" in data and b"difference" in data


def test_measures_have_titles_and_definitions(sweep):
    found = sweep(made_ablation(0.5, 0.8)).json()["measures"]
    assert [one["name"] for one in found] == list(ABLATION_MEASURES)
    assert all(one["definition"].endswith(".") and one["words"] for one in found)
