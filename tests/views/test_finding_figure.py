"""Masks painted on pixels, and means as chart rows."""

from __future__ import annotations

import numpy as np

from analytics.studies.discovery_methods import METHODS
from analytics.views.finding import INKS, MeansFigure, mean_rows, means_chart, paint_masks, shade


def test_every_method_has_its_own_colour():
    assert set(INKS) == set(METHODS) and len(set(INKS.values())) == len(INKS)
    assert shade("#102030", 1) == (16, 32, 48)
    assert shade("#102030", 4) == shade("#102030", 1) != shade("#102030", 2)


def test_a_mask_has_a_contour_in_its_ink_and_leaves_the_rest_alone():
    pixels = np.full((20, 30, 3), 100, np.uint8)
    labels = np.zeros((2, 3), int)
    labels[0, 1] = 1
    painted = paint_masks(pixels, labels, "#ff0000")
    np.testing.assert_array_equal(painted[10:], pixels[10:])
    np.testing.assert_array_equal(painted[:, :10], pixels[:, :10])
    # The rim of the patch, rows 0 to 9 and columns 10 to 19.
    for row, column in ((0, 15), (9, 15), (5, 10), (5, 19)):
        assert painted[row, column].tolist() == [255, 0, 0]
    assert painted[5, 15].tolist() == [162, 60, 60]


def test_means_without_interval_or_number_are_drawn_as_such():
    ends = np.array([[0.5, 0.4, 0.6], [0.3, np.nan, np.nan], [np.nan] * 3])
    figure = MeansFigure(
        "t", "IoU", ("a", "b", "c"), ("#111111",) * 3, (False, True, False), ends, ("words",)
    )
    rows = mean_rows(figure)
    assert (rows[0]["low"], rows[0]["high"], rows[0]["shape"]) == (0.4, 0.6, "circle")
    assert (rows[1]["low"], rows[1]["high"], rows[1]["shape"]) == (0.3, 0.3, "diamond")
    assert rows[2]["mean"] is None
    values = means_chart(figure).to_dict()["vconcat"][0]["data"]["values"]
    assert [row["row"] for row in values] == ["a", "b"]
