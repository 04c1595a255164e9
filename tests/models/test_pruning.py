"""Heads taken out of models of every family, against zero ablation by gates and by hand."""

import copy

import pytest
import timm
import torch
from timm.layers import Attention
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from analytics.models.pruned_loader import shrink
from analytics.models.pruning import (
    count_parameters,
    obstacle,
    parameters_saved,
    plan_pruning,
    prune_heads,
)
from tests.models.pruning_cases import (
    CASES,
    PLAIN,
    build,
    noise,
    sites_of,
    some_heads,
    stirred,
    zero_ablated,
)


@torch.no_grad()
def run(model, pixels):
    return model(pixels)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_the_output_is_that_of_zero_ablation(case, seed):
    model = build(case)
    sites, pixels = sites_of(case, model), noise(case)
    heads = some_heads(sites, seed)
    pruned = prune_heads(model, heads)
    ablated = zero_ablated(model, sites, heads, pixels)
    assert torch.allclose(run(pruned, pixels), ablated, atol=1e-5)
    assert not torch.allclose(ablated, run(model, pixels), atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_every_head_alone_is_the_one_taken_out(case):
    model = build(case)
    sites, pixels = sites_of(case, model), noise(case)
    site = sites.sites[-1]
    outputs = []
    for head in range(site.num_heads):
        heads = {site.module: [head]}
        outputs.append(run(prune_heads(model, heads), pixels))
        assert torch.allclose(outputs[-1], zero_ablated(model, sites, heads, pixels), atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-4)


@pytest.mark.parametrize("case", ["vit", "eva", "beit", "swin v2"])
def test_the_model_itself_does_not_change(case):
    model = build(case)
    before = copy.deepcopy(model.state_dict())
    pruned = prune_heads(model, some_heads(sites_of(case, model), 1))
    for parameter in pruned.parameters():
        parameter.fill_(9)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("case", ["eva", "swin v2"])
def test_a_copy_of_the_pruned_model_runs_on_its_own_weights(case):
    model = build(case)
    pruned = prune_heads(model, some_heads(sites_of(case, model), 1))
    before = run(pruned, noise(case))
    copied = copy.deepcopy(pruned)
    for parameter in pruned.parameters():
        parameter.zero_()
    assert torch.equal(run(copied, noise(case)), before)


def test_parameters_of_a_plain_vit_by_arithmetic():
    # A head of width 16 in a model of width 48: 3 * 16 rows of 48 with a bias, 16 columns of 48.
    model = build("vit")
    head = 3 * 16 * 48 + 3 * 16 + 48 * 16
    assert parameters_saved(model, prune_heads(model, {"blocks.2.attn": [1]})) == head
    pruned = prune_heads(model, {"blocks.0.attn": [0, 1, 2], "blocks.1.attn": [2, 0]})
    assert parameters_saved(model, pruned) == 5 * head
    assert count_parameters(model) - count_parameters(pruned) == 5 * head


def test_parameters_of_the_other_layouts_by_arithmetic():
    weights = 3 * 16 * 48 + 48 * 16
    beit = build("beit")  # biases of query and value, 7 * 7 + 3 relative places
    one = parameters_saved(beit, prune_heads(beit, {"blocks.0.attn": [1]}))
    assert one == weights + 2 * 16 + 52
    eva = build("eva")  # separate projections, biases of query and value
    assert eva.blocks[0].attn.k_proj.bias is None
    one = parameters_saved(eva, prune_heads(eva, {"blocks.0.attn": [1]}))
    assert one == weights + 2 * 16
    swin = build("swin v2")  # 12 channels a head in 24; a scale, 512 weights of the bias
    one = parameters_saved(swin, prune_heads(swin, {"layers.0.blocks.0.attn": [1]}))
    assert one == 4 * 12 * 24 + 2 * 12 + 1 + 512


def test_an_emptied_layer_keeps_the_bias_of_its_projection_alone():
    for case in ("no biases", "swin v2"):
        model = build(case)
        site = sites_of(case, model).sites[1]
        emptied = prune_heads(model, {site.module: range(site.num_heads)})
        attention = emptied.get_submodule(site.module)
        left = {key for key, value in attention.named_parameters() if value.numel()}
        assert left == ({"proj.bias"} if case == "swin v2" else set())


def test_layers_say_how_many_heads_they_have():
    pruned = prune_heads(build("vit"), {"blocks.0.attn": [1], "blocks.1.attn": [0, 1, 2]})
    attention = pruned.blocks[0].attn
    assert (attention.num_heads, attention.attn_dim, attention.head_dim) == (2, 32, 16)
    assert (attention.qkv.in_features, attention.qkv.out_features) == (48, 96)
    assert (attention.proj.in_features, attention.proj.out_features) == (32, 48)
    assert [block.attn.num_heads for block in pruned.blocks] == [2, 0, 3]


@pytest.mark.parametrize("case", ["vit", "eva", "beit", "swin", "swin v2"])
def test_heads_of_the_pruned_model_are_found_again(case):
    model = build(case)
    first = sites_of(case, model).sites[0]
    again = sites_of(case, prune_heads(model, {first.module: [0]})).sites[0]
    assert (again.module, again.num_heads) == (first.module, first.num_heads - 1)


def test_taking_out_in_two_steps_is_taking_out_at_once():
    for case in ("vit", "beit"):
        model, pixels = build(case), noise(case)
        steps = prune_heads(prune_heads(model, {"blocks.1.attn": [0]}), {"blocks.1.attn": [1]})
        once = prune_heads(model, {"blocks.1.attn": [0, 2]})
        assert torch.equal(run(steps, pixels), run(once, pixels))


def test_dtype_mode_and_gradients_stay():
    model = build("beit").to(torch.bfloat16)
    model.blocks[0].attn.requires_grad_(True)
    pruned = prune_heads(model, {"blocks.0.attn": [2], "blocks.1.attn": [2]})
    assert not pruned.training
    assert {value.dtype for value in pruned.parameters()} == {torch.bfloat16}
    assert all(value.requires_grad for value in pruned.blocks[0].attn.parameters())
    assert not any(value.requires_grad for value in pruned.blocks[1].attn.parameters())


def test_a_pruned_model_learns():
    pruned = prune_heads(build("eva"), {"blocks.0.attn": [2], "blocks.1.attn": [0, 1, 2]})
    pruned.requires_grad_(True)(noise("eva")).sum().backward()
    assert pruned.blocks[0].attn.q_proj.weight.grad.abs().max() > 0
    assert pruned.blocks[1].attn.proj.bias.grad.abs().max() > 0


def test_nothing_to_take_out_is_a_copy():
    model = build("vit")
    pruned = prune_heads(model, {"blocks.0.attn": [], "blocks.1.attn": ()})
    assert pruned is not model
    assert parameters_saved(model, pruned) == 0
    assert torch.equal(run(pruned, noise("vit")), run(model, noise("vit")))


def test_a_gate_on_the_joined_heads_is_cut_too():
    holder = nn.Module()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        holder.attn = Attention(48, 3, qkv_bias=True, gated=True)
    stirred(holder)
    zeroed = copy.deepcopy(holder)
    zeroed.attn.proj.weight[:, 16:32] = 0  # head 1 of 3, 16 channels each
    tokens = torch.randn(2, 5, 48, generator=torch.Generator().manual_seed(0))
    pruned = prune_heads(holder, {"attn": [1]})
    assert pruned.attn.gate.weight.shape == (32, 48)
    assert torch.allclose(run(pruned.attn, tokens), run(zeroed.attn, tokens), atol=1e-6)


def test_a_class_of_an_older_timm_that_joins_to_the_input_width_runs():
    model = build("eva fused")  # EvaAttention joins so, and has no attn_dim, as older classes
    ours = prune_heads(model, {"blocks.0.attn": [1]})
    changes = dict(plan_pruning(model, {"blocks.0.attn": [1]})["blocks.0.attn"].changes)
    changes.update(forward="timm", attributes={"num_heads": 2, "attn_dim": 32})
    shrink(model.blocks[0].attn, changes)
    model.load_state_dict(ours.state_dict(), strict=True)
    assert torch.equal(run(model, noise("eva fused")), run(ours, noise("eva fused")))


def scale_norm():
    return VisionTransformer(scale_attn_norm=True, **PLAIN)


def grouped_queries():
    return Eva(attn_type="rope", num_kv_heads=1, qkv_fused=False, **PLAIN)


REFUSED = {
    "scale norm": (scale_norm, "blocks.0.attn", "Attention.*normalises all heads together"),
    "differential": (
        lambda: VisionTransformer(attn_layer="diff", **{**PLAIN, "num_heads": 2}),
        "blocks.0.attn",
        "DiffAttention.*difference of two attentions",
    ),
    "parallel": (
        lambda: timm.create_model("vit_tiny_patch16_224", block_fn=_parallel(), **PLAIN),
        "blocks.0",
        "ParallelScalingBlock.*attention and MLP by one layer",
    ),
    "talking heads": (
        lambda: timm.create_model("cait_xxs24_224", **PLAIN),
        "blocks.0.attn",
        "TalkingHeadAttn.*mixed with each other",
    ),
    "grouped queries": (grouped_queries, "blocks.0.attn", "AttentionRope.*share one key and value"),
    "mixed rope": (
        lambda: timm.create_model("vit_small_patch16_rope_mixed_224", **PLAIN),
        "blocks.0.attn",
        "rotary frequencies differ between heads",
    ),
    "shared bias": (
        lambda: Beit(use_shared_rel_pos_bias=True, **PLAIN),
        "blocks.0.attn",
        "relative position biases differ between heads",
    ),
    "map pool": (
        lambda: timm.create_model("vit_base_patch16_siglip_224", **PLAIN),
        "attn_pool",
        "AttentionPoolLatent.*learned queries",
    ),
    "a class not read": (
        lambda: timm.create_model("convit_tiny", **{**PLAIN, "local_up_to_layer": 0}),
        "blocks.0.attn",
        "MHSA.*not known here",
    ),
    "no attention": (lambda: VisionTransformer(**PLAIN), "blocks.0.mlp", "Mlp.*not known here"),
}


def _parallel():
    from timm.models.vision_transformer import ParallelScalingBlock

    return ParallelScalingBlock


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_cut_is_refused_with_the_reason(kind):
    make, name, reason = REFUSED[kind]
    with torch.device("meta"):
        model = make()
    assert obstacle(model, name)
    with pytest.raises(ValueError, match=f"^{name} is a timm.*{reason}.*Use zero ablation"):
        prune_heads(model, {name: [0]})


def test_a_parameter_that_is_not_known_is_refused():
    model = build("vit")
    model.blocks[1].attn.register_parameter("temperature", nn.Parameter(torch.ones(3)))
    assert obstacle(model, "blocks.0.attn") == ""
    with pytest.raises(ValueError, match="its temperature is not known here"):
        prune_heads(model, {"blocks.1.attn": [0]})


@pytest.mark.parametrize(("head", "named"), [(3, 3), (-1, -1)])
def test_a_head_that_is_not_there_is_refused(head, named):
    with pytest.raises(ValueError, match=rf"blocks\.0\.attn has heads 0 to 2; got head {named}"):
        prune_heads(build("vit"), {"blocks.0.attn": [0, head]})


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"VisionTransformer has no 'blocks\.9\.attn'"):
        prune_heads(build("vit"), {"blocks.9.attn": [0]})
