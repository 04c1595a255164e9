"""Identical copies of one object: what tells them apart, and at which layer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from analytics.io.fitting import fit_mask, fit_picture, normalise, place
from analytics.metrics.patch_objects import patch_objects
from analytics.store.provenance import make_provenance
from analytics.studies.attend import Progress
from analytics.studies.binding_features import StreamReader
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedImage
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

VARIANTS = ("with positions", "without positions")
ROUNDING = 1e-5
"""Differences of float32 tokens that are rounding alone, as a share of the largest value."""


@dataclass(frozen=True, eq=False)
class BindingCopies:
    """How the patches of copies differ at every point, with position embedding and without.

    V variants in the order of `VARIANTS`, P points. `patches` is int32 (copies, m): patches,
    row-major, that lie at the same place of each copy; `identical` says whether their pixels
    are equal bit for bit. `differences` float32 (V, P): mean over pairs of copies and
    patches of the norm of the difference of the two tokens over the mean of their norms;
    `largest` (V, P): the largest difference of any value over the largest value of these tokens.
    P(same object) by the probe, float32 (V, P), NaN without a probe: `twins` of patches at the
    same place in two copies, `between` of all patches of two copies, `within` of two patches of
    one copy. `cosines` (V, P): mean of 1 - cosine of such tokens. A difference below `ROUNDING` in
    `largest` is rounding: see `measure_copies`. A model that adds no position embedding has NaN
    for the second variant.
    """

    model_label: str
    caution: str
    grid: PatchGrid
    patches: np.ndarray
    aligned: bool
    identical: bool
    differences: np.ndarray
    largest: np.ndarray
    cosines: np.ndarray
    twins: np.ndarray
    between: np.ndarray
    within: np.ndarray
    notes: tuple[str, ...]
    provenance: Provenance


def measure_copies(
    loaded: LoadedModel,
    image: AnnotatedImage,
    probe: BindingProbe | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    purity: float = 0.6,
) -> BindingCopies:
    """Run the model on a picture of copies, with its position embedding and with zeros for it.

    Args:
        loaded: the model, which stays as it is; its layers share one grid of patches.
        image: copies of one object, each an instance (`identical_copies`); it is laid on the
            model's input by its centre and should have that size.
        probe: fitted on this model; gives P(same object).
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.
        purity: least share of the copy's pixels in its patches.

    Raises:
        ValueError: fewer than two copies, copies without a patch in common, a probe of another
            model, or layers without one grid.

    Known answer: without position embedding, patches whose pixels are equal have equal tokens at
    every point. At the embedding that holds bit for bit; behind it to rounding (`ROUNDING`),
    because matrix products sum rows in another order at other places.
    """
    report = progress or (lambda done, total, message: None)
    reader = StreamReader(loaded, sites)
    _check_probe(probe, reader)
    bare = None
    if has_positions(loaded.module):
        stripped = replace(loaded, module=without_positions(loaded.module))
        bare = StreamReader(stripped, reader.sites)
    placement, grid = (
        place(image.height, image.width, "crop", *loaded.input_size),
        reader.layout.grid,
    )
    fitted = fit_picture(image.picture, placement)
    patches, aligned = corresponding_patches(
        image, grid, lambda mask: fit_mask(mask, placement), purity
    )
    rows = []
    for number, one in enumerate((reader, bare)):
        report(number, len(VARIANTS), VARIANTS[number])
        missing = [(float("nan"),) * 6] * (reader.layers + 1)
        rows.append(_measured(one, fitted, patches, probe) if one else missing)
    report(len(VARIANTS), len(VARIANTS), "done")
    tables = np.array(rows, np.float32)  # V P 6
    identical = _identical(fitted, patches, grid)
    notes = _notes(loaded.module, aligned, identical)
    return BindingCopies(
        loaded.label,
        loaded.caution,
        grid,
        patches,
        aligned,
        identical,
        differences=tables[..., 0],
        largest=tables[..., 1],
        cosines=tables[..., 2],
        twins=tables[..., 3],
        between=tables[..., 4],
        within=tables[..., 5],
        notes=notes,
        provenance=make_provenance(
            command,
            loaded.spec.public_id,
            loaded.weights_sha256,
            {image.name: image.sha256},
            {"purity": purity, "input_size": list(loaded.input_size), "dtype": loaded.dtype},
            device=loaded.device,
            notes=notes,
        ),
    )


def _check_probe(probe: BindingProbe | None, reader: StreamReader) -> None:
    if probe is not None and probe.points != reader.layers + 1:
        raise ValueError(
            f"expected a probe with {reader.layers + 1} points for {reader.loaded.label}, got one "
            f"with {probe.points}; fit probes on this model"
        )


def _measured(
    reader: StreamReader, fitted: np.ndarray, patches: np.ndarray, probe: BindingProbe | None
) -> list[tuple[float, ...]]:
    """What `_compare` says at every point of one forward pass."""
    loaded = reader.loaded
    pixels = torch.from_numpy(normalise(fitted, loaded.mean, loaded.std))[None]
    streams = reader.read(
        pixels.to(loaded.device, getattr(torch, loaded.dtype)), with_queries=False
    )
    points = enumerate(streams.points)
    return [_compare(tokens[0].cpu(), patches, probe, point) for point, tokens in points]


def has_positions(module: nn.Module) -> bool:
    """Whether a model adds a position embedding to its tokens that can be taken away."""
    return isinstance(getattr(module, "pos_embed", None), Tensor)


def without_positions(module: nn.Module) -> nn.Module:
    """The same model with zeros for its learned position embedding.

    Only what holds the embedding is made anew; all layers and weights are shared, and the given
    module is untouched at every moment. (`torch.func.functional_call` puts its tensors into the
    shared module for the time of the call, where another thread would meet them.)

    Raises:
        ValueError: the model has no position embedding that is added to its tokens.
    """
    held: Tensor | None = getattr(module, "pos_embed", None)
    if not isinstance(held, Tensor):
        raise ValueError(
            f"expected a model with a learned position embedding, {type(module).__name__} adds "
            "none to its tokens; choose a ViT, DeiT or DINOv2"
        )
    bare = copy.copy(module)
    zeros = torch.zeros_like(held)
    kept = "_parameters" if "pos_embed" in module._parameters else "_buffers"
    put = nn.Parameter(zeros, requires_grad=False) if kept == "_parameters" else zeros
    bare.__dict__[kept] = {**getattr(module, kept), "pos_embed": put}
    return bare


def corresponding_patches(
    image: AnnotatedImage,
    grid: PatchGrid,
    fit: Callable[[np.ndarray], np.ndarray] = lambda mask: mask,
    purity: float = 0.6,
) -> tuple[np.ndarray, bool]:
    """Patches at the same place of each copy.

    Args:
        image: each instance one copy of the same object; its whole extent is used where known.
        grid: of the patches.
        fit: lays a mask on the model's input.
        purity: least share of a copy in its patches.

    Returns:
        int32 (copies, m), row-major, and whether all copies lie alike on the patches. Off the
        grid the nearest patch counts as the same place.

    Raises:
        ValueError: fewer than two copies, or no patch that all copies have.
    """
    numbers = image.ids
    if len(numbers) < 2:
        raise ValueError(f"{image.name}: expected two copies or more, got {len(numbers)}; add one")
    instances = fit(image.instances)
    whole = image.amodal or {}
    shape = (instances.shape[0] / grid.rows, instances.shape[1] / grid.columns)
    corners = []
    for one in numbers:
        seen = fit(whole[one].astype(np.int32)) > 0 if one in whole else instances == one
        if not seen.any():
            raise ValueError(f"{image.name}: copy {one} lies outside what the model sees; move it")
        corners.append((seen.any(1).argmax(), seen.any(0).argmax()))
    moves = (np.array(corners) - corners[0]) / shape  # copies, 2, in patches
    steps = np.rint(moves).astype(int)
    objects, _ = patch_objects(instances, grid, purity)
    first = np.argwhere(objects == numbers[0])
    places = first[None] + steps[:, None]  # copies, m, 2
    inside = ((places >= 0) & (places < (grid.rows, grid.columns))).all(-1)
    y, x = np.where(inside[..., None], places, 0).transpose(2, 0, 1)
    kept = (inside & (objects[y, x] == np.array(numbers)[:, None])).all(0)
    if not kept.any():
        raise ValueError(f"{image.name}: no patch shows the same place of all copies; part them")
    found = (y * grid.columns + x)[:, kept].astype(np.int32)
    return found, bool((moves == steps).all())


def _identical(fitted: np.ndarray, patches: np.ndarray, grid: PatchGrid) -> bool:
    """Whether the pixels of all copies' patches are equal."""
    high, wide = fitted.shape[0] // grid.rows, fitted.shape[1] // grid.columns
    blocks = fitted.reshape(grid.rows, high, grid.columns, wide, 3).swapaxes(1, 2)
    flat = blocks.reshape(grid.count, high * wide * 3)[patches]  # copies, m, values
    return bool((flat == flat[:1]).all())


