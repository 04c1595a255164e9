"""The command importance, in process, on small made pictures and a random model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from analytics.cli import importance as command
from analytics.io.sources import expand_images
from analytics.models.readout import load_readout
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.studies.importance import ABLATIONS, measure_importance
from tests.commands import MODEL, ends, save
from tests.studies.making import Broken

IMPORTANCE = ["layer", "head", "metric", "ablation", "mean", "ci_low", "ci_high", "n"]


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save(tmp_path_factory.mktemp("data") / "pictures", range(6))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Two folders of eight pictures each."""
    folder = tmp_path_factory.mktemp("data") / "classes"
    save(folder / "cats", range(8))
    save(folder / "dogs", range(8, 16))
    return folder


@pytest.fixture
def run(capsys, tmp_path):
    """Run `importance` with --json; gives the summary and the output folder."""

    def go(images, *options, name="out"):
        out = tmp_path / name
        given = ["importance", images, *MODEL, "--out", out, "--store", tmp_path / "store"]
        status, said, err = ends(capsys, *given, "--json", *options)
        assert (status, err) == (0, "")
        return json.loads(said), out

    return go


def test_tables_have_the_columns_of_the_contract_and_the_numbers_of_the_study(
    run, pictures, loaded
):
    summary, out = run(pictures, "--csv", "--curves")
    names = ["agreement", "curves", "importance", "per_image"]
    files = [f"{name}.{kind}" for name in names for kind in ("csv", "parquet")]
    assert sorted(summary["files"]) == sorted([*files, "provenance.json"])
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    record = measure_importance(loaded, expand_images(pictures), command.DEFAULT_METRICS)
    frame = pd.read_parquet(out / "importance.parquet")
    assert list(frame.columns) == IMPORTANCE and len(frame) == 24
    assert set(frame.ablation) == {"zero"} and set(frame.n) == {6}
    for metric, rows in frame.groupby("metric"):
        np.testing.assert_allclose(rows["mean"], record.mean(metric), rtol=1e-5)
        assert list(zip(rows.layer, rows["head"], strict=True)) == list(record.heads)
        assert (rows.ci_low <= rows["mean"]).all() and (rows["mean"] <= rows.ci_high).all()
    single = pd.read_parquet(out / "per_image.parquet")
    assert list(single.columns) == ["image", "layer", "head", "metric", "value"]
    one = single[(single.image == "4.png") & (single.metric == "cls_shift")]
    np.testing.assert_allclose(one.value, record.table("cls_shift")[4], rtol=1e-5)
    agreement = pd.read_parquet(out / "agreement.parquet")
    assert list(agreement.columns) == ["metric_a", "metric_b", "spearman"]
    ranks = frame.pivot_table("mean", ["layer", "head"], "metric").rank()
    expected = ranks.corr().loc["cls_shift", "sensitivity"]
    assert agreement.spearman.tolist() == pytest.approx([1, expected, expected, 1])
    curves = pd.read_parquet(out / "curves.parquet")
    assert list(curves.columns) == ["order", "removed", "quality", "quality_name"]
    assert set(curves.order) == {*command.DEFAULT_METRICS, *(f"random {i}" for i in range(1, 6))}
    assert curves[curves.removed == 0].quality.tolist() == pytest.approx([1] * 7)
    pd.testing.assert_frame_equal(pd.read_csv(out / "curves.csv"), curves, check_dtype=False)


def test_bfloat16_says_how_its_ranking_agrees_with_float32(run, pictures):
    summary, out = run(pictures, "--dtype", "bfloat16", "--metric", "cls_shift")
    assert 0.9 < summary["float32_agreement"]["cls_shift"] <= 1
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.parameters["float32_agreement"] == summary["float32_agreement"]
    summary, _ = run(pictures, "--metric", "cls_shift", name="plain")
    assert "float32_agreement" not in summary


def test_provenance_and_summary_say_what_was_done(run, pictures):
    summary, out = run(pictures, "--metric", "cls_shift", "--ablation", "mean", "--limit", 4)
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.command.startswith("attention-atlas importance") and "--limit 4" in made.command
    assert made.weights_sha256 == summary["weights_sha256"] and len(made.inputs) == 4
    assert made.parameters["ablation"] == summary["ablation"] == "mean"
    assert made.parameters["complete"] is summary["complete"] is True
    assert "drawn at random" in " ".join(made.notes)
    best = summary["most_important"]["cls_shift"][0]
    frame = pd.read_parquet(out / "importance.parquet").sort_values("mean").iloc[-1]
    assert (best["layer"], best["head"]) == (frame.layer, frame["head"])
    again, _ = run(pictures, "--metric", "cls_shift", "--limit", 4, "--seed", 1, name="other")
    assert again["images"] == 4


