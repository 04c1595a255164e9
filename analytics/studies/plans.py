"""What every part of a study's result shares: written once, when the study begins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.store.provenance import make_provenance, provenance_json
from analytics.studies.pictures import Survey

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel


def study_plan(
    loaded: LoadedModel,
    key: str,
    found: Survey,
    parameters: Mapping[str, Any],
    seed: int,
    command: str,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The plain values of a study over a set of pictures, its provenance included.

    Args:
        loaded: the model.
        key: the result's key.
        found: the pictures.
        parameters: what was chosen, beside the model's size and dtype.
        seed: of random draws.
        command: what was typed.
        notes: what the reader of the result must know.
    """
    said = [*notes]
    if found.skipped:
        said.append(f"{len(found.skipped)} pictures left out: unreadable or the same as another")
    made = make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        dict(zip(found.names, found.sha256s, strict=True)),
        {**parameters, "input_size": list(loaded.input_size), "dtype": loaded.dtype},
        seed,
        loaded.device,
        tuple(said),
    )
    return {
        "id": key,
        "model_label": loaded.label,
        "caution": loaded.caution,
        "images_wanted": found.wanted,
        "skipped": [list(one) for one in found.skipped],
        "provenance": json.loads(provenance_json(made)),
    }
