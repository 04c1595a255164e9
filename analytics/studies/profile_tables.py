"""Profiles as tables, one fact a row, for files and charts; and the units of their numbers.

Column names are those of the files that the command line writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.strength_catalogue import SCALARS, STRENGTH_METRICS, StrengthMetric

if TYPE_CHECKING:
    import pandas as pd

    from analytics.studies.profile_record import Profile

AGNOSTICISM = StrengthMetric(
    "content_agnosticism",
    "content agnosticism",
    "−1 to 1",
    "Mean cosine between a head's maps of any two pictures: 1 where it attends alike whatever the "
    "picture shows. One number for all pictures; none for a single one.",
    "ours",
)
"""The one metric that has no value per picture."""

UNITS = ("patches", "pixels", "uniform")
"""Of distances: patches, input pixels, or as a share of the distance under uniform attention."""


@dataclass(frozen=True)
class Spread:
    """One table over the pictures, float64 (heads,) each.

    `std` is the sample standard deviation, NaN below two pictures; `count` the pictures on
    which the head has a number.
    """

    mean: np.ndarray
    std: np.ndarray
    count: np.ndarray


def split_name(table: str) -> tuple[str, str]:
    """Metric and cls rule of a table's name; the rule is empty where there is none."""
    metric, _, rule = table.partition(":")
    return metric, rule


def spread_of(record: Profile, table: str) -> Spread:
    """Mean and standard deviation of every head over the pictures.

    Args:
        record: the profile.
        table: a name out of `SCALARS`, or `content_agnosticism`.

    Returns:
        Known answer: the values 1 and 3 have mean 2 and standard deviation 1.414214.

    Raises:
        ValueError: there is no such table.
    """
    if table == AGNOSTICISM.name:
        mean = record.content_agnosticism.astype(np.float64)
        count = np.where(np.isfinite(mean), len(record.images), 0)
        return Spread(mean, np.full_like(mean, np.nan), count)
    if table not in record.scalars:
        names = ", ".join((*record.scalars, AGNOSTICISM.name))
        raise ValueError(f"expected a table out of {names}; got {table!r}")
    values = record.scalars[table].astype(np.float64)  # images x heads
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1)
    square = np.where(known, (values - mean) ** 2, 0).sum(axis=0) / np.maximum(count - 1, 1)
    std = np.where(count > 1, np.sqrt(square), np.nan)
    return Spread(np.where(count > 0, mean, np.nan), std, count.astype(np.int64))


def unit_factors(record: Profile, metric: str, unit: str) -> np.ndarray:
    """What turns each head's number in patches into another unit.

    Args:
        record: the profile.
        metric: its name; only lengths can be converted.
        unit: `patches`; `pixels` of the model's input, by the mean side of a patch; or
            `uniform`, the share of the distance under uniform attention, of `mean_distance`.

    Returns:
        float64 (heads,), 1 for metrics that are no length. Known answer: patches of 14 px
        give 14.

    Raises:
        ValueError: the metric does not have this unit.
    """
    offered = units_of(metric)
    if unit not in offered:
        raise ValueError(f"expected a unit of {metric} out of {', '.join(offered)}; got {unit!r}")
    layers = [record.layers[layer] for layer, _ in record.heads]
    if unit == "pixels":
        return np.array([sum(layer.patch_px) / 2 for layer in layers])
    if unit == "uniform":
        uniform = np.array([layer.uniform_distance for layer in layers])
        return np.where(uniform > 0, 1 / np.where(uniform > 0, uniform, 1), np.nan)
    return np.ones(len(layers))


def units_of(metric: str) -> tuple[str, ...]:
    """The units that a metric can be shown in; its own one for all but lengths."""
    if metric == "mean_distance":
        return UNITS
    known = STRENGTH_METRICS.get(metric, AGNOSTICISM)
    return UNITS[:2] if known.axis == "patches" else (known.axis,)


def profile_table(record: Profile) -> pd.DataFrame:
    """Every head and metric over the pictures.

    Returns:
        Columns layer, head, metric, cls_rule (empty where a metric has none), mean, std
        (NaN below two pictures) and n, the pictures on which the head has a number; metric by
        metric, then head by head. Distances are in patches.
    """
    import pandas as pd

    frames = []
    for table in (*SCALARS, AGNOSTICISM.name):
        metric, rule = split_name(table)
        found = spread_of(record, table)
        rows = {"metric": metric, "cls_rule": rule, "mean": found.mean, "std": found.std}
        frames.append(pd.DataFrame({**_heads(record), **rows, "n": found.count}))
    return pd.concat(frames, ignore_index=True)


def per_image_table(record: Profile) -> pd.DataFrame:
    """Every head's numbers on every picture; what is no number has no row.

    Returns:
        Columns image (its name in the set), layer, head, metric, cls_rule and value; metric by
        metric, then picture by picture.
    """
    import pandas as pd

    names, heads = np.array([one.name for one in record.images], object), _heads(record)
    frames = []
    for table in SCALARS:
        metric, rule = split_name(table)
        values = record.scalars[table]  # images x heads
        rows = {
            "image": np.repeat(names, values.shape[1]),
            "layer": np.tile(heads["layer"], len(names)),
            "head": np.tile(heads["head"], len(names)),
            "metric": metric,
            "cls_rule": rule,
            "value": values.reshape(-1),  # images * heads
        }
        frames.append(pd.DataFrame(rows).dropna(subset=["value"]))
    return pd.concat(frames, ignore_index=True)


def profile_arrays(record: Profile) -> dict[str, np.ndarray]:
    """Everything measured as named arrays, for NPZ; `heads` are (layer, head) of each column."""
    arrays = {"heads": np.array(record.heads, np.int64).reshape(-1, 2)}
    arrays |= {name.replace(":", "_"): table for name, table in record.scalars.items()}
    for name in ("hop_strength", "hop_mass"):
        arrays |= {f"{name}_{rule}": table for rule, table in getattr(record, name).items()}
    for name in ("block_mass", "template_score", "content_agnosticism"):
        arrays[name] = getattr(record, name)
    for name in ("offset_map", "received", "clipped_distance", "cls_row"):
        layers = zip(record.layers, getattr(record, name), strict=True)
        arrays |= {f"{name}_{layer.label}": table for layer, table in layers}
    return arrays


def _heads(record: Profile) -> dict[str, np.ndarray]:
    pairs = np.array(record.heads, np.int64).reshape(-1, 2)
    return {"layer": pairs[:, 0], "head": pairs[:, 1]}
