"""Identical copies: equal without positions, and told apart with them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.eva import Eva

from analytics.io.annotated import AnnotatedImage
from analytics.io.fitting import normalise
from analytics.io.scenes_copies import identical_copies
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding_copies import (
    ROUNDING,
    corresponding_patches,
    measure_copies,
    without_positions,
)
from analytics.types import PatchGrid
from tests.models.binding_cases import drawn_probe, one_logit
from tests.studies.flow_making import stirred, vit

GRID = PatchGrid(4, 4)


def copies(corners, side=16, size=32, seed=0):
    """A square figure of noise at each corner (row, column) of a flat ground."""
    rng = np.random.default_rng(seed)
    figure = rng.integers(0, 256, (side, side, 3), np.uint8)
    pixels = np.full((size, size, 3), 90, np.uint8)
    instances = np.zeros((size, size), np.int32)
    for number, (y, x) in enumerate(corners, start=1):
        pixels[y : y + side, x : x + side] = figure
        instances[y : y + side, x : x + side] = number
    return AnnotatedImage("copies", pixels, instances)


@pytest.fixture(scope="module")
def base():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def loaded(base):
    return vit(base)


@pytest.fixture(scope="module")
def probe():
    drawn = drawn_probe("quadratic", points=4, width=48, rank=4)
    drawn.tensors["matrix"].mul_(0.05)  # chances away from 0 and 1
    return drawn


THREE = copies([(0, 0), (0, 16), (16, 8)])


def test_aligned_copies_without_positions_differ_by_nothing_at_every_point(loaded, probe):
    found = measure_copies(loaded, THREE, probe)
    assert found.aligned and found.identical and found.patches.shape == (3, 4)
    assert found.differences[1, 0] == 0 and found.largest[1, 0] == 0  # bit for bit
    assert (found.largest[1] < ROUNDING).all()
    assert (found.differences[1] < ROUNDING).all()
    assert (found.differences[0] > 0.01).all()  # positions tell them apart
    assert found.notes == ()


def test_what_is_left_is_rounding_and_shrinks_with_precision(loaded):
    """Twin in double precision, by hand: a hundred million times smaller."""
    import copy

    module = copy.deepcopy(loaded.module).double()
    with torch.no_grad():
        module.pos_embed.zero_()
        pixels = torch.from_numpy(normalise(THREE.pixels, loaded.mean, loaded.std))[None].double()
        x = module.norm_pre(module._pos_embed(module.patch_embed(pixels)))
        patches = corresponding_patches(THREE, GRID)[0]
        for block in module.blocks:
            x = block(x)
            own = x[0, 1:][torch.from_numpy(patches).long()]
            assert float((own - own[:1]).abs().max() / own.abs().max()) < 1e-13


@pytest.mark.parametrize("seed", [0, 3])
def test_made_scenes_of_copies_are_equal_in_the_bundled_model(seed):
    bundled = load_model(parse_model("bundled"))
    image = identical_copies(seed, 224, 14, copies=3)
    found = measure_copies(bundled, image)
    assert found.aligned and found.identical
    assert found.largest[1, 0] == 0 and (found.largest[1] < ROUNDING).all()
    assert (found.largest[0] > 100 * ROUNDING).all()
    assert np.isnan(found.twins).all()


@torch.no_grad()
def test_differences_and_chances_are_worked_out_pair_by_pair(loaded, probe):
    found = measure_copies(loaded, THREE, probe)
    module = loaded.module
    pixels = torch.from_numpy(normalise(THREE.pixels, loaded.mean, loaded.std))[None]
    x = module.norm_pre(module._pos_embed(module.patch_embed(pixels)))
    for point in range(4):
        if point:
            x = module.blocks[point - 1](x)
        own = [[x[0, 1 + place] for place in row] for row in found.patches]
        share, turns, largest, twins, between, within = [], [], 0.0, [], [], []
        chance = lambda a, b, at=point: 1 / (1 + np.exp(-one_logit(probe, a, b, at)))  # noqa: E731
        for a in range(3):
            for b in range(a + 1, 3):
                for i in range(4):
                    apart = own[a][i] - own[b][i]
                    share.append(apart.norm() / ((own[a][i].norm() + own[b][i].norm()) / 2))
                    turns.append(1 - torch.cosine_similarity(own[a][i], own[b][i], dim=0))
                    largest = max(largest, float(apart.abs().max()))
                    twins.append(chance(own[a][i], own[b][i]))
                    between += [chance(own[a][i], own[b][j]) for j in range(4)]
            pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
            within += [chance(own[a][i], own[a][j]) for i, j in pairs]
        top = max(float(one.abs().max()) for row in own for one in row)
        assert found.differences[0, point] == pytest.approx(float(np.mean(share)), rel=1e-4)
        assert found.cosines[0, point] == pytest.approx(float(np.mean(turns)), abs=1e-5)
        assert found.largest[0, point] == pytest.approx(largest / top, rel=1e-4)
        assert 0.02 < np.std(between) < 0.6
        assert found.twins[0, point] == pytest.approx(np.mean(twins), abs=1e-4)
        assert found.between[0, point] == pytest.approx(np.mean(between), abs=1e-4)
        assert found.within[0, point] == pytest.approx(np.mean(within), abs=1e-4)


def test_without_positions_a_probe_cannot_tell_copies_from_one_object(loaded):
    """Each pair of patches of two copies is a pair of the same patches of one."""
    probe = drawn_probe("cosine", points=4, width=48)
    found = measure_copies(loaded, THREE, probe)
    # 4 x 4 pairs between are the 12 pairs within and 4 of a patch with itself.
    mixed = (12 * found.within[1] + 4 * found.twins[1]) / 16
    np.testing.assert_allclose(found.between[1], mixed, atol=1e-5)
    assert (
        np.abs(found.between[0] - (12 * found.within[0] + 4 * found.twins[0]) / 16) > 1e-4
    ).any()


@torch.no_grad()
def test_the_shared_model_is_never_modified_not_even_meanwhile(loaded):
    before = {name: one.clone() for name, one in loaded.module.state_dict().items()}
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    clean, others = loaded.module.forward_features(pixels), []

    def other(*_):
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: others.append(_forward(loaded, pixels)))
            thread.start()
            thread.join()

    bare = without_positions(loaded.module)
    hook = loaded.module.blocks[0].register_forward_hook(other)
    try:
        without = bare.forward_features(pixels)
    finally:
        hook.remove()
    assert torch.equal(others[0], clean)
    assert not torch.allclose(without, clean, atol=1e-3)
    after = loaded.module.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert bare.blocks is loaded.module.blocks
    assert float(bare.pos_embed.abs().max()) == 0


@torch.no_grad()
def _forward(loaded, pixels):
    return loaded.module.forward_features(pixels)


@torch.no_grad()
def test_zeros_for_positions_are_what_a_zeroed_copy_gives(loaded):
    import copy

    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    twin = copy.deepcopy(loaded.module)
    twin.pos_embed.zero_()
    assert torch.equal(
        without_positions(loaded.module).forward_features(pixels), twin.forward_features(pixels)
    )


def test_copies_off_the_grid_differ_from_the_start(loaded):
    found = measure_copies(loaded, copies([(0, 0), (13, 16)]))
    assert not found.aligned and not found.identical
    assert found.differences[1, 0] > 0.1
    assert "differently on the patches" in found.notes[0]


def test_corresponding_patches_by_hand():
    patches, aligned = corresponding_patches(THREE, GRID)
    assert aligned
    assert patches.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [9, 10, 13, 14]]
    # The third copy hides two patches of the second: their places drop out in all copies.
    hidden = copies([(0, 0), (0, 16), (8, 8)])
    whole = {}
    for number, (y, x) in enumerate([(0, 0), (0, 16), (8, 8)], start=1):
        whole[number] = np.zeros((32, 32), bool)
        whole[number][y : y + 16, x : x + 16] = True
    patches, aligned = corresponding_patches(replace(hidden, amodal=whole), GRID)
    assert aligned
    assert patches.tolist() == [[0, 1], [2, 3], [5, 6]]


def test_a_copy_that_lies_over_another_leaves_different_pixels_unused(loaded):
    half = copies([(0, 0), (16, 16)])
    half.pixels[0, 0] = 255 - half.pixels[0, 0]
    found = measure_copies(loaded, half)
    assert found.aligned and not found.identical
    assert "differ in pixels" in found.notes[0]


def test_rotary_positions_are_said_to_stay(base):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        eva = Eva(
            img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3,
            use_rot_pos_emb=True, ref_feat_shape=(4, 4),
        )  # fmt: skip
    found = measure_copies(stirred(base, eva, 32), THREE)
    assert "rotary" in found.notes[-1]
    assert found.largest[1, 0] == 0
    assert found.largest[1, -1] > 100 * ROUNDING


def test_a_run_reports_and_can_be_cancelled(loaded):
    seen = []
    measure_copies(loaded, THREE, progress=lambda *one: seen.append(one))
    assert [one[0] for one in seen] == [0, 1, 2]

    def stop(done, total, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_copies(loaded, THREE, progress=stop)


def test_what_cannot_be_compared_is_refused(base, loaded):
    with pytest.raises(ValueError, match="two copies or more, got 1"):
        measure_copies(loaded, copies([(0, 0)]))
    with pytest.raises(ValueError, match="part them"):
        measure_copies(loaded, copies([(0, 0), (12, 12)], side=4))
    with pytest.raises(ValueError, match="4 points"):
        measure_copies(loaded, THREE, drawn_probe("quadratic", 3, 48))
    with pytest.raises(ValueError, match="learned position embedding"):
        without_positions(vit(base, pos_embed="none").module)


def test_a_model_without_position_embedding_has_one_curve(base):
    """Aligned copies then have equal tokens at the embedding; only rounding follows."""
    found = measure_copies(vit(base, pos_embed="none"), THREE)
    assert found.largest[0, 0] == 0 and (found.largest[0] < ROUNDING).all()
    assert np.isnan(found.differences[1]).all() and np.isnan(found.cosines[1]).all()
    assert "there is one curve" in found.notes[0]
