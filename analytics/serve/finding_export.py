"""Object discovery as files: figures with captions, masks as labels, tables, arrays."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes, table_bytes
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json
from analytics.studies.discovery import mask_labels
from analytics.studies.discovery_methods import MEASURES, METHODS, SOURCES
from analytics.views.finding import INKS, TRUTH, FindingFigure, FindingPanel

if TYPE_CHECKING:
    import pandas as pd

    from analytics.serve.finding_work import HeldFinding
    from analytics.studies.discovery import FoundMasks

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "labels": "image/png",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/octet-stream",
    "json": "application/json",
}
FIGURES = ("svg", "png", "pdf")
CLAIM = (
    "A mask says what is alike, or attended to, by one rule; it does not show that the model holds "
    "it to be an object, nor that the model uses it. Scores are taken on patches, so a mask cannot "
    "be finer than they are."
)


def export_finding(
    found: HeldFinding, kind: str, method: str, number: int | None
) -> tuple[str, str, bytes]:
    """One download of a picture's masks.

    Args:
        found: the masks.
        kind: a key of `MIMETYPES`; `labels` is a PNG of 16 bits in the model's input size with
            the number of each pixel's mask.
        method: whose masks `labels` holds, or `truth`; figures and tables hold all.
        number: one mask of the method, from 0; None for all. Where masks overlap the best one
            is taken.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: an unknown kind, method or mask.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    about = sidecar(found)
    text = json.dumps(about, ensure_ascii=False)
    name = f"discovery.{kind}"
    if kind in FIGURES:
        from analytics.views.figure import render
        from analytics.views.finding import finding_chart

        figure = finding_figure(found)
        data = render(finding_chart(figure), kind, figure.title, text)  # type: ignore[arg-type]
    elif kind == "labels":
        data, name = labels_png(found, method, number), f"discovery-{method}.png"
    elif kind == "npz":
        data = npz_bytes(_arrays(found), text)
    elif kind == "json":
        data = json_bytes(about)
    else:
        data = table_bytes(scores_table(found), kind)  # type: ignore[arg-type]
    return name, MIMETYPES[kind], data


def labels_png(found: HeldFinding, method: str, number: int | None = None) -> bytes:
    """Masks as numbers of pixels at the model's input, PNG of 16 bits: 1 the first, 0 none."""
    from PIL import Image

    labels = shown_labels(found, method, number)
    height, width = found.placement.height, found.placement.width
    rows = np.arange(height) * labels.shape[0] // height
    columns = np.arange(width) * labels.shape[1] // width
    large = labels[rows[:, None], columns].astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(large)).save(buffer, "PNG")
    return buffer.getvalue()


def shown_labels(found: HeldFinding, method: str, number: int | None = None) -> np.ndarray:
    """Number of each patch's mask, int32 (rows, columns), 0 for none; for `truth` the object.

    Raises:
        ValueError: an unknown method or mask, or objects that nobody has marked.
    """
    if method == "truth":
        if found.discovery.objects is None:
            raise ValueError(f"expected a method, got 'truth': {found.discovery.unscored}")
        return np.maximum(found.discovery.objects, 0)
    one = _of(found, method)
    if number is None and METHODS[method].apart:
        return one.labels
    number = one.best if number is None else number
    if number < 0 and not len(one.masks):
        return one.labels
    if not 0 <= number < len(one.masks):
        raise ValueError(f"expected a mask of 0 to {len(one.masks) - 1} of {method}, got {number}")
    return mask_labels(one.masks[number : number + 1])


def _of(found: HeldFinding, method: str) -> FoundMasks:
    for one in found.discovery.found:
        if one.method == method:
            return one
    raise ValueError(f"expected a method out of {', '.join(METHODS)} or truth; got {method!r}")


