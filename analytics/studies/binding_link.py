"""Does attention follow what a probe says, and what is true? Head by head on test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import normalise
from analytics.metrics.binding import PairSet, pair_set
from analytics.metrics.binding_attention import correlations, object_head_auc, top_key_share
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_images import AnnotatedSet, DrawnPatches, draw_patches
from analytics.studies.binding_record import LINKS
from analytics.types import TokenLayout

if TYPE_CHECKING:
    from analytics.capture.recording import Heads
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

MOST_IMAGES = 48
BATCH = 4


@dataclass(frozen=True, eq=False)
class LinkPairs:
    """Attention of every head, and a probe's score, between the drawn patches of N images.

    `attention` maps a layer with plain attention between patches to float32
    (heads + 1, N, n, n), the mean over heads last; `scores` is float32 (layers, N, n, n), log odds
    on the input of each layer, NaN where there is no score. `hits` maps a layer to the share of
    each image's queries whose most attended other patch lies in the same object, float64
    (N, heads + 1), and the number of queries, int64 (N,). `objects` is int32
    (N, rows, columns), 0 for none. `rows` are the images, and `skipped` the name and the reason of
    those that could not be taken.
    """

    layout: TokenLayout
    pairs: PairSet
    attention: dict[int, np.ndarray]
    scores: np.ndarray
    hits: dict[int, tuple[np.ndarray, np.ndarray]]
    objects: np.ndarray
    rows: tuple[int, ...]
    skipped: tuple[tuple[str, str], ...]


def attention_link(
    loaded: LoadedModel,
    found: AnnotatedSet,
    rows: Sequence[int],
    probe: BindingProbe,
    chosen: BindingChoices,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> dict[str, np.ndarray]:
    """Correlate attention between the drawn patches with a probe's score and with the truth.

    Pairs of all images are taken together. Arguments are those of `gather_link`.

    Returns:
        Each of `LINKS` as float32 (layers, heads + 1), the mean over heads last; NaN for a layer
        without plain attention between patches. `top_share` is over all patches of the images.
    """
    report = progress or (lambda done, total, message: None)
    link = gather_link(loaded, found, rows, probe, chosen, report, sites)
    report(len(link.rows), len(link.rows), "correlating attention with the probe")
    heads = max((len(one) for one in link.attention.values()), default=1)
    result = {n: np.full((len(link.scores), heads), np.nan, np.float32) for n in LINKS}
    for layer, attention in link.attention.items():
        own = slice(0, len(attention))
        flat = pair_attention(attention, link.pairs)
        others = {"score": link.pairs.scores(link.scores[layer]), "truth": link.pairs.truth}
        for name, other in others.items():
            pearson, rank = correlations(flat, other)
            result[f"{name}_pearson"][layer, own] = pearson
            result[f"{name}_rank"][layer, own] = rank
        result["auc"][layer, own] = object_head_auc(attention, link.pairs)
        result["top_share"][layer, own] = _weighted(*link.hits[layer])
    return result


def pair_attention(attention: np.ndarray, pairs: PairSet) -> np.ndarray:
    """A pair's attention, the mean of both directions, (heads, M), out of (heads, N, n, n)."""
    both = (attention + attention.swapaxes(-1, -2)) / 2
    return np.stack([pairs.scores(one) for one in both])


