"""Object discovery over made scenes as files: means with intervals as figures and tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from analytics.io.export import json_bytes, npz_bytes, table_bytes
from analytics.serve.finding_export import FIGURES, MIMETYPES
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json
from analytics.studies.discovery_methods import MEASURES, SOURCES
from analytics.studies.discovery_record import LEVEL, discovery_table
from analytics.views.finding import INKS, MeansFigure

if TYPE_CHECKING:
    from analytics.studies.discovery_record import DiscoverySet

SCENES_CLAIM = (
    "Made scenes are no photographs: their objects are told apart by colour and texture alone, "
    "which random weights keep. Compare each method with random weights and with the boxes. "
    "Methods with several masks have more chances, and the best head is chosen with the truth."
)


def export_scenes(
    found: DiscoverySet, kind: str, measure: str, family: str
) -> tuple[str, str, bytes]:
    """One download of the scores over scenes.

    Args:
        found: the scores.
        kind: a key of `MIMETYPES` but `labels`.
        measure: what a figure shows; tables hold all.
        family: likewise, `all` or a family.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: an unknown kind, measure or family.
    """
    allowed = [one for one in MIMETYPES if one != "labels"]
    for word, given, known in (
        ("an export", kind, allowed),
        ("a measure", measure, list(MEASURES)),
        ("a family", family, list(found.family_names)),
    ):
        if given not in known:
            raise ValueError(f"expected {word} out of {', '.join(known)}; got {given!r}")
    about = scenes_sidecar(found)
    text = json.dumps(about, ensure_ascii=False)
    if kind in FIGURES:
        from analytics.views.figure import render
        from analytics.views.finding import means_chart

        figure = means_figure(found, measure, family)
        data = render(means_chart(figure), kind, figure.title, text)  # type: ignore[arg-type]
    elif kind == "json":
        data = json_bytes(about)
    elif kind == "npz":
        data = npz_bytes({"values": found.values, "means": found.means()}, text)
    else:
        data = table_bytes(discovery_table(found), kind)  # type: ignore[arg-type]
    return f"discovery-scenes.{kind}", MIMETYPES[kind], data


def means_figure(found: DiscoverySet, measure: str, family: str) -> MeansFigure:
    """What the figure of the means is drawn from."""
    at, column = found.family_names.index(family), list(MEASURES).index(measure)
    ends = found.means()[at, :, column]  # rows, 4
    title, words = MEASURES[measure]
    shown = "all families" if family == "all" else f"family {family}"
    return MeansFigure(
        title=f"Object discovery on made scenes: {found.model_label}",
        axis=title,
        rows=tuple(row.title for row in found.rows),
        inks=tuple(INKS[row.method] for row in found.rows),
        controls=tuple(row.kind == "control" for row in found.rows),
        ends=ends[:, :3],
        caption=(
            f"{int(ends[:, 3].max())} made scenes, {shown}; {SOURCES[found.features][0]} at point "
            f"{found.point}. Bars: {100 * LEVEL:.0f} % bootstrap intervals over scenes.",
            words,
            SCENES_CLAIM,
            f"Weights SHA-256 {found.provenance.weights_sha256[:12]}.",
        ),
    )


def scenes_sidecar(found: DiscoverySet) -> dict[str, Any]:
    """Means and provenance in plain values."""
    means = found.means()
    return strict(
        {
            "discovery": found.id,
            "model": found.model_label,
            "features": found.features,
            "point": found.point,
            "groups": found.groups,
            "probe": found.probe,
            "pictures": found.done,
            "wanted": found.wanted,
            "families": {
                family: {
                    row.name: {
                        name: dict(
                            zip(("mean", "low", "high", "n"), means[i, j, k].tolist(), strict=True)
                        )
                        for k, name in enumerate(MEASURES)
                    }
                    for j, row in enumerate(found.rows)
                }
                for i, family in enumerate(found.family_names)
            },
            "absent": dict(found.absent),
            "skipped": [list(one) for one in found.skipped],
            "measures": {name: words for name, (_, words) in MEASURES.items()},
            "about": SCENES_CLAIM,
            "provenance": json.loads(provenance_json(found.provenance)),
        }
    )
