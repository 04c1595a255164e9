"""The what-if of the lens: heads switched off in one picture's record."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.capture.recording import capture, switch_off
from analytics.capture.tracing import find_sites
from analytics.io.fitting import fit_picture, normalise, place
from analytics.io.images import read_picture
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.attend import attend
from analytics.studies.features import frozen_features
from tests.studies.making import Made

OFF = ((1, 0), (3, 1))


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def picture():
    return read_picture(Made("a.png", 3).read_bytes(), "a.png")


@pytest.fixture(scope="module")
def record(loaded, picture):
    return attend(loaded, picture, off=OFF)


def pixels_of(loaded, picture):
    spot = place(picture.height, picture.width, "crop", *loaded.input_size)
    return torch.from_numpy(normalise(fit_picture(picture, spot), loaded.mean, loaded.std))[None]


def test_maps_up_to_the_first_head_stay_and_later_ones_are_those_without(loaded, picture, record):
    whole = attend(loaded, picture)
    for layer in (0, 1):  # what a head attends to is settled before its output is dropped
        kept, plain = (one.rows("cls", "to")[layer] for one in (record, whole))
        np.testing.assert_array_equal(kept, plain)
    sites = find_sites(loaded.module, loaded.input_size)
    with (
        torch.no_grad(),
        capture(loaded.module, sites, ["attention"], gates=switch_off(sites, OFF)) as captured,
    ):
        loaded.module(pixels_of(loaded, picture))
    expected = captured[5].attention[0, 0, :, 0].numpy()  # cls's row in each head
    np.testing.assert_allclose(record.rows("cls", "to")[5], expected, atol=1e-5)


@torch.no_grad()
def test_the_shift_is_that_of_the_gated_model(loaded, picture, record):
    pixels = pixels_of(loaded, picture)
    sites = find_sites(loaded.module, loaded.input_size)
    clean = loaded.module.forward_features(pixels)
    with capture(loaded.module, sites, gates=switch_off(sites, OFF)):
        gated = loaded.module.forward_features(pixels)
    cosine = torch.nn.functional.cosine_similarity(clean, gated, dim=-1)
    assert record.off.heads == OFF
    assert record.off.cls_shift == pytest.approx(1 - float(cosine[0, 0]), abs=1e-5)
    assert record.off.patch_shift == pytest.approx(1 - float(cosine[0, 1:].mean()), abs=1e-5)


@torch.no_grad()
def test_a_models_own_classes_are_numbered(loaded, picture, record):
    probabilities = loaded.module(pixels_of(loaded, picture)).softmax(1)[0]
    best = int(probabilities.argmax())
    assert record.off.before[0][0] == f"class {best}"
    assert record.off.before[0][1] == pytest.approx(float(probabilities[best]), abs=1e-5)
    assert len(record.off.after) == 5


def test_a_readout_names_the_classes(loaded, picture):
    features = frozen_features(loaded, [Made(f"{i}.png", i) for i in range(8)], layer=4)
    readout = fit_readout(features.values, ["odd", "even"] * 4, held_out=0.5, layer=4)
    record = attend(loaded, picture, off=OFF, readout=readout)
    assert {name for name, _ in record.off.before} == {"odd", "even"}
    assert sum(value for _, value in record.off.after) == pytest.approx(1, abs=1e-5)


def test_the_record_says_what_was_off(loaded, picture, record):
    assert record.provenance.parameters["heads_off"] == ["L1H0", "L3H1"]
    plain = attend(loaded, picture)
    assert plain.off is None
    assert "heads_off" not in plain.provenance.parameters
    assert len({plain.id, record.id, attend(loaded, picture, off=((1, 0),)).id}) == 3
    assert attend(loaded, picture, off=OFF[::-1]).id == record.id


@pytest.mark.parametrize("head", [(6, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(loaded, picture, head):
    with pytest.raises(ValueError, match="layers 0 to 5 to switch off"):
        attend(loaded, picture, off=[head])


def test_layers_are_counted_as_the_lens_draws_them(picture):
    """XCiT's class attention comes after layers that cannot be drawn."""
    loaded = load_model(parse_model("cait_xxs24_224:random"))
    record = attend(loaded, picture, off=[(25, 1)])
    assert record.layers[25].name.startswith("blocks_token_only")
    assert record.off.cls_shift > 0
    assert record.off.patch_shift == pytest.approx(0, abs=1e-6)
