"""Grids and prefix tokens are read off the model; what cannot be placed is not drawn."""

import pytest
import torch
from timm.models.deit import VisionTransformerDistilled
from torch import nn
from torch.nn import functional as F

from analytics.capture.layers import keep_layer
from analytics.capture.layouts import Placer, prefix_names
from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.types import PatchGrid


class Pooling(nn.Module):
    """Global attention to keys that are pooled before they are read."""

    num_heads = 2

    def __init__(self, pool):
        super().__init__()
        self.query, self.key_value, self.pool = nn.Linear(16, 16), nn.Linear(16, 32), pool

    def forward(self, tokens):
        keys = self.key_value(self.pool(tokens))
        query, key, value = (
            part.unflatten(-1, (2, 8)).transpose(1, 2)
            for part in (self.query(tokens), *keys.chunk(2, -1))
        )
        output = F.scaled_dot_product_attention(query, key, value)
        return tokens + output.transpose(1, 2).flatten(2)


class Net(nn.Module):
    """A patch embedding, an optional change of order, and an attention."""

    def __init__(self, attn, order=None):
        super().__init__()
        self.embed, self.attn, self.order = nn.Conv2d(3, 16, 4, 4), attn, order

    def forward(self, pixels):
        tokens = self.embed(pixels).flatten(2).transpose(1, 2)
        return self.attn(tokens if self.order is None else tokens[:, self.order]).mean(1)


def squares(tokens):
    side = int(tokens.shape[1] ** 0.5)
    picture = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.avg_pool2d(picture, 4).flatten(2).transpose(1, 2)


def runs(tokens):
    return F.avg_pool1d(tokens.transpose(1, 2), 16).transpose(1, 2)


def net(pool=lambda tokens: tokens, order=None):
    torch.manual_seed(0)
    return Net(Pooling(pool), order).eval()


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("vit", ("cls",)),
        ("registers", ("cls", "reg0", "reg1")),
        ("eva", ("cls", "reg0")),
        ("beit", ("cls",)),
        ("relpos", ()),
    ],
)
def test_prefix_tokens_are_named_in_their_order(kind, prefix, subject):
    _, sites = subject(kind)
    for site in sites.sites:
        assert site.placed
        assert site.query_layout == site.key_layout
        assert site.query_layout.prefix == prefix
        assert site.query_layout.grid == PatchGrid(4, 4)
        assert site.query_layout.num_tokens == site.query_tokens


def test_a_distilled_model_has_a_second_class_token():
    model = VisionTransformerDistilled(img_size=32, patch_size=8, embed_dim=48, depth=1).eval()
    (site,) = find_sites(model, (32, 32)).sites
    assert site.query_layout.prefix == ("cls", "dist")


def test_names_without_a_class_token():
    class Registers:
        num_reg_tokens, cls_token = 2, None

    assert prefix_names(Registers(), 2) == ("reg0", "reg1")


def test_a_pooling_query_has_a_name_and_no_grid(subject):
    _, sites = subject("map pool")
    pool = sites.sites[-1]
    assert pool.module == "attn_pool"
    assert pool.query_layout.prefix == ("pool",)
    assert pool.query_layout.grid.count == 0
    assert pool.key_layout.prefix == ()
    assert pool.key_layout.grid == PatchGrid(4, 4)


@pytest.mark.parametrize(
    ("kind", "size", "grid"),
    [
        ("vit", (80, 112), (10, 14)),
        ("vit", (112, 80), (14, 10)),
        ("vit", (32, 128), (4, 16)),
        ("eva", (48, 32), (6, 4)),
        ("relpos", (40, 56), (5, 7)),
    ],
)
def test_oblong_inputs_have_oblong_grids(kind, size, grid, subject, noise):
    model, sites = subject(kind, size)
    assert [site.query_layout.grid for site in sites.placed] == [PatchGrid(*grid)] * 2
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        model(noise(sites))
    assert captured[0].attention.shape[-1] == captured[0].site.query_layout.num_tokens


