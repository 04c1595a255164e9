"""The part of a patch token that tells which object it belongs to, and changes of it.

A token h of the residual stream is read as x = (h - mean) / spread. The binding part of h is
what of x lies in the row space of a quadratic probe's W1, on the scale of the stream; the feature
part f is the rest, so that h = binding part + f. W1 x and the coordinates c of x on an orthonormal
basis of that space determine each other, so what is done to c is done to b = W1 x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Subspace:
    """Some directions of the residual stream at one point.

    `basis` is float32 (k, d), orthonormal rows in standardised coordinates, `mean` and `spread`
    (d,) of the standardisation.
    """

    basis: Tensor
    mean: Tensor
    spread: Tensor

    def __post_init__(self) -> None:
        width = self.basis.shape[-1]
        if self.basis.ndim != 2 or self.mean.shape != (width,) or self.spread.shape != (width,):
            raise ValueError(
                "expected a basis (k, d) with mean and spread (d,), got "
                f"{tuple(self.basis.shape)}, {tuple(self.mean.shape)}, {tuple(self.spread.shape)}"
            )

    @property
    def dimension(self) -> int:
        """Number of directions."""
        return len(self.basis)

    def standardised(self, tokens: Tensor) -> Tensor:
        """Tokens (..., d) of the stream in standardised coordinates, float32."""
        return (tokens.float() - self.mean) / self.spread

    def coordinates(self, tokens: Tensor) -> Tensor:
        """Where tokens (..., d) of the stream lie in the subspace, float32 (..., k)."""
        return self.standardised(tokens) @ self.basis.mT

    def lifted(self, coordinates: Tensor) -> Tensor:
        """Differences of coordinates (..., k) as differences of the stream, (..., d).

        A dimension of infinite spread, which a fit gives to a constant one, is not moved.
        """
        spread = torch.where(self.spread.isfinite(), self.spread, 0)
        return (coordinates @ self.basis) * spread


def split_tokens(tokens: Tensor, subspace: Subspace) -> tuple[Tensor, Tensor]:
    """Binding part and feature part of tokens, on the scale of the stream.

    Args:
        tokens: (..., d) of the residual stream.
        subspace: of a quadratic probe.

    Returns:
        Binding part and f, float32 (..., d); they add up to the tokens. Known answers: the
        coordinates of f + mean of the stream vanish; with d directions f is the mean.

    Reference: Li et al. 2025, arXiv 2510.24709, for h = f + b. Differs: the parts are taken by an
    orthogonal projection of standardised tokens.
    """
    binding = subspace.lifted(subspace.coordinates(tokens))
    return binding, tokens.float() - binding


def random_subspace(like: Subspace, seed: int = 0) -> Subspace:
    """As many orthonormal directions, drawn evenly from all."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(like.basis.shape[1], like.dimension, generator=generator)
    basis = torch.linalg.qr(drawn)[0].mT.contiguous()
    return Subspace(basis.to(like.basis), like.mean, like.spread)


def principal_subspace(tokens: Tensor, like: Subspace) -> Subspace:
    """As many directions, those in which tokens vary most.

    Args:
        tokens: (n, d) of the residual stream.
        like: gives dimension and standardisation.

    Raises:
        ValueError: no token.
    """
    if not len(tokens):
        raise ValueError("expected tokens to find principal directions in, got none")
    x = like.standardised(tokens).double()
    x = x - x.mean(0)
    directions = torch.linalg.eigh(x.mT @ x)[1]  # d d, rising
    basis = directions[:, -like.dimension :].flip(1).mT.contiguous()
    return Subspace(basis.to(like.basis), like.mean, like.spread)


def variance_share(tokens: Tensor, subspace: Subspace) -> float:
    """Share of the variance of standardised tokens (n, d) that lies in the subspace, 0 to 1.

    Known answers: 1 for d directions, about k / d for k random ones; NaN where tokens are equal.
    """
    x = subspace.standardised(tokens).double()
    x = x - x.mean(0)
    total = float(x.square().sum())
    inside = float((x @ subspace.basis.double().mT).square().sum())
    return inside / total if total > 0 else float("nan")


