"""The command profile, in process, on small made pictures and a random model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from analytics.io.sources import expand_images
from analytics.metrics.strength_catalogue import STRENGTH_METRICS
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.studies.profile import profile_images
from tests.commands import MODEL, ends, save
from tests.studies.making import Broken

COLUMNS = ["layer", "head", "metric", "cls_rule", "mean", "std", "n"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save(tmp_path_factory.mktemp("data") / "pictures", range(6))


@pytest.fixture
def run(capsys, tmp_path):
    """Run `profile` with --json; gives the summary and the output folder."""

    def go(images, *options, name="out"):
        out = tmp_path / name
        given = ["profile", images, *MODEL, "--out", out, "--store", tmp_path / "store"]
        status, said, err = ends(capsys, *given, "--json", *options)
        assert (status, err) == (0, "")
        return json.loads(said), out

    return go


def test_the_table_has_the_columns_of_the_contract_and_the_numbers_of_the_study(run, pictures):
    summary, out = run(pictures, "--csv")
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    frame = pd.read_parquet(out / "profile.parquet")
    assert list(frame.columns) == COLUMNS and set(frame.n) == {6}
    record = profile_images(
        load_model(parse_model("test_vit:random")), expand_images(pictures), "crop"
    )
    assert set(frame.metric) == {*STRENGTH_METRICS, "content_agnosticism"}
    for rule in ("raw", "renormalised"):
        rows = frame[(frame.metric == "mean_distance") & (frame.cls_rule == rule)]
        values = record.scalars[f"mean_distance:{rule}"]
        np.testing.assert_allclose(rows["mean"], values.mean(0), rtol=1e-5)
        np.testing.assert_allclose(rows["std"], values.std(0, ddof=1), rtol=1e-4)
        assert list(zip(rows.layer, rows["head"], strict=True)) == list(record.heads)
    assert len(pd.read_csv(out / "profile.csv")) == len(frame)
    with np.load(out / "profile.npz") as arrays:
        np.testing.assert_array_equal(arrays["block_mass"], record.block_mass)
    made = parse_provenance((out / "provenance.json").read_text())
    assert len(made.inputs) == 6 and made.parameters["complete"] is True
    layers = summary["layers"]
    assert [one["heads"] for one in layers] == [2] * 6
    distance = record.scalars["mean_distance:renormalised"].mean(0)
    assert layers[3]["mean_distance"] == pytest.approx(distance[6:8].mean(), rel=1e-5)


def test_measurements_are_kept_and_reused(run, pictures, monkeypatch):
    first, out = run(pictures)
    monkeypatch.setattr("analytics.studies.profile.measure_batch", None)
    second, other = run(pictures, name="again")
    assert (first["reused"], second["reused"]) == (0, 6)
    pd.testing.assert_frame_equal(
        pd.read_parquet(out / "profile.parquet"), pd.read_parquet(other / "profile.parquet")
    )


def test_an_interruption_keeps_what_was_measured(capsys, tmp_path, pictures, monkeypatch):
    from analytics.studies import profile

    measure, calls = profile.measure_batch, []

    def once(*args):
        calls.append(args)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return measure(*args)

    monkeypatch.setattr(profile, "measure_batch", once)
    out = tmp_path / "out"
    given = ["profile", pictures, *MODEL, "--out", out, "--store", tmp_path / "store"]
    status, said, _ = ends(capsys, *given)
    assert status == 130
    assert "interrupted: 4 of 6 pictures measured" in said
    assert set(pd.read_parquet(out / "profile.parquet").n) == {4}


def test_the_words_say_who_is_local(capsys, tmp_path, pictures):
    given = ["profile", pictures, *MODEL, "--out", tmp_path / "out", "--store", tmp_path / "s"]
    status, said, err = ends(capsys, *given, "--limit", 2)
    assert (status, err) == (0, "")
    assert "2 of 6 pictures drawn at random (--limit)" in said
    assert "mean distance in patches, renormalised, 2 pictures" in said
    assert "heads local" in said


def test_what_cannot_be_read_is_said(run, tmp_path, capsys):
    folder = save(tmp_path / "some", range(2))
    (folder / "cut.png").write_bytes(Broken().read_bytes())
    summary, _ = run(folder)
    assert summary["images"] == 2 and summary["complete"]
    assert [name for name, _ in summary["skipped"]] == ["cut.png"]
    empty = tmp_path / "empty"
    empty.mkdir()
    status, _, err = ends(capsys, "profile", empty, *MODEL)
    assert status == 2 and err.count("\n") == 1
    status, _, err = ends(capsys, "profile", folder, "--model", "xcit_nano_12_p16_224:random")
    assert status == 2 and "no layer in which patches attend to patches" in err


def test_heads_that_overflow_are_named():
    from types import SimpleNamespace

    from analytics.cli.profile import overflow_notes

    assert overflow_notes(SimpleNamespace(overflowed={})) == []
    [note] = overflow_notes(SimpleNamespace(overflowed={(3, i): 1 for i in range(7)}))
    assert note.startswith("the attention of L3 H0, L3 H1, L3 H2, L3 H3, L3 H4 and others is not")
