"""One picture before and after an edit as files: three maps with a caption, arrays, a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    from analytics.serve.ablation_work import EditedPicture

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "json": "application/json",
    "npz": "application/octet-stream",
}
FIGURES = ("svg", "png", "pdf")


def export_edited(found: EditedPicture, query: int, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        found: the picture with its two maps.
        query: the patch that is asked about, row-major.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: no such kind or patch.
    """
    from analytics.io.export import json_bytes, npz_bytes

    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    before, after = found.before.same.row(query), found.after.same.row(query)
    name, about = f"ablation-picture.{kind}", sidecar(found, query)
    if kind == "json":
        record = {**about, "before": before.tolist(), "after": after.tolist()}
        return name, MIMETYPES[kind], json_bytes(record)
    text = json.dumps(about, ensure_ascii=False)
    if kind == "npz":
        arrays = {"before": before, "after": after, "difference": after - before}
        return name, MIMETYPES[kind], npz_bytes(arrays, text)
    return name, MIMETYPES[kind], _figure(found, query, kind, before, after, text)


def title_of(found: EditedPicture) -> str:
    """What was done, in a line."""
    from analytics.serve.ablation_export import SUBSPACES

    verb = f"shuffle {found.amount:g}" if found.edit == "shuffle" else f"alpha {found.amount:g}"
    return f"{verb} of the {SUBSPACES[found.subspace]} at point {found.point}"


def _figure(
    found: EditedPicture, query: int, kind: str, before: np.ndarray, after: np.ndarray, about: str
) -> bytes:
    import altair as alt

    from analytics.views.figure import render
    from analytics.views.patch_map import patch_chart
    from analytics.views.sheet import sheet

    name, side = "P(same object)", 220
    maps = [
        patch_chart(before, "unchanged", (0, 1), query=query, name=name, side=side),
        patch_chart(after, "with the edit", (0, 1), query=query, name=name, side=side),
        patch_chart(after - before, "difference", (-1, 1), "redblue", query, "difference", side),
    ]
    row, column = divmod(query, found.before.same.grid.columns)
    title = f"Same object as patch {row},{column}: {title_of(found)}"
    caption = [
        f"{found.before.picture.name}; {found.before.model_label}. Read at the last point with the "
        f"{found.before.row} probe, fitted on {found.before.fitted_on}. The edit moved "
        f"{found.moved:.1%} of the variance of this picture's patches.",
        "What a probe reads after a change is not a cause of anything else; compare with a change "
        "of equal energy elsewhere.",
    ]
    chart = sheet(alt.hconcat(*maps).resolve_scale(color="independent"), title, caption)
    return render(chart, kind, title, about)  # type: ignore[arg-type]


def sidecar(found: EditedPicture, query: int) -> dict[str, Any]:
    """The edit in plain values, with its provenance."""
    row, column = divmod(query, found.before.same.grid.columns)
    return strict(  # type: ignore[no-any-return]
        {
            "picture": found.before.picture.name,
            "model": found.before.model_label,
            "probe": found.before.row,
            "fitted_on": found.before.fitted_on,
            "patch": [row, column],
            "point": found.point,
            "dimensions": found.dimensions,
            "edit": found.edit,
            "amount": found.amount,
            "subspace": found.subspace,
            "moved": found.moved,
            "provenance": json.loads(provenance_json(found.before.provenance)),
        }
    )
