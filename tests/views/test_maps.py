"""Scales, means and words of a lens view."""

import numpy as np
import pytest

from analytics.types import PatchGrid
from analytics.views import maps
from analytics.views.maps import LayerMaps, LensView


def layer(values, prefix=("cls",), label="L0"):
    """Heads of one row of four patches after one prefix token."""
    array = np.asarray(values, np.float32)
    return LayerMaps(label, prefix, PatchGrid(2, 2), array)


TWO = (
    layer([[0.6, 0.1, 0.1, 0.1, 0.1], [0.0, 1.0, 0.0, 0.0, 0.0]]),
    layer([[0.2, 0.2, 0.2, 0.2, 0.2], [0.0, 0.0, 0.0, 0.0, 2.0]]),
)
BASE = PatchGrid(2, 2)


def test_scales_share_as_they_say():
    own = maps.limits(TWO, "map")
    assert own[0][0] == pytest.approx(0.1) and own[0][1] == pytest.approx(0.985)
    by_layer = maps.limits(TWO, "layer")
    assert by_layer[0][0] == by_layer[0][1] != by_layer[1][0]
    everything = maps.limits(TWO, "all")
    assert len({value for heads in everything for value in heads}) == 1


def test_prefix_tokens_do_not_stretch_the_scale():
    assert maps.limits((layer([[0.99, 0.001, 0.002, 0.003, 0.004]]),), "all")[0][0] < 0.005


def test_missing_values_have_no_limit():
    empty = layer([[np.nan] * 5])
    assert maps.limits((empty,), "map") == [[0.0]]
    half = layer([[0.5, np.nan, np.nan, 0.25, 0.25]])
    assert maps.limits((half,), "map") == [[0.25]]


def test_mean_over_heads_of_several_layers():
    view = LensView(heads=((0, 1), (1, 1)))
    assert maps.enlarged(view, TWO, BASE).tolist() == [[0.5, 0.0], [0.0, 1.0]]
    assert maps.enlarged_limit(view, TWO, BASE) == pytest.approx(0.9925)
    assert maps.prefix_share(view, TWO) == 0.0
    assert maps.prefix_share(LensView(), TWO) == pytest.approx(0.6)


def test_coarser_maps_spread_over_the_patches_they_cover():
    coarse = LayerMaps("L1", (), PatchGrid(1, 2), np.array([[0.25, 0.75]], np.float32))
    view = LensView(heads=((0, 0),))
    spread = maps.enlarged(view, (coarse,), PatchGrid(2, 4))
    assert spread.tolist() == [[0.25, 0.25, 0.75, 0.75]] * 2


def test_heads_outside_the_model_are_refused():
    maps.check_view(LensView(layer=1, head=1), TWO)
    for view in (LensView(layer=2), LensView(head=2), LensView(heads=((0, 5),))):
        with pytest.raises(ValueError, match="expected a"):
            maps.check_view(view, TWO)


@pytest.mark.parametrize(
    "field",
    [
        {"direction": "up"},
        {"scale": "log"},
        {"cmap": "jet"},
        {"opacity": 1.5},
        {"opacity": float("nan")},
        {"heads": ()},
    ],
)
def test_choices_that_are_not_offered_are_refused(field):
    with pytest.raises(ValueError, match="expected"):
        LensView(**field)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("3", ((5, 3),)),
        ("3,0,3", ((5, 3), (5, 0))),
        ("9:3, 11:0", ((9, 3), (11, 0))),
        ("L9H3,h2", ((9, 3), (5, 2))),
    ],
)
def test_heads_are_read(text, found):
    assert maps.parse_heads(text, layer=5) == found


@pytest.mark.parametrize("text", ["x", "1:2:3", "-1", "1.5", "9:", "²"])
def test_heads_that_cannot_be_read_are_refused(text):
    with pytest.raises(ValueError, match="expected heads"):
        maps.parse_heads(text, layer=0)


def test_words():
    assert maps.token_words("reg2") == "register 2"
    assert maps.token_words("dist") == "dist"
    assert maps.title(LensView("7,9", layer=3, head=5)) == "Attention from patch (7, 9), L3 H5"
    several = LensView("cls", "from", heads=((3, 0), (3, 1), (3, 2)))
    assert maps.title(several) == "Attention to cls, mean of L3 H0-H2"
    assert maps.head_words(LensView(heads=((3, 4), (3, 0)))) == "mean of L3 H0, H4"
    assert maps.head_words(LensView(heads=((3, 4), (1, 0)))) == "mean of L1 H0, L3 H4"
