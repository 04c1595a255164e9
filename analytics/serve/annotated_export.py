"""The Data view as files: a contact sheet, a row for every picture, objects of patches, JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes, table_bytes
from analytics.serve.annotated_images import PURITIES, ShownImage
from analytics.serve.annotated_work import SurveyedData
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    import pandas as pd

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/octet-stream",
    "json": "application/json",
}
FIGURES = ("svg", "png", "pdf")
MOST_TILES = 40


def export_annotated(
    found: SurveyedData, kind: str, purity: float, background: bool, tiles: tuple[int, int]
) -> tuple[str, str, bytes]:
    """One download of a gallery.

    Args:
        found: the pictures.
        kind: a key of `MIMETYPES`.
        purity: one of `PURITIES`.
        background: whether unlabelled patches count as an object.
        tiles: first picture of a figure and how many; the other files hold all.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: an unknown kind, or a figure without pictures.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    return f"annotated.{kind}", MIMETYPES[kind], _content(found, kind, purity, background, tiles)


def _content(
    found: SurveyedData, kind: str, purity: float, background: bool, tiles: tuple[int, int]
) -> bytes:
    if kind in FIGURES:
        return _figure(found, kind, purity, background, tiles)
    if kind == "json":
        return json_bytes(sidecar(found, purity, background))
    if kind == "npz":
        about = json.dumps(sidecar(found, purity, background), ensure_ascii=False)
        return npz_bytes(_arrays(found, purity, background), about)
    return table_bytes(images_table(found, purity, background), kind)  # type: ignore[arg-type]


def _figure(
    found: SurveyedData, kind: str, purity: float, background: bool, tiles: tuple[int, int]
) -> bytes:
    from PIL import Image

    from analytics.views.annotated import SheetTile, contact_chart
    from analytics.views.figure import render

    first, count = tiles[0], min(tiles[1], MOST_TILES)
    chosen = found.images[first : first + count]
    if not chosen:
        raise ValueError(f"expected a first picture below {len(found.images)}, got {first}")
    row, column = PURITIES.index(purity), int(background)
    shown = []
    for number, one in enumerate(chosen, start=first):
        kept, live = found.kept[number, row, column], found.live[number, row, column]
        pixels = np.asarray(Image.open(io.BytesIO(one.picture)).convert("RGB"))
        words = f"{live} of {one.whole} objects, {kept} patches"
        shown.append(SheetTile(pixels, objects_at(one, purity, background), one.name, words))
    title = f"Patches that keep an object: {found.title}"
    chart = contact_chart(shown, title, caption(found, purity, background))
    about = json.dumps(sidecar(found, purity, background), ensure_ascii=False)
    return render(chart, kind, title, about)  # type: ignore[arg-type]


def objects_at(image: ShownImage, purity: float, background: bool) -> np.ndarray:
    """Position in `ids` from 1 of every patch's object, 0 for unlabelled, -1 for none.

    The same as `patch_objects` at this purity, but for the numbering.
    """
    kept = image.shares.astype(np.float64) >= purity - 1e-6
    if not background:
        kept &= image.most > 0
    return np.where(kept, image.most, -1)


def caption(found: SurveyedData, purity: float, background: bool) -> tuple[str, ...]:
    """What the sheet shows, and of what it was made."""
    made = found.provenance
    rule = (
        f"Coloured: patches of the input of {found.model_label} in which one instance has a share "
        f"of at least {purity:g}, of {found.grid.count}; pale: excluded ones."
    )
    if background:
        rule += " Unlabelled patches (id 0) count as one object, as in the authors' code."
    return (
        f"{len(found.images)} pictures ({found.kind}), centre crop. {rule}",
        "The most frequent instance: Li et al. 2025, arXiv 2510.24709; the threshold is ours.",
        f"Made with Attention Atlas {made.versions.get('attention-atlas', '')}".strip() + ".",
    )


def images_table(found: SurveyedData, purity: float, background: bool) -> pd.DataFrame:
    """One row a picture: what it holds and what remains; those left out with their reason."""
    import pandas as pd

    row, column = PURITIES.index(purity), int(background)
    rows: list[dict[str, Any]] = [
        {
            "image": one.name,
            "family": one.family,
            "height": one.height,
            "width": one.width,
            "instances": one.whole,
            "instances_in_crop": len(one.ids),
            "patches": found.grid.count,
            "purity": purity,
            "unlabelled_counts": background,
            "patches_kept": int(found.kept[number, row, column]),
            "objects_kept": int(found.live[number, row, column]),
            "notes": "; ".join(one.notes),
            "skipped": "",
        }
        for number, one in enumerate(found.images)
    ]
    rows += [{"image": name, "skipped": reason} for name, reason in found.skipped]
    return pd.DataFrame(rows)


def _arrays(found: SurveyedData, purity: float, background: bool) -> dict[str, np.ndarray]:
    """Objects of patches, int32 (images, rows, columns) with the sets' own numbers, and shares."""
    objects = []
    for one in found.images:
        ids = np.array([-1, 0, *one.ids], np.int32)
        objects.append(ids[objects_at(one, purity, background) + 1])
    return {
        "objects": np.stack(objects),
        "shares": np.stack([one.shares for one in found.images]),
        "patches_kept": found.kept,
        "objects_kept": found.live,
        "purities": np.array(PURITIES),
        "names": np.array([one.name for one in found.images]),
    }


def sidecar(found: SurveyedData, purity: float, background: bool) -> dict[str, Any]:
    """A gallery in words and plain values, with its provenance."""
    row, column = PURITIES.index(purity), int(background)
    images = [
        {
            "name": one.name,
            "sha256": one.sha256,
            "size": [one.height, one.width],
            "instances": one.whole,
            "patches_kept": int(found.kept[number, row, column]),
            "objects_kept": int(found.live[number, row, column]),
            "notes": list(one.notes),
        }
        for number, one in enumerate(found.images)
    ]
    return strict(
        {
            "title": found.title,
            "layout": found.kind,
            "model": found.model_label,
            "grid_size": [found.grid.rows, found.grid.columns],
            "purity": purity,
            "unlabelled_counts": background,
            "images": images,
            "skipped": [list(one) for one in found.skipped],
            "notes": list(found.notes),
            "provenance": json.loads(provenance_json(found.provenance)),
        }
    )
