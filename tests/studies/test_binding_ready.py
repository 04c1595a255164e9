"""The shipped probes, and whom saved probes fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.io.scenes import FAMILIES, make_scene, scene_sources
from analytics.metrics.binding import MEASURES, pair_set, weighted_auc
from analytics.models.binding_probes import read_probes
from analytics.models.registry import load_model, parse_model
from analytics.store.provenance import make_provenance
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_features import binding_features
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_map import same_object_map
from analytics.studies.binding_ready import (
    check_fits,
    half_bytes,
    measure_ready,
    ready_path,
    ready_probes,
    ready_rows,
)


@pytest.fixture(scope="module")
def bundled():
    return load_model(parse_model("bundled"))


def test_the_shipped_probes_are_those_of_the_bundled_model(bundled):
    probes, about = read_probes(ready_path())
    assert {name: probe.kind for name, probe in probes.items()} == {
        "plda": "plda",
        "quadratic": "quadratic",
    }
    assert about["weights_sha256"] == bundled.weights_sha256
    assert about["input_size"] == [224, 224]
    assert all(probe.points == 13 for probe in probes.values())
    found = ready_probes(bundled)
    assert found is not None and set(found) == set(probes)
    assert ready_path().stat().st_size < 6_000_000


def test_the_shipped_probes_tell_objects_of_scenes_that_they_have_not_seen(bundled):
    sources = scene_sources(22, 0, 224, FAMILIES)
    whole = binding_features(bundled, survey_annotated(sources), BindingChoices())
    pairs = pair_set(whole.objects, whole.places)
    for probe in ready_probes(bundled).values():
        read = probe.read(torch.from_numpy(whole.features[9]), 9)
        scores = pairs.scores(probe.logits(read, read, 9).numpy())
        assert weighted_auc(scores, pairs.truth) > 0.85, probe.kind


def test_a_click_on_a_scene_shows_its_object(bundled):
    scene = make_scene("one-colour", 0)
    found = same_object_map(ready_probes(bundled)["quadratic"], bundled, scene.picture)
    centres = scene.instances[7::14, 7::14]
    ids, sizes = np.unique(centres[centres > 0], return_counts=True)
    inside = centres == ids[sizes.argmax()]
    row = found.row(int(np.flatnonzero(inside)[0]), 9)
    assert row[inside].mean() > row[~inside & (centres > 0)].mean() + 0.2


def test_probes_fit_the_model_and_the_size_they_were_fitted_on():
    loaded = load_model(parse_model("test_vit:random"))
    about = {
        "model": "test_vit:random",
        "weights_sha256": loaded.weights_sha256,
        "input_size": [160, 160],
    }
    check_fits(about, loaded)
    for change, words in (
        ({"model": "test_vit2:random"}, "model test_vit2:random"),
        ({"weights_sha256": "a" * 64}, "weights aaaaaaaaaaaa,"),
        ({"input_size": [224, 160]}, "224 x 160 pixels"),
        ({"input_size": None}, "say which model"),
        ({"weights_sha256": None}, "say which model"),
    ):
        with pytest.raises(ValueError, match=words):
            check_fits({**about, **change}, loaded)
    assert ready_probes(loaded) is None


def test_half_precision_keeps_kind_and_numbers(tmp_path):
    probes, about = read_probes(ready_path())
    path = tmp_path / "again.safetensors"
    path.write_bytes(half_bytes(probes, about))
    again, said = read_probes(path)
    assert said == about
    for name, probe in probes.items():
        assert again[name].kind == probe.kind and again[name].about == probe.about
        for part, tensor in probe.tensors.items():
            torch.testing.assert_close(again[name].tensors[part], tensor, rtol=0, atol=0)


def test_the_table_of_the_shipped_probes_is_that_of_their_model(bundled):
    made = make_provenance("", "bundled", bundled.weights_sha256, {}, {"input_size": [224, 224]})
    rows = ready_rows(made)
    assert set(rows) == {"plda", "quadratic"}
    curves, images = rows["quadratic"]
    assert images > 100 and set(curves) == set(MEASURES)
    value, low, high = curves["auc_matched"][9]
    assert low < value < high and value > 0.85
    assert ready_rows(make_provenance("", "x", "0" * 64, {}, {"input_size": [224, 224]})) == {}
    other = make_provenance("", "bundled", bundled.weights_sha256, {}, {"input_size": [518, 518]})
    assert ready_rows(other) == {}


@pytest.mark.slow
def test_the_table_is_what_a_few_other_scenes_give(bundled):
    found = measure_ready(bundled, scene_sources(88, 11, 224), lambda *told: None)
    table = ready_rows(
        make_provenance("", "bundled", bundled.weights_sha256, {}, {"input_size": [224, 224]})
    )
    for name, (curves, _) in table.items():
        mine = [value[0] for value in found["curves"][name]["auc_matched"]]
        theirs = [value[0] for value in curves["auc_matched"]]
        np.testing.assert_allclose(mine, theirs, atol=0.08)