@pytest.mark.parametrize(
    ("size", "tokens", "grid"),
    [((32, 32), 16, (4, 4)), ((32, 32), 17, None), ((80, 112), 140, (10, 14)), ((32, 32), 0, None)],
)
def test_a_grid_has_the_shape_of_the_input(size, tokens, grid):
    expected = None if grid is None else PatchGrid(*grid)
    assert Placer(nn.Identity(), size).grid(tokens) == expected


def test_an_unrolled_order_is_not_drawn(subject):
    _, sites = subject("hiera")
    # Only after the last pooling are the tokens of Hiera in the picture's order.
    assert [site.label for site in sites.placed] == ["blocks.7.attn"]
    assert sites.sites[-1].query_layout.grid == PatchGrid(7, 7)


@pytest.mark.parametrize("size", [64, 128])
def test_nested_blocks_are_not_drawn(size, subject):
    _, sites = subject("nest", size)
    nested = [site for site in sites.sites if "levels.2" not in site.module]
    assert len(nested) == 4
    assert not any(site.placed for site in nested)
    assert all(site.num_windows in (4, 16) for site in nested)


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_tokens_are_not_drawn(seed):
    order = torch.randperm(256, generator=torch.Generator().manual_seed(seed))
    assert not find_sites(net(order=order), (64, 64)).placed
    assert find_sites(net(), (64, 64)).placed


@pytest.mark.parametrize("order", [torch.arange(256).flip(0), torch.arange(256).view(16, 16).T])
def test_turned_tokens_are_not_drawn(order):
    assert not find_sites(net(order=order.flatten()), (64, 64)).placed


def test_keys_pooled_in_squares_are_placed_and_in_runs_are_not():
    (site,) = find_sites(net(squares), (64, 64)).sites
    assert site.placed
    assert (site.query_layout.grid, site.key_layout.grid) == (PatchGrid(16, 16), PatchGrid(4, 4))
    (site,) = find_sites(net(runs), (64, 64)).sites
    assert not site.placed
    assert (site.query_tokens, site.key_tokens) == (256, 16)


@pytest.mark.parametrize(("kind", "left"), [("xcit", "XCA"), ("davit", "ChannelAttention")])
def test_channel_attention_is_left_out_with_its_reason(kind, left, subject):
    _, sites = subject(kind)
    assert len(sites.refused) == 2
    assert sites.refused_notes == (
        f"2 attention calls left out: ({left}): attends between channels, not between places in "
        "the picture",
    )
    assert all(site.placed for site in sites.sites)


def test_a_model_without_attention_is_refused():
    import timm

    message = r"ResNet has no attention between the places .*found: none at all.*for example a ViT"
    with pytest.raises(ValueError, match=message):
        find_sites(timm.create_model("resnet10t").eval(), (64, 64))


def test_a_model_of_lambdas_is_refused():
    import timm

    model = timm.create_model("lambda_resnet26t", pretrained=False).eval()
    message = "without comparing tokens.*Choose a model with softmax attention over patches"
    with pytest.raises(ValueError, match=message):
        find_sites(model, (256, 256))


@pytest.mark.parametrize(("kind", "mixed"), [("cait", [1, 1, 0, 0]), ("convit", [1, 0])])
def test_attention_changed_after_the_softmax_says_so(kind, mixed, subject, noise):
    model, sites = subject(kind)
    assert [site.mixed for site in sites.sites] == [bool(one) for one in mixed]
    keep = {"keep": ("query", "key"), "reduce": lambda heads: heads.attention()}
    with torch.no_grad(), capture(model, sites, **keep) as captured:
        model(noise(sites))
    for one in captured:
        sums = one.reduced.sum(-1)
        notes = " ".join(keep_layer(one, "L0").notes)
        assert ("need not sum to 1" in notes) == one.site.mixed
        talking = kind == "cait" and one.site.mixed
        assert ((sums - 1).abs().max() > 1e-3) == talking


def test_convit_shows_the_gated_map_that_is_multiplied(subject, noise):
    model, sites = subject("convit")
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        model(noise(sites))
    block = model.blocks[0]
    with torch.no_grad():
        tokens = model.pos_drop(model.patch_embed(noise(sites)) + model.pos_embed)
        expected = block.attn.get_attention(block.norm1(tokens))
    assert torch.allclose(captured[0].attention[:, 0], expected, atol=1e-6)
