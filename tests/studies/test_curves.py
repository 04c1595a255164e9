"""Pruning curves: both ends known, a point in between run by hand, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.capture.tracing import find_sites
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.curves import (
    SHARES,
    class_rows,
    curve_pictures,
    curves_values,
    picture_words,
    pruning_curves,
    restore_curves,
)
from analytics.studies.features import frozen_features, pooled_features
from analytics.studies.importance import measure_importance
from analytics.studies.pictures import Survey
from tests.studies.making import Broken, Made, cosine_shift, pixels_of, without

LABELS = ["odd", "even", None, "even", "odd", "odd"]


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def sites(loaded):
    return find_sites(loaded.module, loaded.input_size)


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(6)]


@pytest.fixture(scope="module")
def readout(loaded, pictures):
    features = frozen_features(loaded, pictures * 2)
    return fit_readout(features.values, ["odd", "even", "odd"] * 4, held_out=0.5)


@pytest.fixture(scope="module")
def record(loaded, pictures):
    return measure_importance(loaded, pictures[:2], ("cls_shift", "confidence"))


@pytest.fixture(scope="module")
def curves(loaded, sites, pictures, record):
    return pruning_curves(loaded, sites, pictures, record, orders=2)


def test_every_order_starts_whole_and_ends_alike(curves):
    assert curves.removed == tuple(dict.fromkeys(round(12 * share) for share in SHARES))
    assert (curves.removed[0], curves.removed[-1]) == (0, 12)
    assert curves.quality == "cosine to the unpruned embedding" and curves.num_images == 6
    every = np.array([*curves.metrics.values(), *curves.random])
    assert every.shape == (4, len(curves.removed))
    np.testing.assert_allclose(every[:, 0], 1, atol=1e-6)
    assert len(set(every[:, -1])) == 1 and every[0, -1] < 0.999


def test_a_point_is_the_naive_gated_forward(loaded, pictures, record, curves):
    order = np.argsort(record.mean("cls_shift"), kind="stable")
    pixels = pixels_of(loaded, pictures)
    clean = loaded.module.forward_features(pixels)[:, 0]
    for count in (3, 6):
        gone = [record.heads[column] for column in order[:count]]
        expected = 1 - cosine_shift(clean, without(loaded, pixels, gone)[:, 0]).mean()
        found = curves.metrics["cls_shift"][curves.removed.index(count)]
        assert found == pytest.approx(float(expected), abs=1e-5)


def test_pictures_of_two_batches_count_alike(loaded, sites, record):
    many = [Made(f"{seed}.png", seed) for seed in range(10)]
    found = pruning_curves(loaded, sites, many, record, orders=0)
    assert (found.num_images, found.num_measured) == (10, 2)
    pixels = pixels_of(loaded, many)
    clean = loaded.module.forward_features(pixels)[:, 0]
    order = np.argsort(record.mean("confidence"), kind="stable")
    gone = [record.heads[column] for column in order[:6]]
    expected = 1 - cosine_shift(clean, without(loaded, pixels, gone)[:, 0]).mean()
    point = found.metrics["confidence"][found.removed.index(6)]
    assert point == pytest.approx(float(expected), abs=1e-5)


def held_out(labels: str) -> Survey:
    """Pictures with one letter each as label, named and hashed by their place."""
    names = tuple(str(place) for place in range(len(labels)))
    return Survey(names, names, names, tuple(labels), (), len(labels))


@pytest.mark.parametrize("seed", range(5))
def test_more_held_out_pictures_join_the_measured_ones_class_by_class(seed):
    found = held_out("aaaaaabbbbbbbbbb")
    chosen = curve_pictures(found, {"0", "3"}, seed)
    assert {"0", "3"} <= set(chosen.sha256s) and len(chosen.sha256s) == 8
    assert "".join(label or "" for label in chosen.labels) == "aaaabbbb"
    assert list(chosen.sha256s) == sorted(chosen.sha256s, key=int)
    assert chosen.sha256s == curve_pictures(found, {"0", "3"}, seed).sha256s


@pytest.mark.parametrize(
    ("there", "measured", "expected"), [(5, 5, 5), (5, 2, 5), (600, 100, 256), (600, 300, 300)]
)
def test_curves_take_four_times_the_measured_pictures_up_to_256(there, measured, expected):
    known = {str(place) for place in range(measured)}
    chosen = curve_pictures(held_out("ab" * (there // 2) + "a" * (there % 2)), known)
    assert len(chosen.images) == expected and known <= set(chosen.sha256s)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((1, 1), "1 picture"),
        ((6, 6), "6 pictures"),
        ((8, 2), "8 held-out pictures, 2 of them measured"),
    ],
)
def test_it_is_said_on_how_many_pictures_a_curve_stands(counts, words):
    assert picture_words(*counts) == words


def test_random_orders_are_seeded(loaded, sites, pictures, record, curves):
    again = pruning_curves(loaded, sites, pictures, record, orders=2)
    other = pruning_curves(loaded, sites, pictures, record, orders=2, seed=1)
    assert np.array_equal(again.random, curves.random)
    assert not np.allclose(other.random[:, 1:-1], curves.random[:, 1:-1], atol=1e-7)
    none = pruning_curves(loaded, sites, pictures[:1], record, orders=0)
    assert none.random.shape == (0, len(none.removed))


def test_with_labels_the_quality_is_plain_accuracy(loaded, sites, pictures, record, readout):
    found = pruning_curves(loaded, sites, pictures, record, LABELS, readout, orders=0)
    assert found.quality == "share named right"
    pixels = pixels_of(loaded, pictures)
    with torch.no_grad():
        named = readout.probabilities(pooled_features(loaded.module, pixels)).argmax(1)
    pairs = [(n, label) for n, label in zip(named, LABELS, strict=True) if label is not None]
    right = [readout.classes[int(n)] == label for n, label in pairs]
    assert found.metrics["cls_shift"][0] == pytest.approx(np.mean(right))
    # Without labels a read-out alone changes nothing.
    plain = pruning_curves(loaded, sites, pictures, record, None, readout, orders=0)
    assert plain.quality == "cosine to the unpruned embedding"


def test_signed_metrics_go_by_size_and_unmeasured_heads_last(loaded, sites, pictures, record):
    values = np.full((1, 1, 12), 5.0, np.float32)
    values[0, 0, :3] = (-9, 1, np.nan)
    made = replace(record, metrics=("probability_drop",), values=values)
    found = pruning_curves(loaded, sites, pictures[:2], made, orders=0)
    pixels = pixels_of(loaded, pictures[:2])
    clean = loaded.module.forward_features(pixels)[:, 0]
    # Ascending: column 1, then 3 to 11, then 0 (size 9), then 2 (not measured).
    for count, columns in ((1, [1]), (9, [1, *range(3, 11)])):
        gone = [record.heads[column] for column in columns]
        expected = 1 - cosine_shift(clean, without(loaded, pixels, gone)[:, 0]).mean()
        point = found.metrics["probability_drop"][found.removed.index(count)]
        assert point == pytest.approx(float(expected), abs=1e-5)


def test_curves_survive_json(curves):
    again = restore_curves(json.loads(json.dumps(curves_values(curves))))
    assert (again.quality, again.removed) == (curves.quality, curves.removed)
    assert dict(again.metrics) == dict(curves.metrics)
    assert (again.num_images, again.num_measured) == (6, 2)
    assert np.array_equal(again.random, curves.random)


def test_what_cannot_be_measured_is_refused(loaded, sites, pictures, record, readout):
    with pytest.raises(ValueError, match="pictures that can be read"):
        pruning_curves(loaded, sites, [Broken()], record)
    with pytest.raises(ValueError, match="got none; fit a read-out"):
        pruning_curves(loaded, sites, pictures, record, [None] * 6, readout)
    with pytest.raises(ValueError, match="got neither; fit a read-out"):
        class_rows(["odd", "neither"], readout)


def test_unreadable_pictures_do_not_shift_the_labels(loaded, sites, pictures, record, readout):
    mixed = [Broken(), *pictures]
    found = pruning_curves(loaded, sites, mixed, record, ["even", *LABELS], readout, orders=0)
    plain = pruning_curves(loaded, sites, pictures, record, LABELS, readout, orders=0)
    assert found.num_images == 6 and dict(found.metrics) == dict(plain.metrics)


def test_a_callback_can_stop_it(loaded, sites, pictures, record):
    def stop(done, total, message):
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pruning_curves(loaded, sites, pictures[:1], record, progress=stop)
