"""The record of one model on one picture, and its identity."""

import dataclasses

import numpy as np
import pytest
import torch
from timm.models.davit import DaVit
from torch.overrides import _get_current_function_mode_stack

from analytics.capture.tracing import find_sites
from analytics.io.fitting import fit_picture, normalise
from analytics.io.images import read_picture
from analytics.models import load_model, parse_model
from analytics.studies.attend import attend, lens_key
from analytics.types import PatchGrid


@pytest.fixture(scope="session")
def coins(assets):
    path = assets / "images" / "coins.png"
    return read_picture(path.read_bytes(), path.name)


@pytest.fixture(scope="session")
def bundled():
    return load_model(parse_model("bundled"), 224)


@pytest.fixture(scope="session")
def small():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="session")
def record(bundled, coins):
    return attend(bundled, coins, command="attention-atlas attend coins.png")


def key_of(loaded, picture, fit="crop"):
    return lens_key(
        loaded.spec.id,
        loaded.weights_sha256,
        picture.sha256,
        fit,
        loaded.input_size,
        loaded.dtype,
    )


def test_the_shapes_of_the_bundled_model(record, coins):
    assert len(record.layers) == 12
    assert [layer.label for layer in record.layers] == [f"L{i}" for i in range(12)]
    assert {layer.num_heads for layer in record.layers} == {6}
    assert record.base_layout.prefix == ("cls",)
    assert record.base_layout.grid == PatchGrid(16, 16)
    assert [norms.shape for norms in record.token_norms] == [(257,)] * 12
    assert [colours.shape for colours in record.pca] == [(16, 16, 3)] * 12
    assert {norms.dtype for norms in record.token_norms} == {np.dtype("float32")}
    assert {colours.dtype for colours in record.pca} == {np.dtype("uint8")}
    assert record.picture is coins
    assert record.model_label.startswith("DINOv2 ViT-S/14")
    assert "not the original" in record.caution
    fused = 4 * (2 * 6 * 257 * 64 + 6 * 257)
    assert record.nbytes == 12 * (fused + 4 * 257 + 768) + coins.pixels.nbytes


@pytest.mark.parametrize("token", ["cls", "0,0", "7,9", "15,15"])
def test_rows_sum_to_one(token, record):
    rows = record.rows(token, "to")
    assert [row.shape for row in rows] == [(6, 257)] * 12
    for row in rows:
        assert row.dtype == np.float32
        assert row.min() >= 0
        # Logits of this model reach the hundreds, where float32 resolves 1e-5.
        np.testing.assert_allclose(row.sum(1), 1, atol=5e-5)


def test_columns_are_the_transpose_of_rows(record):
    names = ["cls", *(f"{y},{x}" for y in range(16) for x in range(16))]
    # All rows together are the whole map; its column is what `from` must give.
    whole = np.stack([record.rows(name, "to")[11] for name in names], axis=1)
    for token in ("cls", "3,12"):
        position = record.base_layout.index(token)
        np.testing.assert_allclose(record.rows(token, "from")[11], whole[:, :, position], atol=1e-6)


def test_rows_are_the_models_own_attention(record, bundled, coins):
    model = bundled.module
    fitted = fit_picture(coins, record.placement)
    pixels = torch.from_numpy(normalise(fitted, bundled.mean, bundled.std))[None]
    with torch.no_grad():
        tokens = model._pos_embed(model.patch_embed(pixels))
        for number, block in enumerate(model.blocks):
            qkv = block.attn.qkv(block.norm1(tokens)).reshape(1, 257, 3, 6, 64)
            query, key, _ = qkv.permute(2, 0, 3, 1, 4)
            row = (query[0, :, 1 + 7 * 16 + 9, None] @ key[0].mT / 8).softmax(-1)[:, 0]
            np.testing.assert_allclose(record.rows("7,9", "to")[number], row.numpy(), atol=5e-5)
            tokens = block(tokens)
            norms = tokens[0].norm(dim=-1).numpy()
            np.testing.assert_allclose(record.token_norms[number], norms, rtol=1e-4)


@pytest.mark.parametrize("token", ["reg0", "16,0", "0,16", "7", "", "-1,0", "pool"])
def test_a_token_that_is_not_there_is_refused(token, record):
    with pytest.raises(ValueError, match="expected a prefix token"):
        record.rows(token, "to")


def test_another_direction_is_refused(record):
    with pytest.raises(ValueError, match="expected a direction of 'to' or 'from', got 'both'"):
        record.rows("cls", "both")


