"""Token norms and component colours against known answers and scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from analytics.metrics.tokens import component_colours, token_norms

GREY = 128


def random(count, width, seed=0, dtype=np.float32):
    spread = np.linspace(3, 0.1, width)
    return (np.random.default_rng(seed).normal(size=(count, width)) * spread + 5).astype(dtype)


def test_the_norm_of_three_and_four_is_five():
    norms = token_norms(np.array([[3, 4], [0, 0], [-5, 12]], np.float32))
    assert norms.dtype == np.float32
    assert norms.tolist() == [5, 0, 13]


def test_large_half_precision_norms_do_not_overflow():
    assert token_norms(np.full((1, 4), 6e4, np.float16))[0] == pytest.approx(1.2e5, rel=1e-3)


@pytest.mark.parametrize(("count", "width"), [(20, 64), (64, 20), (30, 30), (256, 48)])
def test_components_are_those_of_scikit_learn_up_to_sign(count, width):
    patches = random(count, width)
    result = component_colours(patches)
    pca = PCA(3, svd_solver="full").fit(patches.astype(np.float64))
    expected = pca.transform(patches.astype(np.float64))
    signs = np.sign((result.components * expected).sum(0))
    np.testing.assert_allclose(result.components * signs, expected, atol=1e-6)
    np.testing.assert_allclose(result.explained, pca.explained_variance_ratio_, rtol=1e-6)


@pytest.mark.parametrize(("count", "width"), [(20, 64), (64, 20)])
def test_colours_run_from_the_first_to_the_last_percentile(count, width):
    result = component_colours(random(count, width))
    assert result.colours.dtype == np.uint8
    assert result.colours.shape == (count, 3)
    low, high = np.percentile(result.components, [1, 99], axis=0)
    expected = np.clip((result.components - low) / (high - low), 0, 1) * 255
    assert np.abs(result.colours - expected).max() <= 0.5 + 1e-9
    assert result.colours.min(axis=0).tolist() == [0, 0, 0]
    assert result.colours.max(axis=0).tolist() == [255, 255, 255]


@pytest.mark.parametrize(("count", "width"), [(40, 64), (64, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_data_of_rank_one_colours_red_alone(count, width, dtype, seed):
    generator = np.random.default_rng(seed)
    line = np.outer(generator.normal(size=count), generator.normal(size=width) * 10)
    result = component_colours(line.astype(dtype))
    assert np.ptp(result.colours[:, 0]) == 255
    assert (result.colours[:, 1:] == GREY).all()
    np.testing.assert_allclose(result.explained, [1, 0, 0], atol=1e-10)


@pytest.mark.parametrize("patches", [np.ones((1, 8)), np.full((9, 8), 3.7), np.full((9, 4), 1e4)])
def test_a_single_patch_and_a_flat_picture_are_grey(patches):
    result = component_colours(patches.astype(np.float32))
    assert (result.colours == GREY).all()
    assert np.isfinite(result.components).all()
    np.testing.assert_allclose(result.explained, 0, atol=1e-12)


def test_two_patches_lie_on_one_line():
    result = component_colours(np.array([[0, 0, 0, 0], [3, 4, 0, 0]], np.float32))
    np.testing.assert_allclose(np.abs(result.components[:, 0]), 2.5)
    np.testing.assert_allclose(result.components[:, 1:], 0, atol=1e-7)
    assert sorted(result.colours[:, 0].tolist()) == [0, 255]
    assert (result.colours[:, 1:] == GREY).all()


def test_a_width_of_two_leaves_the_third_colour_grey():
    result = component_colours(random(50, 2))
    assert (result.colours[:, 2] == GREY).all()
    assert (result.components[:, 2] == 0).all()
    assert result.explained.sum() == pytest.approx(1)


def test_without_a_layer_below_the_largest_value_is_positive():
    result = component_colours(random(40, 16))
    largest = result.components[np.abs(result.components).argmax(0), range(3)]
    assert (largest > 0).all()


@pytest.mark.parametrize("turned", [(-1, 1, -1), (1, 1, 1), (-1, -1, -1)])
def test_signs_follow_the_layer_below(turned):
    patches = random(40, 16)
    first = component_colours(patches)
    # The same picture with some components turned round in the layer above.
    centre = patches.mean(0)
    axes = PCA(3).fit(patches).components_
    along = (patches - centre) @ axes.T
    above = patches + (along * (np.array(turned) * 1.0 - 1)) @ axes
    second = component_colours(above, first)
    assert ((second.components * first.components).sum(0) > 0).all()
    alike = component_colours(patches * 2, second)
    assert ((alike.components * second.components).sum(0) > 0).all()
    assert np.abs(alike.colours.astype(int) - second.colours).max() <= 1


def test_another_number_of_patches_below_is_left_out_of_account():
    patches = random(40, 16)
    below = component_colours(random(10, 16))
    assert np.array_equal(
        component_colours(patches, below).colours, component_colours(patches).colours
    )


def test_colours_do_not_depend_on_the_mean_or_the_scale():
    patches = random(40, 16, dtype=np.float64)
    one, other = component_colours(patches), component_colours(patches * 7 + 100)
    assert np.abs(one.colours.astype(int) - other.colours).max() <= 1
