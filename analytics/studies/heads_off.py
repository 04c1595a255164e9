"""The what-if of the lens: heads switched off, and what that changes at the model's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.capture.recording import Gates
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel

Pairs = Sequence[tuple[int, int]]
"""(layer, head) pairs; layers as the lens numbers them, those that can be drawn."""


@dataclass(frozen=True)
class HeadsOff:
    """What changes in the model's output when heads are switched off (their output is zero).

    `cls_shift` is 1 - cosine of the cls token after the final norm (of the mean of the patch
    tokens where there is no cls), `patch_shift` 1 - mean cosine of the patch tokens. `before`
    and `after` are the most probable classes and their probabilities, where the model or a
    read-out names classes.
    """

    heads: tuple[tuple[int, int], ...]
    cls_shift: float
    patch_shift: float
    before: tuple[tuple[str, float], ...] = ()
    after: tuple[tuple[str, float], ...] = ()


def gates_of(sites: SiteMap, off: Pairs) -> Gates | None:
    """Gates that switch heads off, None where there are none.

    Raises:
        ValueError: no such layer or head.
    """
    from analytics.capture.recording import switch_off

    if not off:
        return None
    placed = sites.placed
    for layer, head in off:
        if not (0 <= layer < len(placed) and 0 <= head < placed[layer].num_heads):
            raise ValueError(
                f"expected heads of layers 0 to {len(placed) - 1} to switch off; "
                f"got layer {layer} head {head}"
            )
    return switch_off(sites, [(placed[layer].index, head) for layer, head in off])


def effect_of(
    loaded: LoadedModel,
    sites: SiteMap,
    batch: Tensor,
    gates: Gates | None,
    off: Pairs,
    readout: ReadOut | None,
) -> HeadsOff:
    """Run the model with all heads and without some, and compare what is read at its end."""
    import torch

    from analytics.capture.recording import capture
    from analytics.metrics.importance import cosine_shift, mean_cosine_shift
    from analytics.studies.reading import Reader, available, top_classes
    from analytics.studies.slopes import forward_with_read

    needs = frozenset({"tokens"}) | (available(loaded, readout) & {"classes"})
    reader = Reader(loaded, needs, readout)  # type: ignore[arg-type]
    with torch.no_grad():
        before = reader.read(*forward_with_read(loaded.module, batch, reader.read_layer))
        with capture(loaded.module, sites, gates=gates):
            after = reader.read(*forward_with_read(loaded.module, batch, reader.read_layer))
    assert before.patches is not None and after.patches is not None
    return HeadsOff(
        tuple(sorted(off)),
        float(cosine_shift(before.embedding, after.embedding)),
        float(mean_cosine_shift(before.patches, after.patches)),
        top_classes(before.probabilities, readout),
        top_classes(after.probabilities, readout),
    )