def test_two_runs_are_the_same_to_the_bit(small, coins):
    first, second = attend(small, coins), attend(small, coins)
    assert first.id == second.id
    for token in ("cls", "4,5"):
        for one, other in zip(first.rows(token, "to"), second.rows(token, "to"), strict=True):
            assert np.array_equal(one, other)
    for one, other in zip(first.pca, second.pca, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(first.token_norms, second.token_norms, strict=True):
        assert np.array_equal(one, other)


def test_known_sites_give_the_same_record(small, coins):
    sites = find_sites(small.module, small.input_size)
    one, other = attend(small, coins), attend(small, coins, sites=sites)
    assert one.id == other.id
    assert np.array_equal(one.rows("cls", "to"), other.rows("cls", "to"))


def test_sites_of_another_size_are_refused(small, coins):
    larger = load_model(parse_model("test_vit:random"), 192)
    with pytest.raises(ValueError, match="find the sites again for this input size"):
        attend(small, coins, sites=find_sites(larger.module, larger.input_size))


def test_the_id_is_the_key_of_the_inputs(record, bundled, small, coins):
    assert record.id == key_of(bundled, coins)
    assert attend(small, coins).id == key_of(small, coins)
    assert attend(small, coins, "pad").id == key_of(small, coins, "pad")


def test_the_key_changes_with_every_input(small, coins):
    other = {
        "spec": parse_model("test_vit2:random"),
        "weights_sha256": "0" * 64,
        "input_size": (192, 160),
        "dtype": "bfloat16",
    }
    keys = [key_of(small, coins, fit) for fit in ("crop", "pad", "stretch")]
    keys += [key_of(dataclasses.replace(small, **{name: it}), coins) for name, it in other.items()]
    keys.append(key_of(small, dataclasses.replace(coins, sha256="1" * 64)))
    assert len(set(keys)) == 8
    assert all(len(key) == 64 for key in keys)


def test_progress_is_told(small, coins):
    steps = []
    attend(small, coins, progress=lambda done, total, what: steps.append((done, total, what)))
    assert [done for done, _, _ in steps] == [0, 1, 2, 3]
    assert {total for _, total, _ in steps} == {3}
    assert all(what for _, _, what in steps)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_cancelling_leaves_nothing_behind(step, small, coins):
    class Cancelled(Exception):
        pass

    def progress(done, total, message):
        if done == step:
            raise Cancelled

    with pytest.raises(Cancelled):
        attend(small, coins, progress=progress)
    assert _get_current_function_mode_stack() == []
    assert not any(module._forward_hooks for module in small.module.modules())
    after = attend(small, coins)
    assert after.id == key_of(small, coins)
    np.testing.assert_allclose(np.array(after.rows("cls", "to")).sum(-1), 1, atol=1e-5)


def test_a_model_with_nothing_to_draw_is_refused(coins):
    loaded = load_model(parse_model("mobilevit_xxs:random"))
    message = "no layer in which patches attend .*places of its tokens in the picture are not known"
    with pytest.raises(ValueError, match=message):
        attend(loaded, coins)


def test_a_model_whose_patches_never_attend_is_refused(coins):
    loaded = load_model(parse_model("xcit_nano_12_p16_224:random"))
    message = r"12 attention calls left out: \(XCA\): attends between channels"
    with pytest.raises(ValueError, match=message):
        attend(loaded, coins)


def test_a_model_without_attention_is_refused(coins):
    loaded = load_model(parse_model("resnet10t:random"))
    with pytest.raises(ValueError, match="ResNet has no attention between the places"):
        attend(loaded, coins)


def test_the_provenance_says_how_to_make_it_again(record, bundled, coins):
    provenance = record.provenance
    assert provenance.command == "attention-atlas attend coins.png"
    assert provenance.model == "bundled"
    assert provenance.weights_sha256 == bundled.weights_sha256
    assert provenance.inputs == {"coins.png": coins.sha256}
    assert provenance.parameters["fit"] == "crop"
    assert provenance.parameters["input_size"] == [224, 224]
    assert provenance.parameters["dtype"] == "float32"
    assert provenance.device == "cpu"
    assert provenance.notes == ()


def test_what_fitting_did_is_in_the_provenance(small, coins):
    strip = dataclasses.replace(coins, pixels=coins.pixels[:80])
    notes = attend(small, strip).provenance.notes
    assert notes[-1] == "the crop shows 21 % of the picture: pad shows all of it"
    assert "the crop shows" not in " ".join(attend(small, strip, "pad").provenance.notes)


def test_what_was_left_out_is_in_the_provenance(small, coins):
    module = DaVit(depths=(1, 1), embed_dims=(24, 48), num_heads=(2, 4), window_size=4).eval()
    record = attend(dataclasses.replace(small, module=module, input_size=(64, 64)), coins)
    left_out = "2 attention calls left out: (ChannelAttention): attends between channels"
    assert any(note.startswith(left_out) for note in record.provenance.notes)
    assert record.base_layout.grid == PatchGrid(16, 16)
    assert [layer.query_layout.grid.rows for layer in record.layers] == [16, 8]
    assert [row.shape for row in record.rows("3,4", "to")] == [(2, 256), (4, 64)]
    assert record.token_norms == () and record.pca == ()


def test_a_pooling_query_can_be_pointed_at(coins):
    record = attend(load_model(parse_model("test_vit3:random")), coins)
    assert record.base_layout.prefix == ("reg0", "pool")
    rows = record.rows("pool", "to")
    assert [bool(np.isnan(row).all()) for row in rows] == [True] * 9 + [False]
    assert rows[-1].sum(1) == pytest.approx(1, abs=1e-5)
