"""Fits binding probes at all points of the residual stream at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from analytics.models.binding_probes import (
    RANK,
    BindingProbe,
    ProbeKind,
    pair_logits,
    read_standardised,
    restore_probe,
)

BATCH = 16
"""Images of a step; a GPU takes eight times as many."""

PATIENCE = 4
"""Epochs without a better validation loss at any point after which a fit ends."""

RATES: dict[str, float] = {
    "linear": 1e-2,
    "diagonal": 3e-3,
    "quadratic": 1e-3,
    "full": 3e-4,
    "pointwise": 5e-3,
}
DECAY: dict[str, float] = {"quadratic": 0.1, "full": 0.1}
DEFAULT_DECAY = 1e-2

Tell = Callable[[float, float, str], None]


@dataclass(frozen=True, eq=False)
class PairData:
    """Features of the drawn patches of N images at P points.

    `features` is half precision (P, N, n, d); `objects` int (N, n), 0 where there is no patch
    or no object; both on one device.
    """

    features: Tensor
    objects: Tensor

    @property
    def points(self) -> int:
        """Number of points."""
        return len(self.features)

    def batch(self, rows: Tensor) -> Tensor:
        """Float32 features of some images, (P, rows, n, d)."""
        return self.features[:, rows].float()

    def truth(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Whether two patches lie in one object, and whether they count: (rows, n, n) each."""
        objects = self.objects[rows]
        labelled = objects > 0
        counted = (labelled[:, :, None] & labelled[:, None, :]).float()
        counted = counted.triu(1)
        return (objects[:, :, None] == objects[:, None, :]).float(), counted


@dataclass(frozen=True, eq=False)
class Standardised:
    """`data` with mean 0 and spread 1 in every dimension at each point, over the train images."""

    data: PairData
    mean: Tensor
    spread: Tensor


@dataclass(frozen=True, eq=False)
class ProbeFit:
    """A fitted probe and how it went: losses are (epochs, P); `best` is the epoch kept, (P,)."""

    probe: BindingProbe
    train_losses: Tensor
    validation_losses: Tensor
    best: tuple[int, ...]


def standardise(data: PairData, train: Sequence[int]) -> Standardised:
    """Shift and scale every dimension by the labelled train patches; a constant one becomes 0.

    Raises:
        ValueError: no labelled patch in the train images.
    """
    rows = torch.as_tensor(train, device=data.objects.device)
    labelled = data.objects[rows] > 0
    if not bool(labelled.any()):
        raise ValueError("expected patches with an object in the train images, got none")
    means, spreads, scaled = [], [], torch.empty_like(data.features)
    for point in range(data.points):
        own = data.features[point, rows][labelled].double()
        mean, spread = own.mean(0), own.std(0, unbiased=False)
        spread = torch.where(spread > 1e-6 * (1 + mean.abs()), spread, torch.inf)
        scaled[point] = ((data.features[point].float() - mean.float()) / spread.float()).clamp(
            -1000, 1000
        )
        means.append(mean.float())
        spreads.append(spread.float())
    # A padded patch counts nowhere, and zeros keep its products finite.
    scaled *= (data.objects > 0)[None, :, :, None]
    return Standardised(PairData(scaled, data.objects), torch.stack(means), torch.stack(spreads))


def enough_epochs(images: int) -> int:
    """Epochs that give about 400 steps: 12 at least, 60 at most. Known answer: 20 for 336."""
    return max(12, min(60, math.ceil(400 / math.ceil(images / BATCH))))


