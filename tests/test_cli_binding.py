"""The command binding fit, in process, on small made pictures and a random model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analytics.io.annotated_sets import read_annotated
from analytics.io.scenes import FAMILIES, scene_sources
from analytics.metrics.binding import MEASURES
from analytics.models.binding_probes import read_probes
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import parse_provenance
from analytics.store.results import ResultStore
from analytics.studies.binding import measure_binding
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_record import load_binding_probes
from tests.commands import MODEL, ends
from tests.studies.binding_making import Objects

SMALL = ("--patches", 12, "--rank", 4, "--epochs", 1)
QUICK = (*SMALL, "--probes", "plda,quadratic", "--controls", "none", "--no-link")
CHOSEN = BindingChoices(
    probes=("plda", "quadratic"),
    controls=(),
    seeds=(3, 5),
    patches=12,
    rank=4,
    epochs=1,
    link=False,
)
F = "one-colour,copies-free"
CONTRACT = {"layer", "probe", "split", "accuracy", "balanced_accuracy", "auc", "n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight pictures with masks, and one whose mask has another size."""
    place = tmp_path_factory.mktemp("data") / "set"
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
    for seed in range(8):
        image = Objects(seed).load()
        Image.fromarray(image.pixels).save(place / "images" / f"{seed}.png")
        Image.fromarray(image.instances.astype(np.uint8)).save(place / "masks" / f"{seed}.png")
    Image.fromarray(image.pixels).save(place / "images" / "cut.png")
    Image.fromarray(image.instances[:50].astype(np.uint8)).save(place / "masks" / "cut.png")
    return place


@pytest.fixture
def run(capsys, tmp_path):
    """Run `binding fit` with --json; gives the summary and the output folder."""

    def go(data, *options, name="out"):
        out = tmp_path / name
        given = ["binding", "fit", "--data", data, *MODEL, "--out", out]
        given += ["--store", tmp_path / "store"]
        status, said, err = ends(capsys, *given, "--json", *options)
        assert (status, err) == (0, "")
        return json.loads(said), out

    return go


def test_the_tables_hold_the_numbers_of_the_study(run, folder, tmp_path):
    summary, out = run(f"masks:{folder}", *QUICK, "--seeds", "3,5", "--csv")
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    store = ResultStore(tmp_path / "own")
    loaded = load_model(parse_model("test_vit:random"))
    record = measure_binding(loaded, read_annotated(folder).sources, CHOSEN, store)
    frame = pd.read_parquet(out / "binding.parquet")
    assert set(frame.columns) >= CONTRACT and set(frame.split) == {"test"}
    assert set(frame.seed) == {3, 5} and set(frame.n) == set(record.pairs.sum((1, 2)))
    rows = frame[(frame.probe == "quadratic") & (frame.seed == 5)].sort_values("layer")
    assert rows.layer.tolist() == list(range(7))
    for number, measure in enumerate(MEASURES):
        expected = record.values[record.row("quadratic"), :, 1, number, 0]
        np.testing.assert_allclose(rows[measure], expected, rtol=1e-5)
    assert len(pd.read_csv(out / "binding.csv")) == len(frame)
    probes, about = read_probes(out / "probes.safetensors")
    assert about["weights_sha256"] == loaded.weights_sha256 and about["input_size"] == [160, 160]
    assert (about["pictures"], about["train_images"]) == ("annotated pictures", 5)
    own = load_binding_probes(store, record.id, 3)
    assert set(probes) == {"plda", "quadratic"}
    for name, probe in probes.items():
        for part, tensor in probe.tensors.items():
            np.testing.assert_array_equal(own[name].tensors[part], tensor)
    made = parse_provenance((out / "provenance.json").read_text())
    assert len(made.inputs) == 8 and made.parameters["complete"] is True
    assert made.command.startswith("attention-atlas binding fit --data masks:")


def test_the_summary_has_each_row_at_its_best_layer(run, folder):
    summary, out = run(f"masks:{folder}", *QUICK, "--seeds", "3,5")
    assert (summary["images"], summary["images_wanted"]) == (8, 9)
    [(name, reason)] = summary["skipped"]
    assert name.endswith("cut.png") and "50" in reason
    frame = pd.read_parquet(out / "binding.parquet")
    by_name = {one["probe"]: one for one in summary["rows"]}
    assert list(by_name) == ["plda", "quadratic", "majority", "position", "pixel", "both"]
    curve = frame[frame.probe == "plda"].groupby("layer").auc_matched.mean()
    assert by_name["plda"]["best_layer"] == curve.idxmax()
    assert by_name["plda"]["auc_matched"][0] == pytest.approx(curve.max(), rel=1e-5)
    assert by_name["majority"]["best_layer"] is None
    assert len(by_name["position"]["auc_matched_by_layer"]) == 1