def shuffle_order(count: int, ratio: float, seed: int = 0) -> Tensor:
    """Whose binding part each patch gets when a share of them is shuffled (ours).

    round(ratio * count) patches are drawn and each gets the part of the next in a random circle,
    so that no drawn patch keeps its own; one patch alone keeps it.

    Args:
        count: patches.
        ratio: share of patches that are shuffled, 0 to 1.
        seed: of the drawing.

    Returns:
        int64 (count,). Known answers: 0, 1, 2, ... at ratio 0; no fixed place at ratio 1.

    Raises:
        ValueError: a ratio out of range.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"expected a ratio of 0 to 1, got {ratio}")
    order = torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    circle = torch.randperm(count, generator=generator)[: round(ratio * count)]
    order[circle] = circle.roll(1)
    return order


def shuffled_change(coordinates: Tensor, order: Tensor) -> Tensor:
    """What a shuffle adds to coordinates (n, k): those of the patch in `order`, less one's own.

    Known answer: exactly 0 for the order 0, 1, 2, ...
    """
    return coordinates[order] - coordinates


def injected_change(coordinates: Tensor, objects: Tensor, alpha: float) -> Tensor:
    """What b_i <- (1 - alpha) mean_of_object(b) + alpha b_i adds to coordinates.

    Args:
        coordinates: (n, k).
        objects: object of each patch, int (n,); patches of none (0) stay as they are.
        alpha: 0 gives every patch the mean of its object, 1 changes nothing.

    Returns:
        (n, k). Known answer: exactly 0 for alpha 1.

    Raises:
        ValueError: alpha out of range.

    Reference: Li et al. 2025, arXiv 2510.24709.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"expected alpha of 0 to 1, got {alpha}")
    numbers, place = objects.unique(return_inverse=True)
    totals = coordinates.new_zeros(len(numbers), coordinates.shape[1])
    totals.index_add_(0, place, coordinates)
    counts = torch.bincount(place, minlength=len(numbers)).to(coordinates)
    means = totals / counts[:, None]  # objects, k
    change = (1 - alpha) * (means[place] - coordinates)
    return torch.where((objects > 0)[:, None], change, torch.zeros_like(change))


def energy(change: Tensor) -> float:
    """Sum of squares of a change of the stream, (n, d): the variance that it moves."""
    return float(change.double().square().sum())


def matched_gain(wanted: float, change: Tensor) -> float:
    """The factor that gives a change an energy; 0 where nothing can be moved.

    Known answer: 2 where a quarter of the energy is moved.
    """
    own = energy(change)
    return float(np.sqrt(wanted / own)) if own > 0 else 0.0


@dataclass(frozen=True, eq=False)
class PrincipalPlot:
    """Patches laid out by the first principal components of their binding part.

    `places` is float32 (n, axes), `explained` (axes,) the share of the variance of each, and
    `objects` int32 (n,) the number to colour each by, 0 for none.
    """

    places: np.ndarray
    explained: np.ndarray
    objects: np.ndarray


def principal_plot(binding: np.ndarray, objects: np.ndarray, axes: int = 3) -> PrincipalPlot:
    """Lay patches out in 2-D or 3-D by their binding part b = W1 x.

    Args:
        binding: (n, k), `SameObjectMap.z` of a point.
        objects: object of each patch, int, n in all.
        axes: 2 or 3; axes beyond those that there are hold 0.

    Returns:
        The layout. A component's largest value is positive; otherwise signs mean nothing.

    Raises:
        ValueError: other sizes, or other than 2 or 3 axes.

    Known answer: points on a line have all their variance on the first axis.
    """
    binding, objects = np.asarray(binding, np.float64), np.asarray(objects, np.int32).reshape(-1)
    if binding.ndim != 2 or len(binding) != len(objects) or not len(objects) or axes not in (2, 3):
        raise ValueError(
            "expected a binding part (n, k), n objects and 2 or 3 axes, got "
            f"{binding.shape}, {objects.shape} and {axes}"
        )
    centred = binding - binding.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    places, total = np.zeros((len(binding), axes)), np.square(sizes).sum()
    explained = np.zeros(axes)
    kept = min(axes, len(sizes)) if total > 0 else 0
    places[:, :kept] = left[:, :kept] * sizes[:kept]
    explained[:kept] = np.square(sizes[:kept]) / total if kept else 0
    largest = np.take_along_axis(places, np.abs(places).argmax(0)[None], 0)
    places *= np.where(largest < 0, -1, 1)
    return PrincipalPlot(places.astype(np.float32), explained.astype(np.float32), objects)
