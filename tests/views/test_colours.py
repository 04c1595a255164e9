"""Colour tables and what they make of values."""

import numpy as np
import pytest

from analytics.views.colours import NAMES, NO_DATA, paint, table, veil


@pytest.mark.parametrize("name", NAMES)
def test_tables_grow_brighter_all_the_way(name):
    colours = table(name)
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    light = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert light[-1] - light[0] > 150
    assert (np.diff(light) > -1.0).all()


@pytest.mark.parametrize(
    ("name", "place", "colour"),
    [
        # Entries of the published 256-entry tables, as fractions of 1.
        ("magma", 64, (0.316654, 0.071690, 0.485380)),
        ("magma", 146, (0.828886, 0.262229, 0.430644)),
        ("magma", 255, (0.987053, 0.991438, 0.749504)),
        ("inferno", 17, (0.046915, 0.030324, 0.150164)),
        ("inferno", 100, (0.565854, 0.143567, 0.408258)),
        ("inferno", 251, (0.966249, 0.980678, 0.587206)),
        ("inferno", 255, (0.988362, 0.998364, 0.644924)),
    ],
)
def test_tables_are_close_to_the_published_ones(name, place, colour):
    assert np.abs(table(name)[place] - 255 * np.array(colour)).max() <= 2


def test_unknown_table_is_refused():
    with pytest.raises(ValueError, match="viridis, inferno"):
        table("jet")


def test_values_are_clipped_and_missing_ones_grey():
    values = np.array([[0.0, 0.5, 1.0, 7.0, np.nan]], np.float32)
    colours = paint(values, "greys", high=1.0)
    assert colours.shape == (1, 5, 3)
    assert colours[0, :4, 0].tolist() == [0, 128, 255, 255]
    assert tuple(colours[0, 4]) == NO_DATA


def test_no_range_gives_the_first_colour():
    assert paint(np.zeros((2, 2)), "greys", high=0.0).max() == 0


def test_veil_is_faint_for_small_values_only():
    values = np.array([0.0, 0.125, 0.25, 1.0, np.nan])
    alpha = veil(values, "inferno", high=1.0, opacity=0.8)[:, 3]
    assert alpha.tolist() == [0, 102, 204, 204, 204]
