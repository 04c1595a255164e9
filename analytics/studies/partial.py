"""The reason behind a head's importance: which part of its attention matrix it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from analytics.capture.leave_one_out import LeaveOneOut
from analytics.capture.recording import Captured, Heads
from analytics.metrics.importance import cosine_shift, probability_drop
from analytics.metrics.partial import MODES, Mode, prune_attention
from analytics.studies.reading import Reader, top_classes

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel


@dataclass(frozen=True)
class PartialPruning:
    """What each mode of partial pruning of one head does to one picture.

    `values` has, per mode in the order of `MODES`, the probability lost by the class that was
    predicted where there is a read-out, and otherwise the cls shift; `metric` says which.
    `before` and `after` are the most probable classes with the head and without it (mode
    "all"), None without a read-out.
    """

    layer: int
    head: int
    metric: str
    values: dict[str, float]
    before: tuple[tuple[str, float], ...] | None
    after: tuple[tuple[str, float], ...] | None


def partial_pruning(
    loaded: LoadedModel,
    sites: SiteMap,
    pixels: Tensor,
    layer: int,
    head: int,
    readout: ReadOut | None = None,
    before_softmax: bool = False,
) -> PartialPruning:
    """Take parts of one head's attention out, over the blocks cls / other tokens.

    Args:
        loaded: the model.
        sites: where it attends.
        pixels: one picture, (1, 3, height, width).
        layer: index of the layer.
        head: the head.
        readout: gives class probabilities.
        before_softmax: rows are scaled to sum 1 again, instead of losing what is taken out.

    Raises:
        ValueError: no such head, or a layer without a cls token or with attention that is not
            kept (windows, heads mixed after the softmax).

    Known answers: mode "none" gives 0 and "all" what zero ablation gives; in the last layer,
    read at the cls token, "patch-patch" gives 0.

    Reference: partial pruning as read off the system picture of Li et al. 2023 (2303.13731).
    """
    _check(sites, layer, head)
    reader = Reader(loaded, frozenset(), readout)
    tokens = "all" if reader.all_tokens else "cls"
    loo = LeaveOneOut(loaded.module, sites, tokens, reader.read_layer)  # type: ignore[arg-type]

    def keep(heads: Heads) -> Tensor | None:
        return heads.attention()[:, :, head] if heads.site.index == layer else None

    clean = reader.read(loo.start(pixels, keep), loo.read_output())
    values: dict[str, float] = {}
    after = None
    for mode in MODES:

        def filling(captured: Captured, head: int, mode: Mode = mode) -> Tensor:
            assert captured.value is not None
            attention = prune_attention(captured.reduced, mode, before_softmax=before_softmax)
            return attention.to(captured.value.dtype) @ captured.value[:, :, head]

        # Modes at the ends are exact: nothing changes, or zero ablation.
        outcome = loo.without(layer, [head], None if mode == "all" else filling)
        read = reader.read(outcome.features, outcome.read)
        if clean.probabilities is not None and read.probabilities is not None:
            best = clean.probabilities.argmax(1)
            change = probability_drop(clean.probabilities, read.probabilities, best)
        else:
            change = cosine_shift(clean.embedding, read.embedding)
        values[mode] = 0.0 if mode == "none" else float(change[0])
        after = read.probabilities if mode == "all" else after
    return PartialPruning(
        layer,
        head,
        "cls_shift" if readout is None else "probability_drop",
        values,
        top_classes(clean.probabilities, readout) or None,
        top_classes(after, readout) or None,
    )


def _check(sites: SiteMap, layer: int, head: int) -> None:
    if not (0 <= layer < len(sites.sites) and 0 <= head < sites.sites[layer].num_heads):
        raise ValueError(
            f"expected layers 0 to {len(sites.sites) - 1} with their heads; got L{layer} H{head}"
        )
    site = sites.sites[layer]
    has_cls = site.query_layout is not None and site.query_layout.prefix[:1] == ("cls",)
    if site.num_windows > 1 or not has_cls:
        raise ValueError(
            f"partial pruning takes out parts of the attention between cls and the other tokens; "
            f"{site.label} has no cls token. Look at the whole head instead"
        )
    if site.kind != "fused":
        raise ValueError(
            f"partial pruning needs the values that {site.label} attends with, and its attention "
            "is not a fused call. Look at the whole head instead"
        )
