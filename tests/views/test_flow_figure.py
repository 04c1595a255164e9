"""The figure of a flow: which scale its maps have, and what it shows of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.serve.flow_export import Shown, flow_figure, raw_layer
from analytics.views.flow import flow_chart, scaled
from tests.made_flow import made_flow


def test_maps_in_other_units_are_alike_on_the_same_scale():
    one = np.array([[1.0, 3.0]])
    (first, low, high), (second, *limits) = scaled([one, 10 * one], "same")
    np.testing.assert_allclose(first, [[0.5, 1.5]])
    np.testing.assert_allclose(second, first)
    assert [low, high] == limits
    assert low == 0 and high == pytest.approx(1.5)


def test_each_map_keeps_its_own_range_on_its_own_scale():
    (values, low, high), (_, *other) = scaled(
        [np.array([[2.0, 4.0]]), np.array([[0.0, 1.0]])], "own"
    )
    np.testing.assert_array_equal(values, [[2.0, 4.0]])
    assert low == 2 and high == pytest.approx(2 + 2 * 0.995)
    assert other == [0.0, pytest.approx(0.995)]


def test_nan_takes_no_part_and_zeros_stay_zeros():
    (values, _, high), (zeros, *_) = scaled(
        [np.array([[np.nan, 2.0, 2.0]]), np.zeros((1, 3))], "same"
    )
    np.testing.assert_array_equal(values, [[np.nan, 1.0, 1.0]])
    np.testing.assert_array_equal(zeros, np.zeros((1, 3)))
    assert high == pytest.approx(1.0)


def test_an_unknown_scaling_is_refused():
    with pytest.raises(ValueError, match="same, own"):
        scaled([np.ones((1, 1))], "log")  # type: ignore[arg-type]


def test_the_chart_has_a_panel_with_curves_for_every_map():
    figure = flow_figure(made_flow(), Shown())
    spec = flow_chart(figure).to_dict()
    columns = spec["vconcat"][0]["hconcat"]
    titles = [column["vconcat"][0]["title"]["text"] for column in columns]
    assert titles == ["Rollout", "Relevance", "Legrad", "Raw"]
    drawn = columns[0]["vconcat"][2]["layer"][1]["data"]["values"]
    assert len(drawn) == 2 * 9
    assert {one["curve"] for one in drawn} == {"deletion", "insertion"}


def test_another_layer_of_the_raw_attention_has_no_curves():
    record = made_flow()
    panel = flow_figure(record, Shown("same", 0, 5.0)).panels[3]
    np.testing.assert_array_equal(panel.values.reshape(-1), record.readout_attention[0, 2:])
    assert np.isnan(panel.deletion).all() and panel.areas == "curves are measured for L2"


def test_the_raw_map_is_that_of_the_layer_which_its_title_names():
    record = made_flow()
    last = replace(record.maps[3], title="raw attention, L1")
    record = replace(record, maps=(*record.maps[:3], last))
    assert raw_layer(record) == 1
    shown = flow_figure(record, Shown()).panels[3]
    np.testing.assert_array_equal(shown.values, last.values)
    assert np.isnan(flow_figure(record, Shown("same", 2, 5.0)).panels[3].deletion).all()


def test_a_figure_without_maps_is_refused():
    with pytest.raises(ValueError, match="at least one map"):
        flow_chart(flow_figure(made_flow(names=()), Shown()))
