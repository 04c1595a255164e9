"""Addresses of a head-importance study: strict JSON, exact bytes, real files, plain refusals."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analytics.metrics.catalogue import HEAD_METRICS
from analytics.serve.importance_export import export_importance
from analytics.serve.importance_work import held_importance
from analytics.store.provenance import make_provenance, provenance_json

HEADS = [[layer, head] for layer in range(3) for head in range(2)]
LABELS = ("cat", "dog", "cat", "dog")


def keep(here, key="a" * 64, metrics=("cls_shift", "probability_drop"), images=4, **more):
    """A study in the store without any model: values that can be worked out by hand."""
    values = np.arange(len(metrics) * images * 6, dtype=np.float32).reshape(len(metrics), images, 6)
    made = make_provenance("test", "bundled", "b" * 64, {"x.png": "c" * 64}, {"fit": "crop"})
    plan = {
        "id": key,
        "model_label": "A small model",
        "caution": "Made up for a test.",
        "metrics": list(metrics),
        "ablation": "mean",
        "classes": ["cat", "dog"],
        "readout": "Linear read-out, for a test.",
        "images_wanted": images,
        "skipped": [],
        "provenance": json.loads(provenance_json(made)),
        "request": {"job": "importance-test"},
        **more.pop("plan", {}),
    }
    rows = [[f"{i}.png", f"{i}" * 64, LABELS[i % 4], "cat", 0.25 * i] for i in range(images)]
    about = {
        "heads": HEADS,
        "images": more.pop("rows", rows),
        "sha256s": [row[1] for row in rows],
        "unreadable": [],
    }
    arrays = {"values": more.pop("values", values)}
    if more.pop("probabilities", True):
        arrays["probabilities"] = np.linspace(0, 1, images * 6, dtype=np.float32).reshape(images, 6)
    here.importance.begin(key, plan)
    here.importance.put(key, 0, arrays, about)
    return held_importance(here, key)


@pytest.fixture
def study(here):
    return keep(here)


@pytest.fixture
def at(here, study):
    return f"/atlas/importance/{here.signer.sign(study.id)}"


def strict(answer):
    """The JSON of an answer; NaN and infinity, which are none, fail."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(answer.content, parse_constant=refuse)


def test_the_description_says_what_the_component_needs(client, at, study):
    answer = client.get(at)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    found = strict(answer)
    assert found["id"] == study.id and found["model"] == "A small model"
    assert found["layers"] == [{"label": f"L{i}", "heads": 2} for i in range(3)]
    assert found["heads"] == HEADS
    assert [one["name"] for one in found["metrics"]] == ["cls_shift", "probability_drop"]
    assert [one["signed"] for one in found["metrics"]] == [False, True]
    assert all(one["definition"] and one["source"] and one["axis"] for one in found["metrics"])
    assert (found["images_done"], found["images_wanted"], found["complete"]) == (4, 4, True)
    # Column h of the first metric holds h, 6 + h, 12 + h, 18 + h: mean 9 + h.
    assert found["summary"]["cls_shift"]["mean"] == [9 + h for h in range(6)]
    low, high = (found["summary"]["cls_shift"][part] for part in ("low", "high"))
    assert all(a < 9 + h < b for h, (a, b) in enumerate(zip(low, high, strict=True)))
    assert found["ablation"] == "mean" and found["readout"]["classes"] == ["cat", "dog"]
    assert found["curves"] is None
    assert found["images"][1]["label"] == "dog" and found["images"][1]["probability"] == 0.25


def test_thumbnails_and_tables_are_signed_addresses(client, at, here):
    found = client.get(at).json()
    for url in (found["urls"]["values"], found["urls"]["probabilities"]):
        assert client.get(url).status_code == 200
    assert client.get(found["images"][0]["src"]).status_code == 410  # ours, but not stored here
    forged = found["urls"]["values"].replace("aaaa.", "aaaa.x")
    assert client.get(forged).status_code == 404


