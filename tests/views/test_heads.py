"""The figure of a study of heads: every head, no number where there is none, the caption."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analytics.views.figure import render
from analytics.views.heads import RANKED, HeadsFigure, heads_chart

NAN = float("nan")


def figure(layers=12, heads=6, signed=False):
    count = layers * heads
    mean = np.arange(count, dtype=np.float64) / count
    return HeadsFigure(
        title="Head importance by cls shift, zero ablation",
        axis="cls shift · 1 − cosine",
        heads=[(layer, head) for layer in range(layers) for head in range(heads)],
        mean=mean,
        low=mean - 0.1,
        high=mean + 0.1,
        caption=("A caption of one sentence.", "A second one."),
        signed=signed,
    )


def parts(chart, kind):
    """Specifications of the marks of a kind, with the data of the chart's own datasets."""
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


@pytest.mark.parametrize(("layers", "heads"), [(12, 6), (12, 12), (24, 16), (1, 1)])
def test_the_matrix_has_every_head_in_its_layer(layers, heads):
    [matrix] = parts(heads_chart(figure(layers, heads)), "rect")
    assert len(rows(matrix)) == layers * heads
    last = rows(matrix)[-1]
    assert (last["layer"], last["head"]) == (f"L{layers - 1}", f"H{heads - 1}")
    assert last["mean"] == pytest.approx(1 - 1 / (layers * heads))
    assert matrix["encoding"]["y"]["sort"] == [f"L{i}" for i in range(layers)]
    assert matrix["width"] <= 600 and matrix["height"] <= 600


def test_layers_with_unlike_numbers_of_heads():
    made = replace(
        figure(), heads=[(0, 0), (1, 0), (1, 1)], mean=np.ones(3), low=np.ones(3), high=np.ones(3)
    )
    [matrix] = parts(heads_chart(made), "rect")
    assert [(row["layer"], row["head"]) for row in rows(matrix)] == [
        ("L0", "H0"),
        ("L1", "H0"),
        ("L1", "H1"),
    ]


def test_the_ranking_is_of_the_most_important_heads():
    [dots] = parts(heads_chart(figure()), "point")
    assert len(rows(dots)) == RANKED
    assert [row["name"] for row in rows(dots)][:3] == ["L11 H5", "L11 H4", "L11 H3"]
    assert dots["encoding"]["x"]["title"] == "cls shift · 1 − cosine"
    [whiskers] = parts(heads_chart(figure()), "rule")
    assert rows(whiskers)[0]["low"] == pytest.approx(71 / 72 - 0.1)


def test_of_a_signed_metric_the_size_counts():
    made = figure(1, 3, signed=True)
    made = replace(made, mean=np.array([0.1, -0.5, 0.2]))
    chart = heads_chart(made)
    [dots] = parts(chart, "point")
    assert [row["name"] for row in rows(dots)] == ["L0 H1", "L0 H2", "L0 H0"]
    [matrix] = parts(chart, "rect")
    scale = matrix["encoding"]["color"]["scale"]
    assert scale["domain"] == [-0.5, 0.5]  # around 0


def test_numbers_that_are_not_there_are_none_and_grey():
    made = figure(1, 4)
    made = replace(made, mean=np.array([0.3, NAN, 0.2, 0.1]), low=np.array([0.1, NAN, NAN, NAN]))
    chart = heads_chart(made)
    [matrix] = parts(chart, "rect")
    assert [row["mean"] for row in rows(matrix)] == [0.3, None, 0.2, 0.1]
    [dots] = parts(chart, "point")
    assert [row["name"] for row in rows(dots)] == ["L0 H0", "L0 H2", "L0 H3"]
    [whiskers] = parts(chart, "rule")
    assert [row["name"] for row in rows(whiskers)] == ["L0 H0"]
    text = json.dumps(chart.to_dict(), allow_nan=False)
    assert "#c9ccd1" in text
    svg = render(chart, "svg", "t", "d").decode()
    assert svg.count('fill="#c9ccd1"') == 1


def test_without_any_interval_there_are_no_whiskers():
    made = figure(2, 2)
    made = replace(made, low=np.full(4, NAN), high=np.full(4, NAN))
    chart = heads_chart(made)
    assert parts(chart, "rule") == [] and len(parts(chart, "point")) == 1
    assert render(chart, "svg", "t", "d").startswith(b"<svg")


def test_nothing_measured_is_still_a_figure():
    made = replace(figure(2, 2), mean=np.full(4, NAN), low=np.full(4, NAN), high=np.full(4, NAN))
    svg = render(heads_chart(made), "svg", "t", "d").decode()
    assert svg.count('fill="#c9ccd1"') == 4


def test_a_metric_of_zeros_around_zero_is_drawn():
    made = replace(figure(1, 2, signed=True), mean=np.zeros(2), low=np.zeros(2), high=np.zeros(2))
    [matrix] = parts(heads_chart(made), "rect")
    assert matrix["encoding"]["color"]["scale"]["domain"] == [-1.0, 1.0]


def test_long_captions_are_wrapped_and_kept_whole():
    text = " ".join(f"word{i}" for i in range(120))
    made = replace(figure(2, 2), caption=(text, "Second paragraph."))
    [words] = parts(heads_chart(made), "text")
    lines = [row["text"] for row in rows(words)]
    assert " ".join(lines) == f"{text} Second paragraph."
    assert max(map(len, lines)) <= 112 and lines[-1] == "Second paragraph."
    assert [row["y"] for row in rows(words)] == [8 + 15 * i for i in range(len(lines))]
