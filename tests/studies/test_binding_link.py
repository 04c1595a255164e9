"""The attention link against explicit attention, pair by pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.io.fitting import normalise
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_images import draw_patches, survey_annotated
from analytics.studies.binding_link import LINKS, attention_link
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Objects
from tests.studies.test_patterns import other

CHOSEN = BindingChoices(patches=10)
ROWS = (1, 3, 4, 0, 2)


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def found():
    return survey_annotated([Objects(seed) for seed in range(6)])


@pytest.fixture(scope="module")
def probe(loaded):
    return drawn_probe("quadratic", points=7, width=loaded.module.embed_dim)


def by_hand(loaded, found, probe, layer):
    """Attention (pairs, heads + 1), scores and truth of all pairs; hits of the top other key."""
    sites = find_sites(loaded.module, loaded.input_size)
    layout = sites.sites[0].query_layout
    start = len(layout.prefix)
    attention, scores, truth, hits = [], [], [], []
    for row in ROWS:
        image, sha256 = found.sources[row].load(), found.sha256s[row]
        drawn = draw_patches(image, sha256, loaded.input_size, layout.grid, CHOSEN)
        pixels = torch.from_numpy(normalise(drawn.fitted, loaded.mean, loaded.std))[None]
        streams = []
        hooks = [
            loaded.module.blocks[layer].register_forward_pre_hook(
                lambda _, given, kept=streams: kept.append(given[0])
            )
        ]
        with torch.no_grad(), capture(loaded.module, sites, ["attention"]) as captured:
            loaded.module(pixels)
        hooks[0].remove()
        maps = captured[layer].attention[0, 0, :, start:, start:].numpy()
        maps = np.concatenate([maps, maps.mean(0, keepdims=True)])
        tokens = streams[0][0, start:]
        objects = drawn.whole.reshape(-1)
        places = [int(place) for place in drawn.patches if place >= 0]
        for i, a in enumerate(places):
            for b in places[i + 1 :]:
                attention.append((maps[:, a, b] + maps[:, b, a]) / 2)
                read = probe.read(tokens[[a, b]], layer)
                scores.append(float(probe.logits(read, read, layer)[0, 1]))
                truth.append(objects[a] == objects[b])
        for query in np.flatnonzero(objects):
            if (objects == objects[query]).sum() > 1:
                rows = maps[:, query].copy()
                rows[:, query] = -1
                hits.append(objects[rows.argmax(1)] == objects[query])
    return np.array(attention), np.array(scores), np.array(truth), np.array(hits)


def test_the_link_is_that_of_explicit_attention(loaded, found, probe):
    tables = attention_link(loaded, found, ROWS, probe, CHOSEN)
    assert set(tables) == set(LINKS)
    for layer in (0, 4):
        attention, scores, truth, hits = by_hand(loaded, found, probe, layer)
        for head in range(attention.shape[1]):
            own = attention[:, head]
            expected = {
                "score_pearson": np.corrcoef(own, scores)[0, 1],
                "truth_pearson": np.corrcoef(own, truth)[0, 1],
                "score_rank": np.corrcoef(ranks(own), ranks(scores))[0, 1],
                "truth_rank": np.corrcoef(ranks(own), ranks(truth))[0, 1],
                "auc": np.mean(
                    (own[truth][:, None] > own[~truth]) + 0.5 * (own[truth][:, None] == own[~truth])
                ),
                "top_share": hits[:, head].mean(),
            }
            for name, value in expected.items():
                assert tables[name][layer, head] == pytest.approx(value, abs=2e-3), (name, head)


def ranks(values):
    """Ranks with ties at their mean, pair by pair."""
    values = np.asarray(values, float)
    return np.array([(values < one).sum() + ((values == one).sum() + 1) / 2 for one in values])


def test_a_pooling_query_after_the_layers_has_no_row(found):
    model = other("map pool", 32)
    probe = drawn_probe("quadratic", points=3, width=model.module.embed_dim)
    tables = attention_link(model, found, ROWS, probe, CHOSEN)
    assert all(table.shape == (2, 4) for table in tables.values())
    assert np.isfinite(tables["auc"]).all()


def test_the_link_of_queries_and_keys_uses_those_of_the_layer(loaded, found):
    # One weight for all: the score is the mean logit of the layer itself.
    probe = drawn_probe("next_qk", points=7, width=loaded.module.embed_dim)
    half = torch.ones(7, loaded.module.embed_dim)
    tensors = {"signs": torch.cat([half, -half], dim=1), "bias": torch.zeros(7)}
    tables = attention_link(loaded, found, ROWS, replace(probe, tensors=tensors), CHOSEN)
    assert (tables["score_pearson"][:, -1] > 0.5).all()
