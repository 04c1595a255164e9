"""Codes a head's attention map as a few numbers and draws the map back from them.

Two coders with the same calls: a small convolutional autoencoder and principal components. The
paper's architecture is unknown; ours is. Inputs and outputs are small maps on a log scale (see
`metrics/patterns.py`): (n, 64, 64), and the row of cls, (n, 16, 16).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

SIDE, CLS_SIDE = 64, 16
CLS_WEIGHT = 0.1
"""Weight of the row of cls in what is fitted, against 1 of the map."""

LINEAR_FROM = 12
"""From this latent size on, a linear path that starts as principal components joins the net."""

CoderKind = Literal["autoencoder", "pca"]


class Scaling(nn.Module):
    """Map and cls row as one vector: centred on the mean map, spread 1, cls down-weighted."""

    map_mean: Tensor
    cls_mean: Tensor
    spreads: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("map_mean", torch.zeros(SIDE, SIDE))
        self.register_buffer("cls_mean", torch.zeros(CLS_SIDE, CLS_SIDE))
        self.register_buffer("spreads", torch.ones(2))

    def fit(self, maps: Tensor, cls: Tensor) -> None:
        """Take means and overall spreads of these maps; a spread of 0 becomes 1."""
        for name, values in (("map_mean", maps), ("cls_mean", cls)):
            getattr(self, name).copy_(values.float().mean(0))
        for i, (values, mean) in enumerate(((maps, self.map_mean), (cls, self.cls_mean))):
            spread = float(sum(((one.float() - mean) ** 2).mean() for one in values) / len(values))
            self.spreads[i] = spread**0.5 if spread > 1e-8 else 1.0

    def join(self, maps: Tensor, cls: Tensor) -> Tensor:
        """(n, 64, 64) and (n, 16, 16) -> (n, 4352)."""
        first = (maps.float() - self.map_mean) / self.spreads[0]
        second = (cls.float() - self.cls_mean) / self.spreads[1] * _CLS_FACTOR
        return torch.cat([first.flatten(1), second.flatten(1)], dim=1)

    def split(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `join`."""
        maps = joined[:, : SIDE**2].unflatten(1, (SIDE, SIDE))
        cls = joined[:, SIDE**2 :].unflatten(1, (CLS_SIDE, CLS_SIDE)) / _CLS_FACTOR
        return maps * self.spreads[0] + self.map_mean, cls * self.spreads[1] + self.cls_mean


_CLS_FACTOR = (CLS_WEIGHT * SIDE**2 / CLS_SIDE**2) ** 0.5
WIDTH = SIDE**2 + CLS_SIDE**2


