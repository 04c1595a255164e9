"""One picture's flow through small models, beside the same computed the long way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.io.fitting import fit_picture, normalise, place
from analytics.io.images import read_picture
from analytics.metrics.flow import legrad, relevance, rollout
from analytics.metrics.sinks import received_relative
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.features import frozen_features, prefix_facts
from analytics.studies.flow import measure_flow
from analytics.studies.flow_record import WhatIf
from analytics.studies.flow_whatif import redistribute_sinks
from tests.studies.flow_making import vit
from tests.studies.making import Made

STEPS = 3


@pytest.fixture(scope="module")
def base():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def picture():
    return read_picture(Made("a.png", 3).read_bytes(), "a.png")


@pytest.fixture(scope="module")
def models(base):
    return {
        "classes": vit(base, num_classes=5, reg_tokens=2),
        "embedding": vit(base, num_classes=0),
        "average": vit(base, num_classes=0, class_token=False, global_pool="avg"),
    }


@pytest.fixture(scope="module")
def flows(models, picture):
    return {
        name: measure_flow(loaded, picture, steps=STEPS, redistribute=WhatIf(1.2, 0.25))
        for name, loaded in models.items()
    }


def pixels_of(loaded, picture):
    spot = place(picture.height, picture.width, "crop", *loaded.input_size)
    return torch.from_numpy(normalise(fit_picture(picture, spot), loaded.mean, loaded.std))[None]


def all_maps(loaded, pixels, layer=None):
    """Attention (layers, heads, tokens, tokens) in the graph, and each layer's output."""
    sites = find_sites(loaded.module, loaded.input_size)
    maps = []

    def keep(site, attention):
        maps.append(attention)
        return attention

    with torch.enable_grad(), capture(loaded.module, sites, edit=keep):
        module, streams = loaded.module, []
        tokens = module.norm_pre(module._pos_embed(module.patch_embed(pixels.requires_grad_())))
        for block in module.blocks:
            tokens = block(tokens)
            streams.append(tokens)
    return maps, streams


def scores_of(loaded, streams, label):
    """The score at every layer's output, the last at the end."""
    module = loaded.module
    if label is not None:
        return [module.forward_head(module.norm(one))[0, label] for one in streams]
    ahead, has_cls = prefix_facts(module)
    pooled = [one[0, 0] if has_cls else one[0, ahead:].mean(0) for one in streams]
    way = pooled[-1].detach() / pooled[-1].detach().norm()
    return [one @ way for one in pooled]


def read_row(loaded, table):
    """The patches of cls's row, or of the mean of the rows of all patches."""
    ahead, has_cls = prefix_facts(loaded.module)
    row = table[0] if has_cls else table[ahead:].mean(0)
    return row[ahead:].detach().reshape(4, 4).numpy()


@pytest.mark.parametrize("kind", ["classes", "embedding", "average"])
def test_every_map_is_that_of_whole_tables(kind, models, flows, picture):
    loaded, flow = models[kind], flows[kind]
    pixels = pixels_of(loaded, picture)
    label = None
    if kind == "classes":
        label = int(loaded.module(pixels)[0].argmax())
        assert flow.target == f"the logit of class {label}, the most probable class"
    maps, streams = all_maps(loaded, pixels)
    scores = scores_of(loaded, streams, label)
    slopes = torch.autograd.grad(scores[-1], maps, retain_graph=True)
    own = [
        torch.autograd.grad(score, one, retain_graph=True)[0][0, 0]
        for score, one in zip(scores, maps, strict=True)
    ]
    attentions = torch.stack([one[0, 0] for one in maps])  # layers, heads, queries, keys
    ahead = prefix_facts(loaded.module)[0]
    tokens = attentions.shape[-1]
    whole = relevance(attentions, torch.stack([one[0, 0] for one in slopes]))
    expected = {
        "rollout": read_row(loaded, rollout(attentions)),
        "relevance": read_row(loaded, whole - torch.eye(tokens)),
        "legrad": legrad(own)[ahead:].detach().reshape(4, 4).numpy(),
        "raw": read_row(loaded, attentions[-1].mean(0)),
    }
    assert [one.name for one in flow.maps] == list(expected)
    for one in flow.maps:
        assert one.values.std() > 1e-3 * one.values.max()
        np.testing.assert_allclose(one.values, expected[one.name], rtol=1e-3, atol=1e-7)


