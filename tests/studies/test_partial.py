"""Partial pruning of one head: both ends of the scale, and every mode run by hand."""

from __future__ import annotations

import pytest
import torch

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.metrics.partial import MODES, pruned_entries
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.features import frozen_features, pooled_features
from analytics.studies.partial import partial_pruning
from tests.studies.making import Made, by_hand, cosine_shift, pixels_of

CLS = "cls row and column"


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def sites(loaded):
    return find_sites(loaded.module, loaded.input_size)


@pytest.fixture(scope="module")
def pixels(loaded):
    return pixels_of(loaded, [Made("1.png", 1)])


def readout_of(loaded, layer=None):
    pictures = [Made(f"{seed}.png", seed) for seed in range(6)] * 2
    features = frozen_features(loaded, pictures, layer)
    return fit_readout(features.values, ["odd", "even"] * 6, held_out=0.5, layer=layer)


@torch.no_grad()
def edited(run, loaded, sites, layer, head, mode, renormalised=False):
    """The whole model run with one head's attention edited: the brute-force twin."""

    def edit(site, attention):
        if site.index != layer:
            return attention
        kept = attention.clone()
        gone = pruned_entries(mode, attention.shape[-1])
        own = kept[:, :, head].masked_fill(gone, 0)
        if renormalised:
            own = own / own.sum(-1, keepdim=True).clamp(min=1e-30)
        kept[:, :, head] = own
        return kept

    with capture(loaded.module, sites, edit=edit):
        return run()


@pytest.mark.parametrize(("layer", "head"), [(0, 1), (3, 0), (5, 1)])
def test_none_is_nothing_and_all_is_zero_ablation(loaded, sites, pixels, layer, head):
    found = partial_pruning(loaded, sites, pixels, layer, head)
    assert tuple(found.values) == MODES
    assert (found.metric, found.before, found.after) == ("cls_shift", None, None)
    assert found.values["none"] == 0
    clean = loaded.module.forward_features(pixels)
    expected = cosine_shift(clean[:, 0], by_hand(loaded, pixels, layer, head)[:, 0])
    assert expected > 1e-5
    assert found.values["all"] == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("renormalised", [False, True])
@pytest.mark.parametrize("mode", MODES[2:])
def test_every_mode_equals_editing_the_attention(loaded, sites, pixels, mode, renormalised):
    found = partial_pruning(loaded, sites, pixels, 2, 1, before_softmax=renormalised)
    features = edited(
        lambda: loaded.module.forward_features(pixels), loaded, sites, 2, 1, mode, renormalised
    )
    expected = float(cosine_shift(loaded.module.forward_features(pixels)[:, 0], features[:, 0]))
    assert found.values[mode] == pytest.approx(expected, abs=2e-6)


def test_last_layer_read_at_cls_depends_on_the_row_of_cls_alone(loaded, sites, pixels):
    values = partial_pruning(loaded, sites, pixels, 5, 0).values
    assert values["patch-patch"] == pytest.approx(0, abs=1e-6)
    assert values["all"] > 1e-5
    assert values[CLS] == pytest.approx(values["all"], abs=1e-6)
    # An earlier layer's patches are read by the layers after it.
    assert partial_pruning(loaded, sites, pixels, 1, 0).values["patch-patch"] > 1e-5


def test_with_a_readout_the_probability_of_the_predicted_class_counts(loaded, sites, pixels):
    readout = readout_of(loaded)
    found = partial_pruning(loaded, sites, pixels, 2, 1, readout)
    read = lambda: readout.probabilities(pooled_features(loaded.module, pixels))[0]  # noqa: E731
    before = read()
    best = int(before.argmax())
    after = edited(read, loaded, sites, 2, 1, "patch-patch")
    assert found.metric == "probability_drop"
    assert found.values["patch-patch"] == pytest.approx(float(before[best] - after[best]), abs=1e-5)
    assert found.before[0][0] == readout.classes[best]
    assert found.before[0][1] == pytest.approx(float(before[best]), abs=1e-5)
    without = dict(found.after)
    assert sum(without.values()) == pytest.approx(1, abs=1e-5)
    drop = before[best] - without[readout.classes[best]]
    assert found.values["all"] == pytest.approx(float(drop), abs=1e-5)


def test_a_readout_of_an_earlier_layer_does_not_see_a_later_head(loaded, sites, pixels):
    readout = readout_of(loaded, layer=2)
    assert set(partial_pruning(loaded, sites, pixels, 4, 0, readout).values.values()) == {0.0}
    assert partial_pruning(loaded, sites, pixels, 1, 0, readout).values["all"] != 0


@pytest.mark.parametrize(("layer", "head"), [(6, 0), (-1, 0), (0, 2), (0, -1)])
def test_heads_that_are_not_there_are_refused(loaded, sites, pixels, layer, head):
    with pytest.raises(ValueError, match="expected layers 0 to 5"):
        partial_pruning(loaded, sites, pixels, layer, head)


def test_a_layer_without_cls_is_refused(pixels):
    other = load_model(parse_model("test_vit4:random"))
    places = find_sites(other.module, other.input_size)
    assert places.sites[0].query_layout.prefix[:1] != ("cls",)
    with pytest.raises(ValueError, match="has no cls token"):
        partial_pruning(other, places, pixels, 0, 0)
