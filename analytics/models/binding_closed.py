"""Binding probes without training: PLDA, cosine, dot product, the next layer's queries and keys.

What they have to learn is at most a scale and a bias, so that their scores are log odds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from analytics.models.binding_fit import PairData, Standardised
from analytics.models.binding_probes import BindingProbe, Read, pair_logits, restore_probe

SHRINK = 0.05
"""Share of an even scatter that is mixed into that within objects, so that it can be inverted."""

LEAST_SCALE = 1e-6
"""A score that speaks against the truth is all but ignored rather than turned round."""

NEWTON_STEPS = 25


def calibrate(scores: Tensor, truth: Tensor, weights: Tensor | None = None) -> tuple[float, float]:
    """Scale a > 0 and bias b for which a * score + b are log odds (Platt scaling).

    Args:
        scores: (M,).
        truth: whether a pair is the same, (M,).
        weights: (M,); None for 1 each.

    Returns:
        a and b of the lowest cross-entropy. Known answer: log odds of a fair draw keep a = 1
        and b = 0, up to chance.

    Reference: Platt 1999, "Probabilistic Outputs for Support Vector Machines".
    Differs: no smoothing of the targets; the scale is positive, so that ranks stay.
    """
    s, y = scores.double().flatten(), truth.double().flatten()
    w = torch.ones_like(s) if weights is None else weights.double().flatten()
    count = w.sum()
    centre = (w * s).sum() / count
    spread = ((w * (s - centre).square()).sum() / count).sqrt()
    share = float(((w * y).sum() / count).clamp(1e-6, 1 - 1e-6))
    prior = math.log(share / (1 - share))
    if not spread > 0:
        return LEAST_SCALE, prior
    x = torch.stack([(s - centre) / spread, torch.ones_like(s)], dim=1)  # M 2
    beta = torch.tensor([0.0, prior], dtype=torch.float64, device=s.device)
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(x @ beta)
        slope = x.T @ (w * (p - y)) / count + 1e-4 * beta * beta.new_tensor([1.0, 0.0])
        curve = (x * (w * p * (1 - p))[:, None]).T @ x / count + 1e-4 * torch.eye(2).to(x)
        step = torch.linalg.solve(curve, slope)
        beta = beta - step * min(1.0, 4 / float(step.norm().clamp(min=1e-12)))
        if float(step.norm()) < 1e-9:
            break
    scale = float(beta[0] / spread)
    if scale <= 0:
        return LEAST_SCALE, prior
    return scale, float(beta[1] - beta[0] / spread * centre)


def plda_directions(within: Tensor, between: Tensor) -> tuple[Tensor, Tensor]:
    """Directions in which the scatter within objects is 1, and that between them on each.

    Args:
        within: covariance of patches about their object's mean, (d, d), positive definite.
        between: covariance of the objects' means, (d, d).

    Returns:
        W (d, d), with W within W^T = 1, and psi (d,), the diagonal of W between W^T, falling.
    """
    lower = torch.linalg.cholesky(within)
    half = torch.linalg.solve_triangular(lower, between, upper=False)
    white = torch.linalg.solve_triangular(lower, half.T, upper=False)
    psi, turned = torch.linalg.eigh((white + white.T) / 2)
    order = psi.argsort(descending=True)
    matrix = torch.linalg.solve_triangular(lower.T, turned[:, order], upper=True).T
    return matrix, psi[order]


def plda_terms(psi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log likelihood ratio of "same object" as numbers of a probe: signs, own, bias.

    In a direction with scatter 1 within objects and psi between them, two patches of one object
    have the covariance ((1 + psi, psi), (psi, 1 + psi)), and of two objects the same without psi
    beside the diagonal. The logarithm of the ratio of the two normal densities is
    s x y + t (x^2 + y^2) + b.

    Args:
        psi: 0 or more, (k,).

    Returns:
        s and t (k,), and the sum of b.

    Reference: Ioffe 2006, "Probabilistic Linear Discriminant Analysis"; in the two-covariance
        form of Brummer & De Villiers 2010, "The speaker partitioning problem".
    """
    signs = psi / (1 + 2 * psi)
    own = -psi.square() / (2 * (1 + psi) * (1 + 2 * psi))
    bias = (torch.log1p(psi) - torch.log1p(2 * psi) / 2).sum()
    return signs, own, bias