def test_tables_are_float32_in_the_order_metrics_images_heads(client, at, study):
    answer = client.get(f"{at}/values?n=4")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == study.values.astype("<f4").tobytes()
    assert np.frombuffer(answer.content, "<f4").reshape(2, 4, 6)[1, 2, 3] == 24 + 12 + 3
    chances = np.frombuffer(client.get(f"{at}/probabilities").content, "<f4").reshape(4, 6)
    assert np.array_equal(chances, study.probabilities)


def test_what_was_not_measured_is_null_in_json_and_nan_in_the_bytes(client, here):
    values = np.zeros((2, 1, 6), np.float32)
    values[:, :, 4] = np.nan
    rows = [["0.png", "0" * 64, None, None, None]]
    record = keep(here, images=1, values=values, rows=rows, probabilities=False)
    address = f"/atlas/importance/{here.signer.sign(record.id)}"
    found = strict(client.get(address))
    assert found["summary"]["cls_shift"]["mean"] == [0, 0, 0, 0, None, 0]
    assert found["summary"]["cls_shift"]["low"] == [None] * 6  # one picture has no interval
    # Equal ranks have no correlation.
    assert found["agreement"]["spearman"][0][1] is None
    assert found["urls"]["probabilities"] is None and found["overlap"] is None
    got = np.frombuffer(client.get(f"{address}/values").content, "<f4").reshape(2, 1, 6)
    assert np.isnan(got[:, :, 4]).all() and np.isfinite(got[:, :, :4]).all()
    answer = client.get(f"{address}/probabilities")
    assert answer.status_code == 404 and "fit a read-out" in answer.json()["error"]


def test_numbers_that_are_none_never_break_the_description(client, here):
    values = np.full((2, 4, 6), np.nan, np.float32)
    rows = [[f"{i}.png", f"{i}" * 64, LABELS[i], "cat", float("nan")] for i in range(4)]
    record = keep(here, values=values, rows=rows)
    found = strict(client.get(f"/atlas/importance/{here.signer.sign(record.id)}"))
    assert found["images"][0]["probability"] is None
    assert found["summary"]["probability_drop"]["mean"] == [None] * 6


def test_a_part_of_a_study_says_so(client, here):
    record = keep(here, plan={"images_wanted": 9, "skipped": [["cut.png", "cut short"]]})
    found = strict(client.get(f"/atlas/importance/{here.signer.sign(record.id)}"))
    assert (found["images_done"], found["images_wanted"], found["complete"]) == (4, 8, False)
    assert "cut.png: cut short" in found["notes"]


def test_many_skipped_pictures_are_counted(client, here):
    skipped = [[f"{i}.png", "cut short"] for i in range(8)]
    record = keep(here, plan={"images_wanted": 12, "skipped": skipped})
    notes = client.get(f"/atlas/importance/{here.signer.sign(record.id)}").json()["notes"]
    assert notes[-1] == "3 more pictures left out" and len(notes) == 6


def test_a_result_that_grew_is_read_again(client, here, at):
    assert client.get(at).json()["images_done"] == 4
    more = [["new.png", "9" * 64, "cat", "cat", 0.5]]
    about = {"heads": HEADS, "images": more, "sha256s": ["9" * 64], "unreadable": []}
    tables = {
        "values": np.ones((2, 1, 6), np.float32),
        "probabilities": np.ones((1, 6), np.float32),
    }
    here.importance.put("a" * 64, 1, tables, about)
    assert client.get(at).json()["images_done"] == 5
    assert len(client.get(f"{at}/values").content) == 2 * 5 * 6 * 4


def test_classes_share_heads_by_the_first_metric_with_classes(client, at):
    overlap = client.get(at).json()["overlap"]
    assert overlap["classes"] == ["cat", "dog"] and overlap["metric"] == "cls_shift"
    # Every picture ranks the six heads alike, and six of six are always shared.
    assert overlap["k"] == 6 and overlap["matrix"] == [[6, 6], [6, 6]] and overlap["chance"] == 6


