"""Head importance over a set: exact, resumable, honest about what it left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.capture.recording import Gates, capture, switch_off
from analytics.capture.tracing import find_sites
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.features import frozen_features
from analytics.studies.importance import measure_importance
from analytics.studies.importance_record import load_importance
from tests.studies.making import Broken, Made, by_hand, cosine_shift, pixels_of

ALL = (
    "cls_shift",
    "cls_distance",
    "patch_shift",
    "layer_impact",
    "taylor",
    "sensitivity",
    "confidence",
    "contribution",
)


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(6)]


@pytest.fixture(scope="module")
def readout(loaded, pictures):
    features = frozen_features(loaded, pictures * 2)
    labels = ["odd", "even"] * 6
    return fit_readout(
        features.values,
        labels,
        held_out=0.5,
        model=loaded.spec.id,
        weights_sha256=loaded.weights_sha256,
    )


def test_cls_and_patch_shift_equal_the_naive_loop(loaded, pictures):
    record = measure_importance(loaded, pictures, ("cls_shift", "patch_shift"))
    assert record.complete
    assert record.heads == tuple((layer, head) for layer in range(6) for head in range(2))
    pixels = pixels_of(loaded, pictures)
    with torch.no_grad():
        clean = loaded.module.forward_features(pixels)
    for layer, head in ((0, 1), (3, 0), (5, 1)):
        tokens = by_hand(loaded, pixels, layer, head)
        column = record.column(layer, head)
        expected = cosine_shift(clean[:, 0], tokens[:, 0])
        np.testing.assert_allclose(record.table("cls_shift")[:, column], expected, atol=1e-5)
        expected = cosine_shift(clean[:, 1:], tokens[:, 1:]).mean(1)
        np.testing.assert_allclose(record.table("patch_shift")[:, column], expected, atol=1e-5)


def test_every_metric_is_measured_everywhere(loaded, pictures):
    record = measure_importance(loaded, pictures[:3], ALL)
    assert record.metrics == ALL
    assert record.values.shape == (len(ALL), 3, 12)
    assert np.isfinite(record.values).all()
    assert (record.values >= 0).all()
    # One token path alone: asking for less gives the same numbers by the shorter way.
    alone = measure_importance(loaded, pictures[:3], ("cls_shift",))
    np.testing.assert_allclose(alone.table("cls_shift"), record.table("cls_shift"), atol=1e-5)


def test_mean_ablation_puts_the_mean_of_the_set_in(loaded, pictures):
    record = measure_importance(loaded, pictures, ("cls_shift",), "mean")
    pixels = pixels_of(loaded, pictures)
    sites = find_sites(loaded.module, loaded.input_size)
    with torch.no_grad(), capture(loaded.module, sites, ["output"]) as captured:
        clean = loaded.module.forward_features(pixels)
    fill = captured[2].output.mean(0, keepdim=True)
    expected = cosine_shift(clean[:, 0], by_hand(loaded, pixels, 2, 1, fill)[:, 0])
    np.testing.assert_allclose(
        record.table("cls_shift")[:, record.column(2, 1)], expected, atol=1e-5
    )


def test_resampling_takes_another_picture(loaded, pictures):
    first = measure_importance(loaded, pictures[:2], ("cls_shift",), "resample", seed=3)
    pixels = pixels_of(loaded, pictures[:2])
    sites = find_sites(loaded.module, loaded.input_size)
    with torch.no_grad(), capture(loaded.module, sites, ["output"]) as captured:
        clean = loaded.module.forward_features(pixels)
    # With two pictures each stands in for the other.
    fill = captured[1].output.flip(0)
    expected = cosine_shift(clean[:, 0], by_hand(loaded, pixels, 1, 0, fill)[:, 0])
    np.testing.assert_allclose(first.table("cls_shift")[:, first.column(1, 0)], expected, atol=1e-5)


def test_slopes_equal_finite_differences(loaded, pictures, readout):
    record = measure_importance(loaded, pictures[:2], ("taylor",), readout=readout)
    pixels = pixels_of(loaded, pictures[:2])
    sites = find_sites(loaded.module, loaded.input_size)
    from analytics.studies.features import pooled_features

    def log_probability(gate: float) -> torch.Tensor:
        gates = Gates({4: torch.tensor([gate, 1.0])})
        with torch.no_grad(), capture(loaded.module, sites, gates=gates):
            found = readout.probabilities(pooled_features(loaded.module, pixels)).log()
        return found

    classes = log_probability(1.0).argmax(1, keepdim=True)
    step = (log_probability(1.05) - log_probability(0.95)).gather(1, classes)[:, 0] / 0.1
    found = record.table("taylor")[:, record.column(4, 0)]
    np.testing.assert_allclose(found, step.abs(), rtol=0.02, atol=1e-4)


def test_probabilities_are_those_of_the_readout(loaded, pictures, readout):
    labels = ["odd", "even", None, None, "odd", "even"]
    record = measure_importance(
        loaded,
        pictures,
        ("probability_drop", "js_divergence", "flip_rate"),
        labels=labels,
        readout=readout,
    )
    from analytics.studies.features import pooled_features

    pixels = pixels_of(loaded, pictures)
    with torch.no_grad():
        before = readout.probabilities(pooled_features(loaded.module, pixels))
    sites = find_sites(loaded.module, loaded.input_size)
    with torch.no_grad(), capture(loaded.module, sites, gates=switch_off(sites, [(3, 1)])):
        after = readout.probabilities(pooled_features(loaded.module, pixels))
    column = record.column(3, 1)
    for row, image in enumerate(record.images):
        number = readout.classes.index(image.label or image.predicted)
        assert image.label == labels[row]
        assert image.predicted == readout.classes[int(before[row].argmax())]
        assert image.probability == pytest.approx(float(before[row, number]), abs=1e-5)
        assert record.probabilities[row, column] == pytest.approx(
            float(after[row, number]), abs=1e-5
        )
        drop = record.table("probability_drop")[row, column]
        assert drop == pytest.approx(float(before[row, number] - after[row, number]), abs=1e-5)


def test_a_readout_of_an_earlier_layer_ignores_later_heads(loaded, pictures):
    features = frozen_features(loaded, pictures * 2, layer=2)
    early = fit_readout(features.values, ["odd", "even"] * 6, held_out=0.5, layer=2)
    record = measure_importance(
        loaded, pictures[:2], ("probability_drop", "cls_shift", "taylor"), readout=early
    )
    drop = record.table("probability_drop")
    later = [column for column, (layer, _) in enumerate(record.heads) if layer > 2]
    earlier = [column for column, (layer, _) in enumerate(record.heads) if layer <= 2]
    assert (drop[:, later] == 0).all()
    assert (record.table("taylor")[:, later] == 0).all()
    assert (drop[:, earlier] != 0).all()
    assert (record.table("cls_shift")[:, later] > 0).any()


class Stop(Exception):
    pass


def test_a_stopped_run_keeps_its_parts_and_goes_on(loaded, pictures, tmp_path):
    store = ResultStore(tmp_path)

    def stop(done, total, message=""):
        if done > 4:
            raise Stop

    with pytest.raises(Stop):
        measure_importance(loaded, pictures, ("cls_shift",), store=store, progress=stop)
    [key] = store.keys()
    partial = load_importance(store, key)
    assert not partial.complete
    assert len(partial.images) == 4
    seen = []
    resumed = measure_importance(
        loaded,
        pictures,
        ("cls_shift",),
        store=store,
        progress=lambda done, total, message="": seen.append(total),
    )
    assert resumed.id == key
    assert max(seen) == 2  # two pictures were left
    fresh = measure_importance(loaded, pictures, ("cls_shift",))
    np.testing.assert_allclose(resumed.values, fresh.values, atol=1e-6)
    assert load_importance(store, key).complete


def test_unreadable_and_equal_pictures_are_left_out_by_name(loaded, pictures, tmp_path):
    twice = Made("again.png", 1)
    store = ResultStore(tmp_path)
    record = measure_importance(
        loaded, [*pictures[:3], twice, Broken()], ("cls_shift",), store=store
    )
    assert len(record.images) == 3
    assert record.complete
    reasons = dict(record.skipped)
    assert reasons["again.png"] == "the same bytes as 1.png"
    assert "cut.png" in reasons
    assert load_importance(store, record.id).skipped == record.skipped


def test_one_picture_alone(loaded, pictures):
    record = measure_importance(loaded, pictures[:1], ("cls_shift",))
    assert record.values.shape == (1, 1, 12)
    with pytest.raises(ValueError, match="add pictures, or use zero"):
        measure_importance(loaded, pictures[:1], ("cls_shift",), "mean")
    with pytest.raises(ValueError, match="add pictures, or fit a read-out"):
        measure_importance(loaded, pictures[:1], ("taylor",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("importance",)}, "expected metrics out of cls_shift"),
        ({"metrics": ("saliency_shift",)}, "the bundled model"),
        ({"metrics": ("cls_shift",), "ablation": "none"}, "ablation of zero, mean, resample"),
        ({"metrics": ("cls_shift",), "labels": ["a"] * 6}, "fit one on them first"),
    ],
)
def test_what_cannot_be_measured_is_refused(loaded, pictures, options, message):
    with pytest.raises(ValueError, match=message):
        measure_importance(loaded, pictures, **options)


def test_labels_that_the_readout_does_not_know_are_refused(loaded, pictures, readout):
    with pytest.raises(ValueError, match="fit a read-out on these labels"):
        measure_importance(
            loaded, pictures, ("flip_rate",), labels=["neither"] * 6, readout=readout
        )


def test_only_broken_pictures_are_an_error(loaded):
    with pytest.raises(ValueError, match="expected pictures that can be read"):
        measure_importance(loaded, [Broken()], ("cls_shift",))


def test_a_model_without_cls_uses_the_mean_of_its_patches(pictures):
    loaded = load_model(parse_model("test_vit4:random"))
    record = measure_importance(loaded, pictures[:2], ("cls_shift", "confidence"))
    pixels = pixels_of(loaded, pictures[:2])
    with torch.no_grad():
        clean = loaded.module.forward_features(pixels)
    prefix = loaded.module.num_prefix_tokens
    has_cls = getattr(loaded.module, "cls_token", None) is not None
    tokens = by_hand(loaded, pixels, 0, 0)
    pick = (lambda t: t[:, 0]) if has_cls else (lambda t: t[:, prefix:].mean(1))
    np.testing.assert_allclose(
        record.table("cls_shift")[:, 0], cosine_shift(pick(clean), pick(tokens)), atol=1e-5
    )
