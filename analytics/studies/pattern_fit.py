"""Fits the coder of attention maps, with principal components of the same size beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from analytics.models.autoencoder import (
    LINEAR_FROM,
    WIDTH,
    PatternAutoencoder,
    PatternCoder,
    PatternPca,
)
from analytics.studies.attend import Progress

BATCH = 128
ROUNDS = 12
"""Rounds of subspace iteration for the principal components."""


@dataclass
class FitState:
    """Where a fit stands after a whole epoch: enough to go on as if never interrupted."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    train_losses: list[float] = field(default_factory=list)
    held_out_losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """The coder in use, and the share of variance that both explain on held-out maps.

    `epochs` is how many were asked for; the losses tell how many were run.
    """

    coder: PatternCoder
    r2_autoencoder: float
    r2_pca: float
    train_losses: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    epochs: int


@dataclass(frozen=True)
class FitMaps:
    """Maps to fit on and maps held out, (n, 64, 64) and (n, 16, 16), on one device."""

    maps: Tensor
    cls: Tensor
    held_maps: Tensor
    held_cls: Tensor


def enough_epochs(maps: int) -> int:
    """Epochs that give about 800 steps: 12 at least, 200 at most.

    Known answer: 12 for 30,000 maps, 160 for 600.
    """
    return max(12, min(200, round(800 / math.ceil(maps / BATCH))))


def fit_coder(
    data: FitMaps,
    latent: int = 2,
    epochs: int = 12,
    seed: int = 0,
    progress: Progress | None = None,
    state: FitState | None = None,
    on_epoch: Callable[[FitState], None] | None = None,
    stop: int | None = None,
) -> Fitted:
    """Fit the autoencoder and the principal components; keep whichever codes held-out maps better.

    The same seed gives the same coder on the same number of threads, interrupted or not.

    Args:
        data: maps on a log scale, 0 to 1.
        latent: numbers that a map is coded as.
        epochs: passes over the maps.
        seed: of starting weights and order.
        progress: called with (done, total, what is being done); may raise to cancel.
        state: where an interrupted fit stopped.
        on_epoch: given the state after each epoch, to keep it.
        stop: after how many epochs to end; the coder is then what it is half way.

    Raises:
        ValueError: fewer than two maps.
    """
    if len(data.maps) < 2:
        raise ValueError(f"expected at least 2 maps to fit on, got {len(data.maps)}; add pictures")
    report = progress or (lambda done, total, message: None)
    report(0, epochs, "principal components")
    components = fit_pca(data.maps, data.cls, latent, seed)
    net = _fresh(latent, seed).to(data.maps.device)
    net.scaling.load_state_dict(components.scaling.state_dict())
    net.start_from(components)
    state = state or FitState()
    _train(net, data, epochs, seed, report, state, on_epoch, stop)
    net.eval().requires_grad_(False)
    _centre(net, data.maps, data.cls)
    ours = explained(net, data.held_maps, data.held_cls)
    theirs = explained(components, data.held_maps, data.held_cls)
    coder: PatternCoder = components if theirs > ours else net
    return Fitted(
        coder.cpu(), ours, theirs, tuple(state.train_losses), tuple(state.held_out_losses), epochs
    )


@torch.no_grad()
def fit_pca(maps: Tensor, cls: Tensor, latent: int, seed: int = 0) -> PatternPca:
    """Principal components of joined maps, by seeded subspace iteration.

    Known answer: maps that vary along `latent` directions are drawn back exactly.
    """
    coder = PatternPca(latent).to(maps.device)
    coder.scaling.fit(maps, cls)
    generator = torch.Generator().manual_seed(seed)
    width = min(WIDTH, latent + 8)
    basis = torch.randn(WIDTH, width, generator=generator).to(maps.device)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(basis)[0]
        grown = torch.zeros_like(basis)
        for one in _joined(coder, maps, cls):
            grown += one.T @ (one @ basis)
        basis = grown
    basis = torch.linalg.qr(basis)[0]
    inner = [one @ basis for one in _joined(coder, maps, cls)]
    _, _, turned = torch.linalg.svd(torch.cat(inner), full_matrices=False)
    directions = (turned @ basis.T)[:latent]
    # The largest entry of a direction is positive: the sign is no accident of the solver.
    signs = torch.sign(directions.gather(1, directions.abs().argmax(1, keepdim=True)))
    coder.directions[: len(directions)] = directions * signs
    _centre(coder, maps, cls)
    return coder.eval()


