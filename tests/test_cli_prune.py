"""The command prune, in process, on small made pictures and a random model."""

from __future__ import annotations

import importlib.util
import json

import pandas as pd
import pytest
import torch

from analytics.cli import main
from analytics.io.sources import expand_images
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from tests.commands import MODEL, ends, save
from tests.studies.making import pixels_of, without


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save(tmp_path_factory.mktemp("data") / "pictures", range(6))


@pytest.fixture(scope="module")
def table(pictures, tmp_path_factory):
    """importance.parquet of the small model."""
    out = tmp_path_factory.mktemp("measured")
    given = ["importance", pictures, *MODEL, "--out", out, "--store", out / "store", "--quiet"]
    assert main([str(one) for one in [*given, "--metric", "cls_shift,confidence"]]) == 0
    return out / "importance.parquet"


def test_prune_writes_a_model_that_loads_without_us(capsys, table, pictures, loaded, tmp_path):
    out = tmp_path / "pruned"
    given = ["prune", "--importance", table, *MODEL, "--budget", ".25", "--images", pictures]
    status, said, err = ends(capsys, *given, "--out", out, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(said)
    files = ["load_pruned.py", "provenance.json", "pruned.safetensors", "recipe.json"]
    assert sorted(summary["files"]) == sorted(path.name for path in out.iterdir()) == files
    frame = pd.read_parquet(table)
    frame = frame[frame.metric == "cls_shift"].sort_values("mean", kind="stable")[:3]
    gone = list(zip(frame.layer.tolist(), frame["head"].tolist(), strict=True))
    assert summary["heads"] == [list(pair) for pair in gone] and summary["metric"] == "cls_shift"
    by_layer = {int(k): v for k, v in summary["heads_by_layer"].items()}
    assert sorted((layer, head) for layer, heads in by_layer.items() for head in heads) == sorted(
        gone
    )
    predicted = 1 - frame["mean"].sum()
    assert summary["cosine"]["predicted"] == pytest.approx(predicted, abs=1e-6)
    saved = summary["parameters"]["before"] - summary["parameters"]["after"]
    assert saved == 3 * (3 * 32 * 64 + 3 * 32 + 32 * 64)
    assert summary["latency"]["ratio_low"] <= summary["latency"]["ratio_high"]
    spec = importlib.util.spec_from_file_location("load_pruned_here", out / "load_pruned.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pixels = pixels_of(loaded, expand_images(pictures))
    with torch.no_grad():
        found = module.load().forward_features(pixels)
    torch.testing.assert_close(found, without(loaded, pixels, gone), atol=1e-4, rtol=1e-4)
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.parameters["metric"] == "cls_shift" and made.parameters["budget"] == 0.25
    assert "importance.parquet" in made.inputs and "0.png" in made.inputs


def test_prune_names_heads_or_measures_again(capsys, table, pictures, tmp_path):
    given = ["prune", "--importance", table, *MODEL, "--images", pictures, "--json"]
    _, said, _ = ends(capsys, *given, "--heads", "L3H1,0:0", "--out", tmp_path / "a")
    assert json.loads(said)["heads"] == [[3, 1], [0, 0]] and json.loads(said)["metric"] is None
    options = ["--budget", "4", "--iterative", "2", "--metric", "confidence"]
    _, said, _ = ends(capsys, *given, *options, "--out", tmp_path / "b")
    assert len(json.loads(said)["heads"]) == 4 and json.loads(said)["metric"] == "confidence"
    _, said, _ = ends(capsys, *given[:-1], "--heads", "L2H1", "--out", tmp_path / "c")
    assert "  L2: H1" in said.splitlines() and "of the full model's" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "got neither"),
        (["--budget", "1", "--heads", "L0H0"], "got both"),
        (["--heads", "L0H0", "--iterative", "2"], "--budget alone"),
        (["--budget", "2", "--iterative", "2"], "--images"),
        (["--heads", "L0"], "expected heads as"),
        (["--heads", "L9H0"], "got L9 H0"),
        (["--heads", "L0H7"], "got head 7"),
        (["--budget", "13"], "of 1 to 12 heads"),
        (["--budget", "0"], "at least one head"),
        (["--budget", "2", "--metric", "patch_shift"], "has no patch_shift"),
        (["--budget", "2", "--metric", "beauty"], "--metric"),
        (["--budget", "2", "--model", "test_vit2:random"], "expected the importance of test_vit2"),
        (["--budget", "2", "--model", "vit_tiny_patch16_224:random"], "the table lacks L0 H2"),
    ],
)
def test_prune_refuses_what_does_not_fit(capsys, table, tmp_path, options, words):
    given = ["prune", "--importance", table, *MODEL, "--out", tmp_path / "out", *options]
    status, out, err = ends(capsys, *given)
    assert (status, out) == (2, "") and words in err
    assert not (tmp_path / "out").exists()


def test_prune_refuses_other_files(capsys, tmp_path):
    (tmp_path / "notes.parquet").write_text("dear diary")
    pd.DataFrame({"layer": [0]}).to_parquet(tmp_path / "short.parquet")
    cases = {"none.parquet": "found nothing", "notes.parquet": "cannot be read"}
    for name, words in {**cases, "short.parquet": "no column head"}.items():
        status, _, err = ends(capsys, "prune", "--importance", tmp_path / name, "--budget", "1")
        assert status == 2 and words in err and name in err