def test_a_second_run_measures_nothing(run, pictures, monkeypatch):
    first, out = run(pictures, "--curves")
    assert first["reused"] == 0

    def fail(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr("analytics.studies.effects.HeadEffects.measure", fail)
    monkeypatch.setattr("analytics.studies.curves.qualities", fail)
    second, other = run(pictures, "--curves", name="again")
    assert second["reused"] == 6 and second["most_important"] == first["most_important"]
    for name in ("importance", "curves"):
        frames = [pd.read_parquet(folder / f"{name}.parquet") for folder in (out, other)]
        pd.testing.assert_frame_equal(*frames)


def test_what_was_measured_before_is_said_in_words(capsys, pictures, tmp_path):
    given = ["importance", pictures, *MODEL, "--metric", "cls_shift", "--store", tmp_path / "s"]
    _, first, _ = ends(capsys, *given, "--out", tmp_path / "a")
    _, second, _ = ends(capsys, *given, "--out", tmp_path / "b")
    assert "measured before" not in first and "6 pictures were measured before" in second
    assert "cls shift, zero ablation, 6 pictures:" in first and "95 % interval" in first


def test_an_interruption_keeps_the_tables_of_what_was_measured(
    capsys, pictures, tmp_path, monkeypatch, run
):
    def stop(quiet):
        def report(done, total, message=""):
            if "pictures 5 to" in message:
                raise KeyboardInterrupt

        return report

    monkeypatch.setattr("analytics.cli.importance.progress", stop)
    out = tmp_path / "out"
    given = ["importance", pictures, *MODEL, "--metric", "cls_shift", "--out", out, "--json"]
    status, said, err = ends(capsys, *given, "--store", tmp_path / "store")
    assert status == 130 and "interrupted" in err
    summary = json.loads(said)
    assert summary["complete"] is False and (summary["images"], summary["images_wanted"]) == (4, 6)
    assert set(pd.read_parquet(out / "importance.parquet").n) == {4}
    made = parse_provenance((out / "provenance.json").read_text())
    assert "4 of 6 pictures measured" in made.notes[-1] and not made.parameters["complete"]
    monkeypatch.undo()
    resumed, _ = run(pictures, "--metric", "cls_shift")
    assert (resumed["reused"], resumed["images"], resumed["complete"]) == (4, 6, True)


def test_an_interrupted_search_keeps_the_tables_of_what_was_measured(
    capsys, pictures, tmp_path, monkeypatch, run
):
    def stop(quiet):
        def report(done, total, message=""):
            if "picture 5" in message:
                raise KeyboardInterrupt

        return report

    monkeypatch.setattr("analytics.cli.importance.progress", stop)
    out, store = tmp_path / "out", tmp_path / "store"
    given = ["importance", pictures, *MODEL, "--top", 3, "--out", out, "--store", store, "--json"]
    status, said, err = ends(capsys, *given)
    assert status == 130 and "interrupted" in err
    summary = json.loads(said)
    assert summary["complete"] is False and (summary["images"], summary["images_wanted"]) == (4, 6)
    assert "top" not in summary and set(pd.read_parquet(out / "importance.parquet").n) == {4}
    made = parse_provenance((out / "provenance.json").read_text())
    assert "4 of 6 pictures measured" in made.notes[-1] and not made.parameters["complete"]
    monkeypatch.undo()
    resumed, _ = run(pictures, "--top", 3)
    whole, _ = run(pictures, "--top", 3, "--store", tmp_path / "other", name="whole")
    assert (resumed["reused"], resumed["complete"], resumed["top"]) == (4, True, whole["top"])


def test_interrupted_curves_leave_the_other_tables(capsys, pictures, tmp_path, monkeypatch):
    def stop(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("analytics.studies.curves.pruning_curves", stop)
    out = tmp_path / "out"
    given = ["importance", pictures, *MODEL, "--metric", "cls_shift", "--curves", "--json"]
    status, said, _ = ends(capsys, *given, "--out", out, "--store", tmp_path / "store")
    summary = json.loads(said)
    assert status == 130 and summary["complete"] is False and summary["images"] == 6
    assert "the curves are missing" in summary["notes"][-1]
    assert (out / "importance.parquet").exists() and not (out / "curves.parquet").exists()


def test_the_page_shows_the_curves_that_the_command_kept(run, pictures, tmp_path):
    from types import SimpleNamespace

    from analytics.serve.importance import _curves
    from analytics.store.results import ResultStore
    from analytics.studies.importance_record import load_importance

    # The same picture under two names is measured once and stands in the curves twice.
    folder = save(tmp_path / "twice", range(3))
    (folder / "again.png").write_bytes((folder / "1.png").read_bytes())
    _, out = run(folder, "--metric", "cls_shift", "--curves")
    store = ResultStore(tmp_path / "store")
    [key] = store.keys()
    shown = _curves(SimpleNamespace(importance=store), load_importance(store, key))
    frame = pd.read_parquet(out / "curves.parquet")
    assert len(shown["removed"]) == frame.removed.nunique()


def test_an_interruption_before_anything_was_measured_writes_nothing(
    capsys, pictures, tmp_path, monkeypatch
):
    def stop(quiet):
        def report(done, total, message=""):
            raise KeyboardInterrupt

        return report

    monkeypatch.setattr("analytics.cli.importance.progress", stop)
    given = ["importance", pictures, *MODEL, "--out", tmp_path / "out", "--store", tmp_path / "s"]
    status, said, _ = ends(capsys, *given)
    assert (status, said) == (130, "") and not (tmp_path / "out").exists()


def test_labels_in_folders_fit_a_readout_and_measure_what_it_held_out(run, classes, monkeypatch):
    options = ("--labels", "folders", "--metric", "probability_drop,flip_rate")
    summary, out = run(classes, *options)
    readout = load_readout(out / "readout.safetensors")
    assert readout.classes == ("cats", "dogs") and summary["readout"] == readout.summary()
    assert "readout.safetensors" in summary["files"]
    assert summary["images"] == readout.n_test == 5
    names = [f"cats/{i}.png" for i in range(8)] + [f"dogs/{i}.png" for i in range(8, 16)]
    measured = set(pd.read_parquet(out / "per_image.parquet").image)
    assert measured == {names[row] for row in readout.held_out}
    assert "held out of the read-out's fit alone: 5 of 16" in " ".join(summary["notes"])
    # Fitted once: a second run finds it, and another kind is another read-out.
    kept, fit = [], "analytics.studies.features.frozen_features"
    monkeypatch.setattr(fit, lambda *given, **named: kept.append(1))
    second, other = run(classes, *options, name="again")
    assert kept == [] and second["reused"] == 5
    assert (other / "readout.safetensors").read_bytes() == (
        out / "readout.safetensors"
    ).read_bytes()


def test_curves_by_classes_stand_on_held_out_pictures_beyond_the_measured_ones(
    run, classes, capsys, tmp_path
):
    options = ("--labels", "folders", "--metric", "js_divergence", "--limit", 1, "--curves")
    summary, out = run(classes, *options)
    # Five are held out of the fit; one is measured, and three more join it.
    assert summary["images"] == 1
    assert summary["curves"] == {"quality": "share named right", "images": 4, "measured": 1}
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.parameters["curves"] == summary["curves"]
    frame = pd.read_parquet(out / "curves.parquet")
    assert set((4 * frame.quality).round(6)) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    given = ["importance", classes, *MODEL, "--store", tmp_path / "store", *options]
    _, said, _ = ends(capsys, *given, "--out", tmp_path / "again")
    assert "pruning curves: share named right, 4 held-out pictures, 1 of them measured" in said
    # A read-out from a file may have seen the others: the measured ones alone are taken.
    file = ("--readout", out / "readout.safetensors")
    plain, _ = run(classes, *options, *file, name="file")
    assert plain["curves"] == {"quality": "share named right", "images": 1, "measured": 1}


def test_a_readout_of_a_file_measures_all_pictures(run, classes, capsys, tmp_path):
    _, out = run(classes, "--labels", "folders", "--readout-kind", "knn", "--readout-layer", 3)
    file = out / "readout.safetensors"
    assert (load_readout(file).kind, load_readout(file).layer) == ("knn", 3)
    options = ("--labels", "folders", "--readout", file, "--metric", "js_divergence")
    summary, _ = run(classes, *options, name="given")
    assert summary["images"] == 16 and "too good" in " ".join(summary["notes"])
    given = ["importance", classes, "--readout", file, "--model", "test_vit2:random"]
    status, _, err = ends(capsys, *given, "--out", tmp_path / "x", "--store", tmp_path / "s")
    assert status == 2 and "fit a read-out for this model" in err


def test_an_npz_brings_its_labels(run, capsys, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 256, (12, 20, 20), np.uint8), "labels": np.arange(12) % 2}
    np.savez(tmp_path / "set.npz", **arrays)
    plain, _ = run(tmp_path / "set.npz", "--metric", "cls_shift", name="plain")
    assert plain["images"] == 12 and plain["readout"] == ""
    given = ["importance", tmp_path / "set.npz", *MODEL, "--metric", "cls_shift", "--out"]
    given += [tmp_path / "refused", "--store", tmp_path / "store", "--readout-layer", 2]
    status, _, err = ends(capsys, *given)
    assert status == 2 and "none is: cls_shift can be measured without one" in err


def test_top_searches_and_says_what_it_saved(run, pictures, loaded, monkeypatch):
    summary, out = run(pictures, "--top", 3)
    record = measure_importance(loaded, expand_images(pictures), ("cls_shift",))
    best = np.argsort(-record.mean("cls_shift"), kind="stable")[:3]
    assert summary["top"]["heads"] == [list(record.heads[column]) for column in best]
    assert (summary["top"]["images_drawn"], summary["top"]["work"]) == (6, 1.0)
    assert summary["metrics"] == ["cls_shift"] and "first metric" in " ".join(summary["notes"])
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.parameters["top"]["heads"] == summary["top"]["heads"]
    frame = pd.read_parquet(out / "importance.parquet")
    assert list(frame.columns) == IMPORTANCE and set(frame.n) == {6}
    np.testing.assert_allclose(frame["mean"], record.mean("cls_shift"), rtol=1e-4)

    def fail(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr("analytics.studies.effects.HeadEffects.measure", fail)
    again, _ = run(pictures, "--top", 3, name="again")
    assert again["reused"] == 6 and again["top"] == summary["top"]


def test_pictures_that_cannot_be_read_are_named(run, tmp_path):
    folder = save(tmp_path / "mixed", range(3))
    (folder / "cut.png").write_bytes(Broken().read_bytes())
    summary, _ = run(folder, "--metric", "cls_shift")
    assert summary["images"] == 3 and summary["complete"]
    assert [name for name, _ in summary["skipped"]] == ["cut.png"]
    top, _ = run(folder, "--top", 2, name="top")
    assert top["images"] == 3 and [name for name, _ in top["skipped"]] == ["cut.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "beauty"], "expected metrics out of cls_shift"),
        (["--metric", ","], "got none"),
        (["--ablation", "none"], "--ablation"),
        (["--metric", "saliency_shift"], "the bundled model"),
        (["--labels", "folders"], "expected a folder for each class"),
        (["--labels", "no.csv"], "no.csv"),
        (["--readout", "no.safetensors"], "no.safetensors"),
        (["--limit", "1", "--ablation", "mean"], "use zero"),
        (["--top", "12"], "k from 1 to 11"),
        (["--top", "3", "--curves"], "choose one"),
        (["--limit", "0"], "at least 1"),
        (["--readout-kind", "linear"], "have no labels to fit one on; add --labels"),
        (["--readout-layer", "0"], "--readout-layer says how a read-out is fitted"),
        (
            ["--readout", "r.safetensors", "--readout-kind", "knn"],
            "--readout gives one that is fitted",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_status_2(
    capsys, pictures, tmp_path, options, words
):
    given = ["importance", pictures, *MODEL, "--out", tmp_path / "out", "--store", tmp_path / "s"]
    status, out, err = ends(capsys, *given, *options)
    assert (status, out) == (2, "") and words in err
    assert not (tmp_path / "out").exists()


def test_signed_metrics_are_not_searched(capsys, classes, tmp_path):
    given = ["importance", classes, *MODEL, "--labels", "folders", "--metric", "probability_drop"]
    given += ["--top", "2", "--out", tmp_path / "out", "--store", tmp_path / "s"]
    status, _, err = ends(capsys, *given)
    assert status == 2 and "never negative" in err


def test_the_choices_are_those_of_the_study():
    assert command.ABLATIONS == ABLATIONS
