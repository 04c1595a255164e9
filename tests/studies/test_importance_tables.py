"""Tables of an importance record, with numbers that can be worked out in the head."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.io.export import table_bytes
from analytics.studies.curves import PruningCurves
from analytics.studies.importance_record import ImageEffect, Importance
from analytics.studies.importance_tables import (
    agreement_table,
    curves_table,
    importance_table,
    per_image_table,
)
from analytics.types import Provenance


@pytest.fixture
def record():
    drop = [[-0.3, 0.1, 0.2], [-0.3, 0.3, 0.0]]
    shift = [[0.5, 0.1, np.nan], [0.7, 0.1, np.nan]]
    return Importance(
        id="x",
        model_label="made",
        caution="",
        num_heads=(2, 1),
        heads=((0, 0), (0, 1), (1, 0)),
        metrics=("probability_drop", "cls_shift"),
        ablation="mean",
        values=np.array([drop, shift], np.float32),
        images=(ImageEffect("a.png", "1"), ImageEffect("b.png", "2")),
        probabilities=None,
        classes=(),
        readout="",
        images_wanted=2,
        skipped=(),
        provenance=Provenance("", "made", "", {}, {}, None, {}, "cpu", "", ()),
    )


def test_importance_has_a_row_for_every_metric_and_head(record):
    frame = importance_table(record)
    assert list(frame.columns) == [
        "layer",
        "head",
        "metric",
        "ablation",
        "mean",
        "ci_low",
        "ci_high",
        "n",
    ]
    assert list(zip(frame.layer, frame["head"], strict=True)) == [*record.heads] * 2
    assert frame.metric.tolist() == ["probability_drop"] * 3 + ["cls_shift"] * 3
    np.testing.assert_allclose(frame["mean"], [-0.3, 0.2, 0.1, 0.6, 0.1, np.nan], atol=1e-6)
    # Equal values leave no doubt; two pictures give means between them.
    assert frame.ci_low[0] == frame.ci_high[0] == frame["mean"][0]
    np.testing.assert_allclose((frame.ci_low[1], frame.ci_high[1]), (0.1, 0.3), atol=1e-6)
    assert frame.n.tolist() == [2, 2, 2, 2, 2, 0] and np.isnan(frame.ci_low[5])


def test_per_image_leaves_out_what_was_not_measured(record):
    frame = per_image_table(record)
    assert list(frame.columns) == ["image", "layer", "head", "metric", "value"]
    assert len(frame) == 6 + 4
    shift = frame[frame.metric == "cls_shift"]
    assert shift.image.tolist() == ["a.png", "a.png", "b.png", "b.png"]
    assert shift["head"].tolist() == [0, 1, 0, 1] and set(shift.layer) == {0}
    np.testing.assert_allclose(shift.value, [0.5, 0.1, 0.7, 0.1], atol=1e-6)


def test_agreement_ranks_by_size_over_heads_that_both_measured(record):
    frame = agreement_table(record)
    pairs = list(zip(frame.metric_a, frame.metric_b, strict=True))
    names = record.metrics
    assert pairs == [(a, b) for a in names for b in names]
    # Sizes .3 > .2 and shifts .6 > .1: the two heads that both have stand in the same order.
    np.testing.assert_allclose(frame.spearman, [1, 1, 1, 1])


def test_curves_name_their_orders():
    curves = PruningCurves(
        "cosine", (0, 2), {"cls_shift": (1.0, 0.5)}, np.array([[1.0, 0.4], [1.0, 0.3]]), 7, 7
    )
    frame = curves_table(curves)
    assert frame.order.tolist() == ["cls_shift"] * 2 + ["random 1"] * 2 + ["random 2"] * 2
    assert frame.removed.tolist() == [0, 2] * 3 and set(frame.quality_name) == {"cosine"}
    assert frame.quality.tolist() == [1.0, 0.5, 1.0, 0.4, 1.0, 0.3]


def test_csv_and_parquet_are_the_only_kinds(record):
    frame = agreement_table(record)
    assert table_bytes(frame, "csv").splitlines()[:2] == [
        b"metric_a,metric_b,spearman",
        b"probability_drop,probability_drop,1.0",
    ]
    assert table_bytes(frame, "parquet")[:4] == b"PAR1"
    with pytest.raises(ValueError, match="parquet or csv"):
        table_bytes(frame, "xlsx")