def curves(measured):
    return {
        "quality": "cosine to the unpruned embedding",
        "removed": [0, 3, 6],
        "metrics": {"cls_shift": [1.0, 0.9, 0.2]},
        "random": [[1.0, 0.5, 0.2], [1.0, 0.7, 0.2]],
        "num_images": 12,
        "num_measured": 4,
        "measured": measured,
    }


def test_curves_come_with_the_spread_of_random_orders(client, here, at):
    here.importance.attach("a" * 64, "curves", curves(4))
    found = client.get(at).json()["curves"]
    assert found["removed"] == [0, 3, 6] and found["total"] == 6
    assert found["metrics"] == {"cls_shift": [1.0, 0.9, 0.2]}
    assert found["random"]["low"] == [1.0, 0.5, 0.2] and found["random"]["high"][1] == 0.7
    assert found["random"]["mean"][1] == pytest.approx(0.6)
    assert found["quality"].endswith(", 12 held-out pictures, 4 of them measured")


def test_the_description_says_whether_curves_are_under_way(client, here, at):
    assert client.get(at).json()["curves_job"] is None
    here.jobs.register("curves", lambda params, report: "")
    here.jobs.submit("curves", {}, f"curves-{'a' * 64}", "test")
    here.jobs.wait(f"curves-{'a' * 64}", 10)
    assert client.get(at).json()["curves_job"] == "done"


def test_curves_of_a_part_are_not_those_of_the_whole(client, here, at):
    here.importance.attach("a" * 64, "curves", curves(3))
    assert client.get(at).json()["curves"] is None


@pytest.fixture
def details(here):
    """The job kind `partial` without a model: notes what it was asked."""
    asked = []

    def work(params, report):
        asked.append(dict(params))
        if params["head"] == 1:
            raise ValueError("L0 has no cls token. Look at the whole head instead")
        return {"modes": [{"mode": "none", "value": 0.0}], "before": None, "after": None}

    here.jobs.register("partial", work)
    return asked


def test_details_of_a_head_are_computed_once(client, at, details, study):
    for _ in range(2):
        answer = client.get(f"{at}/head?layer=2&head=0&image=3")
        assert answer.status_code == 200 and answer.json()["modes"][0]["mode"] == "none"
    assert details == [{"result": study.id, "layer": 2, "head": 0, "image": 3}]


