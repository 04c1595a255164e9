"""A profile over a set: right, resumable, honest about what it left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.metrics import strength
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.profile import load_profile, profile_images
from tests.studies.making import Broken, Made, pixels_of


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(6)]


@pytest.fixture(scope="module")
def maps(loaded, pictures):
    """Explicit attention of every layer, (b, heads, T, T), and the layers' layout."""
    sites = find_sites(loaded.module, loaded.input_size)
    with torch.no_grad(), capture(loaded.module, sites, keep=("attention",)) as captured:
        loaded.module(pixels_of(loaded, pictures))
    layout = sites.sites[0].query_layout
    return [one.attention[:, 0].double() for one in captured], layout


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "profile")


def assert_equal(one, other):
    assert one.images == other.images
    for name in ("scalars", "hop_strength", "hop_mass"):
        for key, table in getattr(one, name).items():
            np.testing.assert_array_equal(table, getattr(other, name)[key])
    for name in ("offset_map", "received", "clipped_distance", "cls_row"):
        for mine, theirs in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    np.testing.assert_array_equal(one.block_mass, other.block_mass)
    np.testing.assert_allclose(one.content_agnosticism, other.content_agnosticism, rtol=1e-6)


def test_tables_hold_every_picture_and_head(loaded, pictures, maps):
    record = profile_images(loaded, pictures)
    attention, layout = maps
    assert record.complete and len(record.images) == 6
    assert record.heads == tuple((layer, head) for layer in range(6) for head in range(2))
    expected = torch.cat([strength.mean_distance(one, layout) for one in attention], 1)
    found = record.scalars["mean_distance:renormalised"]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    blocks = torch.cat([strength.block_mass(one, layout) for one in attention], 1)
    np.testing.assert_allclose(record.block_mass, blocks.numpy(), atol=1e-5)


def test_means_over_the_pictures(loaded, pictures, maps):
    record = profile_images(loaded, pictures)
    attention, layout = maps
    for layer, one in enumerate(attention):
        offsets = strength.offset_map(one, layout).mean(0).numpy()
        np.testing.assert_allclose(record.offset_map[layer], offsets, atol=1e-6)
        received = strength.received_attention(one, layout, "raw").mean(0).numpy()
        np.testing.assert_allclose(record.received[layer], received, atol=1e-6)
        clipped = strength.clipped_distance(one, layout).mean(0).numpy()
        np.testing.assert_allclose(record.clipped_distance[layer], clipped, atol=1e-5)
        first = len(layout.prefix)
        np.testing.assert_allclose(
            record.cls_row[layer], one[:, :, 0, first:].mean(0).numpy(), atol=1e-6
        )
        same = strength.content_agnosticism(one, layout).numpy()
        mine = record.content_agnosticism[2 * layer : 2 * layer + 2]
        np.testing.assert_allclose(mine, same, atol=1e-5)


def test_one_picture_says_nothing_of_content(loaded, pictures):
    record = profile_images(loaded, pictures[:1])
    assert np.isnan(record.content_agnosticism).all()
    assert np.isfinite(record.scalars["nmi"]).all()


def test_a_stopped_profile_goes_on(loaded, pictures, store):
    class Stop(Exception):
        pass

    def stop(done, total, message):
        if done >= 4:
            raise Stop

    with pytest.raises(Stop):
        profile_images(loaded, pictures, store=store, progress=stop)
    [key] = store.keys()
    partial = load_profile(store, key)
    assert len(partial.images) == 4 and not partial.complete
    heard = []
    record = profile_images(
        loaded, pictures, store=store, progress=lambda done, total, message: heard.append(total)
    )
    assert max(heard) == 2  # only those that were left
    assert_equal(record, profile_images(loaded, pictures))
    assert_equal(load_profile(store, key), record)


def test_a_finished_profile_is_read_and_not_measured(loaded, pictures, store, monkeypatch):
    profile_images(loaded, pictures, store=store)
    monkeypatch.setattr("analytics.studies.profile.measure_batch", None)
    assert profile_images(loaded, pictures, store=store).complete


