"""Object discovery: planted objects are found exactly, and what cannot be run says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.io.annotated import AnnotatedImage
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.binding_features import StreamReader
from analytics.studies.discovery import (
    NOT_MARKED,
    TOO_SMALL,
    centre_box,
    discover,
    find_masks,
    mask_labels,
    most_frequent_objects,
    score_found,
)
from analytics.studies.discovery_methods import MEASURES, METHODS, DiscoveryChoices
from analytics.studies.discovery_record import (
    ALL,
    DiscoverySet,
    Row,
    discovery_table,
    load_discovery,
)
from analytics.studies.discovery_set import discovery_rows, measure_discovery
from analytics.studies.discovery_tokens import PictureTokens, TokenReader
from analytics.types import PatchGrid
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Empty, Objects, Unreadable

GRID = PatchGrid(8, 10)


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def probe(loaded):
    return drawn_probe("quadratic", points=7, width=loaded.module.embed_dim)


def planted(count=2):
    """Objects of 3 x 3 and 3 x 4 patches, away from the corners."""
    objects = np.zeros((8, 10), np.int32)
    objects[1:4, 1:4] = 1
    if count > 1:
        objects[4:7, 5:9] = 2
    return objects


def made_tokens(objects, features=None):
    """Attention of two heads to the objects, and P(same object) .9 where they are the same."""
    flat = objects.reshape(-1)
    directions = np.eye(6)[flat] if features is None else features
    inside = [np.where(flat == one, 1.0, 1e-6) for one in (1, max(1, int(flat.max())))]
    attention = np.stack([row / row.sum() for row in inside]).astype(np.float32)
    chances = np.where(flat[:, None] == flat, 0.9, 0.02).astype(np.float32)
    grid = PatchGrid(*objects.shape)
    return PictureTokens(grid, directions.astype(np.float32), attention, chances)


def by_name(found):
    return {one.method: one for one in found}


def test_one_planted_object_is_found_exactly_by_every_method():
    objects = planted(1)
    # LOST needs unlike features: u inside, -u outside.
    unlike = np.where(objects.reshape(-1, 1) == 1, 1.0, -1.0) * np.ones(4)
    chosen = DiscoveryChoices(groups=2, mass=0.99999)
    found = by_name(find_masks(made_tokens(objects, unlike), chosen, objects))
    for name in ("lost", "tokencut", "maskcut", "cls_mean", "cls_heads", "spectral"):
        assert found[name].scores["best_iou"] == 1, name
        assert found[name].scores["correct"] == 1
        best = found[name].masks[found[name].best]
        np.testing.assert_array_equal(best, objects == 1)
    assert 0 < found["whole"].scores["best_iou"] < 1
    assert found["whole"].scores["best_iou"] == pytest.approx(9 / 80)


def test_two_planted_objects_are_found_exactly_by_those_that_give_several():
    objects = planted(2)
    found = by_name(find_masks(made_tokens(objects), DiscoveryChoices(groups=3), objects))
    for name in ("maskcut", "spectral"):
        scores = found[name].scores
        assert (scores["mean_best_iou"], scores["fg_ari"], scores["correct"]) == (1, 1, 1)
    assert found["spectral"].scores["masks"] == 3
    # TokenCut gives one object: at most half of the mean over two.
    assert found["tokencut"].scores["mean_best_iou"] <= 0.5
    assert found["tokencut"].scores["masks"] == 1


def test_equal_features_have_plain_answers_that_are_said():
    objects = planted(1)
    tokens = made_tokens(objects, np.ones((80, 4)))
    found = by_name(find_masks(tokens, DiscoveryChoices(), objects))
    assert found["lost"].masks.all() and "the whole picture" in found["lost"].note
    for name in ("tokencut", "maskcut"):
        assert len(found[name].masks) == 0 and "all patches are alike" in found[name].note
        assert found[name].scores["best_iou"] == 0 and found[name].best == -1
        assert found[name].labels.shape == (8, 10) and not found[name].labels.any()
    assert found["whole"].note == ""


def test_one_patch_is_a_picture():
    objects = np.ones((1, 1), np.int32)
    found = by_name(find_masks(made_tokens(objects), DiscoveryChoices(), objects))
    for name in ("lost", "cls_mean", "spectral", "centre_box", "whole"):
        assert found[name].scores["best_iou"] == 1, name
    assert found["tokencut"].scores["best_iou"] == 0
    assert np.isnan(found["lost"].scores["fg_ari"])


def test_scores_are_worked_out_mask_by_mask():
    """Twin: sets of patches."""
    rng = np.random.default_rng(0)
    objects = rng.integers(0, 3, (4, 5))
    masks = rng.random((3, 4, 5)) < 0.4
    scores, ious = score_found(masks, objects, METHODS["cls_heads"])
    sets = [{*np.flatnonzero(one)} for one in masks]
    truth = [{*np.flatnonzero(objects == one)} for one in (1, 2)]
    table = [[len(a & b) / len(a | b) for b in truth] for a in sets]
    np.testing.assert_allclose(ious, [max(row) for row in table])
    assert scores["best_iou"] == pytest.approx(max(max(row) for row in table))
    columns = [max(row[i] for row in table) for i in range(2)]
    assert scores["mean_best_iou"] == pytest.approx(sum(columns) / 2)
    assert np.isnan(scores["fg_ari"]) and scores["masks"] == 3


def test_labels_are_masks_read_back_and_the_first_wins():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0], masks[1, :, 0] = True, True
    np.testing.assert_array_equal(mask_labels(masks), [[1, 1, 1], [2, 0, 0]])
    np.testing.assert_array_equal(np.flatnonzero(centre_box(PatchGrid(8, 8))[:, 2]), [2, 3, 4, 5])
    assert centre_box(PatchGrid(1, 1)).all()


def test_a_patch_has_its_most_frequent_instance_with_the_background_counted():
    mask = np.zeros((2, 6), np.int32)
    mask[:, 0], mask[0, 2:4], mask[0, 4], mask[1, 5] = 3, 7, 2, 2
    # Halves: of equally many the smaller number, which is the background.
    np.testing.assert_array_equal(most_frequent_objects(mask, PatchGrid(1, 3)), [[0, 0, 0]])
    mask[1, 3] = 7
    np.testing.assert_array_equal(most_frequent_objects(mask, PatchGrid(1, 3)), [[0, 7, 0]])


def test_keys_are_those_of_the_named_layer_with_heads_side_by_side(loaded):
    """Twin: the layer's own projection of its normalised input."""
    reader = StreamReader(loaded)
    fitted = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    chosen = DiscoveryChoices(point=3).checked(reader.layers)
    tokens = TokenReader(reader, chosen).read(fitted)
    kept = {}
    layer = loaded.module.blocks[2]
    hook = layer.attn.register_forward_pre_hook(lambda _, given: kept.update(x=given[0]))
    whole = TokenReader(reader, replace(chosen, features="stream")).read(fitted)
    hook.remove()
    x, attn = kept["x"][0], layer.attn
    query, key, _ = attn.qkv(x).reshape(len(x), 3, attn.num_heads, -1).permute(1, 2, 0, 3)
    key, query = attn.k_norm(key), attn.q_norm(query)
    start = len(x) - tokens.grid.count
    expected = torch.cat([one[start:] for one in key], dim=1)
    np.testing.assert_allclose(tokens.features, expected, atol=1e-5)
    rows = torch.softmax(query[:, 0] @ key.mT.float() * attn.scale, dim=-1).diagonal().T
    assert tokens.attention.shape == (attn.num_heads, tokens.grid.count)
    by_hand = torch.stack(
        [torch.softmax(query[h, 0] @ key[h].T * attn.scale, -1)[start:] for h in range(len(rows))]
    )
    np.testing.assert_allclose(tokens.attention, by_hand, atol=1e-6)
    centred = TokenReader(reader, replace(chosen, features="keys_centred")).read(fitted)
    np.testing.assert_allclose(centred.features, expected - expected.mean(0), atol=1e-5)
    assert whole.features.shape == (tokens.grid.count, loaded.module.embed_dim)


