"""Importance records and pruning curves as tables, one fact a row, for files and charts.

Column names are those of the files that the command line writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.catalogue import HEAD_METRICS
from analytics.metrics.ranking import bootstrap_interval, rank_agreement

if TYPE_CHECKING:
    import pandas as pd

    from analytics.studies.curves import PruningCurves
    from analytics.studies.importance_record import Importance


def mean_importance(record: Importance, metric: str) -> np.ndarray:
    """How important each head is by one metric: its mean over the pictures it was measured on.

    Args:
        record: the effects.
        metric: one of the record's; of a signed one the size of the mean counts.

    Returns:
        float64 (heads,); NaN for a head that was measured on no picture. Known answer: a
        signed metric with -.2 and .1 gives .05.

    Raises:
        ValueError: it was not measured.
    """
    mean = record.mean(metric)
    return np.abs(mean) if metric in HEAD_METRICS and HEAD_METRICS[metric].signed else mean


def importance_table(record: Importance, level: float = 0.95) -> pd.DataFrame:
    """Mean effect of every head over the pictures, with its bootstrap interval.

    Args:
        record: the effects.
        level: share of the resampled means that lie in the interval.

    Returns:
        Columns layer, head, metric, ablation, mean, ci_low, ci_high and n, the pictures that
        the head was measured on; metric by metric, then head by head. Signed metrics keep
        their sign; the interval is NaN below two pictures.
    """
    return _joined([_metric_rows(record, name, level) for name in record.metrics])


def _metric_rows(record: Importance, metric: str, level: float) -> pd.DataFrame:
    import pandas as pd

    values = record.table(metric)
    found = bootstrap_interval(values, level)
    return pd.DataFrame(
        {
            **_heads(record),
            "metric": metric,
            "ablation": record.ablation,
            "mean": found.mean,
            "ci_low": found.low,
            "ci_high": found.high,
            "n": np.isfinite(values).sum(axis=0).astype(np.int64),
        }
    )


def per_image_table(record: Importance) -> pd.DataFrame:
    """The effect of every head on every picture; what was not measured has no row.

    Returns:
        Columns image (its name in the set), layer, head, metric and value; metric by metric,
        then picture by picture.
    """
    import pandas as pd

    names, heads = np.array([one.name for one in record.images], object), _heads(record)
    frames = []
    for metric in record.metrics:
        values = record.table(metric)  # images x heads
        rows = {
            "image": np.repeat(names, values.shape[1]),
            "layer": np.tile(heads["layer"], len(names)),
            "head": np.tile(heads["head"], len(names)),
            "metric": metric,
            "value": values.reshape(-1),  # images * heads
        }
        frames.append(pd.DataFrame(rows).dropna(subset=["value"]))
    return _joined(frames)


def agreement_table(record: Importance) -> pd.DataFrame:
    """How alike every two metrics rank the heads: Spearman's rank correlation.

    Returns:
        Columns metric_a, metric_b and spearman, every pair in both orders and each metric
        with itself, over the heads that both measured. Signed metrics rank by size, as heads
        are removed. NaN where a metric has the same value for all heads.
    """
    import pandas as pd

    means = {name: mean_importance(record, name) for name in record.metrics}
    rows = [(a, b, _spearman(means[a], means[b])) for a in means for b in means]
    return pd.DataFrame(rows, columns=["metric_a", "metric_b", "spearman"])


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    both = np.isfinite(first) & np.isfinite(second)
    # Rounded, so that equal rankings agree by 1 and not by a last digit less.
    return round(float(rank_agreement(np.stack([first[both], second[both]]))[0, 1]), 12)


def curves_table(curves: PruningCurves) -> pd.DataFrame:
    """Pruning curves, one point a row.

    Returns:
        Columns order (a metric, or `random 1` and so on), removed (heads), quality and
        quality_name.
    """
    import pandas as pd

    orders = dict(curves.metrics)
    orders |= {f"random {i}": tuple(row) for i, row in enumerate(curves.random, start=1)}
    rows = [
        (order, removed, float(quality), curves.quality)
        for order, points in orders.items()
        for removed, quality in zip(curves.removed, points, strict=True)
    ]
    return pd.DataFrame(rows, columns=["order", "removed", "quality", "quality_name"])


def _heads(record: Importance) -> dict[str, np.ndarray]:
    pairs = np.array(record.heads, np.int64).reshape(-1, 2)
    return {"layer": pairs[:, 0], "head": pairs[:, 1]}


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)