def scatter(x: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Scatter within objects and between them, each (d, d), float64.

    Args:
        x: labelled patches, (M, d), about mean 0.
        groups: object of each, int (M,), from 0 without gaps.

    Returns:
        The covariance about the objects' means, each object's freedom taken off; and that of the
        objects' means, weighted by patches, less what scatter within objects adds to it,
        negative directions set to 0.

    Raises:
        ValueError: no object with two patches, or one object only.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    sizes = torch.bincount(groups, minlength=count).double()
    free = float(len(x) - count)
    if free < 1 or count < 2:
        raise ValueError(
            f"expected two objects or more, one of them with two patches, got {count} objects of "
            f"{len(x)} patches; add pictures"
        )
    x = x.double()
    means = torch.zeros(count, x.shape[1], dtype=x.dtype, device=x.device)
    means.index_add_(0, groups, x)
    means /= sizes[:, None]
    left = x - means[groups]
    within = left.T @ left / free
    # The mean of an object of m patches carries within / m: on average over patches count / M.
    centre = (means * sizes[:, None]).sum(0) / len(x)
    spread = (means - centre) * sizes.sqrt()[:, None]
    between = spread.T @ spread / len(x) - within * count / len(x)
    values, vectors = torch.linalg.eigh(between)
    return within, (vectors * values.clamp(min=0)) @ vectors.T


def fit_plda(
    whole: Standardised, train: Sequence[int], about: Mapping[str, object] | None = None
) -> BindingProbe:
    """PLDA at every point in closed form, with its log likelihood ratio calibrated.

    Args:
        whole: standardised features.
        train: images to fit on.
        about: plain values that the probe keeps.

    Raises:
        ValueError: as `scatter`.

    Differs: object means are taken over the train images together, not about their image's
        mean; the scatter within objects is shrunk towards an even one by `SHRINK`.
    """
    data = whole.data
    rows = torch.as_tensor(list(train), device=data.objects.device)
    objects = data.objects[rows]
    labelled = objects > 0
    number = torch.arange(len(rows), device=rows.device)[:, None] * (int(objects.max()) + 1)
    groups = torch.unique((objects + number)[labelled], return_inverse=True)[1]
    found: dict[str, list[Tensor]] = {name: [] for name in ("matrix", "signs", "own", "bias")}
    for point in range(data.points):
        within, between = scatter(data.features[point, rows][labelled].float(), groups)
        even = torch.eye(len(within)).to(within) * within.diagonal().mean().clamp(min=1e-8)
        matrix, psi = plda_directions((1 - SHRINK) * within + SHRINK * even, between)
        signs, own, bias = plda_terms(psi.clamp(min=0))
        for name, value in zip(found, (matrix, signs, own, bias), strict=True):
            found[name].append(value.float())
    held = {name: torch.stack(values) for name, values in found.items()}
    return _calibrated("plda", held, whole, rows, about)


def fit_similarity(
    kind: str, whole: Standardised, train: Sequence[int], about: Mapping[str, object] | None = None
) -> BindingProbe:
    """Cosine or dot product of standardised patches, calibrated at every point."""
    data = whole.data
    rows = torch.as_tensor(list(train), device=data.objects.device)
    shape = (data.points, data.features.shape[-1])
    held = {"signs": torch.ones(shape), "bias": torch.zeros(data.points)}
    held = {name: tensor.to(rows.device) for name, tensor in held.items()}
    return _calibrated(kind, held, whole, rows, about)


def fit_next_qk(
    products: Tensor,
    objects: Tensor,
    train: Sequence[int],
    width: int,
    about: Mapping[str, object] | None = None,
) -> BindingProbe:
    """The next layer's symmetric attention logits, calibrated at every point.

    Args:
        products: mean over heads of (q . k' + q' . k) / 2, scaled, (P, N, n, n); NaN at points
            with no layer after them.
        objects: object of each patch, (N, n).
        train: images to calibrate on.
        width: d, of queries and keys of all heads together.
        about: plain values that the probe keeps.

    Returns:
        Numbers are NaN at points with no layer after them.
    """
    rows = torch.as_tensor(list(train), device=objects.device)
    truth, counted = PairData(products, objects).truth(rows)
    pick = counted > 0
    halves = torch.cat([torch.ones(width), -torch.ones(width)])
    signs, biases = [], []
    for one in products[:, rows].float():
        scores = one[pick]
        known = bool(torch.isfinite(scores).all())
        scale, bias = calibrate(scores, truth[pick]) if known else (math.nan, math.nan)
        signs.append(scale * halves)
        biases.append(bias)
    return restore_probe(
        "next_qk", {"signs": torch.stack(signs), "bias": torch.tensor(biases)}, about or {}
    )


def _calibrated(
    kind: str,
    held: dict[str, Tensor],
    whole: Standardised,
    rows: Tensor,
    about: Mapping[str, object] | None,
) -> BindingProbe:
    """A probe with its scores scaled to log odds over the train images."""
    data = whole.data
    pick = data.truth(rows)[1] > 0
    truth = data.truth(rows)[0][pick]
    for point in range(data.points):
        one = {name: tensor[point] for name, tensor in held.items()}
        x = data.features[point, rows].float()
        x = F.normalize(x, dim=-1) if kind == "cosine" else x
        z = x @ one["matrix"].mT if "matrix" in one else x
        own = z.square() @ one["own"] if "own" in one else z.new_zeros(z.shape[:-1])
        read = Read(z, own)
        scores = pair_logits("dot", read, read, one)[pick]  # the bilinear form of all of them
        scale, bias = calibrate(scores, truth)
        held["bias"][point] = scale * held["bias"][point] + bias
        for name in {"signs", "own"} & set(held):
            held[name][point] *= scale
    tensors = {**held, "mean": whole.mean, "spread": whole.spread}
    return restore_probe(kind, {n: t.cpu() for n, t in tensors.items()}, about or {})  # type: ignore[arg-type]
