"""How long models take, side by side in one run."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from analytics.studies.attend import Progress

SEED = 0
_WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Seconds that one forward pass of a batch took, over the rounds.

    `low_s` to `high_s`, and `ratio_low` to `ratio_high`, hold the middle 80 % of the rounds.
    `ratio` is the median over rounds of this model's time by that of the first model in the
    same round: below 1 is faster than the first. `threads` are those of torch on the CPU.
    """

    median_s: float
    low_s: float
    high_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    images: int
    rounds: int
    threads: int
    device: str


def measure_latency(
    models: Mapping[str, nn.Module],
    batch: Tensor,
    rounds: int = 10,
    progress: Progress | None = None,
) -> dict[str, Latency]:
    """Time of a forward pass of each model on one batch, and its ratio to the first model.

    Each round runs every model once, so that what else the machine does meanwhile hits all
    alike; the ratio is taken within a round for the same reason. Every other round draws a
    random order (the same at every call) and the round after it turns that around, so that
    no model always comes first. Two rounds before the first are not counted.

    Args:
        models: name -> model in evaluation mode, on the device of the batch.
        batch: pictures, (images, channels, height, width).
        rounds: how many times each model is timed.
        progress: called with (done, total, what is being done); may raise to cancel.

    Returns:
        Name -> latency, in the order of `models`. Known answer: a model that takes k times as
        long as the first has a ratio of k; the first has 1.

    Raises:
        ValueError: no model or round, or a model in training mode or on another device.
    """
    _check(models, batch, rounds)
    report = progress or (lambda done, total, message: None)
    names, draw = list(models), random.Random(SEED)
    times: dict[str, list[float]] = {name: [] for name in names}
    order = names
    for done in range(_WARM_UP + rounds):
        warming = done < _WARM_UP
        report(done, _WARM_UP + rounds, "warming up" if warming else "timing the models")
        order = order[::-1] if done % 2 else draw.sample(names, len(names))
        for name in order:
            seconds = _time(models[name], batch)
            if not warming:
                times[name].append(seconds)
    report(_WARM_UP + rounds, _WARM_UP + rounds, "done")
    first = times[names[0]]
    return {name: _summarise(times[name], first, batch) for name in names}


def _time(model: nn.Module, batch: Tensor) -> float:
    """Seconds of one forward pass, the work queued on a GPU included."""
    _wait(batch)
    start = perf_counter()
    with torch.no_grad():
        model(batch)
    _wait(batch)
    return perf_counter() - start


def _wait(batch: Tensor) -> None:
    if batch.device.type == "cuda":
        torch.cuda.synchronize(batch.device)


def _summarise(times: list[float], first: list[float], batch: Tensor) -> Latency:
    low_s, median_s, high_s = _spread(times)
    ratio_low, ratio, ratio_high = _spread([a / b for a, b in zip(times, first, strict=True)])
    return Latency(
        median_s=median_s,
        low_s=low_s,
        high_s=high_s,
        ratio=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        images=len(batch),
        rounds=len(times),
        threads=torch.get_num_threads(),
        device=_device_name(batch),
    )


def _spread(values: list[float]) -> tuple[float, float, float]:
    """10th percentile, median and 90th percentile, interpolated between the values."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return tenths[0], statistics.median(values), tenths[8]


def _device_name(batch: Tensor) -> str:
    if batch.device.type == "cuda":
        return f"{batch.device} ({torch.cuda.get_device_name(batch.device)})"
    return str(batch.device)


def _check(models: Mapping[str, nn.Module], batch: Tensor, rounds: int) -> None:
    if not models or rounds < 1:
        raise ValueError(
            f"expected at least one model and one round; got {len(models)} and {rounds}"
        )
    for name, model in models.items():
        if model.training:
            raise ValueError(f"expected models in evaluation mode; call eval() on {name!r}")
        places = {parameter.device for parameter in model.parameters()} - {batch.device}
        if places:
            raise ValueError(
                f"expected all on {batch.device}, where the batch is; {name!r} is on "
                f"{places.pop()}; move one to the other"
            )
