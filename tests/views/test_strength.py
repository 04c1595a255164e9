"""The figure of a profile: every head in its layer, reference lines, no mark without a number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.views.strength import GLOBAL, LOCAL, WIDTH, StrengthFigure, strength_chart

NAN = float("nan")


def figure(layers=3, heads=2):
    count = layers * heads
    mean = np.arange(count, dtype=np.float64)
    return StrengthFigure(
        title="Mean distance of every head",
        axis="mean distance · patches",
        layers=tuple(f"L{i}" for i in range(layers)),
        heads=[(layer, head) for layer in range(layers) for head in range(heads)],
        mean=mean,
        low=mean - 0.5,
        high=mean + 0.5,
        uniform=np.full(layers, 6.0),
        control_low=np.full(layers, 5.5),
        control_high=np.full(layers, 6.5),
        caption=("One sentence.",),
    )


def parts(chart, kind):
    """Specifications of the marks of a kind."""
    found, left = [], [chart.to_dict()]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            mark = part.get("mark")
            name = mark.get("type") if isinstance(mark, dict) else mark
            found += [part] if name == kind else []
            left += list(part.values())
        elif isinstance(part, list):
            left += part
    return found


def rows(part):
    return part["data"]["values"]


def test_heads_stand_beside_each_other_in_their_layer():
    [dots] = parts(strength_chart(figure()), "point")
    step = WIDTH / 3
    assert [row["name"] for row in rows(dots)] == [f"L{i} H{j}" for i in range(3) for j in range(2)]
    for row in rows(dots):
        layer = int(row["name"][1])
        assert step * layer < row["x"] < step * (layer + 1)
    assert rows(dots)[0]["x"] < rows(dots)[1]["x"]


def test_heads_below_half_of_uniform_are_local():
    [dots] = parts(strength_chart(figure()), "point")
    assert [row["kind"] for row in rows(dots)] == ["local"] * 3 + ["global"] * 3  # 3 is half of 6
    assert dots["encoding"]["color"]["scale"] == {
        "domain": ["local", "global"],
        "range": [LOCAL, GLOBAL],
    }


def test_uniform_and_its_half_are_lines_of_every_layer():
    lines = [part for part in parts(strength_chart(figure()), "rule") if "y" in rows(part)[0]]
    heights = sorted({row["y"] for part in lines for row in rows(part)})
    assert heights == [3.0, 6.0] and all(len(rows(part)) == 3 for part in lines)


def test_the_control_is_a_band():
    [band] = parts(strength_chart(figure()), "rect")
    assert [(row["low"], row["high"]) for row in rows(band)] == [(5.5, 6.5)] * 3


def test_what_is_no_number_has_no_mark():
    nothing = np.full(3, NAN)
    mean = figure().mean.copy()
    mean[1] = NAN
    made = replace(
        figure(),
        mean=mean,
        low=np.full(6, NAN),
        high=np.full(6, NAN),
        uniform=nothing,
        control_low=nothing,
        control_high=nothing,
    )
    chart = strength_chart(made)
    assert parts(chart, "rule") == [] and parts(chart, "rect") == []
    [dots] = parts(chart, "point")
    assert "color" not in dots["encoding"]
    # With one layer of marks left, Altair gives its data to the layers' parent.
    [body] = [part for part in chart.to_dict()["vconcat"] if "layer" in part]
    assert [row["name"] for row in rows(body)][:2] == ["L0 H0", "L1 H0"]


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (12, 12), (24, 16)])
def test_the_figure_is_drawn_at_any_size(layers, heads):
    from analytics.views.figure import render

    svg = render(strength_chart(figure(layers, heads)), "svg", "A title", "{}").decode()
    assert "One sentence." in svg and "mean distance · patches" in svg
    assert f">L{0}<" in svg