def fit_probe(
    kind: ProbeKind,
    whole: Standardised,
    train: Sequence[int],
    validation: Sequence[int],
    rank: int = RANK,
    epochs: int | None = None,
    seed: int = 0,
    progress: Tell | None = None,
    about: Mapping[str, object] | None = None,
) -> ProbeFit:
    """Fit a probe at all points in one go, and keep the best validation epoch of each point.

    One AdamW over the numbers of all points, the losses (binary cross-entropy, mean over pairs)
    summed over points: these do not touch each other, so each is fitted as if alone.
    The same seed gives the same probe on the same number of threads.

    Args:
        kind: linear, diagonal, quadratic, full or pointwise.
        whole: standardised features.
        train: images to fit on.
        validation: images that choose the epoch.
        rank: k of `quadratic`, and the number of classes of `pointwise`.
        epochs: most passes over the images; None for `enough_epochs`.
        seed: of starting values and order.
        progress: called with (done, total, what is being done); may raise to cancel.
        about: plain values that the probe keeps.

    Raises:
        ValueError: another kind, or no pair to fit or to choose on.

    Reference: Li et al. 2025, "Does Object Binding Naturally Emerge in Large
        Pretrained Vision Transformers?", the linear, diagonal, quadratic and pointwise probes.
    Differs: the quadratic probe is symmetric by construction, W1^T S W1 with a quarter of the
        signs negative; `full` has no limit on the rank.
    """
    if kind not in RATES:
        raise ValueError(f"expected a probe of {', '.join(RATES)} to fit, got {kind!r}")
    data, total = whole.data, epochs or enough_epochs(len(train))
    device = data.features.device
    rows, chosen = (torch.as_tensor(list(one), device=device) for one in (train, validation))
    _check_pairs(data, rows, "train")
    _check_pairs(data, chosen, "validation")
    fixed, learned = _start(kind, data, rank, seed, _log_odds(data, rows))
    optimiser = torch.optim.AdamW(
        list(learned.values()), RATES[kind], weight_decay=DECAY.get(kind, DEFAULT_DECAY)
    )
    keep = _Best(learned, data.points)
    losses: list[Tensor] = []
    report = progress or (lambda done, total, message: None)
    for epoch in range(total):
        losses.append(_epoch(kind, data, rows, fixed, learned, optimiser, epoch, total, seed))
        keep.look(_loss(kind, data, chosen, {**fixed, **_used(kind, learned)}), learned)
        report(epoch + 1, total, f"{kind} probe: epoch {epoch + 1} of {total}")
        if keep.waited >= PATIENCE:
            break
    tensors = {**fixed, **_used(kind, keep.values)}
    probe = _finished(kind, tensors, whole, {**(about or {}), "rank": rank, "seed": seed})
    return ProbeFit(probe, torch.stack(losses), torch.stack(keep.losses), tuple(keep.epochs))


class _Best:
    """The numbers of each point at its best epoch so far."""

    def __init__(self, learned: Mapping[str, Tensor], points: int) -> None:
        self.values = {name: tensor.detach().clone() for name, tensor in learned.items()}
        self.losses: list[Tensor] = []
        self.epochs = [0] * points
        self.waited = 0
        self._least = torch.full((points,), torch.inf)

    def look(self, loss: Tensor, learned: Mapping[str, Tensor]) -> None:
        """Keep the points whose loss (P,) is the least so far."""
        better = torch.nonzero(loss < self._least - 1e-5).flatten().tolist()
        for point in better:
            self.epochs[point] = len(self.losses)
            self._least[point] = loss[point]
            for name, tensor in learned.items():
                self.values[name][point] = tensor.detach()[point]
        self.losses.append(loss)
        self.waited = 0 if better else self.waited + 1


def _check_pairs(data: PairData, rows: Tensor, part: str) -> None:
    pairs = sum(float(data.truth(one)[1].sum()) for one in rows.split(64)) if len(rows) else 0
    if not pairs:
        raise ValueError(
            f"expected pairs of patches with objects in the {part} images, got none; add pictures"
        )


