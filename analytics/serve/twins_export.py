"""Identical copies as files: the picture, its layout, the curves with a caption, all arrays."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    import pandas as pd

    from analytics.serve.twins_work import HeldTwins
    from analytics.views.twins import TwinsFigure

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "npz": "application/octet-stream",
    "picture": "image/png",
}
FIGURES = ("svg", "png", "pdf")
DIFFERENCES = {
    "differences": "distance of two tokens / mean of their norms",
    "cosines": "1 - cosine of two tokens",
}
CHANCES = {"twins": "same place in two copies", "between": "two copies", "within": "one copy"}
CLAIM = (
    "Equal pixels give equal tokens unless the place enters: what differs here comes from the "
    "place and from what the layers make of it. P(same object) is what a probe reads; that the "
    "model uses it is not shown."
)


def export_twins(held: HeldTwins, measure: str, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        held: the canvas with what was measured.
        measure: which difference a figure shows, a key of `DIFFERENCES`.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind or measure is unknown, or there are no curves yet.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if measure not in DIFFERENCES:
        raise ValueError(f"expected a measure out of {', '.join(DIFFERENCES)}; got {measure!r}")
    if kind == "picture":
        return "copies-picture.png", MIMETYPES[kind], png_bytes(held.canvas.image.pixels)
    name, about = f"copies.{kind}", sidecar(held)
    if kind == "json":
        return name, MIMETYPES[kind], json_bytes(about)
    if kind == "npz":
        text = json.dumps(about, ensure_ascii=False)
        return name, MIMETYPES[kind], npz_bytes(_arrays(held), text)
    if held.copies is None:
        raise ValueError("expected curves, got none: " + " ".join(held.notes))
    if kind in FIGURES:
        from analytics.views.figure import render
        from analytics.views.twins import twins_chart

        figure = twins_figure(held, measure)
        text = json.dumps(about, ensure_ascii=False)
        data = render(twins_chart(figure), kind, figure.title, text)  # type: ignore[arg-type]
        return name, MIMETYPES[kind], data
    from analytics.io.export import table_bytes

    return name, MIMETYPES[kind], table_bytes(twins_table(held), kind)  # type: ignore[arg-type]


def png_bytes(pixels: np.ndarray) -> bytes:
    """Pixels uint8 (height, width, 3 or 4) as a PNG, which keeps every one of them."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def twins_table(held: HeldTwins) -> pd.DataFrame:
    """A line for each variant and point."""
    import pandas as pd

    from analytics.studies.binding_copies import VARIANTS

    assert held.copies is not None
    names = ("differences", "cosines", "largest", *CHANCES)
    columns = {name: getattr(held.copies, name).reshape(-1) for name in names}
    points = np.tile(np.arange(held.points), len(VARIANTS))
    variants = np.repeat(VARIANTS, held.points)
    table = pd.DataFrame({"variant": variants, "point": points, **columns})
    return table[np.isfinite(table["differences"])].reset_index(drop=True)


def twins_figure(held: HeldTwins, measure: str) -> TwinsFigure:
    """What the figure is drawn from."""
    from analytics.studies.binding_copies import VARIANTS
    from analytics.views.twins import TwinsFigure

    assert held.copies is not None
    return TwinsFigure(
        title=f"Identical copies: what tells them apart? {held.model_label}",
        axis=DIFFERENCES[measure],
        pixels=held.canvas.image.pixels,
        variants=VARIANTS,
        differences=getattr(held.copies, measure),
        chances={title: getattr(held.copies, name) for name, title in CHANCES.items()},
        caption=(*exact_words(held), *_caption(held)),
    )


def _caption(held: HeldTwins) -> tuple[str, ...]:
    from analytics.io.canvas_places import layout_text

    assert held.copies is not None
    count = held.copies.patches.shape[1]
    probe = f" P(same object) by the {held.row} probe, fitted on {held.fitted_on}."
    return (
        f"{held.canvas.image.name}; {count} patches at the same place of each copy are compared, "
        f"means over all pairs of copies.{probe if held.row else ''}",
        CLAIM,
        *held.notes,
        f"Layout {layout_text(held.canvas.layout)}. Weights SHA-256 "
        f"{held.provenance.weights_sha256[:12]}. Made with Attention Atlas "
        f"{held.provenance.versions.get('attention-atlas', '')}".strip()
        + ".",
    )


def exact_words(held: HeldTwins) -> tuple[str, ...]:
    """What is exact on this canvas, with the measured numbers; nothing without curves."""
    from analytics.studies.binding_copies import ROUNDING

    found = held.copies
    if found is None:
        return ()
    if not found.identical:
        return (
            "The compared patches show different pixels: their tokens differ from the embedding "
            "on, with position embedding or without.",
        )
    alone = not np.isfinite(found.largest[1]).all()
    bare = found.largest[0] if alone else found.largest[1]
    start, rest = float(bare[0]), float(bare[1:].max())
    first = "exactly 0" if start == 0 else f"{start:.1e} of the largest value"
    what = "rounding, as sums run in another order at other places"
    if rest >= ROUNDING:
        what = "more than rounding, so that the place enters inside the layers"
    later = f"by at most {rest:.1e} of the largest value after it ({what})"
    if rest == 0:
        later = "by exactly 0 after it on this device; elsewhere rounding may show"
    words = [
        f"{'The model adds no position embedding' if alone else 'Without position embedding'}: "
        f"patches with equal pixels differ by {first} at the embedding, and {later}."
    ]
    if not alone:
        words.append(
            f"With it they differ from the start: by {float(found.differences[0, 0]):.3g} of "
            "their norm at the embedding."
        )
    return tuple(words)


def sidecar(held: HeldTwins) -> dict[str, Any]:
    """The layout, the curves and their provenance in plain values."""
    from analytics.io.canvas_places import layout_text
    from analytics.studies.binding_copies import VARIANTS

    laid, found = held.canvas.layout, held.copies
    names = ("differences", "cosines", "largest", *CHANCES)
    return strict(
        {
            "model": held.model_label,
            "layout": {
                "object": laid.object,
                "size_percent": laid.share,
                "ground": laid.ground,
                "seed": laid.seed,
                "on_the_grid": laid.snapped,
                "places": [list(place) for place in laid.places],
                "picture": list(held.canvas.image.pixels.shape[:2]),
                "box": list(held.canvas.sprite.shape),
                "text": layout_text(laid),
            },
            "patch": list(held.patch),
            "grid_size": [held.grid.rows, held.grid.columns],
            "variants": list(VARIANTS),
            "curves": {name: getattr(found, name).tolist() for name in names} if found else None,
            "patches": found.patches.tolist() if found else None,
            "identical_pixels": found.identical if found else None,
            "aligned": found.aligned if found else None,
            "probe": held.row,
            "fitted_on": held.fitted_on,
            "exact": list(exact_words(held)),
            "about": CLAIM,
            "notes": list(held.notes),
            "provenance": json.loads(provenance_json(held.provenance)),
        }
    )


def _arrays(held: HeldTwins) -> dict[str, np.ndarray]:
    image, found = held.canvas.image, held.copies
    arrays = {"pixels": image.pixels, "instances": image.instances}
    if found is not None:
        names = ("patches", "differences", "cosines", "largest", *CHANCES)
        arrays |= {name: getattr(found, name) for name in names}
    return arrays