def test_families_distances_and_heads_have_tables(run, tmp_path):
    summary, out = run("synthetic:12", *SMALL, "--probes", "dot", "--seeds", 0, "--families", F)
    assert summary["families"] == ["copies-free", "one-colour"]
    sources = scene_sources(12, 0, 320, F.split(","), 32)
    chosen = BindingChoices(probes=("dot",), seeds=(0,), patches=12, rank=4, epochs=1)
    record = measure_binding(load_model(parse_model("test_vit:random")), sources, chosen)
    families = pd.read_parquet(out / "by_family.parquet")
    rows = families[(families.probe == "dot") & (families.family == "one-colour")]
    place = record.families.index("one-colour")
    np.testing.assert_allclose(rows.auc, record.by_family[0, :, 0, place, 0], rtol=1e-5)
    near = pd.read_parquet(out / "by_distance.parquet")
    cells = near[(near.probe == "dot") & (near.layer == 6)].set_index("distance")
    for distance in cells.index:
        assert cells.auc[distance] == pytest.approx(record.by_distance[0, 6, 0, distance, 0])
        pairs = record.pairs[0, distance].tolist()
        assert [cells.different_pairs[distance], cells.same_pairs[distance]] == pairs
    heads = pd.read_parquet(out / "attention.parquet")
    assert list(zip(heads.layer, heads["head"], strict=True))[:4] == [
        (0, 0),
        (0, 1),
        (0, -1),
        (1, 0),
    ]
    np.testing.assert_array_equal(heads.auc, record.link["auc"].reshape(-1))
    # Probes of controls read other weights, and are not in the file.
    assert set(read_probes(out / "probes.safetensors")[0]) == {"dot"}
    assert "quadratic, random weights" in {one["probe"] for one in summary["rows"]}