def test_a_picture_has_every_method_with_scores_where_objects_are_known(loaded, probe):
    image = Objects(3).load()
    record = discover(loaded, image.picture, image.instances, probe=probe)
    assert [one.method for one in record.found] == list(METHODS)
    assert record.choices.point == 6 and record.unscored == ""
    assert all(np.isfinite(one.scores["best_iou"]) for one in record.found)
    assert record.coherence.shape == (record.grid.rows, record.grid.columns)
    bare = discover(loaded, image.picture)
    assert bare.unscored == NOT_MARKED and bare.objects is None
    assert all(np.isnan(one.scores["best_iou"]) for one in bare.found)
    spectral = by_name(bare.found)["spectral"]
    assert spectral.absent == "no probe is fitted yet" and spectral.best == -1


def test_what_cannot_be_run_says_why(loaded):
    image = Objects(3).load()
    start = discover(loaded, image.picture, choices=DiscoveryChoices("stream", 0))
    assert "no layer has attended" in by_name(start.found)["cls_mean"].absent
    tiny = np.zeros_like(image.instances)
    tiny[5, 5] = 1
    assert discover(loaded, image.picture, tiny).unscored == TOO_SMALL
    with pytest.raises(ValueError, match="no layer has made keys"):
        discover(loaded, image.picture, choices=DiscoveryChoices("keys", 0))
    with pytest.raises(ValueError, match="point of 0 to 6"):
        discover(loaded, image.picture, choices=DiscoveryChoices(point=7))
    with pytest.raises(ValueError, match="one with 5"):
        discover(loaded, image.picture, probe=drawn_probe("quadratic", points=5))
    with pytest.raises(ValueError, match="features out of"):
        DiscoveryChoices("values").checked(6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="methods out of"):
        find_masks(made_tokens(planted()), DiscoveryChoices(), None, ("sam",))


