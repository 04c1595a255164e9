"""The command binding map, in process, on small made pictures and a random model."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import read_picture
from analytics.models.binding_probes import read_probes
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.studies.binding_map import same_object_map
from tests.commands import MODEL, ends
from tests.studies.binding_making import Objects

FIT = ("--patches", 12, "--rank", 4, "--epochs", 1, "--probes", "plda,quadratic,next_qk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("map")


@pytest.fixture(scope="module")
def picture(folder):
    Image.fromarray(Objects(40).load().pixels).save(folder / "picture.png")
    return folder / "picture.png"


@pytest.fixture(scope="module")
def fitted(folder):
    """A file of probes of the random model, fitted on seven made scenes."""
    from analytics.cli import main

    given = ["binding", "fit", "--data", "synthetic:7", *MODEL, *FIT, "--controls", "none"]
    given += ["--no-link", "--seeds", 0, "--quiet", "--out", folder, "--store", folder / "store"]
    assert main([str(one) for one in given]) == 0
    return folder / "probes.safetensors"


@pytest.fixture
def run(capsys, tmp_path, picture, fitted):
    """Run `binding map` on the picture with the fitted probes."""

    def go(*options, model=MODEL):
        given = ["binding", "map", picture, *model, "--probes", fitted, "--out", tmp_path / "out"]
        return *ends(capsys, *given, *options), tmp_path / "out"

    return go


@pytest.mark.parametrize("name", ["quadratic", "plda", "next_qk"])
def test_the_map_is_the_row_of_the_study(run, picture, fitted, name):
    status, said, err, out = run("--query", "3,4", "--layer", 5, "--probe", name, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(said)
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    loaded = load_model(parse_model("test_vit:random"))
    probe = read_probes(fitted)[0][name]
    found = same_object_map(probe, loaded, read_picture(picture.read_bytes(), "picture.png"))
    expected = found.row(3 * 10 + 4, 5)
    with np.load(out / "same_object.npz") as arrays:
        assert arrays["probability"].dtype == np.float32
        np.testing.assert_allclose(arrays["probability"], expected, atol=1e-5)
        assert arrays["grid_size"].tolist() == [10, 10] and arrays["query"].tolist() == [3, 4]
        assert int(arrays["layer"]) == 5
    assert summary["above_half"] == (expected > 0.5).sum() and summary["probe"] == name
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.parameters["probes"]["train_images"] == 4
    assert made.inputs == {"picture.png": summary["picture"]["sha256"]}


def test_the_figures_carry_title_and_caption(run):
    status, said, _, out = run("--query", "0,9", "--layer", 0)
    assert status == 0 and "quadratic probe, the embedding" in said
    drawn = (out / "same_object.svg").read_text()
    assert "Same object as patch 0,9, the embedding" in drawn
    words = " ".join(re.sub("<[^>]+>", " ", drawn).split())  # the caption is cut into lines
    assert "quadratic probe fitted on 4 made scenes" in words and "P(same object)" in words
    with Image.open(out / "same_object.png") as image:
        assert image.info["Title"] == "Same object as patch 0,9, the embedding"
        assert json.loads(image.info["Description"])["parameters"]["query"] == "0,9"


def test_a_picture_brought_to_size_in_another_way_is_noted(run):
    status, said, _, _ = run("--query", "0,0", "--layer", 2, "--fit", "stretch")
    assert status == 0 and "after layer 2 (L1)" in said
    assert "the probes were fitted on pictures brought to size by crop" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--query", "10,0", "--layer", 1), "row 0 to 9"),
        (("--query", "0,10", "--layer", 1), "column 0 to 9"),
        (("--query", "cls", "--layer", 1), "R,C"),
        (("--query", "1,2,3", "--layer", 1), "R,C"),
        (("--query", "-1,2", "--layer", 1), "expected one argument"),
        (("--query", "0,0", "--layer", 7), "0 to 6"),
        (("--query", "0,0", "--layer", 6, "--probe", "next_qk"), "0 to 5"),
        (("--query", "0,0", "--layer", "all"), "whole number"),
        (("--query", "0,0"), "--layer"),
        (("--query", "0,0", "--layer", 1, "--probe", "full"), "plda, quadratic, next_qk"),
        (("--query", "0,0", "--layer", 1, "--probes", "gone.safetensors"), "gone.safetensors"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run, options, words):
    status, said, err, out = run(*options)
    assert (status, said) == (2, "") and words in err and not out.exists()


def test_probes_of_another_model_are_refused(run, capsys, picture, tmp_path):
    other = ("--model", "test_vit2:random")
    status, _, err, out = run("--query", "0,0", "--layer", 1, model=other)
    assert status == 2 and "expected the model test_vit:random" in err and not out.exists()
    given = ["binding", "map", picture, *MODEL, "--query", "0,0", "--layer", 1]
    status, _, err = ends(capsys, *given, "--out", tmp_path / "shipped")
    assert status == 2 and "--probes FILE names others than those shipped" in err


def test_the_shipped_probes_serve_the_bundled_model_at_their_size(capsys, picture, tmp_path):
    given = ["binding", "map", picture, "--query", "8,8", "--layer", 9, "--out", tmp_path / "out"]
    status, _, err = ends(capsys, *given, "--size", 448)
    assert status == 2 and "224 x 224 pixels" in err and not (tmp_path / "out").exists()
    status, said, err = ends(capsys, *given, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(said)
    assert summary["probe"] == "quadratic" and summary["grid_size"] == [16, 16]
    assert "not the original DINOv2" in summary["caution"]


def test_a_folder_of_several_pictures_is_refused(capsys, fitted, tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(Objects(1).load().pixels).save(tmp_path / name)
    given = ["binding", "map", tmp_path, *MODEL, "--probes", fitted, "--query", "0,0"]
    status, _, err = ends(capsys, *given, "--layer", 1)
    assert status == 2 and "expected one picture" in err
