"""Does a head's attention follow a probe, and the truth? Every head, with intervals over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.metrics.binding import AUCS, PairSet, resamples
from analytics.metrics.head_link import (
    LINK_MEASURES,
    chance_shares,
    compare_scores,
    pair_aucs,
    resampled_share,
    three_scores,
)
from analytics.store.provenance import make_provenance
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_link import LinkPairs, gather_link, pair_attention
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    import pandas as pd

    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

DRAWS = 200
"""Resampled sets of images behind an interval."""

AUC_ROWS = slice(LINK_MEASURES.index(AUCS[0]), LINK_MEASURES.index(AUCS[-1]) + 1)
SHARE_ROW = LINK_MEASURES.index("top_share")


@dataclass(frozen=True, eq=False)
class HeadLink:
    """Every head's attention beside a probe's score and the truth, on N images.

    `heads` counts those of each layer, 0 where it has no plain attention between patches. Each
    measure is value, low and high, in the order of `LINK_MEASURES`: `values` float32
    (measures, layers, heads, 3), NaN beyond a layer's own heads; `mean` (measures, layers, 3), of
    attention averaged over the heads of a layer; `probe` the same of the probe's score on the input
    of the layer against the truth (the AUCs and the correlations with the truth). `chance`, float
    (2,), is what `top_share` is by chance: a key drawn from all patches, or from those next to the
    query. Where no objects are known (`known` is False) only correlations with the score have
    numbers. `row` names the probe and `fitted_on` says what it learned from.
    """

    model_label: str
    caution: str
    grid: PatchGrid
    heads: tuple[int, ...]
    values: np.ndarray
    mean: np.ndarray
    probe: np.ndarray
    chance: np.ndarray
    images: tuple[tuple[str, str, str], ...]
    pairs: int
    known: bool
    row: str
    fitted_on: str
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.heads)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return int(self.values.nbytes + self.mean.nbytes + self.probe.nbytes) + 1000

    def ranked(self, measure: str) -> list[tuple[int, int]]:
        """Layer and head from the largest to the smallest value; those without one are left out.

        Raises:
            ValueError: no such measure.
        """
        if measure not in LINK_MEASURES:
            listed = ", ".join(LINK_MEASURES)
            raise ValueError(f"expected a measure out of {listed}; got {measure!r}")
        table = self.values[LINK_MEASURES.index(measure), :, :, 0]
        order = np.argsort(-table, axis=None, kind="stable")  # NaN comes last
        pairs = zip(*np.unravel_index(order, table.shape), strict=True)
        return [(int(a), int(b)) for a, b in pairs if np.isfinite(table[a, b])]


def measure_heads(
    loaded: LoadedModel,
    sources: Sequence[AnnotatedSource],
    probe: BindingProbe,
    chosen: BindingChoices,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
    row: str = "",
    fitted_on: str = "",
    known: bool = True,
) -> HeadLink:
    """Compare every head's attention with a probe's score on the layer's input and with the truth.

    A pair's attention is the mean of both directions. Pairs of all images are taken together;
    intervals are over images.

    Args:
        loaded: the model.
        sources: annotated images that the probe was not fitted on, at most `MOST_IMAGES`.
        probe: fitted on this model at all points.
        chosen: how patches are drawn, and the fit.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.
        row: name of the probe.
        fitted_on: what it was fitted on, in words.
        known: whether the instances are objects; if not, they only say which patches to take.

    Raises:
        ValueError: a probe of another model, layers without one grid, or no image with two
            patches in objects.
    """
    report = progress or (lambda done, total, message: None)
    found = survey_annotated(sources)
    link = gather_link(loaded, found, range(len(found.sources)), probe, chosen, report, sites)
    tables = compare_heads(link, known, report)
    images = tuple((found.names[i], found.sha256s[i], found.families[i]) for i in link.rows)
    return HeadLink(
        model_label=loaded.label,
        caution=loaded.caution,
        grid=link.layout.grid,
        **tables,
        images=images,
        pairs=len(link.pairs.flat),
        known=known,
        row=row,
        fitted_on=fitted_on,
        skipped=(*found.skipped, *link.skipped),
        notes=(),
        provenance=make_provenance(
            "",
            loaded.spec.public_id,
            loaded.weights_sha256,
            {name: sha256 for name, sha256, _ in images},
            {**chosen.plain(), "probe": row, "input_size": list(loaded.input_size)},
            device=loaded.device,
        ),
    )


def compare_heads(
    link: LinkPairs, known: bool = True, progress: Progress | None = None
) -> dict[str, Any]:
    """The tables of a `HeadLink` by their names: heads, values, mean, probe and chance.

    Args:
        link: attention and scores between drawn patches.
        known: whether the truth of its pairs is known.
        progress: called with (done, total, what is being done); may raise to cancel.

    Known answer: a head that attends within objects alone has an AUC and a share of 1, one that
    attends to all alike an AUC of .5 and no correlation (NaN).
    """
    report = progress or (lambda done, total, message: None)
    layers = len(link.scores)
    heads = tuple(len(link.attention[n]) - 1 if n in link.attention else 0 for n in range(layers))
    values = np.full((len(LINK_MEASURES), layers, max((*heads, 1)) + 1, 3), np.nan, np.float32)
    probed = np.full((len(LINK_MEASURES), layers, 3), np.nan, np.float32)
    scale = _Scale(link, known)
    for layer, attention in link.attention.items():
        report(layer, layers, f"comparing the heads of layer {layer + 1} of {layers}")
        for number, flat in enumerate(pair_attention(attention, link.pairs)):
            values[:, layer, number] = scale.measure(flat, layer, number)
        probed[:, layer] = scale.of_probe(layer)
    places, own = np.arange(layers), np.array(heads)
    return {
        "heads": heads,
        "values": _alone(values, heads),
        "mean": np.where(own[:, None] > 0, values[:, places, own], np.nan).astype(np.float32),
        "probe": probed,
        "chance": _chance(link, known),
    }


class _Scale:
    """What the heads of all layers are measured against."""

    def __init__(self, link: LinkPairs, known: bool) -> None:
        self._link, self._known = link, known
        self._pairs: PairSet = link.pairs
        self._counts = resamples(link.pairs.images, DRAWS, 0)
        self._truth = three_scores(link.pairs.truth, link.pairs)
        self._scores: dict[int, tuple[np.ndarray, ...]] = {}

    def measure(self, flat: np.ndarray, layer: int, number: int) -> np.ndarray:
        """All measures of a head's attention to the pairs, (measures, 3)."""
        if layer not in self._scores:
            score = self._pairs.scores(self._link.scores[layer])
            self._scores = {layer: three_scores(score, self._pairs)}
        own = three_scores(flat, self._pairs)
        result = self._against_truth(own, flat)
        result[:3] = compare_scores(own, self._scores[layer], self._pairs, self._counts)
        if self._known:
            shares, queries = self._link.hits[layer]
            result[SHARE_ROW] = resampled_share(shares[:, number], queries, self._counts)
        return result

    def of_probe(self, layer: int) -> np.ndarray:
        """Of the probe's own score on the input of a layer: how well it tells the truth."""
        score = self._pairs.scores(self._link.scores[layer])
        return self._against_truth(three_scores(score, self._pairs), score)

    def _against_truth(self, own: tuple[np.ndarray, ...], flat: np.ndarray) -> np.ndarray:
        result = np.full((len(LINK_MEASURES), 3), np.nan)
        if self._known:
            result[3:6] = compare_scores(own, self._truth, self._pairs, self._counts)
            result[AUC_ROWS] = pair_aucs(flat, self._pairs, DRAWS)
        return result


