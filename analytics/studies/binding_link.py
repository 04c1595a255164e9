"""Does attention follow what a probe says, and what is true? Head by head on test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import normalise
from analytics.metrics.binding import pair_set
from analytics.metrics.binding_attention import correlations, object_head_auc, top_key_share
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_images import AnnotatedSet, draw_patches
from analytics.studies.binding_record import LINKS

if TYPE_CHECKING:
    from analytics.capture.recording import Heads
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

MOST_IMAGES = 48
BATCH = 4


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

    A pair's attention is the mean of both directions; its score is the probe's on the input of
    the layer. Pairs of all images are taken together.

    Args:
        loaded: the model.
        found: annotated images.
        rows: the images to look at, at most `MOST_IMAGES`; take images that the probe was not
            fitted on.
        probe: fitted at all points.
        chosen: how patches are drawn.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Returns:
        Each of `LINKS` as float32 (layers, heads + 1), the mean over heads last; NaN for a layer
        without plain attention between patches. `top_share` is over all patches of the images.
    """
    report = progress or (lambda done, total, message: None)
    gathered = _Gathered(loaded, probe, sites)
    rows = list(rows)[:MOST_IMAGES]
    for first in range(0, len(rows), BATCH):
        report(first, len(rows), f"attention of {first} of {len(rows)} pictures")
        some = rows[first : first + BATCH]
        drawn = []
        for row in some:
            image = found.sources[row].load()
            size, grid = loaded.input_size, gathered.layout.grid
            drawn.append(draw_patches(image, found.sha256s[row], size, grid, chosen))
        gathered.add(
            np.stack([normalise(one.fitted, loaded.mean, loaded.std) for one in drawn]),
            np.stack([one.patches for one in drawn]),
            np.stack([one.objects for one in drawn]),
            np.stack([one.whole for one in drawn]),
        )
    report(len(rows), len(rows), "correlating attention with the probe")
    return gathered.tables()


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
        self._objects: list[np.ndarray] = []
        self._patches: list[np.ndarray] = []

    def add(
        self, pixels: np.ndarray, patches: np.ndarray, objects: np.ndarray, whole: np.ndarray
    ) -> None:
        """Run a batch of pictures."""
        import torch

        from analytics.capture.recording import capture

        taken = np.maximum(patches, 0)
        attention: dict[int, np.ndarray] = {}

        def reduce(heads: Heads) -> None:
            layer = self._reader.layer_of(heads.site)
            if layer is not None:
                start = len(self.layout.prefix)
                full = heads.attention()[:, 0, :, start:, start:].cpu().numpy()  # b heads q k
                attention[layer] = self._look(layer, full, taken, whole)

        batch = torch.from_numpy(pixels).to(self._loaded.device)
        batch = batch.to(getattr(torch, self._loaded.dtype))
        with torch.no_grad(), capture(self._loaded.module, self._reader.sites, reduce=reduce):
            streams = self._reader.read(batch, with_queries=self._probe.kind == "next_qk")
        self._attention.append(attention)
        self._scores.append(self._score(streams.points, streams.queries, taken))
        self._objects.append(objects)
        self._patches.append(patches)

    def _look(
        self, layer: int, full: np.ndarray, taken: np.ndarray, whole: np.ndarray
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

    def tables(self) -> dict[str, np.ndarray]:
        """All links, head by head."""
        objects, patches = np.concatenate(self._objects), np.concatenate(self._patches)
        places = np.stack(np.divmod(patches, self.layout.grid.columns), axis=-1)
        pairs = pair_set(objects, places)
        scores = np.concatenate(self._scores, axis=1)
        heads = max((len(one) for batch in self._attention for one in batch.values()), default=1)
        result = {n: np.full((self._reader.layers, heads), np.nan, np.float32) for n in LINKS}
        for layer in self._hits:
            attention = np.concatenate([one[layer] for one in self._attention], axis=1)
            own = slice(0, len(attention))
            both = (attention + attention.swapaxes(-1, -2)) / 2
            flat = np.stack([pairs.scores(one) for one in both])
            for name, other in (("score", pairs.scores(scores[layer])), ("truth", pairs.truth)):
                pearson, rank = correlations(flat, other)
                result[f"{name}_pearson"][layer, own] = pearson
                result[f"{name}_rank"][layer, own] = rank
            result["auc"][layer, own] = object_head_auc(attention, pairs)
            shares, counts = zip(*self._hits[layer], strict=True)
            result["top_share"][layer, own] = _weighted(np.stack(shares), np.array(counts))
        return result


def _weighted(shares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over images, weighted by their queries."""
    if not counts.sum():
        return np.full(shares.shape[1], np.nan)
    return np.nansum(shares * counts[:, None], axis=0) / counts.sum()
