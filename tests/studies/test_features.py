"""Batches of pictures and frozen features, against each picture done alone and by hand."""

import hashlib
import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from analytics.io.fitting import fit_picture, normalise, place
from analytics.io.images import Limits, read_picture
from analytics.io.labelled import ArrayImage
from analytics.models import load_model, parse_model
from analytics.studies.features import (
    feature_tokens,
    frozen_features,
    layer_count,
    pool_tokens,
    pooled_features,
    pooling_words,
    prefix_facts,
    read_batches,
)


@dataclass(frozen=True)
class Made:
    """A picture whose bytes are given, or that cannot be opened."""

    name: str
    data: bytes | None

    def read_bytes(self, limits=None):
        if self.data is None:
            raise FileNotFoundError(2, "No such file or directory", f"/secret/{self.name}")
        return self.data


def made(name, seed=0, size=(50, 40)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return Made(name, stream.getvalue())


MIXED = (
    made("a.png", 0),
    Made("broken.png", b"\x89PNG\r\n\x1a\n broken"),
    made("b.png", 1, (30, 90)),
    Made("gone.png", None),
    made("c.png", 2),
    made("d.png", 3),
)
GOOD = [MIXED[i] for i in (0, 2, 4, 5)]


@pytest.fixture(scope="module")
def small():
    return load_model(parse_model("test_vit:random"))


def pixels_of(image, loaded, fit="crop"):
    picture = read_picture(image.data, image.name)
    placement = place(picture.height, picture.width, fit, *loaded.input_size)
    return normalise(fit_picture(picture, placement), loaded.mean, loaded.std)


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 4), (3, [3, 1]), (4, [4]), (9, [4])])
def test_batches_hold_each_picture_as_alone(fit, size, lengths, small):
    skipped = []
    batches = list(read_batches(MIXED, small, fit, size, lambda *why: skipped.append(why)))
    assert [len(one.pixels) for one in batches] == lengths
    assert [i for one in batches for i in one.indices] == [0, 2, 4, 5]
    assert [name for one in batches for name in one.names] == [image.name for image in GOOD]
    hashes = [hashlib.sha256(image.data).hexdigest() for image in GOOD]
    assert [sha256 for one in batches for sha256 in one.sha256s] == hashes
    expected = np.stack([pixels_of(image, small, fit) for image in GOOD])
    np.testing.assert_array_equal(torch.cat([one.pixels for one in batches]), expected)
    assert [name for name, _ in skipped] == ["broken.png", "gone.png"]
    assert skipped[0][1].startswith("expected a whole PNG file")
    assert skipped[1][1] == "No such file or directory"


def test_batches_come_in_the_type_of_the_model(small):
    loaded = replace(small, dtype="bfloat16")
    (one,) = read_batches(GOOD[:2], loaded)
    assert one.pixels.dtype == torch.bfloat16
    assert one.pixels.shape == (2, 3, *small.input_size)


def test_one_batch_is_read_at_a_time(small):
    read = []

    @dataclass(frozen=True)
    class Watched(Made):
        def read_bytes(self, limits=None):
            read.append(self.name)
            return super().read_bytes(limits)

    batches = read_batches([Watched(i.name, i.data) for i in MIXED], small, batch=1)
    next(batches)
    assert read == ["a.png"]
    next(batches)
    assert read == ["a.png", "broken.png", "b.png"]


def test_limits_hold_and_a_batch_of_nothing_is_refused(small):
    skipped = []
    limits = Limits(max_pixels=2500)
    batches = read_batches(MIXED, small, on_skip=lambda *why: skipped.append(why), limits=limits)
    assert [one.names for one in batches] == [("a.png", "c.png", "d.png")]
    assert "megapixels" in dict(skipped)["b.png"]
    with pytest.raises(ValueError, match="at least 1 picture, got 0"):
        next(read_batches(MIXED, small, batch=0))


def test_pooling_by_hand():
    tokens = torch.tensor([[[1.0, -1], [9, 9], [2, 0], [4, 6]]])
    assert pool_tokens(tokens, 2, True).tolist() == [[1, -1, 3, 3]]
    assert pool_tokens(tokens, 2, False).tolist() == [[3, 3]]
    assert pool_tokens(tokens, 0, False).tolist() == [[4, 3.5]]
    assert pool_tokens(tokens.bfloat16(), 1, True).dtype == torch.float32
    assert pool_tokens(tokens.double(), 1, True).dtype == torch.float64


def test_the_mean_of_many_half_tokens_is_taken_in_float32():
    tokens = torch.full((1, 5000, 1), 1.0)
    tokens[:, 1::2] = 1.0078125
    assert pool_tokens(tokens.bfloat16(), 0, False).item() == pytest.approx(1.00390625, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "num_prefix", "has_cls"),
    [((1, 1, 4), 1, True), ((1, 5, 4), 0, True), ((5, 4), 1, True)],
)
def test_tokens_that_cannot_be_pooled_are_refused(shape, num_prefix, has_cls):
    with pytest.raises(ValueError, match=rf"got \({shape[0]}, .* with {num_prefix} prefix tokens"):
        pool_tokens(torch.zeros(shape), num_prefix, has_cls)