def _log_odds(data: PairData, rows: Tensor) -> float:
    same = count = 0.0
    for some in rows.split(64):
        truth, counted = data.truth(some)
        same, count = same + float((truth * counted).sum()), count + float(counted.sum())
    share = min(max(same / count, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


def _start(
    kind: ProbeKind, data: PairData, rank: int, seed: int, log_odds: float
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Fixed numbers, and those to learn; every point starts from the same draw."""
    points, width, device = data.points, data.features.shape[-1], data.features.device
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, spread: float) -> Tensor:
        one = spread * torch.randn(shape, generator=generator)
        return one.expand(points, *shape).clone().to(device).requires_grad_()

    bias = torch.full((points,), log_odds, device=device)
    if kind == "linear":
        return {}, {"weight": drawn(width, spread=0.01), "bias": bias.requires_grad_()}
    if kind == "diagonal":
        return {}, {"signs": drawn(width, spread=0.01), "bias": bias.requires_grad_()}
    if kind == "full":
        return {}, {"square": drawn(width, width, spread=1e-4), "bias": bias.requires_grad_()}
    if kind == "pointwise":
        offset = torch.zeros(points, rank, device=device).requires_grad_()
        matrix = drawn(rank, width, spread=width**-0.5)
        return {"bias": torch.zeros(points, device=device)}, {"matrix": matrix, "offset": offset}
    signs = torch.ones(points, rank, device=device)
    signs[:, rank - rank // 4 :] = -1
    matrix = drawn(rank, width, spread=0.5 * width**-0.5 * rank**-0.25)
    return {"signs": signs}, {"matrix": matrix, "bias": bias.requires_grad_()}


def _used(kind: ProbeKind, learned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is learned, in the names of `BindingProbe`."""
    if kind != "full":
        return dict(learned)
    square = learned["square"]
    return {"square": (square + square.mT) / 2, "bias": learned["bias"]}


def _logits(kind: ProbeKind, x: Tensor, held: Mapping[str, Tensor]) -> Tensor:
    """(P, b, n, d) -> (P, b, n, n)."""
    if kind == "full":
        turned = torch.einsum("pbnd,pde->pbne", x, held["square"])
        return turned @ x.mT + held["bias"][:, None, None, None]
    read = read_standardised(kind, x, held)
    return pair_logits(kind, read, read, held)


def _epoch(
    kind: ProbeKind,
    data: PairData,
    rows: Tensor,
    fixed: Mapping[str, Tensor],
    learned: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    epoch: int,
    total: int,
    seed: int,
) -> Tensor:
    """One pass over the train images; the mean loss of each point, (P,)."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed + 1 + epoch))
    batches = rows[order.to(rows.device)].split(_batch(data))
    sums = torch.zeros(data.points, device=rows.device)
    for step, some in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = RATES[kind] * _share(epoch * len(batches) + step, total * len(batches))
        loss = _batch_loss(kind, data, some, {**fixed, **_used(kind, learned)})
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        sums += loss.detach() * len(some) / len(rows)
    return sums.cpu()


def _batch(data: PairData) -> int:
    return BATCH * (8 if data.features.device.type == "cuda" else 1)


def _share(step: int, steps: int) -> float:
    """Learning rate over its peak: up over a twentieth of the steps, then down as a cosine."""
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _batch_loss(
    kind: ProbeKind, data: PairData, rows: Tensor, held: Mapping[str, Tensor]
) -> Tensor:
    """Mean cross-entropy over the pairs of some images at each point, (P,)."""
    truth, counted = data.truth(rows)
    logits = _logits(kind, data.batch(rows), held)
    weight = counted / counted.sum().clamp(min=1)
    # softplus(l) - l * truth is the cross-entropy; the second part needs no pass of its own.
    return (F.softplus(logits) * weight).sum((1, 2, 3)) - torch.einsum(
        "pbij,bij->p", logits, truth * weight
    )


@torch.no_grad()
def _loss(kind: ProbeKind, data: PairData, rows: Tensor, held: Mapping[str, Tensor]) -> Tensor:
    """Mean loss of each point, the images weighted by their pairs, (P,) on the CPU."""
    total, count = torch.zeros(data.points, device=rows.device), 0.0
    for some in rows.split(_batch(data)):
        pairs = float(data.truth(some)[1].sum())
        total += _batch_loss(kind, data, some, held) * pairs
        count += pairs
    return (total / count).cpu()


def _finished(
    kind: ProbeKind, held: dict[str, Tensor], whole: Standardised, about: Mapping[str, object]
) -> BindingProbe:
    tensors = {name: tensor.detach() for name, tensor in held.items()}
    if kind == "full":
        # x^T A y by the eigenvectors of A: the same form as all others.
        values, vectors = torch.linalg.eigh(tensors.pop("square").double())
        tensors |= {"matrix": vectors.mT.float().contiguous(), "signs": values.float()}
    tensors |= {"mean": whole.mean, "spread": whole.spread}
    return restore_probe(kind, {name: t.cpu() for name, t in tensors.items()}, about)


def score_images(
    probe: BindingProbe, data: PairData, rows: Sequence[int], point: int
) -> Iterator[Tensor]:
    """Log odds between the drawn patches of some images at one point, (b, n, n) at a time.

    Args:
        probe: fitted.
        data: features as they are, not standardised.
        rows: images.
        point: where.
    """
    device = data.features.device
    numbers = {name: t[point : point + 1].to(device) for name, t in probe.tensors.items()}
    own = BindingProbe(probe.kind, numbers, {})
    for some in torch.as_tensor(list(rows), device=data.objects.device).split(64):
        read = own.read(data.features[point, some], 0)
        yield own.logits(read, read, 0)
