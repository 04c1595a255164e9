"""Addresses of a profile: strict JSON, exact bytes, real files, plain refusals."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analytics.metrics.strength_catalogue import RULES, SCALARS, STRENGTH_METRICS
from analytics.serve.profile_export import Shown, export_profile
from tests.made_profile import made_profile


def keep(here, record):
    """Hold a record as if it had been measured."""
    here.profiles.put((record.id, here.profile.count(record.id)), record, record.nbytes)
    return f"/atlas/profile/{here.signer.sign(record.id)}"


@pytest.fixture(scope="module")
def study():
    return made_profile([(2, 4, 4), (3, 2, 3)], images=3, overflowed=[(1, 1)])


@pytest.fixture
def at(here, study):
    return keep(here, study)


def strict(answer):
    """The JSON of an answer; NaN and infinity, which are none, fail."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(answer.content, parse_constant=refuse)


def test_the_description_says_what_the_component_needs(client, at, study):
    answer = client.get(at)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    found = strict(answer)
    assert found["id"] == study.id and found["heads"] == [list(pair) for pair in study.heads]
    assert (found["images_done"], found["images_wanted"], found["complete"]) == (3, 3, True)
    assert found["layers"][1] == {
        "label": "L1",
        "name": "blocks.1.attn",
        "heads": 3,
        "rows": 2,
        "columns": 3,
        "patch_px": [16.0, 16.0],
        "windows": 1,
        "same_grid": True,
        "uniform": pytest.approx(study.layers[1].uniform_distance),
    }
    assert [one["name"] for one in found["metrics"]] == [*STRENGTH_METRICS, "content_agnosticism"]
    assert found["metrics"][0]["units"] == ["patches", "pixels", "uniform"]
    assert all(one["definition"] and one["source"] for one in found["metrics"])
    assert found["rules"] == list(RULES) and found["blocks"] == ["cls", "registers", "patches"]
    assert len(found["templates"]) == 12


def test_the_summary_has_mean_spread_interval_and_count(client, at, study):
    found = strict(client.get(at))["summary"]
    assert set(found) == {*SCALARS, "content_agnosticism"}
    values = study.scalars["nmi"].astype(np.float64)
    one = found["nmi"]
    assert one["mean"][0] == pytest.approx(values[:, 0].mean())
    assert one["std"][0] == pytest.approx(values[:, 0].std(ddof=1))
    assert one["low"][0] < one["mean"][0] < one["high"][0] and one["n"][0] == 3
    # The head that overflowed has no number at all.
    assert [one[part][3] for part in ("mean", "std", "low", "high", "n")] == [None] * 4 + [0]
    assert "low" not in found["content_agnosticism"]


def test_heads_that_overflowed_are_named(client, here, at):
    assert strict(client.get(at))["notes"] == [
        "Not a number on some pictures (overflow in half precision?): L1 H1."
    ]
    heads = [(0, head) for head in range(7)]
    many = made_profile([(8, 3, 3)], images=2, overflowed=heads, key="5" * 64)
    [note] = strict(client.get(keep(here, many)))["notes"]
    assert note.endswith("L0 H0, L0 H1, L0 H2, L0 H3, L0 H4 and 2 more.")


def test_one_picture_has_no_spread(client, here):
    found = strict(client.get(keep(here, made_profile(images=1, key="1" * 64))))
    one = found["summary"]["mean_distance:raw"]
    assert None not in one["mean"]
    assert set(one["std"]) == set(one["low"]) == {None}
    assert set(found["summary"]["content_agnosticism"]["mean"]) == {None}


def test_the_tables_are_the_parts_that_the_description_lists(client, at, study):
    parts = strict(client.get(at))["tables"]
    answer = client.get(f"{at}/tables?n=3")
    assert answer.headers["content-type"] == "application/octet-stream"
    numbers, start, found = np.frombuffer(answer.content, "<f4"), 0, {}
    for part in parts:
        length = int(np.prod(part["shape"]))
        found[part["name"]] = numbers[start : start + length].reshape(part["shape"])
        start += length
    assert start == len(numbers)
    for name, table in study.scalars.items():
        assert np.array_equal(found[name], table, equal_nan=True)
    for rule in RULES:
        expected = study.hop_strength[rule]
        assert np.array_equal(found[f"hop_strength:{rule}"], expected, equal_nan=True)
        assert np.array_equal(found[f"hop_mass:{rule}"], study.hop_mass[rule], equal_nan=True)
    assert np.array_equal(found["block_mass"], study.block_mass, equal_nan=True)
    assert np.array_equal(found["template_score"], study.template_score, equal_nan=True)