def test_a_model_without_cls_token_has_no_cls_masks():
    from timm.models.vision_transformer import VisionTransformer

    model = load_model(parse_model("test_vit:random"))
    module = VisionTransformer(
        img_size=160, patch_size=16, embed_dim=48, depth=2, num_heads=3, class_token=False,
        global_pool="avg",
    ).eval()  # fmt: skip
    record = discover(replace(model, module=module), Objects(3).load().picture)
    found = by_name(record.found)
    assert found["cls_mean"].absent == "this model has no cls token"
    assert found["lost"].absent == "" and len(found["lost"].masks) == 1


def test_features_that_are_not_finite_are_refused(loaded):
    import copy

    module = copy.deepcopy(loaded.module)
    with torch.no_grad():
        module.blocks[3].mlp.fc2.bias[0] = float("nan")
    broken = replace(loaded, module=module)
    with pytest.raises(ValueError, match=r"expected finite features of .* at point 6"):
        discover(broken, Objects(3).load().picture)


def test_a_set_is_the_mean_of_its_pictures(loaded, probe, tmp_path):
    store = ResultStore(tmp_path)
    sources = [Objects(seed) for seed in range(5)]
    chosen = DiscoveryChoices(point=4)
    record = measure_discovery(loaded, sources, chosen, probe, "drawn", store)
    assert record.rows == discovery_rows() and record.done == record.wanted == 5
    one = sources[2].load()
    alone = discover(loaded, one.picture, one.instances, chosen, probe)
    for i, row in enumerate(record.rows):
        if row.kind != "control":
            expected = [by_name(alone.found)[row.method].scores[name] for name in MEASURES]
            np.testing.assert_allclose(record.values[2, i], np.float32(expected))
    means = record.means()
    assert record.family_names == (ALL, "odd", "even")
    np.testing.assert_allclose(means[0, 0, 0, 0], record.values[:, 0, 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(means[1, 0, 0, 0], record.values[::2, 0, 0].mean(), rtol=1e-6)
    assert means[1, 0, 0, 3] == 3 and means[0, 0, 0, 1] <= means[0, 0, 0, 0] <= means[0, 0, 0, 2]
    table = discovery_table(record)
    assert len(table) == 3 * len(record.rows)
    assert table.loc[0, "mean_best_iou"] == pytest.approx(means[0, 0, 0, 0])
    again = load_discovery(store, record.id)
    assert isinstance(again, DiscoverySet)
    np.testing.assert_array_equal(again.values, record.values)


def test_a_stopped_set_goes_on_after_the_last_whole_part(loaded, tmp_path):
    store = ResultStore(tmp_path)
    sources = [Objects(seed) for seed in range(6)]
    chosen = DiscoveryChoices(controls=False)

    class Stop(Exception):
        pass

    def stop(done, total, message):
        if message == "picture 6 of 6":
            raise Stop

    with pytest.raises(Stop):
        measure_discovery(loaded, sources, chosen, store=store, progress=stop)
    [key] = store.keys()
    partial = load_discovery(store, key)
    assert partial is not None and partial.done == 4 and partial.wanted == 6
    said = []
    whole = measure_discovery(
        loaded, sources, chosen, store=store, progress=lambda *one: said.append(one[2])
    )
    assert whole.id == key and whole.done == 6 and "picture 4 of 6" not in said
    straight = measure_discovery(loaded, sources, chosen)
    np.testing.assert_array_equal(whole.values, straight.values)
    assert Row("lost", "control") not in whole.rows
    assert whole.absent["spectral"] == "no probe is fitted yet"


def test_pictures_without_objects_are_left_out_with_the_reason(loaded):
    chosen = DiscoveryChoices(controls=False)
    record = measure_discovery(loaded, [Objects(1), Empty(), Unreadable()], chosen)
    assert record.done == 1
    assert {name for name, _ in record.skipped} == {"empty", "gone.png"}
    assert np.isnan(record.means()[0, 0, 0, 1])
    with pytest.raises(ValueError, match="got none: no object is the most frequent"):
        measure_discovery(loaded, [Empty()], chosen)


def test_annotated_images_of_any_size_are_taken(loaded):
    image = Objects(2, side=96).load()
    wide = AnnotatedImage("wide", image.pixels[:60], image.instances[:60])
    for fit in ("crop", "pad", "stretch"):
        record = discover(loaded, wide.picture, wide.instances, DiscoveryChoices(fit=fit))
        assert record.objects is not None and record.objects.shape == record.coherence.shape


def test_a_picture_of_one_pixel_is_a_picture(loaded):
    from analytics.types import Picture

    record = discover(loaded, Picture("dot.png", "a" * 64, np.full((1, 1, 3), 90, np.uint8)))
    assert record.objects is None and len(record.found) == len(METHODS)
    assert np.isfinite(record.coherence).all()
