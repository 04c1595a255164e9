"""The figure of binding: what is drawn, in which colour, and what is left out."""

from __future__ import annotations

import numpy as np

from analytics.views.binding import (
    SERIES,
    BindingCurve,
    BindingFigure,
    binding_chart,
    curve_colours,
    figure_rows,
)


def figure():
    gap = np.array([0.6, np.nan, 0.8])
    flat = np.full(3, 0.5)
    none = np.full(3, np.nan)
    curves = (
        BindingCurve("plda", "probe", gap, gap - 0.1, gap + 0.1),
        BindingCurve("linear", "probe", flat, none, none),
        BindingCurve("quadratic, random weights", "control", flat, flat, flat),
        BindingCurve("majority", "baseline", flat, flat, flat),
    )
    return BindingFigure("Title", "AUC", curves, ("A caption of one line.",))


def test_a_point_without_a_number_has_no_row():
    rows = figure_rows(figure())
    assert [row["point"] for row in rows if row["name"] == "plda"] == [0, 2]
    assert all("low" not in row for row in rows if row["name"] == "linear")


def test_probes_take_the_series_and_the_rest_is_grey():
    colours = curve_colours(figure())
    assert (colours["plda"], colours["linear"]) == SERIES[:2]
    assert not {colours["majority"], colours["quadratic, random weights"]} & set(SERIES[:8])


def test_intervals_are_drawn_of_curves_only():
    spec = binding_chart(figure()).to_dict()
    bands, lines = spec["vconcat"][0]["layer"]
    assert {row["name"] for row in bands["data"]["values"]} == {"plda", "quadratic, random weights"}
    assert {row["kind"] for row in lines["data"]["values"]} == {"probe", "control", "baseline"}
    assert spec["title"]["text"] == "Title"