def gather_link(
    loaded: LoadedModel,
    found: AnnotatedSet,
    rows: Sequence[int],
    probe: BindingProbe,
    chosen: BindingChoices,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> LinkPairs:
    """Run the model over images and keep attention and scores between their drawn patches.

    A pair's score is the probe's on the input of the layer.

    Args:
        loaded: the model.
        found: annotated images.
        rows: the images to look at, at most `MOST_IMAGES`; take images that the probe was not
            fitted on.
        probe: fitted at all points.
        chosen: how patches are drawn.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: a probe of another model, layers without one grid, or no image with two
            patches in objects.
    """
    report = progress or (lambda done, total, message: None)
    gathered = _Gathered(loaded, probe, sites)
    drawn: list[DrawnPatches] = []
    taken: list[int] = []
    skipped: list[tuple[str, str]] = []
    for row in list(rows)[:MOST_IMAGES]:
        image, size, grid = found.sources[row].load(), loaded.input_size, gathered.layout.grid
        try:
            drawn.append(draw_patches(image, found.sha256s[row], size, grid, chosen))
            taken.append(row)
        except ValueError as error:
            skipped.append((found.names[row], str(error)))
    if not taken:
        raise ValueError(f"expected a picture with objects, got none: {skipped[0][1]}")
    for first in range(0, len(drawn), BATCH):
        report(first, len(drawn), f"attention of {first} of {len(drawn)} pictures")
        gathered.add(drawn[first : first + BATCH])
    return gathered.joined(tuple(taken), tuple(skipped))


class _Gathered:
    """Attention and scores between the drawn patches of the images so far."""

    def __init__(self, loaded: LoadedModel, probe: BindingProbe, sites: SiteMap | None) -> None:
        from analytics.studies.binding_features import StreamReader

        self._loaded, self._probe = loaded, probe
        self._reader = StreamReader(loaded, sites)
        self.layout = self._reader.layout
        self._attention: list[dict[int, np.ndarray]] = []  # per batch: layer -> heads b n n
        self._scores: list[np.ndarray] = []  # per batch: layers b n n
        self._hits: dict[int, list[tuple[np.ndarray, int]]] = {}
        self._drawn: list[DrawnPatches] = []
        if probe.points != self._reader.layers + 1:
            raise ValueError(
                f"expected a probe with {self._reader.layers + 1} points for {loaded.label}, got "
                f"one with {probe.points}; fit probes on this model"
            )

    def add(self, drawn: Sequence[DrawnPatches]) -> None:
        """Run a batch of pictures."""
        import torch

        from analytics.capture.recording import capture

        loaded = self._loaded
        pixels = np.stack([normalise(one.fitted, loaded.mean, loaded.std) for one in drawn])
        taken = np.maximum(np.stack([one.patches for one in drawn]), 0)
        whole = [one.whole for one in drawn]
        attention: dict[int, np.ndarray] = {}

        def reduce(heads: Heads) -> None:
            layer = self._reader.layer_of(heads.site)
            if layer is not None:
                start = len(self.layout.prefix)
                full = heads.attention()[:, 0, :, start:, start:].cpu().numpy()  # b heads q k
                attention[layer] = self._look(layer, full, taken, whole)

        batch = torch.from_numpy(pixels).to(loaded.device, getattr(torch, loaded.dtype))
        with torch.no_grad(), capture(loaded.module, self._reader.sites, reduce=reduce):
            streams = self._reader.read(batch, with_queries=self._probe.kind == "next_qk")
        self._attention.append(attention)
        self._scores.append(self._score(streams.points, streams.queries, taken))
        self._drawn += [one._replace(fitted=one.fitted[:0]) for one in drawn]

    def _look(
        self, layer: int, full: np.ndarray, taken: np.ndarray, whole: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Attention between the drawn patches, (heads + 1, b, n, n), the mean over heads last."""
        full = np.concatenate([full, full.mean(1, keepdims=True)], axis=1)
        for one, objects in zip(full, whole, strict=True):
            self._hits.setdefault(layer, []).append(top_key_share(one, objects))
        picked = [one[:, rows[:, None], rows] for one, rows in zip(full, taken, strict=True)]
        return np.stack(picked, axis=1).astype(np.float32)

    def _score(self, points: list, queries: list, taken: np.ndarray) -> np.ndarray:
        """The probe's log odds between the drawn patches on the input of each layer."""
        import torch

        index = torch.from_numpy(taken).to(points[0].device).long()[..., None]
        found = []
        for layer in range(self._reader.layers):
            tokens = queries[layer] if self._probe.kind == "next_qk" else points[layer]
            if tokens is None:
                found.append(np.full((len(taken), *taken.shape[1:] * 2), np.nan, np.float32))
                continue
            features = tokens.gather(1, index.expand(-1, -1, tokens.shape[-1])).cpu()
            read = self._probe.read(features, layer)
            found.append(self._probe.logits(read, read, layer).numpy())
        return np.stack(found)

    def joined(self, rows: tuple[int, ...], skipped: tuple[tuple[str, str], ...]) -> LinkPairs:
        """All batches as one."""
        objects = np.stack([one.objects for one in self._drawn])
        patches = np.stack([one.patches for one in self._drawn])
        places = np.stack(np.divmod(patches, self.layout.grid.columns), axis=-1)
        colours = np.stack([one.pixels[:, :3] for one in self._drawn])
        hits = {}
        for layer, found in self._hits.items():
            shares, counts = zip(*found, strict=True)
            hits[layer] = (np.stack(shares), np.array(counts))
        return LinkPairs(
            layout=self.layout,
            pairs=pair_set(objects, places, colours),
            attention={
                layer: np.concatenate([one[layer] for one in self._attention], axis=1)
                for layer in sorted(self._hits)
            },
            scores=np.concatenate(self._scores, axis=1),
            hits=hits,
            objects=np.stack([one.whole for one in self._drawn]),
            rows=rows,
            skipped=skipped,
        )


def _weighted(shares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over images, weighted by their queries."""
    if not counts.sum():
        return np.full(shares.shape[1], np.nan)
    return np.nansum(shares * counts[:, None], axis=0) / counts.sum()
