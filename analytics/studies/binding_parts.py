"""What a probe reads of a patch, the whole stream, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from analytics.models.binding_probes import dimension_holding
from analytics.studies.binding_ablation import binding_subspace

if TYPE_CHECKING:
    from analytics.models.binding_probes import BindingProbe
    from analytics.studies.binding_features import StreamReader

Part = Literal["binding", "stream", "rest"]
PARTS: tuple[Part, ...] = get_args(Part)
"""b = W1 x, what the probe compares; x, the standardised stream; x without the directions read."""

HELD = 0.9
"""Share of the spectrum's energy by which directions are counted."""


def check_points(probe: BindingProbe, reader: StreamReader) -> None:
    """See that a probe has the points of a model.

    Raises:
        ValueError: it has others.
    """
    if probe.points != reader.layers + 1:
        raise ValueError(
            f"expected a probe with {reader.layers + 1} points for {reader.loaded.label}, got one "
            f"with {probe.points}; fit probes on this model"
        )


def usable_points(probe: BindingProbe) -> tuple[int, ...]:
    """Points at which a probe has numbers."""
    known = torch.isfinite(probe.tensors["bias"]).tolist()
    return tuple(point for point, there in enumerate(known) if there)


def parts_at(
    probe: BindingProbe, tokens: Tensor, point: int, queries: Tensor | None = None
) -> dict[Part, np.ndarray]:
    """The parts of patches at a point, in the order of `PARTS`, that a probe has.

    Args:
        probe: of any kind.
        tokens: (n, d) of the residual stream as it is.
        point: 0 for the embedding, l for the output of the l-th layer.
        queries: (n, 2 w), what `next_qk` reads instead of the stream.
    """
    x = _standardised(probe, tokens, point)
    found: dict[Part, np.ndarray] = {}
    z = probe.read((tokens if queries is None else queries).cpu(), point).z
    if z.shape[-1]:
        signs = probe.tensors.get("signs")
        size = 1 if signs is None else signs[point].abs().sqrt()
        found["binding"] = (z * size).numpy()
    found["stream"] = x.numpy()
    basis = read_directions(probe, point)
    if basis is not None:
        found["rest"] = (x - (x @ basis.mT) @ basis).numpy()
    return found


def read_directions(probe: BindingProbe, point: int) -> Tensor | None:
    """Orthonormal directions that the rest lacks, (k, d); None where a probe has no own ones.

    All that the probe's matrix reads where they are fewer than d, else those that hold `HELD` of
    the energy of its spectrum.
    """
    if probe.kind not in ("quadratic", "full", "plda", "diagonal"):
        return None
    width = probe.tensors["mean"].shape[-1]
    dimension = dimension_holding(probe.spectrum(point), HELD)
    if probe.kind == "diagonal":
        order = probe.tensors["signs"][point].abs().argsort(descending=True, stable=True)
        return torch.eye(width)[order[:dimension]]
    basis = binding_subspace(probe, point).basis
    return basis if len(basis) < width else basis[:dimension]


def _standardised(probe: BindingProbe, tokens: Tensor, point: int) -> Tensor:
    """Tokens as the probe standardises them; by this picture's own patches where it does not."""
    x = tokens.float()
    if "mean" in probe.tensors:
        return (x - probe.tensors["mean"][point]) / probe.tensors["spread"][point]
    return (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
