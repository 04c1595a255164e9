"""Fitting coders on made families: they separate, beat PCA, and can be interrupted."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from analytics.studies.pattern_fit import (
    FitMaps,
    FitState,
    enough_epochs,
    explained,
    fit_coder,
    fit_pca,
)
from analytics.studies.pattern_layout import find_clusters
from tests.studies.pattern_cases import FAMILIES, made_maps


def data_of(per_family=12, noise=0.0, held=8):
    maps, cls, _ = made_maps(per_family, noise)
    return FitMaps(maps, cls, *made_maps(held, noise, seed=1)[:2])


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.95), (0.2, 0.8)])
def test_families_separate_on_maps_that_were_held_out(noise, least):
    data = data_of(30, noise)
    truth = made_maps(8, noise, seed=1)[2]
    fitted = fit_coder(data, epochs=40)
    assert fitted.coder.kind == "autoencoder"
    assert fitted.r2_autoencoder > fitted.r2_pca + 0.1
    code = fitted.coder.encode(data.held_maps, data.held_cls).numpy()
    found = find_clusters(code, len(FAMILIES), 0).labels
    assert adjusted_rand_score(truth, found) >= least


def test_a_wide_latent_is_at_least_as_good_or_pca_is_used():
    fitted = fit_coder(data_of(), latent=16, epochs=3)
    better = "pca" if fitted.r2_pca > fitted.r2_autoencoder else "autoencoder"
    assert fitted.coder.kind == better
    assert max(fitted.r2_pca, fitted.r2_autoencoder) > 0.5


def test_the_same_seed_gives_the_same_coder_and_another_another():
    data = data_of(4, held=2)
    first, second = (fit_coder(data, epochs=3, seed=5) for _ in range(2))
    other = fit_coder(data, epochs=3, seed=6)
    codes = [one.coder.encode(data.maps, data.cls).numpy() for one in (first, second, other)]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert first.train_losses == second.train_losses != other.train_losses


def test_an_interrupted_fit_goes_on_as_if_it_never_stopped():
    data = data_of(4, held=2)
    kept: list[FitState] = []

    def keep(state):
        kept.append(copy.deepcopy(state))
        if len(kept) == 2:
            raise KeyboardInterrupt

    whole = fit_coder(data, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit_coder(data, epochs=4, on_epoch=keep)
    resumed = fit_coder(data, epochs=4, state=kept[-1])
    assert resumed.train_losses == whole.train_losses
    assert (resumed.r2_autoencoder, len(whole.train_losses)) == (whole.r2_autoencoder, 4)


def test_stopping_early_gives_the_coder_half_way():
    half = fit_coder(data_of(4, held=2), epochs=4, stop=2)
    assert (len(half.train_losses), half.epochs) == (2, 4)


def test_progress_counts_epochs():
    said = []
    data = data_of(4, held=2)
    fit_coder(data, epochs=2, progress=lambda *now: said.append(now))
    assert said[0] == (0, 2, "principal components")
    assert said[-1] == (2, 2, "epoch 2 of 2")


def test_principal_components_equal_those_of_the_whole_decomposition():
    maps, cls, _ = made_maps(5, 0.2)
    coder = fit_pca(maps, cls, 3)
    joined = coder.scaling.join(maps, cls).double()
    _, values, directions = torch.linalg.svd(joined, full_matrices=False)
    expected = float(values[:3].square().sum() / values.square().sum())
    assert explained(coder, maps, cls) == pytest.approx(expected, abs=1e-5)
    overlaps = (coder.directions.double() @ directions[:3].T).abs().diagonal()
    torch.testing.assert_close(overlaps, torch.ones(3, dtype=torch.float64), atol=1e-3, rtol=0)
    code = coder.encode(maps, cls)
    torch.testing.assert_close(code.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(code.std(0), torch.ones(3), atol=1e-4, rtol=0)


def test_nothing_held_out_leaves_r2_unknown_and_one_map_is_refused():
    maps, cls, _ = made_maps(1)
    fitted = fit_coder(FitMaps(maps, cls, maps[:0], cls[:0]), epochs=1)
    assert np.isnan(fitted.r2_pca) and np.isnan(fitted.held_out_losses[0])
    with pytest.raises(ValueError, match="at least 2 maps"):
        fit_coder(FitMaps(maps[:1], cls[:1], maps[:0], cls[:0]))


def test_small_sets_get_more_epochs():
    assert [enough_epochs(n) for n in (30_000, 600, 1)] == [12, 160, 200]