class PatternCoder(nn.Module):
    """What both coders share: from maps to latents and back, with latents of mean 0, spread 1."""

    kind: CoderKind
    latent_mean: Tensor
    latent_spread: Tensor

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        if not 1 <= latent_size <= 256:
            raise ValueError(f"expected a latent size of 1 to 256, got {latent_size}")
        self.latent_size = latent_size
        self.scaling = Scaling()
        self.register_buffer("latent_mean", torch.zeros(latent_size))
        self.register_buffer("latent_spread", torch.ones(latent_size))

    def raw(self, joined: Tensor) -> Tensor:
        """(n, 4352) -> latents before they are scaled."""
        raise NotImplementedError

    def draw(self, raw: Tensor) -> Tensor:
        """The inverse direction of `raw`."""
        raise NotImplementedError

    def encode(self, maps: Tensor, cls: Tensor) -> Tensor:
        """(n, 64, 64) and (n, 16, 16) -> (n, latent size)."""
        return (self.raw(self.scaling.join(maps, cls)) - self.latent_mean) / self.latent_spread

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(n, latent size) -> (n, 64, 64) and (n, 16, 16), 0 to 1."""
        joined = self.draw(latent * self.latent_spread + self.latent_mean)
        maps, cls = self.scaling.split(joined)
        return maps.clamp(0, 1), cls.clamp(0, 1)

    @torch.no_grad()
    def errors(self, maps: Tensor, cls: Tensor) -> Tensor:
        """Mean squared error of each reconstruction over the spread of all maps, (n,)."""
        joined = self.scaling.join(maps, cls)
        missing = joined - self.draw(self.raw(joined))
        return missing.square().sum(1) / (SIDE**2 * (1 + CLS_WEIGHT))


class PatternAutoencoder(PatternCoder):
    """A convolutional encoder over the keys and a decoder that mixes 96 learned maps.

    The encoder takes the 64 query parts as channels of an 8 x 8 picture of keys, so that
    convolutions run over places; the row of cls has a small one of its own. About 550,000
    numbers. Measured on maps of the bundled model: this decoder explains more of held-out maps than
    one of transposed convolutions, in a third of the time.
    """

    kind = "autoencoder"

    def __init__(self, latent_size: int = 2) -> None:
        super().__init__(latent_size)
        self.of_map = nn.Sequential(
            nn.Conv2d(SIDE, 32, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.of_cls = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(8, 8, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.narrow = nn.Sequential(nn.Linear(640, 128), nn.GELU(), nn.Linear(128, latent_size))
        self.widen = nn.Sequential(
            nn.Linear(latent_size, 128), nn.GELU(), nn.Linear(128, 96), nn.GELU()
        )
        self.mix = nn.Linear(96, WIDTH)
        if latent_size >= LINEAR_FROM:
            self.straight_in = nn.Linear(WIDTH, latent_size, bias=False)
            self.straight_out = nn.Linear(latent_size, WIDTH, bias=False)

    @torch.no_grad()
    def start_from(self, components: PatternPca) -> None:
        """Start a wide latent as principal components; the net learns what they leave over."""
        if self.latent_size < LINEAR_FROM:
            return
        self.straight_in.weight.copy_(components.directions / components.latent_spread[:, None])
        self.straight_out.weight.copy_(
            (components.directions * components.latent_spread[:, None]).T
        )
        for last in (self.narrow[-1], self.mix):
            last.weight.mul_(0.1)  # type: ignore[operator, union-attr]
            last.bias.zero_()  # type: ignore[operator, union-attr]

    def raw(self, joined: Tensor) -> Tensor:
        """Latents of joined maps."""
        maps = joined[:, : SIDE**2].unflatten(1, (SIDE, 8, 8))
        cls = joined[:, SIDE**2 :].unflatten(1, (1, CLS_SIDE, CLS_SIDE)) / _CLS_FACTOR
        raw = self.narrow(torch.cat([self.of_map(maps), self.of_cls(cls)], dim=1))
        return raw + self.straight_in(joined) if self.latent_size >= LINEAR_FROM else raw

    def draw(self, raw: Tensor) -> Tensor:
        """Joined maps of latents."""
        joined = self.mix(self.widen(raw))
        return joined + self.straight_out(raw) if self.latent_size >= LINEAR_FROM else joined


class PatternPca(PatternCoder):
    """Principal components of the same maps, as the yardstick."""

    kind = "pca"
    directions: Tensor

    def __init__(self, latent_size: int = 2) -> None:
        super().__init__(latent_size)
        self.register_buffer("directions", torch.zeros(latent_size, WIDTH))

    def raw(self, joined: Tensor) -> Tensor:
        """Coordinates along the directions."""
        return joined @ self.directions.T

    def draw(self, raw: Tensor) -> Tensor:
        """Joined maps of coordinates."""
        return raw @ self.directions


def coder_bytes(coder: PatternCoder, about: dict[str, str] | None = None) -> bytes:
    """A coder as the bytes of a safetensors file; `about` goes into its header."""
    from safetensors.torch import save

    record = {"kind": coder.kind, "latent_size": coder.latent_size, "about": about or {}}
    tensors = {name: t.detach().cpu().contiguous() for name, t in coder.state_dict().items()}
    return save(tensors, metadata={"patterns": json.dumps(record, allow_nan=False)})


def read_coder(path: str | Path) -> tuple[PatternCoder, dict[str, str]]:
    """Read what `coder_bytes` made; nothing in the file is executed.

    Raises:
        ValueError: missing, damaged or another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["patterns"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        return restore_coder(record["kind"], record["latent_size"], tensors), record["about"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"expected a pattern coder saved by this app at {Path(path).name}, got a file that is "
            f"missing, damaged or of another kind ({type(error).__name__}); save it again"
        ) from error


def restore_coder(kind: str, latent_size: int, tensors: dict[str, Tensor]) -> PatternCoder:
    """A coder from its numbers.

    Raises:
        ValueError: another kind.
        RuntimeError: the numbers do not fit.
    """
    kinds: dict[str, type[PatternCoder]] = {"autoencoder": PatternAutoencoder, "pca": PatternPca}
    if kind not in kinds:
        raise ValueError(f"expected a coder of {' or '.join(kinds)}, got {kind!r}")
    coder = kinds[kind](latent_size)
    coder.load_state_dict(tensors)
    return coder.eval().requires_grad_(False)