@torch.no_grad()
def test_received_relative_sinks_and_norms(models, flows, picture):
    loaded, flow = models["classes"], flows["classes"]
    maps, streams = all_maps(loaded, pixels_of(loaded, picture))
    assert flow.base_layout.prefix == ("cls", "reg0", "reg1")
    for layer, (attention, stream) in enumerate(zip(maps, streams, strict=True)):
        expected = received_relative(attention[0, 0]).numpy()
        np.testing.assert_allclose(flow.received[layer], expected, rtol=1e-4)
        np.testing.assert_allclose(flow.norms[layer], stream[0].norm(dim=1), rtol=1e-4)
        row = attention[0, 0].mean(0)[0].numpy()
        np.testing.assert_allclose(flow.readout_attention[layer], row, rtol=1e-3, atol=1e-6)
    assert np.array_equal(flow.sinks, flow.received > flow.sink_threshold)
    life = flow.sink_life(1.2)
    for token, name in enumerate(flow.base_layout.names):
        layers = [layer for layer in range(3) if flow.received[layer, token] > 1.2]
        assert life.get(name, ()) == tuple(layers)
    assert life


@torch.no_grad()
@pytest.mark.parametrize("kind", ["classes", "average"])
def test_curves_run_by_hand(kind, models, flows, picture):
    loaded, flow = models[kind], flows[kind]
    pixels = pixels_of(loaded, picture)
    fill = pixels.mean((0, 2, 3))
    order = np.argsort(-flow.map("relevance").values.reshape(-1), kind="stable")
    label = int(loaded.module(pixels).argmax())
    clean = loaded.module.forward_features(pixels).mean(1)

    def score(pixels):
        if kind == "classes":
            return float(loaded.module(pixels).softmax(1)[0, label])
        return float(cosine_similarity(loaded.module.forward_features(pixels).mean(1), clean))

    assert flow.fractions.tolist() == pytest.approx([0, 5 / 16, 11 / 16, 1])
    for point, count in enumerate([0, 5, 11, 16]):
        gone, put = pixels.clone(), fill[None, :, None, None].expand_as(pixels).clone()
        for patch in order[:count]:
            y, x = 8 * (patch // 4), 8 * (patch % 4)
            gone[0, :, y : y + 8, x : x + 8] = fill[:, None, None]
            put[0, :, y : y + 8, x : x + 8] = pixels[0, :, y : y + 8, x : x + 8]
        one = flow.map("relevance")
        assert float(one.deletion[point]) == pytest.approx(score(gone), abs=1e-5)
        assert float(one.insertion[point]) == pytest.approx(score(put), abs=1e-5)
    areas = (one.deletion[1:] + one.deletion[:-1]) / 2 * np.diff(flow.fractions)
    assert one.deletion_auc == pytest.approx(float(areas.sum()), abs=1e-6)
    assert flow.random_deletion.shape == flow.random_insertion.shape == (3, STEPS + 1)
    assert flow.random_insertion[:, -1] == pytest.approx(one.deletion[:1].repeat(3))


@torch.no_grad()
def test_shifted_copies_one_at_a_time(models, flows, picture):
    loaded, flow = models["classes"], flows["classes"]
    pixels = pixels_of(loaded, picture)
    assert flow.shift.shifts == ((1, 0), (0, 1), (1, 1), (2, 2))
    ahead = 3
    own, streams = all_maps(loaded, pixels.clone())
    for row, (dy, dx) in enumerate(flow.shift.shifts):
        moved = torch.roll(pixels, (8 * dy, 8 * dx), (2, 3))
        maps, ends = all_maps(loaded, moved)
        pair = [loaded.module.norm(one[-1])[0, 0] for one in (streams, ends)]
        expected = float(cosine_similarity(*pair, dim=0))
        assert float(flow.shift.embedding_cosine[row]) == pytest.approx(expected, abs=1e-5)
        classes = [int(loaded.module(one).argmax()) for one in (pixels, moved)]
        assert bool(flow.shift.same_class[row]) == (classes[0] == classes[1])
        for layer in range(3):
            planes = own[layer][0, 0][:, ahead:, ahead:].reshape(3, 4, 4, 4, 4)
            planes = torch.roll(planes, (dy, dx, dy, dx), (1, 2, 3, 4)).reshape(3, -1)
            other = maps[layer][0, 0][:, ahead:, ahead:].reshape(3, -1)
            agreement = float(cosine_similarity(planes, other, dim=1).mean())
            found = float(flow.shift.attention_agreement[row, layer])
            assert found == pytest.approx(agreement, abs=1e-5)


def test_without_positions_nothing_depends_on_the_shift(base, picture):
    loaded = vit(base, num_classes=5)
    with torch.no_grad():
        loaded.module.pos_embed.zero_()
    shift = measure_flow(loaded, picture, steps=1).shift
    assert shift.embedding_cosine == pytest.approx(1, abs=1e-5)
    assert shift.attention_agreement == pytest.approx(1, abs=1e-5)
    assert shift.class_share == 1


@torch.no_grad()
def test_the_what_if_written_out(models, flows, picture):
    loaded, changed = models["classes"], flows["classes"].redistribution
    pixels = pixels_of(loaded, picture)
    sinks = flows["classes"].received > 1.2
    assert np.array_equal(changed.sinks, sinks)
    assert sinks.any() and not sinks.all(axis=1).any()

    def scale(site, attention):
        found = attention.clone().numpy()
        for where in np.ndindex(found.shape[:-1]):
            row = found[where]
            taken = sinks[site.index]
            others = ~taken & (np.arange(len(row)) >= 3)  # patches that are no sinks
            freed = 0.75 * row[taken].sum()
            row[others] *= 1 + freed / row[others].sum()
            row[taken] *= 0.25
        return torch.from_numpy(found)

    sites = find_sites(loaded.module, loaded.input_size)
    with capture(loaded.module, sites, edit=scale):
        end = loaded.module.forward_features(pixels)
    before = loaded.module.forward_features(pixels)
    expected = float(cosine_similarity(end[0, 0], before[0, 0], dim=0))
    assert changed.embedding_cosine == pytest.approx(expected, abs=1e-5)
    assert expected < 0.999
    chances = loaded.module.forward_head(end).softmax(1)[0]
    assert [name for name, _ in changed.after] == [f"class {i}" for i in chances.argsort().flip(0)]
    assert changed.after[0][1] == pytest.approx(float(chances.max()), abs=1e-5)
    assert changed.score_before == pytest.approx(flows["classes"].top[0][1])
    assert changed.score_after == pytest.approx(
        dict(changed.after)[flows["classes"].top[0][0]], abs=1e-6
    )
    assert set(changed.maps) == {"rollout", "raw"}


def test_the_what_if_alone_is_that_of_the_flow(models, flows, picture):
    for kind, flow in flows.items():
        found = redistribute_sinks(models[kind], picture, WhatIf(1.2, 0.25))
        assert found.score_after == flow.redistribution.score_after
        assert np.array_equal(found.received, flow.redistribution.received)
        assert np.array_equal(found.maps["raw"], flow.redistribution.maps["raw"])


def test_a_factor_of_one_leaves_the_model_alone(models, flows, picture):
    flow = measure_flow(models["average"], picture, steps=1, redistribute=WhatIf(1.2, 1.0))
    changed = flow.redistribution
    assert changed.embedding_cosine == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(changed.received, flow.received, rtol=1e-5)
    np.testing.assert_allclose(changed.maps["rollout"], flow.map("rollout").values, rtol=1e-5)


def test_prefix_tokens_can_be_spared(models, picture):
    flow = measure_flow(models["classes"], picture, steps=1, redistribute=WhatIf(1e-6, 0, False))
    assert not flow.redistribution.sinks[:, :3].any()
    assert flow.redistribution.sinks[:, 3:].all()
    # All patches are sinks: nobody is left to give to, and nothing changes.
    assert flow.redistribution.embedding_cosine == pytest.approx(1, abs=1e-6)


def test_a_readout_ends_the_flow_at_its_layer(models, picture):
    loaded = models["embedding"]
    images = [Made(f"{seed}.png", seed) for seed in range(8)]
    values = frozen_features(loaded, images, layer=1).values
    readout = fit_readout(
        values, ["odd", "even"] * 4, weights_sha256=loaded.weights_sha256, layer=1
    )
    flow = measure_flow(loaded, picture, readout=readout, target="odd", steps=1)
    assert flow.target == "the logit of odd, the chosen class"
    assert flow.map("raw").title == "raw attention, L1"
    assert flow.readout_row.startswith("the row of the cls token and the mean")
    attentions = torch.stack([one[0, 0] for one in all_maps(loaded, pixels_of(loaded, picture))[0]])
    table = rollout(attentions[:2].detach())
    both = (table[0] + table[1:].mean(0)) / 2
    np.testing.assert_allclose(flow.map("rollout").values.reshape(-1), both[1:], rtol=1e-4)
    assert flow.map("relevance").values.max() > 0
    with pytest.raises(ValueError, match=r"expected a class out of even, odd .* got 'cat'"):
        measure_flow(loaded, picture, readout=readout, target="cat", steps=1)
