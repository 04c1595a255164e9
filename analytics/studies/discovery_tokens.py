"""What object discovery looks at: features of patches, cls attention, and a probe's matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import normalise
from analytics.studies.discovery_methods import DiscoveryChoices
from analytics.types import PatchGrid

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.capture.recording import Heads
    from analytics.models.binding_probes import BindingProbe
    from analytics.studies.binding_features import StreamReader

CLS = "cls"


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """One picture at a point of a model.

    `features` is float32 (n, d), row-major, without prefix tokens. `attention` float32 (heads, n):
    what the cls token attends to among patches, a part of each row's sum of 1, as in the model;
    None with the reason in `no_cls`. `chances` float32 (n, n): P(same object) of a probe, None
    with the reason in `no_probe`.
    """

    grid: PatchGrid
    features: np.ndarray
    attention: np.ndarray | None = None
    chances: np.ndarray | None = None
    no_cls: str = ""
    no_probe: str = ""


class TokenReader:
    """Reads what object discovery needs in one forward pass."""

    def __init__(
        self, reader: StreamReader, chosen: DiscoveryChoices, probe: BindingProbe | None = None
    ) -> None:
        """Make ready; `chosen` is checked for the model.

        Raises:
            ValueError: a probe of another model.
        """
        self._reader, self._chosen, self._probe = reader, chosen, probe
        assert chosen.point is not None
        self._point: int = chosen.point
        if probe is not None and probe.points != reader.layers + 1:
            raise ValueError(
                f"expected a probe with {reader.layers + 1} points for {reader.loaded.label}, got "
                f"one with {probe.points}; fit probes on this model"
            )

    def read(self, fitted: np.ndarray) -> PictureTokens:
        """Run the model on one picture at its input, uint8 (height, width, 3).

        Raises:
            ValueError: keys that cannot be had, or features that are not finite.
        """
        import torch

        from analytics.capture.recording import capture

        loaded, layer = self._reader.loaded, self._point - 1
        kept: dict[str, Tensor] = {}

        def reduce(heads: Heads) -> None:
            if layer >= 0 and self._reader.layer_of(heads.site) == layer:
                kept.update(self._kept(heads))

        pixels = normalise(fitted, loaded.mean, loaded.std)
        batch = torch.from_numpy(pixels)[None].to(loaded.device, getattr(torch, loaded.dtype))
        wants_sums = self._probe is not None and self._probe.kind == "next_qk"
        with torch.no_grad(), capture(loaded.module, self._reader.sites, reduce=reduce):
            streams = self._reader.read(batch, with_queries=wants_sums)
        stream = streams.points[self._point][0].float()
        self._check(stream)
        wanted = self._chosen.features
        features = kept.get("keys") if wanted.startswith("keys") else stream
        if features is None:
            raise ValueError(
                f"the keys of layer L{layer} of {loaded.label} cannot be had; choose the residual "
                "stream"
            )
        self._check(features)
        if wanted.endswith("_centred"):
            features = features - features.mean(0)
        attention, no_cls = self._cls(kept)
        chances, no_probe = self._chances(streams.queries if wants_sums else streams.points)
        return PictureTokens(
            grid=self._reader.layout.grid,
            features=features.cpu().numpy(),
            attention=attention,
            chances=chances,
            no_cls=no_cls,
            no_probe=no_probe,
        )

    def _check(self, values: Tensor) -> None:
        if not bool(values.isfinite().all()):
            raise ValueError(
                f"expected finite features of {self._reader.loaded.label}, got NaN or infinity at "
                f"point {self._point}; choose another point, or use dtype float32"
            )

    def _kept(self, heads: Heads) -> dict[str, Tensor]:
        """Keys of patches, heads side by side, and the cls token's row, of the first picture."""
        prefix = self._reader.layout.prefix
        found = {}
        if heads.key is not None:
            key = heads.key[0, 0, :, len(prefix) :].float()  # heads patches w
            found["keys"] = key.transpose(0, 1).flatten(1)  # patches (heads w)
        if CLS in prefix:
            rows = heads.attention()[0, 0, :, prefix.index(CLS), len(prefix) :]
            found["cls"] = rows.float()  # heads patches
        return found

    def _cls(self, kept: dict[str, Tensor]) -> tuple[np.ndarray | None, str]:
        if CLS not in self._reader.layout.prefix:
            return None, "this model has no cls token"
        if self._point == 0:
            return None, "point 0 is the embedding: no layer has attended yet"
        if CLS not in kept:
            return None, f"layer L{self._point - 1} has no plain attention over all tokens"
        return kept[CLS].cpu().numpy(), ""

    def _chances(self, taken: list) -> tuple[np.ndarray | None, str]:
        """P(same object) of every patch with every other, made symmetric later."""
        import torch

        probe = self._probe
        if probe is None:
            return None, "no probe is fitted yet"
        tokens = taken[self._point] if self._point < len(taken) else None
        if tokens is None or not bool(torch.isfinite(probe.tensors["bias"][self._point])):
            return None, f"the {probe.kind} probe has no numbers at point {self._point}"
        read = probe.read(tokens[0].float().cpu(), self._point)
        return torch.sigmoid(probe.logits(read, read, self._point)).float().numpy(), ""
