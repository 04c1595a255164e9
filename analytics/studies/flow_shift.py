"""The model on a picture and on copies of it that are shifted in a circle by whole patches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from analytics.capture.recording import Heads, capture
from analytics.metrics.shift import roll_picture, shift_agreement, shift_consistency
from analytics.studies.flow_layers import FlowLayers
from analytics.studies.flow_record import ShiftConsistency
from analytics.studies.flow_subject import FlowSubject
from analytics.types import PatchGrid

if TYPE_CHECKING:
    from analytics.capture.sites import Site

ATTENTION_BYTES = 2**28
"""Attention of one layer on the picture and its copies that is held at once."""


def coarsest_grid(layers: FlowLayers) -> PatchGrid:
    """The grid whose patches a shift is counted in, so that it fits all layers."""
    grids = [site.query_layout.grid for site in layers.placed if site.query_layout]
    return min((grid for grid in grids if grid.count), key=lambda grid: grid.count)


def usual_shifts(grid: PatchGrid) -> tuple[tuple[int, int], ...]:
    """One patch down, right and both; a quarter down and right; half of both: none twice.

    Known answer: a 16 x 16 grid has (1, 0), (0, 1), (1, 1), (4, 0), (0, 4), (8, 8).
    """
    rows, columns = grid.rows, grid.columns
    wanted = [(1, 0), (0, 1), (1, 1), (rows // 4, 0), (0, columns // 4), (rows // 2, columns // 2)]
    kept = dict.fromkeys((dy % rows, dx % columns) for dy, dx in wanted)
    kept.pop((0, 0), None)
    return tuple(kept)


@torch.no_grad()
def measure_shifts(
    subject: FlowSubject, progress: Callable[[int, int], None] | None = None
) -> tuple[ShiftConsistency | None, str]:
    """Run the picture beside each shifted copy, and compare them layer by layer.

    Memory: one layer's attention on the picture and on some copies, `ATTENTION_BYTES` or that
    of two pictures.

    Args:
        subject: the model and the picture.
        progress: called with (done, total) shifts; may raise to cancel.

    Returns:
        The result, None where no shift by whole patches is possible, and what was left out
        in words, empty where nothing was.
    """
    layers, pixels = subject.layers, subject.pixels
    unit, (height, width) = coarsest_grid(layers), subject.loaded.input_size
    shifts = usual_shifts(unit)
    if height % unit.rows or width % unit.columns or not shifts:
        return None, "shift consistency: its patches cannot be shifted in a circle by whole ones"
    patch = (height // unit.rows, width // unit.columns)
    cosines: list[float] = []
    same: list[bool] = []
    agreements: list[tuple[float, ...]] = []
    together = _together(layers)
    for start in range(0, len(shifts), together):
        if progress is not None:
            progress(start, len(shifts))
        some = shifts[start : start + together]
        pictures = torch.cat([pixels, *(roll_picture(pixels, one, patch) for one in some)])
        compare = _comparer(layers, unit, some)
        with capture(subject.loaded.module, subject.sites, reduce=compare) as captured:
            read = subject.read(pictures)
        own, moved = read.part(slice(0, 1)), read.part(slice(1, None))
        cosine, equal = shift_consistency(
            own.embedding, moved.embedding, own.probabilities, moved.probabilities
        )
        cosines += cosine.tolist()
        same += [] if equal is None else equal.tolist()
        found = {layers.position(one.site): one.reduced for one in captured}
        missing = [math.nan] * len(some)
        columns = [found.get(i) or missing for i in range(len(layers.placed))]
        agreements += zip(*columns, strict=True)
    agreement = np.array(agreements, np.float32)
    classes = np.array(same, bool) if same else None
    shifted = ShiftConsistency(shifts, np.array(cosines, np.float32), classes, agreement)
    blank = np.isnan(agreement).all(axis=0).sum()
    note = f"shift consistency: the attention of {blank} of {len(layers.placed)} layers is not "
    note += "compared (windows, pooling tokens, or grids that differ)"
    return shifted, note if blank else ""


def _together(layers: FlowLayers) -> int:
    """Copies that are run at once beside the picture."""
    sizes = (
        4 * site.num_windows * site.num_heads * site.query_tokens * site.key_tokens
        for site in layers.placed
    )
    return max(1, ATTENTION_BYTES // max(sizes) - 1)


def _comparer(
    layers: FlowLayers, unit: PatchGrid, shifts: Sequence[tuple[int, int]]
) -> Callable[[Heads], list[float] | None]:
    """Compares a layer's attention on a picture, image 0, and on its shifted copies after it."""

    def compare(heads: Heads) -> list[float] | None:
        site = heads.site
        if layers.position(site) is None or not _comparable(site, unit):
            return None
        assert site.query_layout is not None
        ahead, grid = len(site.query_layout.prefix), site.query_layout.grid
        # Pictures, heads, patches, patches.
        attention = heads.attention()[:, 0, :, ahead:, ahead:]
        found = []
        for copy, (dy, dx) in zip(attention[1:], shifts, strict=True):
            own = (dy * (grid.rows // unit.rows), dx * (grid.columns // unit.columns))
            size = (grid.rows, grid.columns)
            found.append(float(shift_agreement(attention[0], copy, size, own).mean()))
        return found

    return compare


def _comparable(site: Site, unit: PatchGrid) -> bool:
    """Whether a layer's maps are whole and its patches move by whole numbers."""
    layout = site.query_layout
    if layout is None or layout != site.key_layout or site.num_windows > 1:
        return False
    grid = layout.grid
    return bool(grid.count) and not (grid.rows % unit.rows or grid.columns % unit.columns)
