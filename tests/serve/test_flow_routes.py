"""Addresses of a flow: strict JSON, exact bytes, real files, plain refusals; and its job."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from analytics.metrics.faithfulness import area_under
from analytics.serve.flow import missing_maps, parts
from analytics.serve.flow_export import COLUMNS, Shown, caption, export_flow
from analytics.serve.flow_work import flow_work, what_if_of
from analytics.studies.flow_record import MAP_NAMES, WhatIf
from tests.made_flow import changed_flow, made_flow


def keep(here, record):
    here.flows.put(record.id, record, record.nbytes)
    return f"/atlas/flow/{here.signer.sign(record.id)}"


def test_the_description_names_maps_curves_and_random_orders(here, client):
    record = made_flow()
    found = client.get(keep(here, record)).json()
    assert [one["name"] for one in found["maps"]] == list(MAP_NAMES)
    assert found["maps"][0]["deletion"] == pytest.approx(list(record.maps[0].deletion))
    areas = [area_under(record.fractions, one) for one in record.random_deletion]
    assert found["random"]["deletion"]["auc"] == pytest.approx(np.mean(areas))
    assert found["random"]["deletion"]["auc_std"] == pytest.approx(np.std(areas))
    assert found["random"]["deletion"]["low"][1] == pytest.approx(
        record.random_deletion[:, 1].min()
    )
    assert found["prefix"] == ["cls", "reg0"] and (found["rows"], found["columns"]) == (4, 4)
    assert found["massive"][0]["token"] == "3,3"
    assert found["what_if"] is None


def test_nan_becomes_null_and_nothing_else(here, client):
    found = client.get(keep(here, made_flow())).json()
    agreement = found["shift"]["agreement"]
    assert agreement[0][0] is None
    assert all(one is not None for one in agreement[1])


def test_the_numbers_are_the_tables_in_the_order_that_is_listed(here, client):
    record = changed_flow(made_flow())
    address = keep(here, record)
    listed = client.get(address).json()["tables"]
    data = np.frombuffer(client.get(f"{address}/maps").content, "<f4")
    at = 0
    for one, (name, table) in zip(listed, parts(record), strict=True):
        count = int(np.prod(one["shape"]))
        assert one["name"] == name and one["shape"] == list(table.shape)
        np.testing.assert_array_equal(data[at : at + count], table.reshape(-1))
        at += count
    assert at == len(data)
    assert {"changed:rollout", "changed:raw", "changed:received"} <= {one["name"] for one in listed}


def test_a_what_if_is_described_beside_the_maps_it_changed(here, client):
    found = client.get(keep(here, changed_flow(made_flow(), 5.0, 0.25))).json()["what_if"]
    assert (found["threshold"], found["p"], found["prefix"]) == (5.0, 0.25, True)
    assert found["cosine"] == pytest.approx(0.93)
    assert found["sinks"] == 1
    assert found["after"][0] == ["tabby", pytest.approx(0.558)]


def test_a_map_that_is_missing_comes_with_its_reason(here, client):
    record = made_flow(names=("rollout", "raw"))
    reasons = missing_maps(record)
    assert reasons["relevance"] == "made without it"
    assert set(reasons) == {"relevance", "legrad"}
    assert client.get(keep(here, record)).json()["missing"] == reasons


@pytest.mark.parametrize("kind", ["svg", "pdf", "png", "npz", "csv", "json"])
def test_every_export_is_a_real_file(here, client, kind):
    address = keep(here, made_flow())
    answer = client.get(f"{address}/export/{kind}?scaling=own&layer=1&threshold=4")
    assert answer.status_code == 200
    assert f'filename="flow-holiday---co.{kind}"' in answer.headers["content-disposition"]
    starts = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "npz": b"PK", "json": b"{"}
    if kind in starts:
        assert answer.content.startswith(starts[kind])
    if kind == "png":
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.width > 900
            assert "flow" in json.loads(image.text["Description"])
    if kind == "svg":
        text = answer.content.decode()
        for words in ("Raw attention, L1", "A made model", "SHA-256", "4 x uniform"):
            assert words in text


def test_the_table_has_one_row_for_each_number():
    record = made_flow()
    _, _, data = export_flow(record, Shown(), "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 4 * (16 + 2 * 9) + 3 * 3 * 18
    last = [one for one in rows if one["quantity"] == "received" and one["token"] == "3,3"]
    assert [float(one["value"]) for one in last] == pytest.approx(list(record.received[:, -1]))
    assert {(float(one["row"]), float(one["column"])) for one in last} == {(3.0, 3.0)}
    assert next(one for one in rows if one["token"] == "cls")["row"] == ""


def test_arrays_and_record_hold_the_what_if():
    record = changed_flow(made_flow())
    _, _, data = export_flow(record, Shown(), "npz")
    with np.load(io.BytesIO(data)) as file:
        np.testing.assert_array_equal(file["map_legrad"], record.map("legrad").values)
        assert json.loads(str(file["provenance"]))["what_if"]["embedding_cosine"] == 0.93
    found = json.loads(export_flow(record, Shown(), "json")[2])
    assert found["grid_size"] == [4, 4] and found["provenance"]["model"] == "bundled"


def test_the_caption_says_scale_score_sinks_and_random_orders():
    text = " ".join(caption(made_flow(), Shown("same", -1, 5.0)))
    for words in ("divided by its mean", "probability of tabby", "3 random orders", "3,3"):
        assert words in text


@pytest.mark.parametrize(
    ("query", "words"),
    [("scaling=log", "scaling"), ("layer=9", "layer from 0 to 2"), ("layer=x", "number for layer")],
)
def test_what_cannot_be_drawn_is_refused_in_words(here, client, query, words):
    answer = client.get(f"{keep(here, made_flow())}/export/svg?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_flow_without_maps_has_tables_but_no_figure(here, client):
    address = keep(here, made_flow(names=()))
    refused = client.get(f"{address}/export/png")
    assert refused.status_code == 400 and "take JSON" in refused.json()["error"]
    assert client.get(f"{address}/export/csv").status_code == 200
    assert client.get(address).json()["maps"] == []


def test_a_flow_that_left_is_gone_and_a_foreign_token_unknown(here, client):
    assert client.get(f"/atlas/flow/{here.signer.sign('0' * 64)}").status_code == 410
    assert client.get("/atlas/flow/made-up").status_code == 404


def test_a_what_if_is_checked_before_the_model_runs():
    asked = {"threshold": 5, "p": 0.5, "prefix": False}
    assert what_if_of({"what_if": asked}) == WhatIf(5.0, 0.5, False)
    assert what_if_of({"what_if": None}) is None
    with pytest.raises(ValueError, match="p from 0"):
        what_if_of({"what_if": {**asked, "p": 1.5}})
    with pytest.raises(ValueError, match="above 0"):
        what_if_of({"what_if": {**asked, "threshold": 0}})


def picture_bytes():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_job_holds_its_record_and_takes_it_over_for_a_what_if(here):
    from dataclasses import replace

    from analytics.models.pool import ModelPool
    from analytics.studies.flow import measure_flow

    here = replace(here, models=ModelPool())
    sha256 = here.pictures.put(picture_bytes(), "x.png").sha256
    params = {"model": "test_vit:random", "picture": sha256, "fit": "crop", "size": None}
    said = []
    work = flow_work(here)
    key = work(params, lambda done, total, message: said.append(message))
    plain = here.flows.get(key)
    assert plain.redistribution is None and plain.picture.sha256 == sha256
    assert any("removing patches" in one for one in said)
    said.clear()
    assert work(params, lambda done, total, message: said.append(message)) == key
    assert not any("removing patches" in one for one in said)
    asked = {**params, "what_if": {"threshold": 0.5, "p": 0.0, "prefix": True}}
    changed = here.flows.get(work(asked, lambda done, total, message: said.append(message)))
    assert not any("removing patches" in one for one in said)
    # Its maps and numbers are those that measuring everything at once would give.
    loaded = here.models.get(*_model(params))
    whole = measure_flow(
        loaded, plain.picture, redistribute=changed.redistribution.what_if, steps=2
    ).redistribution
    assert changed.redistribution.embedding_cosine == pytest.approx(whole.embedding_cosine)
    np.testing.assert_allclose(changed.redistribution.maps["rollout"], whole.maps["rollout"])
    np.testing.assert_array_equal(changed.maps[0].values, plain.maps[0].values)
    assert changed.id != key and changed.provenance.parameters["redistribute"] == [0.5, 0.0, True]


def _model(params):
    from analytics.models.registry import parse_model
    from analytics.serve.device import resolve_device

    return parse_model(params["model"], None), None, resolve_device("auto"), "float32"


def test_nan_in_a_map_and_its_curves_is_null_and_drawn(here, client):
    from dataclasses import replace

    record = made_flow()
    lost = np.full_like(record.maps[0].values, np.nan)
    curve = np.full_like(record.maps[0].deletion, np.nan)
    broken = replace(
        record.maps[0],
        values=lost,
        deletion=curve,
        insertion=curve,
        deletion_auc=np.nan,
        insertion_auc=np.nan,
    )
    address = keep(here, replace(record, maps=(broken, *record.maps[1:])))
    found = client.get(address).json()["maps"][0]
    assert found["deletion"] == [None] * 9 and found["deletion_auc"] is None
    for kind in ("png", "json", "csv", "npz"):
        assert client.get(f"{address}/export/{kind}").status_code == 200
