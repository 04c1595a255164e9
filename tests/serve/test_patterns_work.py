"""The job of the Patterns page on a small model: what it makes, keeps, goes on with, refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.jobs.queue import Cancelled
from analytics.serve import patterns_work
from analytics.serve.begun import find_result
from analytics.serve.patterns_work import (
    choices_of,
    coder_file,
    find_maps,
    held_atlas,
    sketch,
    training_losses,
)
from analytics.serve.state import make_services
from tests.serve.asking import made, request, run

EPOCHS = 3


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    here = make_services(tmp_path_factory.mktemp("data"))
    yield here
    here.close()


@pytest.fixture(scope="module")
def hashes(services):
    return [services.pictures.put(made(i), f"made {i}.png").sha256 for i in range(6)]


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch):
    """A fit of some hundred steps takes long; three epochs show the same ways."""
    plain = choices_of
    short = lambda params: replace(plain(params), epochs=EPOCHS)  # noqa: E731
    monkeypatch.setattr(patterns_work, "choices_of", short)


def asked(pictures, job, **more):
    params = {"train": False, "layout": "autoencoder", "other": None, **more}
    return {**request(pictures), **params, "job": job}


def make(services, params):
    job = run(services, "patterns", params, params["job"])
    assert job.state == "done", job.error
    return held_atlas(services, job.result)


def test_choices_say_what_the_page_means():
    params = {"train": True, "layout": "umap", "fit": "pad", "seed": 3}
    found = choices_of(params)
    assert (found.latent, found.layout, found.pretrained) == (16, "umap", False)
    assert (found.fit, found.seed) == ("pad", 3)
    found = choices_of({**params, "train": False, "layout": "autoencoder"})
    assert (found.latent, found.layout, found.pretrained) == (2, None, True)


def test_the_shipped_coder_places_every_head_without_training(services, hashes):
    atlas = make(services, asked(hashes[:3], "shipped"))
    assert atlas.pretrained and atlas.layout == "autoencoder" and atlas.complete
    assert [image.sha256 for image in atlas.images] == hashes[:3]
    assert atlas.count == 3 * len(atlas.heads)
    assert np.isfinite([atlas.r2_autoencoder, atlas.r2_pca]).all()
    assert find_result(services, "shipped") == atlas.id
    assert find_result(services, "never asked") is None


def test_one_picture_is_enough_for_the_shipped_coder(services, hashes):
    atlas = make(services, asked(hashes[:1], "single"))
    assert len(atlas.images) == 1 and atlas.count == len(atlas.heads)


def test_training_keeps_losses_and_holds_pictures_out(services, hashes):
    atlas = make(services, asked(hashes[:5], "trained", train=True))
    assert not atlas.pretrained and len(atlas.train_losses) == EPOCHS
    held = {int(one) for one in atlas.image[atlas.held_out]}
    assert len(held) == 1
    losses = training_losses(services, atlas.id)
    assert losses["train"] == list(atlas.train_losses) and losses["epochs"] == EPOCHS


def test_the_map_of_a_point_is_that_of_the_model(services, hashes):
    from analytics.studies.pattern_maps import picture_maps

    atlas = make(services, asked(hashes[:3], "shipped"))
    row = atlas.point(0, 2, 1, 1)
    real, real_cls, rebuilt, rebuilt_cls = find_maps(services, atlas, row)
    maps, cls = picture_maps(services.pattern_maps, atlas.maps_keys[0], hashes[2])
    column = atlas.heads.index((0, 1, 1))
    # Half precision: the last step of the rounding may fall either way.
    np.testing.assert_allclose(real, 255 * maps[column].astype(float), atol=0.6)
    np.testing.assert_allclose(real_cls, 255 * cls[column].astype(float), atol=0.6)
    assert rebuilt.shape == real.shape and rebuilt_cls.shape == real_cls.shape
    assert rebuilt.dtype == np.uint8


def test_maps_that_are_gone_are_said_to_be_gone(services, hashes):
    atlas = make(services, asked(hashes[2:4], "forgotten"))
    services.pattern_maps.remove(atlas.maps_keys[0])
    assert find_maps(services, atlas, 0) is None


def test_the_coder_can_be_taken_away_and_read_again(services, hashes, tmp_path):
    from analytics.models.autoencoder import read_coder

    atlas = make(services, asked(hashes[:3], "shipped"))
    file = tmp_path / "coder.safetensors"
    file.write_bytes(coder_file(services, atlas))
    coder, about = read_coder(file)
    assert coder.latent_size == atlas.latent_size and about["atlas"] == atlas.id


def test_a_second_model_is_added_and_nothing_of_the_first_moves(services, hashes):
    first = make(services, asked(hashes[:3], "shipped"))
    both = make(services, asked(hashes[:3], "both", other="test_vit2:random"))
    assert both.id != first.id and len(both.model_labels) == 2
    own = both.model == 0
    np.testing.assert_array_equal(both.x[own], first.x)
    np.testing.assert_array_equal(both.cluster[own], first.cluster)
    assert (both.model == 1).sum() == 3 * sum(one[0] == 1 for one in both.heads)
    assert held_atlas(services, first.id).model_labels == first.model_labels
    again = make(services, asked(hashes[:3], "both again", other="test_vit2:random"))
    assert again.id == both.id
    assert find_maps(services, both, int(np.flatnonzero(~own)[0])) is not None


def test_a_stopped_training_goes_on_and_ends_the_same(services, hashes):
    params = asked(hashes[1:5], "stopped", train=True)
    work = patterns_work.patterns_work(services)

    def stop(done: float, total: float, message: str = "") -> None:
        if message.startswith(f"epoch {EPOCHS}"):
            raise Cancelled

    with pytest.raises(Cancelled):
        work(params, stop)
    key = find_result(services, "stopped")
    assert key is not None and held_atlas(services, key) is None
    before = training_losses(services, key)["train"]
    assert len(before) == EPOCHS - 1
    shown = make(services, asked(hashes[:3], "shipped"))
    drawn = sketch(services, key, shown)
    assert drawn.shape == (6, 6, 64, 64) and drawn.dtype == np.uint8 and drawn.max() > 0
    atlas = make(services, {**params, "job": "resumed"})
    assert atlas.id == key
    assert list(atlas.train_losses[: EPOCHS - 1]) == before


def test_before_the_first_epoch_there_is_nothing_to_draw(services, hashes):
    shown = make(services, asked(hashes[:3], "shipped"))
    assert sketch(services, "0" * 64, shown) is None
    assert training_losses(services, "0" * 64) is None


def test_an_atlas_outlives_the_server_s_memory(services, hashes):
    atlas = make(services, asked(hashes[:3], "shipped"))
    fresh = make_services(services.data_dir)
    try:
        found = held_atlas(fresh, atlas.id)
        np.testing.assert_array_equal(found.x, atlas.x)
        assert held_atlas(fresh, "1" * 64) is None
    finally:
        fresh.close()


def test_a_model_without_maps_is_refused_in_words(services, hashes):
    params = asked(hashes[:1], "no maps", model="resnet18:random")
    job = run(services, "patterns", params, "no maps")
    assert job.state == "failed"
    assert "attention" in job.error and "ViT" in job.error
