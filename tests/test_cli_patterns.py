"""The command patterns, in process, on small made pictures and a random model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from analytics.io.sources import expand_images
from analytics.models.autoencoder import read_coder
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.studies.pattern_choices import PatternChoices
from analytics.studies.patterns import make_atlas
from tests.commands import MODEL, ends, save
from tests.studies.making import Broken

COLUMNS = ["image", "layer", "head", "x", "y", "cluster", "error"]
QUICK = ("--epochs", 2, "--clusters", 3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save(tmp_path_factory.mktemp("data") / "pictures", range(5))


@pytest.fixture
def run(capsys, tmp_path):
    """Run `patterns` with --json; gives the summary and the output folder."""

    def go(images, *options, name="out"):
        out = tmp_path / name
        given = ["patterns", images, *MODEL, "--out", out, "--store", tmp_path / "store"]
        status, said, err = ends(capsys, *given, "--json", *options)
        assert (status, err) == (0, "")
        return json.loads(said), out

    return go


def test_the_files_of_the_contract_hold_what_the_study_gives(run, pictures):
    summary, out = run(pictures, *QUICK, "--csv")
    files = ["atlas.csv", "atlas.parquet", "patterns.safetensors", "provenance.json"]
    assert sorted(summary["files"]) == files == sorted(path.name for path in out.iterdir())
    loaded = load_model(parse_model("test_vit:random"))
    choices = PatternChoices(epochs=2, clusters=3)
    atlas, _ = make_atlas(loaded, expand_images(pictures), choices)
    frame = pd.read_parquet(out / "atlas.parquet")
    assert list(frame.columns)[:7] == COLUMNS and len(frame) == 60
    np.testing.assert_allclose(frame.x, atlas.x, atol=1e-6)
    np.testing.assert_array_equal(frame.cluster, atlas.cluster)
    pd.testing.assert_frame_equal(pd.read_csv(out / "atlas.csv"), frame, check_dtype=False)
    coder, about = read_coder(out / "patterns.safetensors")
    assert (coder.kind, coder.latent_size) == (summary["coder"], 2)
    assert about["weights_sha256"] == summary["weights_sha256"]
    assert (summary["maps"], summary["heads"], summary["images"]) == (60, 12, 5)
    assert summary["complete"] and sum(one["maps"] for one in summary["clusters"]) == 60
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.command.startswith("attention-atlas patterns") and len(made.inputs) == 5
    assert made.parameters["result"]["r2_pca"] == pytest.approx(summary["r2_pca"])


def test_a_second_run_fits_nothing(run, pictures, monkeypatch):
    first, out = run(pictures, *QUICK)
    monkeypatch.setattr("analytics.studies.patterns.small_maps", None)
    second, other = run(pictures, *QUICK, name="again")
    assert {**second, "out": ""} == {**first, "out": ""}
    assert (out / "atlas.parquet").read_bytes() == (other / "atlas.parquet").read_bytes()


def test_the_shipped_coder_and_a_draw(run, pictures):
    summary, out = run(pictures, "--pretrained", "--limit", 2, "--seed", 3)
    assert (summary["pretrained"], summary["images"], summary["maps"]) == (True, 2, 24)
    assert "drawn at random" in " ".join(summary["notes"])
    assert parse_provenance((out / "provenance.json").read_text()).parameters["limit"] == 2


def test_the_words_name_the_clusters_and_what_was_left_out(capsys, tmp_path):
    folder = save(tmp_path / "mixed", range(3))
    (folder / "cut.png").write_bytes(Broken().read_bytes())
    given = ["patterns", folder, *MODEL, *QUICK, "--store", tmp_path / "s"]
    status, said, _ = ends(capsys, *given, "--out", tmp_path / "o")
    assert status == 0 and "left out cut.png" in said
    assert "36 maps of 12 heads on 3 pictures, coded as 2 numbers by" in said
    assert "variance explained on held-out pictures: autoencoder" in said


@pytest.mark.parametrize(
    ("message", "kept"), [("attention maps of 4", False), ("epoch 2 of 2", True)]
)
def test_an_interruption_keeps_what_was_made(
    capsys, pictures, tmp_path, monkeypatch, run, message, kept
):
    def stop(quiet):
        def report(done, total, said=""):
            if said.startswith(message):
                raise KeyboardInterrupt

        return report

    monkeypatch.setattr("analytics.cli.patterns.progress", stop)
    given = ["patterns", pictures, *MODEL, *QUICK, "--json", "--store", tmp_path / "store"]
    status, said, err = ends(capsys, *given, "--out", tmp_path / "part")
    assert status == 130 and "interrupted" in err
    assert (tmp_path / "part" / "atlas.parquet").exists() is kept
    if kept:
        summary = json.loads(said)
        assert not summary["complete"] and "1 of 2 epochs run" in " ".join(summary["notes"])
    monkeypatch.undo()
    resumed, _ = run(pictures, *QUICK)
    whole, _ = run(pictures, *QUICK, "--store", tmp_path / "other", name="whole")
    assert {**resumed, "out": ""} == {**whole, "out": ""} and resumed["complete"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--latent", 1), "latent of at least 2"),
        (("--latent", 3, "--layout", "autoencoder"), "choose the layout umap"),
        (("--clusters", 0), "at least 1"),
    ],
)
def test_bad_choices_end_with_2_and_one_line(capsys, pictures, options, said):
    status, out, err = ends(capsys, "patterns", pictures, *MODEL, *options)
    assert (status, out) == (2, "") and said in err
