"""Features of drawn patches: the model's own stream, resumed, controls, odd inputs."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from analytics.io.fitting import fit_mask, normalise, place
from analytics.metrics.patch_objects import patch_objects
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.binding_choices import BindingChoices, split_images
from analytics.studies.binding_controls import control_model
from analytics.studies.binding_features import StreamReader, binding_features, features_key
from analytics.studies.binding_images import draw_patches, patch_colours, survey_annotated
from analytics.types import PatchGrid
from tests.capture.conftest import _build
from tests.studies.binding_making import Empty, Objects, Unreadable
from tests.studies.test_patterns import other

CHOSEN = BindingChoices(patches=24)


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def found():
    return survey_annotated([Objects(seed) for seed in range(10)])


@pytest.fixture(scope="module")
def made(loaded, found):
    return binding_features(loaded, found, CHOSEN)


def test_the_points_are_the_embedding_and_every_layer_as_the_model_has_them(loaded, found, made):
    image = found.sources[4].load()
    drawn = draw_patches(image, found.sha256s[4], loaded.input_size, made.layout.grid, CHOSEN)
    pixels = torch.from_numpy(normalise(drawn.fitted, loaded.mean, loaded.std))[None]
    module = loaded.module
    with torch.no_grad():
        tokens = module.norm_pre(module._pos_embed(module.patch_embed(pixels)))
        points, logits = [tokens], []
        for block in module.blocks:
            attn, x = block.attn, block.norm1(points[-1])
            qkv = attn.qkv(x).reshape(1, -1, 3, attn.num_heads, attn.head_dim)
            query, key = qkv.permute(2, 0, 3, 1, 4)[:2]
            logits.append((attn.q_norm(query) @ attn.k_norm(key).mT * attn.scale).mean(1)[0])
            points.append(block(points[-1]))
    start, rows = len(made.layout.prefix), made.patches[4]
    count = int((rows >= 0).sum())
    for point, tokens in enumerate(points):
        expected = tokens[0, start:][rows[:count]]
        np.testing.assert_allclose(made.features[point, 4, :count], expected, rtol=2e-3, atol=2e-3)
    for layer, one in enumerate(logits):
        own = one[start:, start:][rows[:count]][:, rows[:count]]
        np.testing.assert_allclose(
            made.products[layer, 4, :count, :count], (own + own.T) / 2, rtol=5e-3, atol=5e-3
        )
    assert made.features.shape[:3] == (7, 10, 24) and made.features.dtype == np.float16


def test_patches_lie_in_the_object_that_they_are_said_to(loaded, found, made):
    for row in (0, 7):
        image = found.sources[row].load()
        placement = place(image.height, image.width, "crop", *loaded.input_size)
        mask = fit_mask(image.instances, placement)
        objects, _ = patch_objects(mask, made.layout.grid, 0.6)
        taken = made.patches[row] >= 0
        own = objects.reshape(-1)[made.patches[row][taken]]
        np.testing.assert_array_equal(own + 1, made.objects[row][taken])
        assert (own > 0).all() and (made.objects[row][~taken] == 0).all()
        y, x = np.unravel_index(made.patches[row][taken], objects.shape)
        np.testing.assert_array_equal(made.places[row][taken], np.stack([y, x], 1))


def test_the_background_can_count_as_an_object(loaded, found):
    chosen = BindingChoices(patches=24, count_background=True)
    whole = binding_features(loaded, found, chosen)
    assert (whole.objects == 1).any(axis=1).all()  # background is object 1, instances follow
    assert (whole.objects == 2).any() and (whole.objects > 0).all()


def test_patch_colours_by_hand():
    fitted = np.zeros((4, 4, 3), np.uint8)
    fitted[:2, 2:] = (255, 51, 0)
    fitted[2, 0] = 255
    colours = patch_colours(fitted, PatchGrid(2, 2))
    np.testing.assert_allclose(colours[1], [1, 0.2, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(colours[2], [0.25] * 3 + [3**0.5 / 4] * 3, atol=1e-6)


def test_an_interrupted_run_goes_on_after_the_last_part(loaded, found, made, tmp_path):
    store = ResultStore(tmp_path)
    key = features_key(loaded, found.sha256s, CHOSEN)

    def stop(done, total, message):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        binding_features(loaded, found, CHOSEN, store, stop)
    assert store.count(key) == 1
    seen = []
    again = binding_features(loaded, found, CHOSEN, store, lambda d, t, m: seen.append(t))
    assert set(seen) == {2}  # eight of ten were there
    for name in ("features", "products", "objects", "patches", "pixels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert again.names == made.names and again.families == made.families


def test_what_cannot_be_used_is_named(loaded):
    sources = [Objects(0), Unreadable(), Objects(0), Empty(), Objects(1)]
    found = survey_annotated(sources)
    whole = binding_features(loaded, found, CHOSEN)
    assert whole.names == ("objects 0", "objects 1")
    assert [name for name, _ in whole.skipped] == ["gone.png", "objects 0", "empty"]
    reasons = [why for _, why in whole.skipped]
    assert reasons[0] == "the mask is missing" and reasons[1] == "the same as objects 0"
    assert "0 patches of" in reasons[2] and "lower the purity" in reasons[2]
    with pytest.raises(ValueError, match="pictures with objects, got none"):
        binding_features(loaded, survey_annotated([Empty()]), CHOSEN)
    with pytest.raises(ValueError, match="the mask is missing"):
        survey_annotated([Unreadable()])
    with pytest.raises(ValueError, match="got none"):
        survey_annotated([])


def test_a_model_without_one_grid_is_refused(found):
    with pytest.raises(ValueError, match="one grid of patches"):
        binding_features(other("swin", 64), found, CHOSEN)


@pytest.mark.parametrize("kind", ["registers", "beit", "eva", "map pool"])
def test_other_families(kind, found):
    whole = binding_features(other(kind, 32, _build(kind, 32)), found, CHOSEN)
    assert whole.features.shape[0] == 3 and np.isfinite(whole.features).all()
    assert np.isfinite(whole.products).all() and whole.layout.grid == PatchGrid(4, 4)


def test_features_that_are_not_finite_are_refused(found):
    model = other("vit", 32)
    with torch.no_grad():
        model.module.blocks[0].mlp.fc2.bias[:] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        binding_features(model, found, CHOSEN)


def test_passes_of_another_thread_do_not_mix_in(loaded):
    reader = StreamReader(loaded)
    pixels = torch.zeros(1, 3, *loaded.input_size)
    block, original = loaded.module.blocks[1], loaded.module.blocks[1].forward

    def forward(x, *args, **kwargs):
        if threading.current_thread() is threading.main_thread():
            both = lambda: (loaded.module.blocks[0](x), block(x))  # noqa: E731
            thread = threading.Thread(target=both)
            thread.start()
            thread.join()
        return original(x, *args, **kwargs)

    block.forward = forward
    try:
        assert len(reader.read(pixels).points) == 7
    finally:
        del block.forward
    assert not block._forward_hooks and not loaded.module.blocks[0]._forward_pre_hooks


def test_controls_are_drawn_anew_with_open_residuals(loaded):
    trained = load_model(parse_model("bundled"))
    before = {name: t.clone() for name, t in trained.module.state_dict().items()}
    drawn = control_model(trained, "random weights")
    for name, tensor in drawn.module.state_dict().items():
        if name.endswith(("proj.weight", "fc1.weight", "pos_embed")):
            assert not torch.equal(tensor, before[name])
        if name.endswith("gamma"):
            assert (tensor == 1).all()
    layers = control_model(trained, "random layers").module.state_dict()
    for name, tensor in layers.items():
        assert torch.equal(tensor, before[name]) == (
            not name.startswith(("blocks.", "norm.")) or name.endswith("norm1.none")
        ), name
    for name, tensor in trained.module.state_dict().items():
        assert torch.equal(tensor, before[name])
    again = control_model(trained, "random weights")
    assert again.weights_sha256 == drawn.weights_sha256 != trained.weights_sha256
    with pytest.raises(ValueError, match="random layers"):
        control_model(loaded, "random")


def test_splits_are_by_image_and_even_over_families():
    parts = split_images(["a"] * 20, 0)
    assert [len(part) for part in parts] == [12, 3, 5]
    families = ["a"] * 40 + ["b"] * 40
    parts = split_images(families, 3)
    assert sorted(np.concatenate(parts)) == list(range(80))
    for part, expected in zip(parts, (24, 6, 10), strict=True):
        assert abs(sum(families[row] == "a" for row in part) - expected) <= 2
    np.testing.assert_array_equal(parts[2], split_images(families, 3)[2])
    assert list(parts[2]) != list(split_images(families, 4)[2])
    assert [len(part) for part in split_images(["x", "y", "z"], 0)] == [1, 1, 1]
    with pytest.raises(ValueError, match="at least 3"):
        split_images(["x", "y"], 0)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"probes": ("cubic",)}, "cubic"),
        ({"probes": ()}, "no probe"),
        ({"controls": ("none",)}, "none"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"patches": 1}, "2 patches"),
        ({"purity": 0.0}, "purity"),
    ],
)
def test_choices_that_make_no_sense_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        BindingChoices(**wrong).checked()
