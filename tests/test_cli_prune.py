"""The command prune, in process, on small made pictures and a random model."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pandas as pd
import pytest
import torch

from analytics.cli import main
from analytics.io.labelled import read_labelled
from analytics.io.sources import expand_images
from analytics.models.readout import load_readout
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.studies.pruning import prune_and_measure
from analytics.studies.pruning_steps import prune_iteratively
from analytics.studies.readouts import labelled_pictures
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


def one_mode(folder) -> bool:
    """Whether every file is as readable as a file that Python makes."""
    plain = folder.parent / "plain"
    plain.touch()
    return {path.stat().st_mode for path in folder.iterdir()} == {plain.stat().st_mode}


def test_prune_writes_a_model_that_loads_without_us(capsys, table, pictures, loaded, tmp_path):
    out = tmp_path / "pruned"
    given = ["prune", "--importance", table, *MODEL, "--budget", ".25", "--images", pictures]
    status, said, err = ends(capsys, *given, "--out", out, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(said)
    files = ["load_pruned.py", "provenance.json", "pruned.safetensors", "recipe.json"]
    assert sorted(summary["files"]) == sorted(path.name for path in out.iterdir()) == files
    assert one_mode(out)
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
        (["--heads", "L0H0", "--labels", "folders"], "name them with --images"),
        (["--heads", "L0H0", "--readout", "r.safetensors"], "name them with --images"),
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


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Two folders of eight pictures, and the importance by classes of those held out."""
    folder = tmp_path_factory.mktemp("labelled")
    save(folder / "set" / "cats", range(8))
    save(folder / "set" / "dogs", range(8, 16))
    out = folder / "measured"
    given = ["importance", folder / "set", *MODEL, "--out", out, "--store", folder / "store"]
    given += ["--labels", "folders", "--readout-layer", "3", "--metric", "js_divergence,taylor"]
    assert main([str(one) for one in [*given, "--quiet"]]) == 0
    return folder / "set", out


def copied(labelled, tmp_path):
    """The labelled pictures and the files of their importance, to be spoilt."""
    folder, out = labelled
    shutil.copytree(out, tmp_path / "measured")
    return folder, tmp_path / "measured" / "importance.parquet"


def test_steps_find_the_pictures_labels_and_readout_of_the_importance(
    capsys, labelled, loaded, tmp_path
):
    folder, measured = labelled
    given = ["prune", "--importance", measured / "importance.parquet", *MODEL, "--json"]
    out = tmp_path / "out"
    status, said, err = ends(capsys, *given, "--budget", 6, "--iterative", 2, "--out", out)
    assert (status, err) == (0, "")
    summary = json.loads(said)
    readout = load_readout(measured / "readout.safetensors")
    found = labelled_pictures(*image_lists(folder))
    held_out = set(parse_provenance((measured / "provenance.json").read_text()).inputs.values())
    assert len(held_out) == readout.n_test == 5
    assert one_mode(measured)
    found = found.without(set(found.sha256s) - held_out)
    expected = prune_iteratively(loaded, found.images, "js_divergence", 6, 2, found.labels, readout)
    assert summary["heads"] == [list(pair) for pair in expected]
    assert summary["cosine"]["images"] == 5 and "pictures of the importance run, 5" in said
    pruned = prune_and_measure(
        loaded, found.images, expected, labels=found.labels, readout=readout, rounds=1
    )
    assert tuple(summary["accuracy"].values()) == pruned.accuracy
    made = parse_provenance((out / "provenance.json").read_text())
    assert set(made.inputs.values()) > held_out and made.parameters["readout"] == readout.sha256
    assert made.parameters["accuracy"] == summary["accuracy"]


def image_lists(folder):
    found = read_labelled(folder, "folders")
    return found.images, found.labels


def test_named_pictures_with_labels_are_named_before_and_after(capsys, labelled, tmp_path):
    folder, measured = labelled
    given = ["prune", "--importance", measured / "importance.parquet", *MODEL]
    given += ["--heads", "L0H0,L2H1", "--images", folder, "--labels", "folders"]
    # The read-out is the one of the importance; any other is named.
    _, said, _ = ends(capsys, *given, "--out", tmp_path / "a", "--json")
    summary = json.loads(said)
    assert summary["cosine"]["images"] == 16 and summary["accuracy"]["before"] > 0.5
    assert "too good" in " ".join(summary["notes"])
    other = ["--readout", measured / "readout.safetensors", "--out", tmp_path / "b"]
    _, said, _ = ends(capsys, *given, *other)
    before, after = summary["accuracy"].values()
    assert f"named right: {before:.1%} with all heads, {after:.1%} without these" in said
    status, _, err = ends(capsys, *given[:-2], *other)
    assert status == 2 and "have no labels: add --labels" in err


def test_steps_on_other_pictures_take_the_predicted_classes(capsys, labelled, pictures, tmp_path):
    given = ["prune", "--importance", labelled[1] / "importance.parquet", *MODEL, "--json"]
    given += ["--images", pictures, "--budget", 2, "--iterative", 1, "--metric", "taylor"]
    status, said, _ = ends(capsys, *given, "--out", tmp_path / "out")
    summary = json.loads(said)
    # The read-out reads layer 3, so heads after it have no slope.
    assert status == 0 and summary["heads"] == [[4, 0], [4, 1]] and summary["accuracy"] is None


def test_steps_say_what_to_add_where_pictures_or_readout_are_gone(capsys, labelled, tmp_path):
    folder, table = copied(labelled, tmp_path)
    steps = ["--budget", "2", "--iterative", "2", "--out", tmp_path / "out"]
    given = ["prune", "--importance", table, *MODEL, *steps]

    def refused(*options):
        status, out, err = ends(capsys, *given, *options)
        assert (status, out) == (2, "") and not (tmp_path / "out").exists()
        return err

    readout = table.parent / "readout.safetensors"
    kept = readout.read_bytes()
    readout.unlink()
    assert "js_divergence needs the read-out" in refused() and "--readout FILE" in refused()
    other = ["--images", folder, "--labels", "folders"]
    assert "--labels needs the read-out" in refused(*other)
    readout.write_bytes(kept)
    about = table.parent / "provenance.json"
    text = about.read_text()
    sha256 = next(iter(json.loads(text)["inputs"].values()))
    about.write_text(text.replace(sha256, "0" * 64))
    assert "1 of the 5 pictures of the importance run" in refused()
    about.write_text(text.replace(str(folder), str(tmp_path / "moved")))
    assert "not found at" in refused() and "add --images IMAGES, with --labels" in refused()
    about.unlink()
    assert "no provenance.json beside importance.parquet" in refused()


def test_prune_refuses_other_files(capsys, tmp_path):
    (tmp_path / "notes.parquet").write_text("dear diary")
    pd.DataFrame({"layer": [0]}).to_parquet(tmp_path / "short.parquet")
    cases = {"none.parquet": "found nothing", "notes.parquet": "cannot be read"}
    for name, words in {**cases, "short.parquet": "no column head"}.items():
        status, _, err = ends(capsys, "prune", "--importance", tmp_path / name, "--budget", "1")
        assert status == 2 and words in err and name in err