def test_details_that_cannot_be_had_say_why(client, at, details):
    answer = client.get(f"{at}/head?layer=0&head=1&image=0")
    assert answer.status_code == 400
    assert answer.json()["error"] == "L0 has no cls token. Look at the whole head instead"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "layer=0&head=0",
        "layer=-1&head=0&image=0",
        "layer=0&head=x&image=0",
        "layer=0&head=²&image=0",
        "layer=1.0&head=0&image=0",
        "layer=9999999&head=0&image=0",
        "layer=3&head=0&image=0",
        "layer=0&head=2&image=0",
        "layer=0&head=0&image=4",
    ],
)
def test_wrong_numbers_are_a_plain_400(client, at, details, query):
    answer = client.get(f"{at}/head?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("expected") and "\n" not in answer.text
    assert details == []


@pytest.mark.parametrize("tail", ["", "/values", "/probabilities", "/head", "/export/svg"])
def test_forged_unknown_and_foreign_requests(client, here, at, tail):
    bare = at.rpartition(".")[0]
    for forged in (bare, f"{bare}.", f"{bare}.AAAA"):
        assert client.get(f"{forged}{tail}").status_code == 404
    for unknown in ("f" * 64, "../secret", "a b", ""):
        gone = client.get(f"/atlas/importance/{here.signer.sign(unknown)}{tail}")
        assert gone.status_code in (404, 410)
    gone = client.get(f"/atlas/importance/{here.signer.sign('f' * 64)}{tail}")
    assert gone.status_code == 410 and "measure again" in gone.json()["error"]
    assert gone.headers["cache-control"] == "no-store"
    refused = client.get(f"{at}{tail}", headers={"origin": "http://evil.example"})
    assert refused.status_code == 403
    assert client.post(f"{at}{tail}").status_code == 405


def test_a_study_without_a_measured_picture_is_not_there(client, here):
    empty = {"values": np.zeros((2, 0, 6), np.float32), "rows": [], "probabilities": False}
    keep(here, "e" * 64, images=0, **empty)
    assert client.get(f"/atlas/importance/{here.signer.sign('e' * 64)}").status_code == 410


def test_a_removed_study_is_gone(client, here, at):
    assert client.get(at).status_code == 200
    here.importance.remove("a" * 64)
    assert client.get(at).status_code == 410


COLUMNS = ["layer", "head", "metric", "ablation", "mean", "ci_low", "ci_high", "n"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_have_the_columns_of_the_contract(client, at, kind):
    answer = client.get(f"{at}/export/{kind}")
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    frame = read(io.BytesIO(answer.content))
    assert list(frame.columns) == COLUMNS and len(frame) == 2 * 6
    own = frame[(frame.metric == "cls_shift") & (frame.layer == 2) & (frame["head"] == 1)].iloc[0]
    assert (own["mean"], own["n"], own["ablation"]) == (14, 4, "mean")
    assert answer.headers["content-disposition"] == f'attachment; filename="importance.{kind}"'
    assert answer.headers["content-encoding"] == "identity"


def test_the_json_record_names_model_pictures_and_definitions(client, at):
    found = strict(client.get(f"{at}/export/json"))
    assert found["provenance"]["weights_sha256"] == "b" * 64
    assert found["images"] == ["0.png", "1.png", "2.png", "3.png"]
    assert found["metrics"]["cls_shift"]["definition"] == HEAD_METRICS["cls_shift"].definition


def test_figures_are_such_files_with_caption_and_record(client, at):
    definition = HEAD_METRICS["probability_drop"].definition
    svg = client.get(f"{at}/export/svg?metric=probability_drop")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert "importance-probability_drop-mean.svg" in svg.headers["content-disposition"]
    text = svg.content.decode()
    assert text.startswith("<svg")
    shown = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", text))
    for words in (
        "Head importance by probability drop, mean ablation",
        "A small model. Made up for a test.",
        definition[:60],
        "Mean over 4 pictures with 95 % bootstrap intervals",
        "Linear read-out, for a test.",
        "SHA-256 of the weights: bbbbbbbbbbbb",
    ):
        assert words in shown
    assert "provenance" in text  # the whole record as metadata
    png = client.get(f"{at}/export/png?metric=probability_drop")
    with Image.open(io.BytesIO(png.content)) as image:
        assert image.format == "PNG" and image.width > 600
        about = json.loads(image.text["Description"])
    assert about["metrics"]["probability_drop"]["definition"] == definition
    pdf = client.get(f"{at}/export/pdf?metric=probability_drop").content
    assert pdf.startswith(b"%PDF-") and b"%%EOF" in pdf[-40:]


def test_a_figure_of_a_part_says_what_is_missing(here):
    record = keep(here, plan={"images_wanted": 9})
    _, _, svg = export_importance(record, "cls_shift", "svg")
    assert "Mean over 4 pictures (stopped before the other 5)" in svg.decode()


@pytest.mark.parametrize("tail", ["gif", "svg?metric=taylor", "csv?metric=none", "%2E%2E"])
def test_what_cannot_be_exported_is_a_plain_400(client, at, tail):
    answer = client.get(f"{at}/export/{tail}")
    assert answer.status_code == 400 and answer.json()["error"].startswith("expected")
