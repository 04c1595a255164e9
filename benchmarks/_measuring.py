"""What the benchmarks of head importance share: timing in rounds, tables, measured values."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from analytics.io.labelled import ImageSource
from analytics.io.sources import ImageFile, samples
from analytics.models.registry import load_model, parse_model
from analytics.studies.importance import measure_importance

Ways = dict[str, Callable[[], Tensor]]
Rows = dict[str, dict[str, float]]


def timed(ways: Ways, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """CPU and wall seconds of each way in each round."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in random.sample(list(ways.items()), len(ways)):
            begin, start = time.process_time(), time.perf_counter()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            cpu[name].append(time.process_time() - begin)
            wall[name].append(time.perf_counter() - start)
    return cpu, wall


def ratio(values: list[float], others: list[float]) -> float:
    """Median over the rounds of a time's ratio to another of the same round."""
    return statistics.median([a / b for a, b in zip(values, others, strict=True)])


def compare(ways: Ways, rounds: int, others: dict[str, tuple[str, ...]]) -> Rows:
    """Medians of seconds and of ratios to others, of which the fastest of each tuple counts.

    For "plain" the ratio is this way's time over the other's, a cost; else it is a speed-up.
    """
    rows: Rows = {name: {} for name in ways}
    for clock, seconds in zip(("cpu", "wall"), timed(ways, rounds), strict=True):
        middle = {name: statistics.median(one) for name, one in seconds.items()}
        for name, row in rows.items():
            row[f"{clock}_seconds"] = middle[name]
            for label, names in others.items():
                other = seconds[min(names, key=middle.__getitem__)]
                if label == "plain":
                    row[f"{clock}_over_plain"] = ratio(seconds[name], other)
                else:
                    row[f"{clock}_{label}_over_this"] = ratio(other, seconds[name])
    return rows


def show(rows: Rows) -> None:
    """Print a table, its columns named by the rows' keys."""
    columns = list(next(iter(rows.values())))
    print(" " * 30 + " ".join(f"{name:>21s}" for name in columns))
    for name, one in rows.items():
        print(f"  {name:28s}" + " ".join(f"{one[key]:21.3f}" for key in columns), flush=True)


def bfloat16_units() -> str:
    """The processor's instructions for bfloat16 products; amx_bf16 is a matrix unit."""
    place = Path("/proc/cpuinfo")
    flags = set(place.read_text().split()) if place.is_file() else set()
    found = [name for name in ("amx_bf16", "avx512_bf16", "bf16") if name in flags]
    return ", ".join(found) or ("none" if flags else "unknown")


def photographs() -> list[ImageSource]:
    """Those that are shipped, and scikit-learn's where it is installed."""
    return [ImageFile(one.name, one.path) for one in samples()]


def importance(
    images: Sequence[ImageSource], metrics: Sequence[str], dtype: str = "float32"
) -> np.ndarray:
    """Metrics of the bundled model's heads under zero ablation, (metrics, images, heads)."""
    loaded = load_model(parse_model("bundled"), dtype=dtype)
    return measure_importance(loaded, images, metrics).values
