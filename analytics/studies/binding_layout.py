"""A picture's patches in the directions that a probe reads, at every point, beside the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from analytics.io.fitting import fit_mask, fit_picture, normalise, place
from analytics.metrics.binding_layout import (
    AXES,
    RandomKind,
    Separation,
    align_layouts,
    random_spectra,
    separation,
)
from analytics.metrics.binding_subspace import Subspace, principal_plot, variance_share
from analytics.metrics.patch_objects import patch_objects
from analytics.models.binding_probes import dimension_holding
from analytics.studies.attend import Progress
from analytics.studies.binding_features import StreamReader
from analytics.studies.binding_parts import (
    HELD,
    PARTS,
    Part,
    check_points,
    parts_at,
    read_directions,
    usable_points,
)
from analytics.types import Fit, PatchGrid, Picture, Placement

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe, ProbeKind
    from analytics.models.registry import LoadedModel

VIEWS = ("all", "axes", "plane")
"""Where objects are told apart: in all directions of a part, on the first three axes, on two."""

RANDOM: dict[ProbeKind, RandomKind] = {
    "quadratic": "product",
    "full": "symmetric",
    "diagonal": "diagonal",
}
"""Probes whose spectrum has a random counterpart: those that start as one and are trained."""


@dataclass(frozen=True, eq=False)
class BindingLayout:
    """A picture's patches by the first principal components of each part, and the spectra.

    P counts `points`, Q the `parts` that this probe has, n patches, k eigenvalues (0 where the
    probe has no matrix). float32: `places` (Q, P, n, 3), with signs that follow the point before;
    `turns` (Q, P, 3, 3), rotations onto the point before; `explained` (Q, P, 3), shares of the
    part's variance; `separations` (Q, P, 3, 4) in all directions, on three axes and on two, the
    fields of `Separation`, NaN without objects; `spectra` (P, k), by falling size; `random`
    (P, k, 3), mean, low and high size of a random matrix's, of the same energy, NaN where there is
    no counterpart; `random_dimensions` (3,), mean, low and high. int32: `dimensions` (P,), that
    hold `HELD` of the energy; `directions` (P,), those that the rest lacks; `objects` (n,), 0 for
    none, or None where nobody has marked them. `held` (P,) is the share of the stream's variance
    in the directions that the rest lacks. `mask` is int32 on the model's input, or None; `colours`
    uint8 (n, 3), the mean of each patch.
    """

    kind: ProbeKind
    points: tuple[int, ...]
    parts: tuple[Part, ...]
    grid: PatchGrid
    width: int
    places: np.ndarray
    turns: np.ndarray
    explained: np.ndarray
    separations: np.ndarray
    spectra: np.ndarray
    random: np.ndarray
    random_dimensions: np.ndarray
    dimensions: np.ndarray
    directions: np.ndarray
    held: np.ndarray
    objects: np.ndarray | None
    mask: np.ndarray | None
    colours: np.ndarray
    placement: Placement

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.places, self.spectra, self.random, self.separations, self.mask)
        return sum(one.nbytes for one in arrays if one is not None)


def lay_out_binding(
    probe: BindingProbe,
    loaded: LoadedModel,
    picture: Picture,
    instances: np.ndarray | None = None,
    fit: Fit = "crop",
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> BindingLayout:
    """Lay a picture's patches out by what a probe reads of them, at every point.

    Args:
        probe: fitted on this model.
        loaded: the model; its layers share one grid of patches.
        picture: decoded.
        instances: int (height, width) of the picture, 0 for unlabelled; None where not known.
        fit: how the picture is brought to the model's input size.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: a probe of another model, or layers without one grid.

    Known answers: planted h = f + b of rank r has r large eigenvalues; on the binding part
    planted objects lie apart; turning stream and probe together changes nothing.

    Reference: Li et al. 2025, arXiv 2510.24709, for b = W1 x and f. Differs: W1 takes in the size
    of S, so that the score is a signed product of b; where the probe reads all d directions, the
    rest lacks those that hold 90 % of the spectrum's energy.
    """
    report = progress or (lambda done, total, message: None)
    reader = StreamReader(loaded, sites)
    check_points(probe, reader)
    placement = place(picture.height, picture.width, fit, *loaded.input_size)
    fitted = fit_picture(picture, placement)
    mask = None if instances is None else fit_mask(instances, placement)
    report(0, 0, "reading the stream of the picture")
    pixels = torch.from_numpy(normalise(fitted, loaded.mean, loaded.std))[None]
    batch = pixels.to(loaded.device, getattr(torch, loaded.dtype))
    streams = reader.read(batch, with_queries=probe.kind == "next_qk")
    grid = reader.layout.grid
    objects = None if mask is None else np.maximum(patch_objects(mask, grid)[0], 0).reshape(-1)
    points = usable_points(probe)
    tables = []
    for done, point in enumerate(points):
        report(done, len(points), f"laying out point {done + 1} of {len(points)}")
        query = streams.queries[point][0] if probe.kind == "next_qk" else None  # type: ignore[index]
        tables.append(parts_at(probe, streams.points[point][0].cpu(), point, query))
    return _layout(
        probe, points, tables, grid, objects, mask, _mean_colours(fitted, grid), placement
    )


def _layout(
    probe: BindingProbe,
    points: tuple[int, ...],
    tables: list[dict[Part, np.ndarray]],
    grid: PatchGrid,
    objects: np.ndarray | None,
    mask: np.ndarray | None,
    colours: np.ndarray,
    placement: Placement,
) -> BindingLayout:
    parts = tuple(part for part in PARTS if part in tables[0])
    shape = (len(parts), len(points))
    places = np.zeros((*shape, grid.count, AXES), np.float32)
    turns, explained = np.zeros((*shape, AXES, AXES), np.float32), np.zeros((*shape, AXES))
    apart = np.full((*shape, len(VIEWS), 4), np.nan)
    numbers = np.zeros(grid.count, np.int32) if objects is None else objects
    for row, part in enumerate(parts):
        plots = [principal_plot(table[part], numbers, AXES) for table in tables]
        places[row], turns[row] = align_layouts([plot.places for plot in plots])
        explained[row] = [plot.explained for plot in plots]
        if objects is not None:
            for at, table in enumerate(tables):
                apart[row, at] = _apart(table[part], places[row, at], objects, grid)
    spectra = np.stack([probe.spectrum(point).numpy() for point in points])  # P k
    sizes, dimensions = _random(probe, spectra, points)
    bases = [read_directions(probe, point) for point in points]
    return BindingLayout(
        kind=probe.kind,
        points=points,
        parts=parts,
        grid=grid,
        width=tables[0]["stream"].shape[1],
        places=places,
        turns=turns,
        explained=explained.astype(np.float32),
        separations=apart.astype(np.float32),
        spectra=spectra,
        random=sizes,
        random_dimensions=dimensions,
        dimensions=np.array([_dimension(one) for one in spectra], np.int32),
        directions=np.array([0 if one is None else len(one) for one in bases], np.int32),
        held=np.array(
            [_held(table["stream"], basis) for table, basis in zip(tables, bases, strict=True)],
            np.float32,
        ),
        objects=objects,
        mask=mask,
        colours=colours,
        placement=placement,
    )


def _apart(
    values: np.ndarray, places: np.ndarray, objects: np.ndarray, grid: PatchGrid
) -> list[list[float]]:
    """Fields of `Separation` in all directions, on three axes and on two."""
    grid_places = np.stack(np.divmod(np.arange(grid.count), grid.columns), axis=1)
    found: list[Separation] = [
        separation(one, objects, grid_places) for one in (values, places, places[:, :2])
    ]
    return [[one.between, one.chance, one.auc, one.matched] for one in found]


def _random(
    probe: BindingProbe, spectra: np.ndarray, points: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (P, k, 3) of a random counterpart's eigenvalues, and the dimensions (3,) it needs."""
    sizes = np.full((*spectra.shape, 3), np.nan, np.float32)
    kind = RANDOM.get(probe.kind)
    if kind is None or not spectra.shape[1]:
        return sizes, np.full(3, np.nan, np.float32)
    signs = probe.tensors["signs"][points[0]].numpy()
    drawn = random_spectra(kind, probe.tensors["mean"].shape[-1], signs)[:, : spectra.shape[1]]
    by_rank = np.stack([np.abs(drawn).mean(0), *np.quantile(np.abs(drawn), [0.05, 0.95], axis=0)])
    energy = np.linalg.norm(spectra.astype(np.float64), axis=1)
    sizes[:] = energy[:, None, None] * by_rank.T[None]
    needed = [_dimension(one) for one in drawn]
    return sizes, np.array([np.mean(needed), *np.quantile(needed, [0.05, 0.95])], np.float32)


def _dimension(spectrum: np.ndarray) -> int:
    return dimension_holding(torch.from_numpy(np.ascontiguousarray(spectrum)), HELD)


def _held(x: np.ndarray, basis: Tensor | None) -> float:
    """Share of the variance of standardised patches in some directions; NaN without any."""
    if basis is None or not len(basis):
        return float("nan")
    width = basis.shape[1]
    return variance_share(
        torch.from_numpy(x), Subspace(basis, torch.zeros(width), torch.ones(width))
    )


def _mean_colours(fitted: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Mean colour of every patch, uint8 (n, 3)."""
    height, width = fitted.shape[:2]
    rows, columns = height // grid.rows, width // grid.columns
    kept = fitted[: rows * grid.rows, : columns * grid.columns].astype(np.float64)
    blocks = kept.reshape(grid.rows, rows, grid.columns, columns, 3)  # rows, y, columns, x, 3
    return np.rint(blocks.mean((1, 3))).astype(np.uint8).reshape(-1, 3)