def finding_figure(found: HeldFinding) -> FindingFigure:
    """What the figure of a picture is drawn from: the truth, then every method that ran."""
    panels = []
    if found.discovery.objects is not None:
        truth = shown_labels(found, "truth")
        count = len(np.unique(truth[truth > 0]))
        words = f"{count} object{'' if count == 1 else 's'}"
        panels.append(FindingPanel("truth", words, truth, TRUTH))
    for one in found.discovery.found:
        if not one.absent:
            labels = shown_labels(found, one.method)
            title = METHODS[one.method].title
            panels.append(FindingPanel(title, score_words(one), labels, INKS[one.method]))
    return FindingFigure(
        title=f"Objects without being told: {found.model_label}",
        picture=found.picture,
        placement=found.placement,
        panels=tuple(panels),
        caption=_caption(found),
    )


def score_words(one: FoundMasks) -> str:
    """The scores of a method in few words: `IoU .62, box yes, ARI .40`, or `not marked`."""
    iou, ari = one.scores["best_iou"], one.scores["fg_ari"]
    if not np.isfinite(iou):
        return "not marked"
    words = f"IoU {iou:.2f}, box {'yes' if one.scores['correct'] else 'no'}"
    return words + (f", ARI {ari:.2f}" if np.isfinite(ari) else "")


def _caption(found: HeldFinding) -> tuple[str, ...]:
    one, made = found.discovery, found.provenance
    chosen = one.choices
    where = "the embedding" if chosen.point == 0 else f"the end of layer L{(chosen.point or 1) - 1}"
    scored = "IoU: the best mask with the best object; box: CorLoc; ARI: FG-ARI; all on patches."
    probe = f" The {found.row} probe was fitted on {found.fitted_on}." if found.row else ""
    absent = [f"{METHODS[m.method].title}: {m.absent}." for m in one.found if m.absent]
    return (
        f"{found.picture.name}; LOST, TokenCut and MaskCut on {SOURCES[chosen.features][0]} at "
        f"{where} (point {chosen.point}), {one.grid.rows} x {one.grid.columns} patches."
        f"{probe}",
        f"No scores: {one.unscored}." if one.unscored else scored,
        *absent,
        CLAIM,
        f"Weights SHA-256 {made.weights_sha256[:12]}. Made with Attention Atlas "
        f"{made.versions.get('attention-atlas', '')}".strip()
        + ".",
    )


def scores_table(found: HeldFinding) -> pd.DataFrame:
    """One line a method: scores, patches covered, and why it could not run."""
    import pandas as pd

    lines = []
    for one in found.discovery.found:
        covered = int(one.masks.any(0).sum()) if len(one.masks) else 0
        line: dict[str, Any] = {"method": one.method, **one.scores, "patches": covered}
        lines.append({**line, "absent": one.absent, "note": one.note})
    return pd.DataFrame(lines)


def _arrays(found: HeldFinding) -> dict[str, np.ndarray]:
    one = found.discovery
    arrays = {f"masks_{each.method}": each.masks for each in one.found}
    arrays["coherence"] = one.coherence
    if one.objects is not None and found.mask is not None:
        arrays |= {"objects": one.objects, "instances": found.mask}
    return arrays


def sidecar(found: HeldFinding) -> dict[str, Any]:
    """Scores and provenance in plain values."""
    one = found.discovery
    return strict(
        {
            "discovery": found.id,
            "model": found.model_label,
            "picture": found.picture.name,
            "scene": found.scene,
            "features": one.choices.features,
            "point": one.choices.point,
            "groups": one.choices.groups,
            "grid_size": [one.grid.rows, one.grid.columns],
            "probe": found.row,
            "fitted_on": found.fitted_on,
            "unscored": one.unscored,
            "methods": {
                each.method: {
                    "title": METHODS[each.method].title,
                    "definition": METHODS[each.method].definition,
                    "reference": METHODS[each.method].reference,
                    "scores": each.scores,
                    "iou_of_each_mask": each.ious.tolist(),
                    "absent": each.absent,
                    "note": each.note,
                }
                for each in one.found
            },
            "measures": {name: words for name, (_, words) in MEASURES.items()},
            "about": CLAIM,
            "provenance": json.loads(provenance_json(found.provenance)),
        }
    )