@torch.no_grad()
def explained(coder: PatternCoder, maps: Tensor, cls: Tensor) -> float:
    """Share of the variance about the mean of the fitted maps that a coder explains (R2).

    NaN without maps. Known answer: 0 for a coder that always draws the mean map.
    """
    if not len(maps):
        return math.nan
    missing = total = 0.0
    for one in _joined(coder, maps, cls):
        missing += float((one - coder.draw(coder.raw(one))).square().sum())
        total += float(one.square().sum())
    return 1 - missing / total if total else math.nan


def _joined(coder: PatternCoder, maps: Tensor, cls: Tensor) -> Iterator[Tensor]:
    """Joined maps some at a time, so that copies in float32 stay small."""
    for some, rows in zip(maps.split(512), cls.split(512), strict=True):
        if len(some):
            yield coder.scaling.join(some, rows)


def _fresh(latent: int, seed: int) -> PatternAutoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PatternAutoencoder(latent)


def _train(
    net: PatternAutoencoder,
    data: FitMaps,
    epochs: int,
    seed: int,
    report: Progress,
    state: FitState,
    on_epoch: Callable[[FitState], None] | None,
    stop: int | None,
) -> None:
    rate = 2e-3 if net.latent_size >= LINEAR_FROM else 3e-3
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    _restore(net, optimiser, state)
    steps = math.ceil(len(data.maps) / BATCH)
    last = epochs if stop is None else min(stop, epochs)
    for epoch in range(len(state.train_losses), last):
        order = torch.randperm(
            len(data.maps), generator=torch.Generator().manual_seed(seed + epoch)
        )
        total = 0.0
        for step, rows in enumerate(order.split(BATCH)):
            for group in optimiser.param_groups:
                group["lr"] = rate * _share(epoch * steps + step, epochs * steps)
            joined = net.scaling.join(data.maps[rows], data.cls[rows])
            loss = (net.draw(net.raw(joined)) - joined).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
            report(epoch + (step + 1) / steps, epochs, f"epoch {epoch + 1} of {epochs}")
        state.train_losses.append(total / len(data.maps))
        state.held_out_losses.append(_loss(net, data.held_maps, data.held_cls))
        state.tensors = _kept(net, optimiser)
        if on_epoch is not None:
            on_epoch(state)


def _share(step: int, steps: int) -> float:
    """Learning rate over its peak: up over a tenth of the steps, then down as a cosine."""
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


@torch.no_grad()
def _loss(net: PatternCoder, maps: Tensor, cls: Tensor) -> float:
    missing = [(net.draw(net.raw(one)) - one).square().mean(1) for one in _joined(net, maps, cls)]
    return float(torch.cat(missing).mean()) if missing and len(maps) else math.nan


def _kept(net: PatternAutoencoder, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of all weights and of what the optimiser remembers of each."""
    kept = {f"net.{name}": tensor.detach().clone() for name, tensor in net.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        kept |= {f"optimiser.{number}.{name}": one.clone() for name, one in values.items()}
    return kept


def _restore(net: PatternAutoencoder, optimiser: torch.optim.Optimizer, state: FitState) -> None:
    if not state.tensors:
        return
    net.load_state_dict({n[4:]: t for n, t in state.tensors.items() if n.startswith("net.")})
    whole = optimiser.state_dict()
    for name, tensor in state.tensors.items():
        if name.startswith("optimiser."):
            _, number, what = name.split(".")
            whole["state"].setdefault(int(number), {})[what] = tensor
    optimiser.load_state_dict(whole)


@torch.no_grad()
def _centre(coder: PatternCoder, maps: Tensor, cls: Tensor) -> None:
    """Scale latents to mean 0 and spread 1 over these maps."""
    raw = torch.cat([coder.raw(one) for one in _joined(coder, maps, cls)])
    coder.latent_mean.copy_(raw.mean(0))
    coder.latent_spread.copy_(raw.std(0).clamp(min=1e-6) if len(raw) > 1 else torch.ones(1))