def test_the_offset_map_of_a_head(client, at, study):
    answer = client.get(f"{at}/offset?layer=1&head=2")
    found = np.frombuffer(answer.content, "<f4").reshape(3, 5)
    assert np.array_equal(found, study.offset_map[1][2])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("layer=1&head=3", "expected layers 0 to 1 with their heads; got L1 H3"),
        ("layer=1", "expected a whole number for head"),
        ("layer=-1&head=0", "expected a whole number for layer"),
    ],
)
def test_an_offset_map_that_there_is_not(client, at, query, expected):
    answer = client.get(f"{at}/offset?{query}")
    assert answer.status_code == 400 and expected in answer.json()["error"]


def test_a_layer_in_which_no_patch_asks(client, here):
    at = keep(here, made_profile([(2, 4, 4), (1, 0, 0)], key="2" * 64))
    assert strict(client.get(at))["layers"][1]["uniform"] is None
    answer = client.get(f"{at}/offset?layer=1&head=0")
    assert answer.status_code == 404 and "no patch asks in layer 1" in answer.json()["error"]
    assert client.get(f"{at}/export/svg").status_code == 200


def test_tokens_that_are_not_ours_and_profiles_that_are_gone(client, here, at, monkeypatch):
    import analytics.studies.profile as studies

    monkeypatch.setattr(studies, "load_profile", lambda store, key: None)
    assert client.get(at.replace(".", ".x")).status_code == 404
    gone = client.get(f"/atlas/profile/{here.signer.sign('f' * 64)}")
    assert gone.status_code == 410 and "no longer kept" in gone.json()["error"]


def exported(client, at, kind, query=""):
    answer = client.get(f"{at}/export/{kind}{query}")
    assert answer.status_code == 200
    return answer


def test_tables_and_arrays_as_files(client, at, study):
    csv = pd.read_csv(io.BytesIO(exported(client, at, "csv").content), keep_default_na=True)
    parquet = pd.read_parquet(io.BytesIO(exported(client, at, "parquet").content))
    assert list(csv.columns) == list(parquet.columns)
    assert csv["mean"].to_numpy() == pytest.approx(parquet["mean"].to_numpy(), nan_ok=True)
    with np.load(io.BytesIO(exported(client, at, "npz").content)) as held:
        assert np.array_equal(held["offset_map_L0"], study.offset_map[0])
        assert json.loads(str(held["provenance"]))["profile"] == study.id
    record = strict(exported(client, at, "json"))
    assert record["summary"]["cls_mass"]["mean"][3] is None
    assert record["provenance"]["model"] == "made"


def test_figures_name_metric_rule_unit_and_control(client, here, at):
    control = made_profile([(2, 4, 4), (3, 2, 3)], images=2, seed=5, key="3" * 64)
    token = keep(here, control).rsplit("/", 1)[1]
    query = f"?metric=mean_distance&rule=raw&unit=pixels&control={token}"
    answer = exported(client, at, "svg", query)
    assert 'filename="strength-mean_distance-raw.svg"' in answer.headers["content-disposition"]
    text = answer.content.decode()
    assert "mean distance · input pixels" in text and "prefix keys keep their mass" in text
    assert "random weights" in text and "our line between local and global" in text
    with Image.open(io.BytesIO(exported(client, at, "png").content)) as image:
        assert "Mean distance" in image.text["Title"]
    assert exported(client, at, "pdf", "?metric=nmi").content.startswith(b"%PDF")
    plain = exported(client, at, "svg", "?metric=content_agnosticism&control=forged.token")
    assert "random weights" not in plain.content.decode()


@pytest.mark.parametrize(
    ("shown", "kind", "expected"),
    [
        (Shown("beauty", "raw", "patches"), "svg", "expected a metric out of mean_distance"),
        (Shown("mean_distance", "half", "patches"), "svg", "expected a cls rule of renormalised"),
        (Shown("nmi", "", "pixels"), "png", "expected a unit of nmi out of 0 to 1"),
        (Shown("nmi", "", "0 to 1"), "docx", "expected an export out of svg, png, pdf, csv"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_words(study, shown, kind, expected):
    with pytest.raises(ValueError, match=expected):
        export_profile(study, shown, kind)


def test_a_control_of_another_shape_is_no_band(study):
    other = made_profile([(2, 4, 4)], key="4" * 64)
    _, _, data = export_profile(study, Shown("nmi", "", "0 to 1"), "svg", other)
    assert b"#dfe2e6" not in data  # the band's colour