def test_a_damaged_part_starts_the_profile_anew(loaded, pictures, store, tmp_path):
    record = profile_images(loaded, pictures, store=store)
    first = tmp_path / "profile" / record.id / "00000.npz"
    first.write_bytes(first.read_bytes()[:50])
    assert_equal(profile_images(loaded, pictures, store=store), record)
    running = next((tmp_path / "profile" / record.id).glob("running-*.npz"))
    running.write_bytes(b"nothing")
    assert load_profile(store, record.id) is None
    assert_equal(profile_images(loaded, pictures, store=store), record)


def test_unreadable_and_doubled_pictures_are_said(loaded, pictures, store):
    wanted = [*pictures[:2], Broken(), pictures[1]]
    record = profile_images(loaded, wanted, store=store)
    assert [one.name for one in record.images] == ["0.png", "1.png"]
    assert [name for name, _ in record.skipped] == ["1.png", "cut.png"]
    assert record.complete
    assert_equal(load_profile(store, record.id), record)
    with pytest.raises(ValueError, match="expected pictures that can be read"):
        profile_images(loaded, [Broken()])


def test_the_pictures_on_which_a_head_looks_farthest(loaded, pictures):
    record = profile_images(loaded, pictures)
    values = record.scalars["nmi"][:, record.column(3, 1)]
    found = record.top_images("nmi", 3, 1, 3)
    assert found == np.argsort(-values)[:3].tolist()
    with pytest.raises(ValueError, match="expected a table out of"):
        record.top_images("warmth", 3, 1)
    with pytest.raises(ValueError, match="expected layers 0 to 5"):
        record.column(6, 0)


def test_channel_attention_is_refused():
    with pytest.raises(ValueError, match="no layer in which patches attend to patches"):
        profile_images(load_model(parse_model("xcit_nano_12_p16_224:random")), [Made("a.png", 1)])


def test_every_layer_has_its_own_grid_in_a_windowed_model():
    record = profile_images(load_model(parse_model("test_maxvit:random")), [Made("a.png", 1)])
    grids = [layer.grid.count for layer in record.layers]
    assert len(set(grids)) > 1
    for layer, offsets in zip(record.layers, record.offset_map, strict=True):
        assert offsets.shape[1:] == (2 * layer.grid.rows - 1, 2 * layer.grid.columns - 1)
    small = record.layers[-1].grid
    column = record.column(len(record.layers) - 1, 0)
    hops = record.hop_mass["renormalised"][0, column]
    assert np.isnan(hops).sum() == len(hops) - max(small.rows, small.columns)
    np.testing.assert_allclose(np.nansum(hops), 1, atol=1e-5)


def test_heads_that_overflow_are_named(loaded, pictures):
    import copy
    from dataclasses import replace

    module = copy.deepcopy(loaded.module)
    with torch.no_grad():
        module.blocks[5].attn.qkv.weight[: module.embed_dim // 2] = torch.nan
    record = profile_images(replace(loaded, module=module), pictures[:2])
    assert record.overflowed == {(5, 0): 2}
    assert np.isnan(record.content_agnosticism[record.column(5, 0)])
    assert np.isnan(record.offset_map[5][0]).all()
    assert np.isfinite(record.offset_map[5][1]).all()


@pytest.mark.slow
def test_the_bundled_model_on_the_photographs():
    """Ranges, not published figures: other photographs move a layer by some pixels."""
    from analytics.io.sources import ImageFile, samples

    model = load_model(parse_model("bundled"))
    record = profile_images(model, [ImageFile(one.name, one.path) for one in samples()])
    shape = (len(record.images), 12, 6)
    distance = 14 * record.scalars["mean_distance:renormalised"].reshape(shape).mean((0, 2))
    known = np.array([97, 54, 75, 60, 68, 65, 88, 83, 89, 84, 93, 91])
    assert np.abs(distance - known).max() < 12
    hops = record.scalars["hop_entropy:renormalised"].reshape(shape).mean(0).min(axis=1)
    least = np.array([0.39, 0.36, 0.95, 0.92, 1.19, 1.6, 1.92, 1.89, 2.18, 2.02, 2.24, 1.79])
    assert np.abs(hops - least).max() < 0.55
    cls = np.nanmean(record.block_mass[:, :, 0, 0].reshape(shape), axis=(0, 2))
    share = np.array([0.42, 0.71, 0.62, 0.69, 0.50, 0.56, 0.36, 0.33, 0.19, 0.16, 0.18, 0.06])
    assert np.abs(cls - share).max() < 0.15
