"""One picture as a probe reads it at the model's end, with a part of the stream changed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import fit_mask, place
from analytics.metrics.binding_subspace import Subspace, principal_subspace, random_subspace
from analytics.metrics.patch_objects import patch_objects
from analytics.studies.binding_edits import (
    UNCHANGED,
    Edit,
    changed_patches,
    edited_stream,
    replaced_patches,
)
from analytics.studies.binding_map import SameObjectMap, same_object_map
from analytics.types import Fit, Picture

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.studies.binding_ablation_record import SubspaceName


def edited_maps(
    probe: BindingProbe,
    loaded: LoadedModel,
    picture: Picture,
    instances: np.ndarray | None,
    point: int,
    dimensions: int | None,
    subspace: SubspaceName,
    edit: Edit,
    amount: float,
    fit: Fit = "crop",
    seed: int = 0,
) -> tuple[SameObjectMap, SameObjectMap, float]:
    """The map at the last point without and with an edit, and the energy that the edit moved.

    Args:
        probe: with a matrix, fitted on this model.
        loaded: the model.
        picture: decoded.
        instances: int (height, width) of the picture, 0 for none; None where nobody has marked
            the objects.
        point: where the stream is changed, 0 for the embedding.
        dimensions: strongest directions of the probe's subspace; None for all.
        subspace: the probe's own, a control that moves the same energy, or the whole stream; the
            principal one is that of this picture's patches.
        edit: `shuffle` or `inject`.
        amount: ratio of shuffled patches, or alpha.
        fit: how the picture is brought to the model's input size.
        seed: of shuffle and random subspace.

    Raises:
        ValueError: as `check_ablation_probe`, or an injection without objects.

    Known answer: with ratio 0 or alpha 1 both maps are the same, bit for bit.
    """
    import torch

    from analytics.studies.binding_ablation import (
        binding_subspace,
        check_ablation_probe,
        whole_stream,
    )
    from analytics.studies.binding_features import StreamReader

    reader = StreamReader(loaded)
    check_ablation_probe(probe, reader, point)
    if edit == "inject" and instances is None:
        raise ValueError(
            "expected a picture whose objects are known: the injection moves patches to the mean "
            "of their object; take a made scene, or shuffle instead"
        )
    last = probe.points - 1
    before = same_object_map(probe, loaded, picture, last, fit, reader.sites)
    if amount == UNCHANGED[edit]:
        return before, before, 0.0
    objects = torch.zeros(reader.layout.grid.count, dtype=torch.long)
    if instances is not None:
        placement = place(picture.height, picture.width, fit, *loaded.input_size)
        found, _ = patch_objects(fit_mask(instances, placement), reader.layout.grid)
        objects = torch.from_numpy(found.reshape(-1).astype(np.int64)) + 1
    own = binding_subspace(probe, point, dimensions)
    moved: list[float] = []

    def change(tokens: Tensor) -> Tensor:
        patches = tokens[0, -len(objects) :]
        binding = _on(own, patches)
        space = binding
        if subspace == "random":
            space = _on(random_subspace(own, seed), patches)
        elif subspace == "principal":
            space = _on(principal_subspace(patches.cpu(), own), patches)
        elif subspace == "stream":
            binding = space = _on(whole_stream(own), patches)
        new, share = changed_patches(
            patches, objects.to(patches.device), binding, space, edit, amount, seed
        )
        moved.append(share)
        return replaced_patches(tokens, [new])

    with edited_stream(loaded.module, point, change):
        after = same_object_map(probe, loaded, picture, last, fit, reader.sites)
    return before, after, moved[0]


def _on(space: Subspace, patches: Tensor) -> Subspace:
    """The same subspace where the patches are."""
    parts = (space.basis, space.mean, space.spread)
    return Subspace(*(one.to(patches.device) for one in parts))
