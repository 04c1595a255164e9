"""Made patches: objects planted in features, and scores worked out pair by pair."""

from __future__ import annotations

import math

import torch

from analytics.models.binding_fit import PairData, standardise
from analytics.models.binding_probes import TENSORS, BindingProbe


def planted(images=96, patches=24, width=48, rank=3, turned=True, seed=0, noise=0.8):
    """h = f + b at two points; f is noise, and only the second point has b.

    b is one of rank + 1 corners of a simplex in `rank` dimensions, turned anew in every image:
    two objects point away from each other, and no patch alone tells anything. The rank
    dimensions are the first ones, or lie at random.
    """
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(1, rank + 2, (images, patches), generator=generator)
    corners = torch.eye(rank + 1) - 1 / (rank + 1)
    corners = 2 * corners @ torch.linalg.svd(corners)[2][:rank].T  # rank + 1, rank
    spins = torch.linalg.qr(torch.randn(images, rank, rank, generator=generator))[0]
    binding = (corners @ spins).gather(1, (which - 1)[..., None].expand(-1, -1, rank))
    basis = torch.eye(width)[:rank]
    if turned:
        basis = torch.linalg.qr(torch.randn(width, width, generator=generator))[0][:rank]
    free = noise * torch.randn(images, patches, width, generator=generator)
    return PairData(torch.stack([free, free + binding @ basis]).half(), which), basis


def split(images=96):
    third = images // 4
    return (
        list(range(images - 2 * third)),
        list(range(images - 2 * third, images - third)),
        list(range(images - third, images)),
    )


def whole(data, rows):
    return standardise(data, rows)


def drawn_probe(kind, points=2, width=6, rank=4, seed=0):
    """A probe of any kind with random numbers."""
    generator = torch.Generator().manual_seed(seed)
    many = 2 * width if kind == "next_qk" else width
    rank = rank if "matrix" in TENSORS[kind] else many
    shapes = {"matrix": (rank, many), "bias": ()}
    shapes |= dict.fromkeys(("mean", "spread", "weight"), (many,))
    shapes |= dict.fromkeys(("signs", "own", "offset"), (rank,))
    tensors = {
        name: torch.randn(points, *shapes[name], generator=generator) for name in TENSORS[kind]
    }
    if "spread" in tensors:
        tensors["spread"] = tensors["spread"].abs() + 0.5
    return BindingProbe(kind, tensors, {"made": "by hand"})


def one_logit(probe, a, b, point):
    """The log odds of one pair, written out number by number."""
    t = {name: tensor[point].tolist() for name, tensor in probe.tensors.items()}
    a, b = a.tolist(), b.tolist()
    if "mean" in t:
        a, b = (
            [(v - m) / s for v, m, s in zip(one, t["mean"], t["spread"], strict=True)]
            for one in (a, b)
        )
    if probe.kind == "linear":
        return sum(w * (x + y) for w, x, y in zip(t["weight"], a, b, strict=True)) + t["bias"]
    if probe.kind == "cosine":
        a, b = ([v / math.sqrt(sum(u * u for u in one)) for v in one] for one in (a, b))
    if "matrix" in t:
        a, b = (
            [sum(w * v for w, v in zip(row, one, strict=True)) for row in t["matrix"]]
            for one in (a, b)
        )
    if probe.kind == "pointwise":
        shares = []
        for one in (a, b):
            raised = [math.exp(v + o) for v, o in zip(one, t["offset"], strict=True)]
            shares.append([v / sum(raised) for v in raised])
        chance = sum(x * y for x, y in zip(*shares, strict=True))
        return math.log(chance / (1 - chance)) + t["bias"]
    total = sum(s * x * y for s, x, y in zip(t["signs"], a, b, strict=True)) + t["bias"]
    if "own" in t:
        total += sum(s * (x * x + y * y) for s, x, y in zip(t["own"], a, b, strict=True))
    return total
