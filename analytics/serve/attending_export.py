"""The attention of every head beside a probe as files: a figure, a table, a JSON record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, table_bytes
from analytics.metrics.head_link import LINK_MEASURES
from analytics.serve.binding_export import FIGURES, MEASURE_TITLES, MIMETYPES
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    from analytics.serve.attending_work import HeldLink
    from analytics.views.attending import AttendingFigure

DEFAULT = "auc_matched"
TOP = 10

CLAIM = (
    "Correlation is not use: that attention goes where a probe, or the truth, says 'same object' "
    "does not show that the model uses the head for it. Near patches belong together and attract "
    "attention: read the measures at equal distance first."
)


@dataclass(frozen=True)
class LinkTitle:
    """A measure in words; `chance` is None where it has none that is fixed."""

    title: str
    axis: str
    definition: str
    source: str = ""
    signed: bool = False
    chance: float | None = None


_SCORE = "the log odds that the probe gives the pair on the layer's input"
_TRUTH = "whether the pair lies in the same object (1 or 0)"
_PAPER = "Li et al. 2025, arXiv 2510.24709"


def _correlations(name: str, other: str, words: str) -> dict[str, LinkTitle]:
    """The three correlations with a yardstick."""
    attention = "a pair's attention (mean of both directions)"
    return {
        f"{name}_pearson": LinkTitle(
            f"correlation with {words}",
            "Pearson correlation",
            f"r = cov(a, s) / (sd(a) sd(s)) over pairs of patches: a is {attention}, s {other}.",
            _PAPER,
            True,
        ),
        f"{name}_rank": LinkTitle(
            f"rank correlation with {words}",
            "Spearman correlation",
            f"Pearson's r of the ranks of a, {attention}, and of s, {other}: the shape of the "
            "distribution of attention plays no part.",
            _PAPER,
            True,
        ),
        f"{name}_within": LinkTitle(
            f"correlation with {words}, at equal distance",
            "Pearson correlation at equal distance",
            "Pearson's r after the mean of all pairs of the same distance is taken from a and "
            f"from s: what distance alone explains is gone. a is {attention}, s {other}.",
            "Ours.",
            True,
        ),
    }


LINK_TITLES: dict[str, LinkTitle] = {
    **_correlations("score", _SCORE, "the probe's score"),
    **_correlations("truth", _TRUTH, "the truth"),
    **{
        name: LinkTitle(
            f"object heads, {MEASURE_TITLES[name]['title']}",
            MEASURE_TITLES[name]["title"],
            "Chance that a pair in one object gets more attention than a pair in two. "
            + MEASURE_TITLES[name]["definition"],
            "Adapted from retrieval heads (Wu et al. 2024); ours.",
            False,
            0.5,
        )
        for name in ("auc", "auc_matched", "auc_image_matched", "auc_colour_matched")
    },
    "top_share": LinkTitle(
        "most attended patch in the same object",
        "share of queries",
        "Of the patches in an object, the share whose most attended other patch lies in the same "
        "object. Chance draws that patch from all others; near chance from the up to eight around "
        "the query, as distance alone would have it.",
        "Adapted from retrieval heads (Wu et al. 2024); ours.",
    ),
}


def export_link(found: HeldLink, measure: str, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        found: the result.
        measure: what a figure shows; tables hold all.
        kind: svg, png, pdf, csv, parquet or json.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind or measure is unknown.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if measure not in LINK_TITLES:
        raise ValueError(f"expected a measure out of {', '.join(LINK_TITLES)}; got {measure!r}")
    name = f"attention-link-{found.scope}.{kind}"
    if kind in FIGURES:
        from analytics.views.attending import attending_chart
        from analytics.views.figure import render

        figure = link_figure(found, measure)
        about = json.dumps(sidecar(found), ensure_ascii=False)
        data = render(attending_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]
        return name, MIMETYPES[kind], data
    if kind == "json":
        return name, MIMETYPES[kind], json_bytes(sidecar(found))
    from analytics.studies.binding_heads import heads_table

    return name, MIMETYPES[kind], table_bytes(heads_table(found.link), kind)  # type: ignore[arg-type]


def link_figure(found: HeldLink, measure: str) -> AttendingFigure:
    """What the figure is drawn from."""
    from analytics.views.attending import AttendingFigure

    link, place, title = found.link, LINK_MEASURES.index(measure), LINK_TITLES[measure]
    share = measure == "top_share"
    return AttendingFigure(
        title=f"Attention and objects: {title.title}",
        axis=title.axis,
        values=link.values[place, :, :, 0],
        mean=link.mean[place, :, 0],
        probe=link.probe[place, :, 0],
        signed=title.signed,
        chance=float(link.chance[0]) if share else title.chance,
        caption=caption(found, measure),
    )


def caption(found: HeldLink, measure: str) -> tuple[str, ...]:
    """What the figure shows, on what it was measured, and what it does not say."""
    link, title = found.link, LINK_TITLES[measure]
    made = link.provenance
    where = (
        f"{len(link.images)} made scenes that no probe was fitted on"
        if found.scope == "scenes"
        else f"one picture, {link.images[0][0]}: no interval"
    )
    chance = ""
    if measure == "top_share" and np.isfinite(link.chance).all():
        chance = f" Chance {link.chance[0]:.3f}, among the neighbours {link.chance[1]:.3f}."
    return (
        f"{title.title[0].upper()}{title.title[1:]}, layers from the top, heads from the left. "
        f"{title.definition}{chance}",
        f"{link.model_label}. {link.pairs} pairs of patches of {where}; the {link.row} probe, "
        f"fitted on {link.fitted_on}, reads the input of each layer.",
        *((_strongest(found, measure),) if link.ranked(measure) else ()),
        CLAIM,
        *((found.about,) if found.about else ()),
        *link.notes,
        f"Weights SHA-256 {made.weights_sha256[:12]}. Made with Attention Atlas "
        f"{made.versions.get('attention-atlas', '')}".strip()
        + ".",
    )


def _strongest(found: HeldLink, measure: str) -> str:
    """The ten largest heads in words."""
    link, place = found.link, LINK_MEASURES.index(measure)
    words = []
    for layer, head in link.ranked(measure)[:TOP]:
        value, low, high = link.values[place, layer, head].tolist()
        ends = f" ({low:.3f} to {high:.3f})" if np.isfinite(low) else ""
        words.append(f"L{layer} H{head} {value:.3f}{ends}")
    ends = "; 95 % intervals over pictures" if len(link.images) > 1 else ""
    return f"Strongest{ends}: {', '.join(words)}."


def sidecar(found: HeldLink) -> dict[str, Any]:
    """A result in plain values, with its provenance."""
    link = found.link
    return strict(
        {
            "attention_link": found.id,
            "scope": found.scope,
            "model": link.model_label,
            "heads": list(link.heads),
            "probe": link.row,
            "fitted_on": link.fitted_on,
            "objects_known": link.known,
            "images": [list(one) for one in link.images],
            "skipped": [list(one) for one in link.skipped],
            "pairs": link.pairs,
            "top_share_chance": link.chance.tolist(),
            "measures": {
                name: {
                    "heads": link.values[place].tolist(),
                    "mean_over_heads": link.mean[place].tolist(),
                    "probe": link.probe[place].tolist(),
                    "definition": LINK_TITLES[name].definition,
                }
                for place, name in enumerate(LINK_MEASURES)
            },
            "about": CLAIM,
            "notes": [*((found.about,) if found.about else ()), *link.notes],
            "provenance": json.loads(provenance_json(link.provenance)),
        }
    )
