"""Every head beside a probe and the truth: made attention whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.metrics.binding import pair_set
from analytics.metrics.binding_attention import top_key_share
from analytics.metrics.head_link import LINK_MEASURES
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_heads import compare_heads, heads_table, measure_heads
from analytics.studies.binding_link import LinkPairs, attention_link
from analytics.types import PatchGrid, TokenLayout
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Empty, Objects

CHOSEN = BindingChoices(patches=10)
SIDE, IMAGES = 4, 6


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def probe(loaded):
    return drawn_probe("quadratic", points=7, width=loaded.module.embed_dim)


def made_link(heads=(3, 0, 2)):
    """All 16 patches of six images: head 1 of layer 0 attends within objects, head 0 to all alike,
    head 2 and the two of layer 2 at random; layer 1 has no plain attention."""
    rng = np.random.default_rng(0)
    count = SIDE * SIDE
    whole = rng.integers(1, 4, (IMAGES, SIDE, SIDE)).astype(np.int32)
    objects = whole.reshape(IMAGES, count)
    places = np.stack(np.divmod(np.arange(count), SIDE), axis=-1)
    pairs = pair_set(objects, np.broadcast_to(places, (IMAGES, count, 2)))
    same = (objects[:, :, None] == objects[:, None]).astype(float)
    attention = {}
    for layer, many in enumerate(heads):
        if many:
            attention[layer] = rng.dirichlet(np.ones(count), (many, IMAGES, count))
    attention[0][0] = 1 / count
    attention[0][1] = same / same.sum(-1, keepdims=True)
    scores = rng.normal(size=(len(heads), IMAGES, count, count)).astype(np.float32)
    scores = scores + scores.swapaxes(-1, -2)
    for layer, one in attention.items():
        attention[layer] = np.concatenate([one, one.mean(0, keepdims=True)])
    hits = {}
    for layer, one in attention.items():
        found = [top_key_share(one[:, image], objects[image]) for image in range(IMAGES)]
        hits[layer] = (np.stack([a for a, _ in found]), np.array([b for _, b in found]))
    layout = TokenLayout(("cls",), PatchGrid(SIDE, SIDE))
    return LinkPairs(layout, pairs, attention, scores, hits, whole, tuple(range(IMAGES)), ())


def cell(tables, measure, layer, head):
    return tables["values"][LINK_MEASURES.index(measure), layer, head]


def test_a_head_within_objects_comes_first_and_a_uniform_one_has_chance():
    tables = compare_heads(made_link())
    for measure in ("auc", "auc_matched", "top_share"):
        assert cell(tables, measure, 0, 1) == pytest.approx([1, 1, 1])
        table = tables["values"][LINK_MEASURES.index(measure), :, :, 0]
        assert np.unravel_index(np.nanargmax(table), table.shape) == (0, 1)
    assert cell(tables, "auc", 0, 0)[0] == pytest.approx(0.5)
    assert np.isnan(cell(tables, "score_pearson", 0, 0)).all()
    assert np.isnan(cell(tables, "truth_within", 0, 0)).all()
    assert cell(tables, "truth_rank", 0, 1)[0] > 0.9


def test_layers_keep_their_own_number_of_heads():
    tables = compare_heads(made_link())
    assert tables["heads"] == (3, 0, 2) and tables["values"].shape[1:] == (3, 3, 3)
    auc = tables["values"][LINK_MEASURES.index("auc"), ..., 0]
    assert np.isfinite(auc).tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    mean = tables["mean"][LINK_MEASURES.index("auc"), :, 0]
    assert np.isfinite(mean).tolist() == [True, False, True]
    # The mean over the three heads still follows the one within objects.
    assert mean[0] > 0.9


def test_without_known_objects_only_the_score_is_compared():
    tables = compare_heads(made_link(), known=False)
    finite = np.isfinite(tables["values"][:, 2, 0, 0])
    known = [name for name, one in zip(LINK_MEASURES, finite, strict=True) if one]
    assert known == ["score_pearson", "score_rank", "score_within"]
    assert np.isnan(tables["chance"]).all() and np.isnan(tables["probe"]).all()


def test_all_heads_of_a_model_have_the_values_of_the_link(loaded, probe):
    from analytics.studies.binding_images import survey_annotated

    sources = [*(Objects(seed) for seed in range(5)), Empty()]
    record = measure_heads(loaded, sources, probe, CHOSEN, row="quadratic", fitted_on="nothing")
    link = attention_link(loaded, survey_annotated(sources), range(5), probe, CHOSEN)
    places = [(name, LINK_MEASURES.index(name)) for name in link]
    for name, place in places:
        together = np.concatenate(
            [record.values[place, ..., 0], record.mean[place, :, None, 0]], axis=1
        )
        np.testing.assert_allclose(together, link[name], atol=1e-5)
    assert record.heads == (loaded.module.blocks[0].attn.num_heads,) * 6
    assert [name for name, _ in record.skipped] == ["empty"] and len(record.images) == 5
    assert record.provenance.parameters["probe"] == "quadratic"
    order = record.ranked("auc")
    assert len(order) == sum(record.heads)
    values = [record.values[LINK_MEASURES.index("auc")][at][0] for at in order]
    assert values == sorted(values, reverse=True)
    with pytest.raises(ValueError, match="expected a measure out of"):
        record.ranked("beauty")


def test_a_probe_of_another_model_is_refused(loaded):
    wrong = drawn_probe("quadratic", points=4, width=loaded.module.embed_dim)
    with pytest.raises(ValueError, match="expected a probe with 7 points"):
        measure_heads(loaded, [Objects(0)], wrong, CHOSEN)


def test_the_table_has_a_line_for_heads_mean_and_probe(loaded, probe):
    record = measure_heads(loaded, [Objects(0), Objects(1)], probe, CHOSEN)
    table = heads_table(record)
    assert len(table) == 6 * (record.heads[0] + 2)
    line = table[(table.layer == 2) & (table["head"] == 1)].iloc[0]
    place = LINK_MEASURES.index("truth_rank")
    ends = [line["truth_rank"], line["truth_rank_low"], line["truth_rank_high"]]
    assert ends == pytest.approx(record.values[place, 2, 1].tolist())
    assert table[table["of"] == "probe"]["head"].isna().all()