def _alone(values: np.ndarray, heads: Sequence[int]) -> np.ndarray:
    """Heads without the mean over them, which stands behind the last of each layer."""
    kept = values[:, :, : max((*heads, 1))].copy()
    for layer, count in enumerate(heads):
        kept[:, layer, count:] = np.nan
    return kept


def _chance(link: LinkPairs, known: bool) -> np.ndarray:
    """The shares of chance over the queries of all images."""
    found = [chance_shares(one) for one in link.objects]
    queries = np.array([count for _, count in found])
    if not known or not queries.sum():
        return np.full(2, np.nan)
    shares = np.nan_to_num(np.stack([share for share, _ in found]))
    return queries @ shares / queries.sum()


def heads_table(record: HeadLink) -> pd.DataFrame:
    """One line for each head, for the mean over heads and for the probe of each layer.

    Columns: layer, head (empty for the other two), of (head, mean over heads, probe), each of
    `LINK_MEASURES`, then low and high of each.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for layer, count in enumerate(record.heads):
        rows = [("head", head, record.values[:, layer, head]) for head in range(count)]
        rows += [("mean over heads", None, record.mean[:, layer])] if count else []  # type: ignore[list-item]
        rows += [("probe", None, record.probe[:, layer])]  # type: ignore[list-item]
        for of, head, cells in rows:
            line = {"layer": layer, "head": head, "of": of}
            line |= dict(zip(LINK_MEASURES, cells[:, 0].tolist(), strict=True))
            for place, end in ((1, "low"), (2, "high")):
                ends = zip(LINK_MEASURES, cells[:, place].tolist(), strict=True)
                line |= {f"{name}_{end}": value for name, value in ends}
            lines.append(line)
    frame = pd.DataFrame(lines)
    frame["head"] = frame["head"].astype("Int64")
    return frame
