"""Jobs of the Heads page that remove heads: pruning curves, step by step, and for good."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from analytics.serve.state import make_services
from analytics.serve.subject import find_subject
from tests.serve.asking import made, measure, request, run, silent, two_classes


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    here = make_services(tmp_path_factory.mktemp("data"))
    yield here
    here.close()


@pytest.fixture(scope="module")
def hashes(services):
    return [services.pictures.put(made(i), f"made {i}.png").sha256 for i in range(6)]


@pytest.fixture(scope="module")
def labelled(services):
    return two_classes(services)


def test_curves_are_attached_to_the_result_and_say_how_much_they_cover(services, hashes):
    record = measure(services, request(hashes[:2], "exact"))
    job = run(services, "curves", {"result": record.id}, "curves")
    assert job.state == "done", job.error
    kept = services.importance.attached(record.id, "curves")
    assert kept["measured"] == 2 and kept["num_images"] == 2
    assert kept["removed"][0] == 0 and kept["removed"][-1] <= len(record.heads)
    assert set(kept["metrics"]) == set(record.metrics)
    for points in kept["metrics"].values():
        assert points[0] == pytest.approx(1, abs=1e-5)  # nothing removed: the same embedding


def test_curves_by_classes_stand_on_more_held_out_pictures_than_were_measured(services, labelled):
    from analytics.serve.importance import metadata

    params = request(labelled, "exact", readout={"kind": "linear", "layer": None}, limit=1)
    record = measure(services, params)
    stored = {path.name for path in services.pictures.root.iterdir()}
    job = run(services, "curves", {"result": record.id}, "curves-labelled")
    assert job.state == "done", job.error
    kept = services.importance.attached(record.id, "curves")
    assert (kept["num_images"], kept["num_measured"], kept["measured"]) == (4, 1, 1)
    assert kept["quality"] == "share named right"
    said = metadata(services, record)["curves"]["quality"]
    assert said == "share named right, 4 held-out pictures, 1 of them measured"
    # The pages need not show the pictures that joined: they are not stored.
    assert {path.name for path in services.pictures.root.iterdir()} == stored


def test_a_pruned_model_runs_elsewhere_from_its_zip_alone(services, labelled, tmp_path):
    import torch

    from analytics.models.pruning import count_parameters

    params = request(labelled, "exact", readout={"kind": "linear", "layer": None}, limit=4)
    record = measure(services, params)
    wanted = {"result": record.id, "heads": [[0, 1], [3, 0]]}
    job = run(services, "prune", wanted, "prune")
    assert job.state == "done", job.error
    found = job.result
    assert found["heads"] == [[0, 1], [3, 0]]
    # Quality is measured on all pictures held out of the read-out's fit, not on four alone.
    assert found["images"] == 8
    assert found["parameters"][0] > found["parameters"][1]
    assert 0 <= found["accuracy"][1] <= 1
    json.dumps(found, allow_nan=False)
    with zipfile.ZipFile(services.data_dir / "pruned" / f"{found['file']}.zip") as archive:
        assert {"pruned.safetensors", "recipe.json", "load_pruned.py", "provenance.json"} <= set(
            archive.namelist()
        )
        archive.extractall(tmp_path)
    code = (
        "from load_pruned import load; import torch; m = load().eval(); torch.manual_seed(0);"
        "x = torch.rand(1, 3, 160, 160);"
        "print(sum(p.numel() for p in m.parameters()));"
        "torch.save(m.forward_features(x), 'features.pt')"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert out.returncode == 0, out.stderr[-2000:]
    assert int(out.stdout.split()[-1]) == found["parameters"][1]
    # The same as the full model with these heads silenced by hand: columns of proj set to 0.
    import copy

    full = copy.deepcopy(find_subject(services, params, silent).loaded.module)
    assert count_parameters(full) == found["parameters"][0]
    with torch.no_grad():
        for layer, head in found["heads"]:
            attention = full.blocks[layer].attn
            width = attention.proj.weight.shape[1] // attention.num_heads
            attention.proj.weight[:, head * width : (head + 1) * width] = 0
        torch.manual_seed(0)
        expected = full.eval().forward_features(torch.rand(1, 3, 160, 160))
    features = torch.load(tmp_path / "features.pt", weights_only=True)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_heads_that_are_not_there_are_refused(services, hashes):
    record = measure(services, request(hashes[:2]))
    job = run(services, "prune", {"result": record.id, "heads": [[99, 0]]}, "prune-none")
    assert job.state == "failed" and "L99 H0" in job.error
    job = run(services, "prune", {"result": record.id, "heads": []}, "prune-empty")
    assert job.state == "failed" and "at least one head" in job.error


def test_heads_are_chosen_step_by_step_as_the_study_chooses_them(services, hashes):
    from analytics.studies.pruning_steps import prune_iteratively

    params = request(hashes[:3])
    record = measure(services, params)
    wanted = {"result": record.id, "metric": "cls_shift", "count": 4, "steps": 2}
    job = run(services, "iterate", wanted, "iterate")
    assert job.state == "done", job.error
    subject = find_subject(services, params, silent)
    expected = prune_iteratively(subject.loaded, subject.images, "cls_shift", 4, 2)
    assert job.result == [list(pair) for pair in expected]
    assert len({tuple(pair) for pair in job.result}) == 4


@pytest.mark.parametrize("metric", ["js_divergence", "taylor"])
def test_steps_by_classes_use_the_labels_and_the_readout_of_the_study(services, labelled, metric):
    from analytics.studies.pruning_steps import prune_iteratively

    params = request(labelled, "exact", readout={"kind": "linear", "layer": 3}, limit=4)
    record = measure(services, params)
    wanted = {"result": record.id, "metric": metric, "count": 6, "steps": 2}
    job = run(services, "iterate", wanted, f"iterate-{metric}")
    assert job.state == "done", job.error
    subject = find_subject(services, params, silent)
    assert subject.readout is not None and None not in subject.labels
    expected = prune_iteratively(
        subject.loaded, subject.images, metric, 6, 2, subject.labels, subject.readout
    )
    assert job.result == [list(pair) for pair in expected]
    # The read-out reads layer 3: what comes after it goes first.
    assert {tuple(pair) for pair in job.result[:3]} <= {(4, 0), (4, 1), (5, 0), (5, 1)}