def test_fits_are_kept_and_reused(run, folder, monkeypatch):
    first, out = run(f"masks:{folder}", *QUICK, "--seeds", 0)
    monkeypatch.setattr("analytics.studies.binding_units.Fitter.unit", None)
    monkeypatch.setattr("analytics.studies.binding_features.StreamReader.read", None)
    second, other = run(f"masks:{folder}", *QUICK, "--seeds", 0, name="again")
    assert (first["reused"], second["reused"]) == (0, 6)
    for name in ("binding.parquet", "by_distance.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(out / name), pd.read_parquet(other / name))
    file = "probes.safetensors"
    assert (out / file).read_bytes() == (other / file).read_bytes()


def test_an_interruption_keeps_what_was_fitted(capsys, tmp_path, folder, monkeypatch):
    from analytics.studies.binding_units import Fitter

    fit = Fitter.unit

    def until(self, kind, *rest):
        if kind == "quadratic":
            raise KeyboardInterrupt
        return fit(self, kind, *rest)

    monkeypatch.setattr(Fitter, "unit", until)
    out = tmp_path / "out"
    given = ["binding", "fit", "--data", f"masks:{folder}", *MODEL, *QUICK, "--seeds", 0]
    status, said, err = ends(capsys, *given, "--out", out, "--store", tmp_path / "store")
    assert status == 130 and "interrupted" in err
    assert "interrupted: 5 of 6 fits done" in said and "cut.png" in said
    assert set(pd.read_parquet(out / "binding.parquet").probe) == {
        *("plda", "majority", "position", "pixel", "both")
    }
    assert set(read_probes(out / "probes.safetensors")[0]) == {"plda"}
    monkeypatch.setattr(Fitter, "unit", fit)
    status, said, _ = ends(capsys, *given, "--out", out, "--store", tmp_path / "store")
    assert status == 0 and "5 fits were made before" in said
    assert set(read_probes(out / "probes.safetensors")[0]) == {"plda", "quadratic"}


def test_an_interruption_before_the_first_fit_writes_nothing(capsys, tmp_path, folder, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("analytics.studies.binding.binding_features", stop)
    out = tmp_path / "out"
    given = ["binding", "fit", "--data", f"masks:{folder}", *MODEL, *QUICK]
    status, said, _ = ends(capsys, *given, "--out", out, "--store", tmp_path / "store")
    assert (status, said, out.exists()) == (130, "", False)


def test_half_precision_halves_the_matrices_alone(run, folder):
    _, out = run(f"masks:{folder}", *QUICK, "--seeds", 0)
    _, small = run(f"masks:{folder}", *QUICK, "--seeds", 0, "--half", name="half")
    whole, about = read_probes(out / "probes.safetensors")
    half, again = read_probes(small / "probes.safetensors")
    assert about == again
    sizes = [(one / "probes.safetensors").stat().st_size for one in (out, small)]
    assert sizes[1] < 0.7 * sizes[0]
    for name, probe in whole.items():
        for part, tensor in probe.tensors.items():
            expected = tensor.half().float() if part == "matrix" else tensor
            np.testing.assert_array_equal(half[name].tensors[part], expected)


def test_the_preview_is_plda_beside_the_baselines(capsys, tmp_path):
    given = ["binding", "fit", "--data", "synthetic:11", "--preview", *MODEL, "--patches", 12]
    status, said, err = ends(capsys, *given, "--out", tmp_path / "out", "--store", tmp_path / "s")
    assert (status, err) == (0, "")
    assert "  plda at layer " in said and "  position  " in said and "quadratic" not in said
    assert "6 pictures fitted, 3 tested, 1 seed; layer 0 is the embedding" in said
    frame = pd.read_parquet(tmp_path / "out" / "by_family.parquet")
    assert set(frame.family) <= set(FAMILIES)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("scenes", (), "synthetic[:COUNT]"),
        ("voc", (), "voc:DIR"),
        ("masks:no/such/folder", (), "no/such/folder"),
        ("coco:no/such:file.json", (), "no/such"),
        ("synthetic:0", (), "above 0"),
        ("synthetic:many", (), "above 0"),
        ("synthetic:4", ("--families", "one-colour,balloons"), "balloons"),
        ("synthetic:4", ("--probes", "cubic"), "cubic"),
        ("synthetic:4", ("--controls", "nobody"), "nobody"),
        ("synthetic:4", ("--seeds", "0,x"), "--seeds"),
        ("synthetic:4", ("--seeds", "0,-1"), "--seeds"),
        ("synthetic:4", ("--purity", 2), "purity"),
        ("synthetic:4", ("--preview", "--probes", "dot"), "leave --probes out"),
        ("synthetic:2", (), "at least 3"),
        ("masks:{folder}", ("--families", "one-colour"), "--data synthetic"),
        ("masks:{folder}", ("--limit", 2, *QUICK), "at least 3"),
        ("masks:{folder}", ("--model", "xcit_nano_12_p16_224:random"), "one grid"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, folder, data, options, words):
    given = ["binding", "fit", "--data", data.format(folder=folder), *MODEL, *options]
    status, said, err = ends(capsys, *given, "--out", tmp_path / "out", "--store", tmp_path / "s")
    assert (status, said) == (2, "") and words in err
    assert not (tmp_path / "out").exists()


def test_coco_takes_pictures_and_a_file(run, tmp_path):
    place = tmp_path / "coco"
    (place / "pictures").mkdir(parents=True)
    about = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "box"}]}
    for seed in range(5):
        image = Objects(seed).load()
        Image.fromarray(image.pixels).save(place / "pictures" / f"{seed}.png")
        size = {"height": image.height, "width": image.width}
        about["images"].append({"id": seed, "file_name": f"{seed}.png", **size})
        for part, left in enumerate((10, 90)):
            box = [left, 20, left + 60, 20, left + 60, 100 + part, left, 100 + part]
            one = {"id": 2 * seed + part + 1, "image_id": seed, "category_id": 1, "iscrowd": 0}
            about["annotations"].append({**one, "segmentation": [box]})
    (place / "boxes.json").write_text(json.dumps(about))
    data = f"coco:{place / 'pictures'}:{place / 'boxes.json'}"
    summary, _ = run(data, *QUICK, "--seeds", 0)
    assert summary["images"] == 5 and summary["complete"]


def test_help_and_a_missing_part_are_said(capsys):
    status, said, _ = ends(capsys, "binding", "fit", "--help")
    assert status == 0 and "adechallenge:DIR" in said
    status, _, err = ends(capsys, "binding")
    assert status == 2 and "fit|map" in err
