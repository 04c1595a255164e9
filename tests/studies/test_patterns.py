"""Atlases of small models: every layout, resumed, placed, honest about what is left out."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.metrics.patterns import MOST, log_scale, small_map
from analytics.metrics.strength import template_score
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.pattern_choices import PatternChoices
from analytics.studies.pattern_layout import cluster_name, find_clusters, nearest_mean, numbered
from analytics.studies.pattern_maps import small_maps
from analytics.studies.pattern_placing import place, point_patterns
from analytics.studies.patterns import make_atlas, partial_atlas
from analytics.studies.patterns_record import Atlas
from analytics.studies.patterns_store import load_atlas, load_coder, load_losses
from analytics.studies.patterns_tables import atlas_summary, atlas_table
from analytics.studies.pictures import survey
from tests.capture.conftest import _build
from tests.studies.making import Broken, Made, pixels_of

SHORT = PatternChoices(epochs=2, clusters=3)


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(6)]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patterns")
    return ResultStore(folder / "atlases"), ResultStore(folder / "maps")


@pytest.fixture(scope="module")
def made(loaded, pictures, stores):
    return make_atlas(loaded, pictures, SHORT, *stores)


def other(kind, size, module=None):
    """A small model of another family, as a loaded one."""
    module = module or _build(kind, size)
    side = size if isinstance(size, tuple) else (size, size)
    about = {
        "module": module,
        "input_size": side,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "device": "cpu",
        "dtype": "float32",
        "label": kind,
        "weights_sha256": "0" * 64,
        "spec": SimpleNamespace(id=f"{kind}{side}", public_id=kind),
    }
    return SimpleNamespace(**about)


def same(a: Atlas, b: Atlas) -> None:
    for name, value in vars(a).items():
        if name == "provenance":
            assert replace(value, time="") == replace(b.provenance, time="")
        else:
            np.testing.assert_equal(value, getattr(b, name), err_msg=name)


def test_the_small_maps_are_those_of_explicit_attention(loaded, pictures):
    small = small_maps(loaded, survey(pictures))
    sites = find_sites(loaded.module, loaded.input_size)
    with torch.no_grad(), capture(loaded.module, sites, ["attention"]) as captured:
        loaded.module(pixels_of(loaded, pictures))
    assert small.heads == tuple((layer, head) for layer in range(6) for head in range(2))
    layout, attention = sites.sites[3].query_layout, captured[3].attention[:, 0]
    expected = log_scale(small_map(attention, layout, layout), MOST)
    np.testing.assert_allclose(small.maps[:, 6:8], expected, atol=1e-3)
    np.testing.assert_allclose(
        small.templates[:, 6:8], template_score(attention, layout), atol=1e-5
    )


def test_every_head_on_every_picture_is_a_point(made, loaded, pictures):
    atlas, coder = made
    assert atlas.count == 72 and atlas.complete and len(atlas.heads) == 12
    assert (atlas.side, atlas.cls_side, atlas.latent_size) == (64, 16, 2)
    point = atlas.point(0, 4, 3, 1)
    assert point == 4 * 12 + 7
    assert (atlas.image[point], atlas.layer[point], atlas.head[point]) == (4, 3, 1)
    own = (atlas.layer == 3) & (atlas.head == 1)
    expected = np.median(atlas.latent[own], axis=0)
    np.testing.assert_allclose(atlas.head_positions[7], expected, atol=1e-6)
    assert sum(atlas.cluster_sizes) == 72
    assert list(atlas.cluster_sizes) == sorted(atlas.cluster_sizes, reverse=True)
    assert len(set(atlas.cluster_names)) == len(atlas.cluster_names) == len(atlas.cluster_maps)
    assert len(set(atlas.image[atlas.held_out])) == 1  # one picture of six, whole
    assert atlas.held_out.sum() == 12
    with torch.no_grad():
        corner = torch.tensor([[atlas.grid_x[3], atlas.grid_y[7]]])
        expected = 255 * coder.decode(corner)[0][0].numpy()
    np.testing.assert_allclose(atlas.decoded[7, 3], expected, atol=0.51)
    with pytest.raises(ValueError, match="L9 H0"):
        atlas.point(0, 0, 9, 0)


def test_an_atlas_is_kept_and_found_again_without_running_the_model(
    made, loaded, pictures, stores, monkeypatch
):
    atlas, coder = made
    same(load_atlas(stores[0], atlas.id), atlas)
    monkeypatch.setattr("analytics.studies.patterns.small_maps", None)
    again, found = make_atlas(loaded, pictures, SHORT, *stores)
    same(again, atlas)
    assert found.kind == coder.kind
    for name, tensor in coder.state_dict().items():
        torch.testing.assert_close(load_coder(stores[0], atlas.id).state_dict()[name], tensor)
    assert load_losses(stores[0], atlas.id) == {
        "train": list(atlas.train_losses),
        "held_out": list(atlas.held_out_losses),
        "epochs": 2,
    }


@pytest.mark.parametrize("when", ["attention maps of 4", "epoch 2 of 2"])
def test_a_cancelled_study_goes_on_and_gives_the_same(made, loaded, pictures, tmp_path, when):
    atlas, _ = made
    own = (ResultStore(tmp_path / "a"), ResultStore(tmp_path / "m"))

    def stop(done, total, message):
        if message.startswith(when):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_atlas(loaded, pictures, SHORT, *own, stop)
    half = partial_atlas(loaded, pictures, SHORT, *own)
    if "epoch" in when:
        assert half is not None and not half[0].complete
        assert "1 of 2 epochs" in half[0].notes[0]
    else:
        assert half is None
    resumed, _ = make_atlas(loaded, pictures, SHORT, *own)
    same(resumed, atlas)


def test_a_point_shows_its_map_beside_the_reconstruction(made, stores, loaded, pictures):
    atlas, coder = made
    shown = point_patterns(atlas, coder, stores[1], atlas.point(0, 2, 5, 1))
    small = small_maps(loaded, survey(pictures), store=stores[1])
    np.testing.assert_allclose(shown.real, 255 * small.maps[2, 11], atol=0.51)
    missing = (shown.real / 255 - shown.rebuilt / 255) ** 2
    assert shown.rebuilt.shape == (64, 64) and missing.mean() < 0.1
    assert point_patterns(atlas, coder, ResultStore(stores[0]._folder / "none"), 0) is None
    with pytest.raises(ValueError, match="0 to 71"):
        point_patterns(atlas, coder, stores[1], 72)


def test_another_model_is_placed_beside_the_first(made, pictures, loaded):
    atlas, coder = made
    model = load_model(parse_model("test_vit2:random"))
    both = place(atlas, coder, model, [*pictures[2:4], Made("new.png", 30)])
    assert both.model_labels == (loaded.label, model.label)
    assert [image.name for image in both.images[6:]] == ["new.png"]
    new = both.model == 1
    assert set(both.image[new]) == {2, 3, 6} and new.sum() == 3 * (len(both.heads) - 12)
    np.testing.assert_array_equal(both.x[:72], atlas.x)
    assert sum(both.cluster_sizes) == both.count
    assert both.complete
    # The model that made the atlas lands on itself.
    again = place(atlas, coder, loaded, pictures)
    np.testing.assert_allclose(again.x[72:], atlas.x, atol=1e-5)
    np.testing.assert_array_equal(again.cluster[72:], atlas.cluster)
    np.testing.assert_allclose(again.head_positions[12:], atlas.head_positions, atol=1e-5)


def test_without_umap_principal_components_lay_out_a_wide_latent(loaded, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    atlas, coder = make_atlas(loaded, pictures, PatternChoices(latent=4, epochs=1, clusters=3))
    assert atlas.layout == "pca" and "umap-learn is missing" in " ".join(atlas.notes)
    centred = atlas.latent - atlas.latent.mean(0)
    spread = np.linalg.svd(centred, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(atlas.x), spread[0], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(atlas.y), spread[1], rtol=1e-4)
    both = place(atlas, coder, loaded, pictures)
    np.testing.assert_allclose(both.x[72:], atlas.x, atol=1e-3)


@pytest.mark.slow
def test_umap_and_a_wide_latent(loaded, pictures, stores):
    choices = PatternChoices(latent=4, epochs=2, clusters=3)
    atlas, coder = make_atlas(loaded, pictures, choices, *stores)
    assert (atlas.layout, atlas.latent.shape) == ("umap", (72, 4))
    assert np.isfinite(atlas.x).all() and atlas.decoded_near.any()
    both = place(atlas, coder, loaded, pictures)
    np.testing.assert_allclose(both.x[72:], atlas.x, atol=1e-3)


def test_one_head_a_layer(pictures):
    shape = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 1}
    model = other("one head", 32, VisionTransformer(img_size=32, **shape).eval())
    atlas, _ = make_atlas(model, pictures[:3], SHORT)
    assert atlas.heads == ((0, 0, 0), (0, 1, 0)) and atlas.count == 6


@pytest.mark.parametrize(
    ("kind", "size"), [("swin", 64), ("swin", 72), ("vit", (32, 64)), ("map pool", 32)]
)
def test_windows_oblong_grids_and_pooling_queries(kind, size, pictures):
    model = other(kind, size)
    atlas, _ = make_atlas(model, pictures[:3], SHORT)
    sites = find_sites(model.module, model.input_size)
    wanted = sum(site.num_heads for site in sites.placed if site.query_layout.grid.count)
    assert len(atlas.heads) == wanted and atlas.count == 3 * wanted
    # All attention stays on the picture where there are no prefix tokens.
    assert np.isfinite(atlas.error).all()
    assert any("no maps of patches" in note for note in atlas.notes) == (kind == "map pool")


def test_what_is_not_finite_is_reported_and_left_out(pictures):
    model = other("vit", 32)
    with torch.no_grad():
        model.module.blocks[1].attn.qkv.bias[16] = torch.nan  # the query of head 1
    atlas, _ = make_atlas(model, pictures[:2], SHORT)
    assert atlas.count == 10
    assert "2 of 12 maps are not finite (L1 H1; half precision overflow?)" in atlas.notes[0]
    gone = np.isnan(atlas.head_positions).any(1)
    assert [atlas.heads[i] for i in np.flatnonzero(gone)] == [(0, 1, 1)]
    with torch.no_grad():
        model.module.blocks[0].attn.qkv.bias[:] = torch.nan
    with pytest.raises(ValueError, match="all are NaN or infinite"):
        make_atlas(model, pictures[2:3], SHORT)


def test_few_maps_and_many_clusters(loaded, pictures):
    one, _ = make_atlas(loaded, [*pictures[:1], Broken()], replace(SHORT, clusters=40))
    assert len(one.cluster_names) == 12 and one.skipped[0][0] == "cut.png"
    said = " ".join(one.notes)
    assert "40 clusters were asked for, but only 12 maps differ" in said
    assert "one picture only" in said and np.isnan(one.r2_pca) and one.complete
    assert atlas_summary(one)["r2_pca"] is None


def test_the_shipped_coder_lays_out_other_pictures(pictures, loaded):
    atlas, coder = make_atlas(loaded, pictures[:2], PatternChoices(pretrained=True))
    assert (atlas.pretrained, atlas.layout, atlas.better) == (True, "autoencoder", "autoencoder")
    assert not atlas.held_out.any() and coder.latent_size == 2
    assert atlas.r2_autoencoder == pytest.approx(0.285, abs=0.001)
    assert atlas.r2_pca == pytest.approx(0.193, abs=0.001)
    assert any("fitted on maps of" in note for note in atlas.notes)


def test_tables_have_a_line_a_point(made):
    atlas, _ = made
    frame = atlas_table(atlas)
    first = ["image", "layer", "head", "x", "y", "cluster", "error"]
    assert list(frame.columns)[:7] == first and len(frame) == 72
    chosen = atlas_table(atlas, np.array([5, 70]))
    assert chosen.image.tolist() == ["0.png", "5.png"]
    np.testing.assert_array_equal(chosen.x, atlas.x[[5, 70]])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"latent": 1}, "latent of at least 2"),
        ({"latent": 3, "layout": "autoencoder"}, "umap"),
        ({"layout": "pca"}, "pca"),
    ],
)
def test_choices_that_do_not_fit_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        PatternChoices(**wrong).checked()


def test_clusters_are_named_by_templates():
    def masses(**named):
        from analytics.metrics.strength_catalogue import TEMPLATES

        return np.array([named.get(name.replace(" ", "_"), 0.0) for name in TEMPLATES])

    assert cluster_name(masses(self=1), 0.1) == "self"
    assert cluster_name(masses(cls=0.5, row=0.3), 0.1) == "cls, row"
    assert cluster_name(masses(up_left=0.6), 0.1) == "up left"
    assert cluster_name(masses(up=0.2, down=0.2, left=0.1, right=0.1), 0.1) == "neighbours"
    assert cluster_name(masses(), 1.0) == "everywhere"
    assert cluster_name(masses(), 0.2) == "chosen places"
    assert numbered(["self", "row", "self"]) == ("self", "row", "self 2")


def test_clusters_by_hand_and_the_nearest_mean():
    latent = np.array([[0, 0], [0.1, 0], [5, 5], [0, 0.1]])
    assert find_clusters(latent, 2, 0).labels.tolist() == [0, 0, 1, 0]
    places, nearest = nearest_mean(latent, latent * 2, latent[[2]])
    np.testing.assert_allclose(places, [[10, 10]], atol=1e-4)
    assert nearest.tolist() == [2]
