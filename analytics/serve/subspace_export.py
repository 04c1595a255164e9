"""The Subspace view as files: a figure with a caption, coordinates, arrays and a JSON record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes, table_bytes
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json
from analytics.studies.binding_layout import VIEWS

if TYPE_CHECKING:
    import pandas as pd

    from analytics.serve.subspace_work import SubspaceLook
    from analytics.views.subspace import SubspaceFigure

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
FIGURE_RANKS = 96

PART_TITLES: dict[str, dict[str, str]] = {
    "binding": {
        "title": "binding part b",
        "short": "binding b",
        "definition": "b = W x, x the standardised stream: what the probe compares of two "
        "patches. Its score is a signed product of their b.",
    },
    "stream": {
        "title": "whole stream h",
        "short": "stream h",
        "definition": "The stream of the patch, standardised per dimension as the probe does it.",
    },
    "rest": {
        "title": "remainder f",
        "short": "remainder f",
        "definition": "The standardised stream without the directions that the probe reads.",
    },
}
CLAIM = (
    "A layout shows what can be read in these directions; it does not show that the model uses "
    "them. Nearness in two or three components is not the probe's score, which is signed."
)
SEPARATION = ("between", "chance", "auc", "auc_matched")


def export_subspace(
    found: SubspaceLook, kind: str, point: int, part: str, tint: str
) -> tuple[str, str, bytes]:
    """One download of a layout.

    Args:
        found: the layout.
        kind: a key of `MIMETYPES`.
        point: what a figure and a table show; arrays and JSON hold all.
        part: likewise for a figure.
        tint: likewise, by what points are coloured.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: an unknown kind, point, part or tint.
    """
    from analytics.views.subspace import TINTS

    layout = found.layout
    for word, given, allowed in (
        ("an export", kind, tuple(MIMETYPES)),
        ("a part", part, layout.parts),
        ("a colouring", tint, TINTS),
        ("a point", point, layout.points),
    ):
        if given not in allowed:
            known = ", ".join(str(one) for one in allowed)
            raise ValueError(f"expected {word} out of {known}; got {given!r}")
    return f"subspace.{kind}", MIMETYPES[kind], _content(found, kind, point, part, tint)


def _content(found: SubspaceLook, kind: str, point: int, part: str, tint: str) -> bytes:
    if kind in FIGURES:
        from analytics.views.figure import render
        from analytics.views.subspace import subspace_chart

        figure = subspace_figure(found, point, part, tint)
        about = json.dumps(sidecar(found), ensure_ascii=False)
        return render(subspace_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]
    if kind == "json":
        return json_bytes(sidecar(found))
    if kind == "npz":
        return npz_bytes(_arrays(found), json.dumps(sidecar(found), ensure_ascii=False))
    return table_bytes(coordinates_table(found, point), kind)  # type: ignore[arg-type]


def subspace_figure(found: SubspaceLook, point: int, part: str, tint: str) -> SubspaceFigure:
    """What the figure is drawn from."""
    from analytics.views.subspace import SubspaceFigure, patch_tints

    one = found.layout
    row, at = one.parts.index(part), one.points.index(point)  # type: ignore[arg-type]
    return SubspaceFigure(
        title=f"{PART_TITLES[part]['title'].capitalize()} of patches: {found.model_label}",
        part=PART_TITLES[part]["title"].split()[-1],
        places=one.places[row, at, :, :2],
        explained=one.explained[row, at, :2],
        colours=patch_tints(tint, one.grid, one.objects, one.colours),  # type: ignore[arg-type]
        grid=one.grid,
        picture=found.picture,
        placement=one.placement,
        painted=tint != "picture",
        spectrum=one.spectra[at, :FIGURE_RANKS],
        random=one.random[at, :FIGURE_RANKS, 0],
        marked=int(one.dimensions[at]),
        caption=caption(found, point, part, tint),
    )


def caption(found: SubspaceLook, point: int, part: str, tint: str) -> tuple[str, ...]:
    """What the figure shows, of what it was made, and what it does not say."""
    one, made = found.layout, found.provenance
    row, at = one.parts.index(part), one.points.index(point)  # type: ignore[arg-type]
    where = "the embedding" if point == 0 else f"the stream after layer L{point - 1}"
    shown = (
        f"Patches of {found.picture.name} by the first principal components of their "
        f"{PART_TITLES[part]['title']}, read from {where} (point {point}) with the {found.row} "
        f"probe, fitted on {found.fitted_on}. Colour: by {tint}."
    )
    return (
        shown,
        PART_TITLES[part]["definition"],
        *_spectrum_words(found, at),
        *_separation_words(one.separations[row, at]),
        CLAIM,
        f"Weights SHA-256 {made.weights_sha256[:12]}. Made with Attention Atlas "
        f"{made.versions.get('attention-atlas', '')}".strip()
        + ".",
    )


def _spectrum_words(found: SubspaceLook, at: int) -> tuple[str, ...]:
    one = found.layout
    ranks = one.spectra.shape[1]
    if not ranks:
        return ()
    words = (
        f"Eigenvalues of the probe's matrix by size; {one.dimensions[at]} of {ranks} hold 90 % "
        "of the sum of their squares (ours)."
    )
    if np.isfinite(one.random_dimensions[0]):
        words += (
            f" Dashed: the mean of random matrices of the same size and energy, which need "
            f"{one.random_dimensions[0]:.0f} (ours)."
        )
    return (words,)


def _separation_words(table: np.ndarray) -> tuple[str, ...]:
    if not np.isfinite(table[0, 0]):
        return ()
    between, chance, auc, matched = table[0]
    return (
        f"In all directions {100 * between:.0f} % of the variance of patches in objects lies "
        f"between objects (random places: {100 * chance:.0f} %); nearness tells pairs of one "
        f"object with AUC {auc:.2f}, {matched:.2f} distance-matched (ours). One picture has no "
        "interval.",
    )


def coordinates_table(found: SubspaceLook, point: int) -> pd.DataFrame:
    """Coordinates of every patch in every part at a point, one row a patch."""
    import pandas as pd

    one = found.layout
    at = one.points.index(point)
    row, column = np.divmod(np.arange(one.grid.count), one.grid.columns)
    table: dict[str, Any] = {"point": point, "row": row, "column": column}
    if one.objects is not None:
        table["object"] = one.objects
    for place, part in enumerate(one.parts):
        for axis in range(one.places.shape[-1]):
            table[f"{part}_pc{axis + 1}"] = one.places[place, at, :, axis]
    return pd.DataFrame(table, index=range(one.grid.count))


def _arrays(found: SubspaceLook) -> dict[str, np.ndarray]:
    one = found.layout
    names = ("places", "turns", "explained", "separations", "spectra", "random", "dimensions")
    arrays = {name: np.asarray(getattr(one, name)) for name in (*names, "held")}
    arrays["points"] = np.asarray(one.points)
    arrays["parts"] = np.array(one.parts)
    if one.objects is not None and one.mask is not None:
        arrays |= {"objects": one.objects, "mask": one.mask}
    return arrays


def sidecar(found: SubspaceLook) -> dict[str, Any]:
    """A layout in words and plain values, with its provenance."""
    one = found.layout
    return strict(
        {
            "layout": found.id,
            "model": found.model_label,
            "picture": found.picture.name,
            "scene": found.scene,
            "probe": found.row,
            "kind": one.kind,
            "fitted_on": found.fitted_on,
            "points": list(one.points),
            "parts": {part: PART_TITLES[part]["definition"] for part in one.parts},
            "grid_size": [one.grid.rows, one.grid.columns],
            "explained": one.explained.tolist(),
            "separations": {
                view: {
                    name: one.separations[:, :, i, j].tolist() for j, name in enumerate(SEPARATION)
                }
                for i, view in enumerate(VIEWS)
            },
            "spectra": one.spectra.tolist(),
            "dimensions_holding_90_percent": one.dimensions.tolist(),
            "random_dimensions": one.random_dimensions.tolist(),
            "directions_left_out_of_the_remainder": one.directions.tolist(),
            "variance_share_of_these": one.held.tolist(),
            "about": CLAIM,
            "provenance": json.loads(provenance_json(found.provenance)),
        }
    )