def stirred(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


PLAIN = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
CASES = {
    "cls": (lambda: VisionTransformer(**PLAIN), 1, True),
    "registers": (lambda: VisionTransformer(reg_tokens=2, **PLAIN), 3, True),
    "no prefix": (
        lambda: VisionTransformer(class_token=False, global_pool="map", **PLAIN),
        0,
        False,
    ),
    "registers only": (
        lambda: VisionTransformer(class_token=False, reg_tokens=1, global_pool="avg", **PLAIN),
        1,
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_features_of_a_layer_by_hand(case):
    build, num_prefix, has_cls = CASES[case]
    model = stirred(build())
    assert layer_count(model) == 3
    assert prefix_facts(model) == (num_prefix, has_cls)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    tokens = model.norm_pre(model._pos_embed(model.patch_embed(pixels)))
    for layer, block in enumerate(model.blocks):
        tokens = block(tokens)
        last = model.norm(tokens)
        mean = last[:, num_prefix:].sum(1) / 16
        expected = torch.cat([last[:, 0], mean], 1) if has_cls else mean
        found = pooled_features(model, pixels, layer)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(pooled_features(model, pixels), expected, atol=1e-5, rtol=0)


def test_the_words_for_pooling():
    build = {name: case[0] for name, case in CASES.items()}
    joined = "cls token joined with the mean of the patch tokens, after the final norm"
    assert pooling_words(build["registers"]()) == joined
    assert pooling_words(build["no prefix"]()) == "mean of the patch tokens, after the final norm"
    assert pooling_words(build["registers only"]()) == "mean of the patch tokens"


@pytest.mark.parametrize(
    ("name", "side", "num_prefix"),
    [("cait_xxs24_224", 32, 1), ("xcit_nano_12_p16_224", 32, 1)],
)
@torch.no_grad()
def test_families_with_one_grid_but_without_streams_give_their_end(name, side, num_prefix):
    options = {"img_size": side} if "cait" in name else {}
    model = stirred(timm.create_model(name, **options))
    assert layer_count(model) == 0
    assert prefix_facts(model) == (num_prefix, True)
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    end = model.forward_features(pixels)
    expected = torch.cat([end[:, 0], end[:, num_prefix:].mean(1)], 1)
    torch.testing.assert_close(pooled_features(model, pixels), expected)


@torch.no_grad()
def test_feature_maps_are_averaged_over_places():
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sizes = {"embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}
    swin = stirred(SwinTransformer(img_size=64, patch_size=4, **sizes))
    last = swin.forward_features(pixels)
    assert last.shape == (2, 8, 8, 48)
    found = pooled_features(swin, pixels)
    torch.testing.assert_close(found, last.mean((1, 2)))
    assert torch.equal(feature_tokens(swin, last)[:, 8 * 3 + 5], last[:, 3, 5])
    with pytest.raises(ValueError, match=r"no layer for SwinTransformer, .* got layer 1"):
        pooled_features(swin, pixels, 1)
    first = timm.create_model("maxvit_pico_rw_256", img_size=64).eval()
    maps = first.forward_features(pixels)
    assert maps.shape == (2, 256, 2, 2)
    torch.testing.assert_close(pooled_features(first, pixels), maps.mean((2, 3)))
    assert torch.equal(feature_tokens(first, maps)[:, 2 * 1 + 0], maps[:, :, 1, 0])


class Odd(torch.nn.Module):
    """Ends with whatever it is given."""

    num_features = 4

    def __init__(self, end):
        super().__init__()
        self.end = end

    def forward_features(self, pixels):
        return self.end


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ([torch.zeros(1, 4)], "one set of tokens or one feature map, got list"),
        (torch.zeros(1, 4), r"got \(1, 4\); choose"),
        (torch.zeros(1, 3, 3, 5), r"feature map of 4 channels, got \(1, 3, 3, 5\)"),
    ],
)
def test_ends_that_are_no_tokens_are_refused(end, words):
    with pytest.raises(ValueError, match=words):
        pooled_features(Odd(end), torch.zeros(1, 3, 8, 8))


def test_gradients_reach_the_pixels(small):
    pixels = torch.zeros(1, 3, *small.input_size, requires_grad=True)
    pooled_features(small.module, pixels, 2).sum().backward()
    assert pixels.grad.abs().max() > 0


@pytest.mark.parametrize("layer", [None, 0, 5])
def test_frozen_features_are_those_of_each_picture_alone(layer, small):
    done = []
    found = frozen_features(small, MIXED, layer, batch=3, progress=lambda *step: done.append(step))
    assert found.kept == (0, 2, 4, 5)
    assert [name for name, _ in found.skipped] == ["broken.png", "gone.png"]
    assert found.sha256s == tuple(hashlib.sha256(image.data).hexdigest() for image in GOOD)
    assert found.layer == layer
    assert found.pooling.startswith("cls token joined with the mean")
    assert found.values.dtype == np.float32
    alone = [
        pooled_features(small.module, torch.from_numpy(pixels_of(image, small))[None], layer)[0]
        for image in GOOD
    ]
    np.testing.assert_allclose(found.values, np.stack(alone), atol=1e-5)
    assert [step[:2] for step in done] == [(0, 6), (5, 6), (6, 6)]


def test_progress_may_stop_the_work(small):
    def stop(done, total, message):
        if done:
            raise InterruptedError(message)

    with pytest.raises(InterruptedError, match="running the model"):
        frozen_features(small, GOOD, progress=stop)


@pytest.mark.parametrize("layer", [-1, 6])
def test_a_layer_that_is_not_there_is_refused(layer, small):
    with pytest.raises(ValueError, match=f"a layer of 0 to 5, or none, got {layer}"):
        frozen_features(small, GOOD, layer)


def test_pictures_that_cannot_be_read_at_all_are_refused(small):
    with pytest.raises(ValueError, match=r"got none of 1; the first, gone\.png: No such file"):
        frozen_features(small, [Made("gone.png", None)])
    with pytest.raises(ValueError, match="got none of 0"):
        frozen_features(small, [])


def test_pictures_of_an_array_go_through(small):
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    found = frozen_features(small, [ArrayImage("0.png", pixels)])
    assert found.values.shape == (1, 2 * small.module.embed_dim)
