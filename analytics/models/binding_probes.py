"""Probes that read from two patches whether they belong to the same object.

Every probe but `pointwise` has one form at each point of the residual stream:

    logit(x, y) = sum_k s_k z_k(x) z_k(y) + u(x) + u(y) + b,   z = W x

with x standardised per dimension. So a patch is read once, as z and u, and the answer for a
patch and all others is one product. P counts points: the embedding and the output of each layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

ProbeKind = Literal[
    "linear", "diagonal", "quadratic", "full", "pointwise", "cosine", "dot", "next_qk", "plda"
]
KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)
RANK = 64

TENSORS: dict[ProbeKind, tuple[str, ...]] = {
    "linear": ("mean", "spread", "weight", "bias"),
    "diagonal": ("mean", "spread", "signs", "bias"),
    "quadratic": ("mean", "spread", "matrix", "signs", "bias"),
    "full": ("mean", "spread", "matrix", "signs", "bias"),
    "pointwise": ("mean", "spread", "matrix", "offset", "bias"),
    "cosine": ("mean", "spread", "signs", "bias"),
    "dot": ("mean", "spread", "signs", "bias"),
    "next_qk": ("signs", "bias"),
    "plda": ("mean", "spread", "matrix", "signs", "own", "bias"),
}
"""The numbers that a probe of each kind consists of; see `BindingProbe`."""


class Read(NamedTuple):
    """Patches as a probe reads them: z (..., k), and the part of each alone, u (...)."""

    z: Tensor
    own: Tensor


@dataclass(frozen=True, eq=False)
class BindingProbe:
    """One kind of probe at all P points.

    `tensors` holds float32 `mean` and `spread` (P, d) of the standardisation, `matrix` W
    (P, k, d), `signs` s (P, k), `own` t (P, k) for u = sum_k t_k z_k^2, `weight` w (P, d) for
    u = w . x, `bias` b (P,) and `offset` (P, k) of the classes; those that its kind has, in
    `TENSORS`. `about` says what it was fitted on.
    """

    kind: ProbeKind
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]

    @property
    def points(self) -> int:
        """Number of points."""
        return len(self.tensors["bias"])

    def read(self, features: Tensor, point: int) -> Read:
        """Read patches at one point.

        Args:
            features: (..., d) of the residual stream as it is; for `next_qk` what
                `query_key_sums` makes of queries and keys.
            point: 0 for the embedding, l for the output of the l-th layer.

        Raises:
            ValueError: no such point, or another width.
        """
        if not 0 <= point < self.points:
            raise ValueError(f"expected a point of 0 to {self.points - 1}, got {point}")
        held = {name: tensor[point] for name, tensor in self.tensors.items()}
        x = features.float()
        if "mean" in held:
            if x.shape[-1] != len(held["mean"]):
                raise ValueError(
                    f"expected features of width {len(held['mean'])}, got {x.shape[-1]}; fit "
                    "probes on this model"
                )
            x = (x - held["mean"]) / held["spread"]
        return read_standardised(self.kind, x, held)

    def logits(self, queries: Read, keys: Read, point: int) -> Tensor:
        """Log odds of every query with every key, (..., queries, keys)."""
        held = {name: tensor[point] for name, tensor in self.tensors.items()}
        return pair_logits(self.kind, queries, keys, held)

    def spectrum(self, point: int) -> Tensor:
        """Eigenvalues of the probe's matrix W^T S W, by falling size; empty where it has none.

        In standardised coordinates, (k,). Known answer: a planted binding part of rank r shows
        r large values.
        """
        if self.kind in ("linear", "pointwise", "next_qk"):
            return torch.zeros(0)
        signs = self.tensors["signs"][point].double()
        values = signs
        if "matrix" in self.tensors:
            triangle = torch.linalg.qr(self.tensors["matrix"][point].double().T)[1]  # k k
            values = torch.linalg.eigvalsh(triangle * signs @ triangle.T)
        return values[values.abs().argsort(descending=True, stable=True)].float()

    def subspace(self, point: int) -> Tensor:
        """Orthonormal directions that the matrix looks at, (k, d), the strongest first.

        In standardised coordinates: b = (x - mean) / spread projected on them is the binding
        part of a patch, and what is left is f.

        Raises:
            ValueError: a probe without a matrix.
        """
        if "matrix" not in self.tensors:
            raise ValueError(f"expected a probe with a matrix, got {self.kind}; take quadratic")
        basis, triangle = torch.linalg.qr(self.tensors["matrix"][point].double().T)  # d k, k k
        values, turned = torch.linalg.eigh(
            triangle * self.tensors["signs"][point].double() @ triangle.T
        )
        order = values.abs().argsort(descending=True, stable=True)
        return (basis @ turned[:, order]).T.float()


def dimension_holding(spectrum: Tensor, share: float = 0.9) -> int:
    """How many of the largest eigenvalues hold a share of the sum of their squares (ours).

    The sum of squares is the variance of the score of two independent patches of unit spread.

    Known answers: 3 for three equal values and zeros; 0 without values.
    """
    squares = spectrum.double().square().sort(descending=True).values
    total = squares.sum()
    if not len(squares) or total <= 0:
        return 0
    return int((squares.cumsum(0) < share * total * (1 - 1e-12)).sum()) + 1


def read_standardised(kind: ProbeKind, x: Tensor, held: Mapping[str, Tensor]) -> Read:
    """Read standardised patches by the numbers of one point, or of several.

    Args:
        kind: of the probe.
        x: (..., d), or (P, N, n, d) together with numbers of P points.
        held: `BindingProbe.tensors`, of one point or with their leading P.
    """
    many = held["bias"].ndim == 1
    matrix = held.get("matrix")
    if kind == "linear":
        weight = held["weight"]
        own = torch.einsum("pbnd,pd->pbn", x, weight) if many else x @ weight
        return Read(x[..., :0], own)
    if kind == "cosine":
        z = normalize(x, dim=-1)
    elif matrix is None:
        z = x
    else:
        z = torch.einsum("pbnd,pkd->pbnk", x, matrix) if many else x @ matrix.mT
    if kind == "pointwise":
        offset = held["offset"]
        z = torch.softmax(z + (offset[:, None, None] if many else offset), dim=-1)
    own = z.new_zeros(z.shape[:-1])
    if "own" in held:
        own = (
            torch.einsum("pbnk,pk->pbn", z.square(), held["own"])
            if many
            else z.square() @ held["own"]
        )
    return Read(z, own)


def pair_logits(kind: ProbeKind, queries: Read, keys: Read, held: Mapping[str, Tensor]) -> Tensor:
    """Log odds of every query with every key: (..., queries, keys)."""
    bias = held["bias"]
    if bias.ndim:
        bias = bias[:, None, None, None]  # (P, 1, 1, 1)
    own = queries.own[..., :, None] + keys.own[..., None, :]
    if kind == "linear":
        return own + bias
    signs = held.get("signs")
    if signs is None:
        signed = queries.z
    else:
        signed = queries.z * (signs[:, None, None] if signs.ndim > 1 else signs)
    product = signed @ keys.z.mT  # (..., queries, keys)
    if kind == "pointwise":
        chance = product.clamp(1e-6, 1 - 1e-6)
        return chance.log() - torch.log1p(-chance) + bias
    return product + own + bias


def query_key_sums(query: Tensor, key: Tensor) -> Tensor:
    """Queries and keys of all heads so that a signed product is their symmetric attention logit.

    (q . k' + q' . k) / 2 = a . a' - b . b' with a = (q + k) / 2 and b = (q - k) / 2.

    Args:
        query: (..., d), scaled as the attention scales it.
        key: (..., d).

    Returns:
        (..., 2 d); the signs are +1 for the first half and -1 for the second.
    """
    return torch.cat([query + key, query - key], dim=-1) / 2


def probes_bytes(probes: Mapping[str, BindingProbe], about: Mapping[str, Any]) -> bytes:
    """Probes as the bytes of one safetensors file; `about`, plain values, goes into its header."""
    from safetensors.torch import save

    tensors = {
        f"{name}.{part}": tensor.detach().float().cpu().contiguous()
        for name, probe in probes.items()
        for part, tensor in probe.tensors.items()
    }
    record = {
        "probes": {name: [one.kind, dict(one.about)] for name, one in probes.items()},
        "about": dict(about),
    }
    return save(tensors, metadata={"binding": json.dumps(record, allow_nan=False)})


def read_probes(path: str | Path) -> tuple[dict[str, BindingProbe], dict[str, Any]]:
    """Read what `probes_bytes` made; nothing in the file is executed.

    Raises:
        ValueError: missing, damaged or another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["binding"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        probes = {
            name: restore_probe(
                kind,
                {part: tensors[f"{name}.{part}"] for part in TENSORS[kind]},
                about,
            )
            for name, (kind, about) in record["probes"].items()
        }
        return probes, record["about"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"expected binding probes saved by this app at {Path(path).name}, got a file that is "
            f"missing, damaged or of another kind ({type(error).__name__}); save them again"
        ) from error


def restore_probe(
    kind: ProbeKind, tensors: Mapping[str, Tensor], about: Mapping[str, Any]
) -> BindingProbe:
    """A probe from its numbers, checked so that a made-up file cannot misuse it.

    Raises:
        ValueError: another kind, or numbers that do not fit together.
    """
    if kind not in KINDS or set(tensors) != set(TENSORS[kind]):
        raise ValueError(f"expected the numbers of a probe of {', '.join(KINDS)}, got {kind!r}")
    points = tensors["bias"].shape
    width = tensors["mean"].shape[-1:] if "mean" in tensors else tensors["signs"].shape[-1:]
    rank = tensors["matrix"].shape[1:2] if "matrix" in tensors else width
    shapes = {"matrix": (*points, *rank, *width), "bias": tuple(points)}
    shapes |= dict.fromkeys(("mean", "spread", "weight"), (*points, *width))
    shapes |= dict.fromkeys(("signs", "own", "offset"), (*points, *rank))
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shapes[name] or len(points) != 1:
            raise ValueError(
                f"{kind}: expected {name} of {shapes[name]}, got {tuple(tensor.shape)}"
            )
    return BindingProbe(kind, dict(tensors), dict(about))