def _compare(
    tokens: Tensor, patches: np.ndarray, probe: BindingProbe | None, point: int
) -> tuple[float, ...]:
    """Difference, largest difference, 1 - cosine, and P(same) of twins, between and within."""
    own = tokens.float()[torch.from_numpy(patches).long()]  # copies, m, d
    first, second = torch.triu_indices(len(own), len(own), 1)
    apart = (own[first] - own[second]).double()
    norms = own.double().norm(dim=-1)
    mean = (norms[first] + norms[second]) / 2
    difference = float((apart.norm(dim=-1) / mean.clamp(min=1e-30)).mean())
    largest = float(apart.abs().max() / own.abs().max().clamp(min=1e-30))
    # From the difference of the directions: 1 - cosine itself would round small angles away.
    turned = own.double() / norms.clamp(min=1e-30)[..., None]
    cosine = float(((turned[first] - turned[second]) ** 2).sum(-1).mean() / 2)
    return difference, largest, cosine, *_chances(own, first, second, probe, point)


def _chances(
    own: Tensor, first: Tensor, second: Tensor, probe: BindingProbe | None, point: int
) -> tuple[float, float, float]:
    count = own.shape[1]
    unusable = probe is None or probe.kind == "next_qk"
    if probe is None or unusable or not bool(torch.isfinite(probe.tensors["bias"][point])):
        return (float("nan"),) * 3
    read = probe.read(own.flatten(0, 1), point)
    chance = torch.sigmoid(probe.logits(read, read, point).double())
    table = chance.unflatten(0, (-1, count)).unflatten(2, (-1, count)).transpose(1, 2)
    pairs = table[first, second]  # pairs, m, m
    twins = float(pairs.diagonal(dim1=1, dim2=2).mean())
    inner = table.diagonal(dim1=0, dim2=1).movedim(-1, 0)  # copies, m, m
    others = ~torch.eye(count, dtype=torch.bool)
    within = float(inner[:, others].mean()) if count > 1 else float("nan")
    return twins, float(pairs.mean()), within


def _notes(module: nn.Module, aligned: bool, identical: bool) -> tuple[str, ...]:
    notes = []
    if not has_positions(module):
        notes.append("This model adds no position embedding to its tokens: there is one curve.")
    if not aligned:
        notes.append(
            "The copies lie differently on the patches: their tokens differ from the start."
        )
    elif not identical:
        notes.append(
            "The copies' patches differ in pixels: what is around them or over them differs."
        )
    relative = ("rope", "rel_pos_bias", "shared_rel_pos")
    inner = any(
        name.endswith("relative_position_bias_table") for name, _ in module.named_parameters()
    )
    if inner or any(getattr(module, name, None) is not None for name in relative):
        notes.append(
            "Relative or rotary positions stay in the attention; only added ones are zero."
        )
    return tuple(notes)
