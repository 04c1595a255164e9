"""Saved binding probes: what they were fitted on, whom they fit, and those that are shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.models.binding_probes import BindingProbe, probes_bytes, read_probes

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.registry import LoadedModel
    from analytics.studies.attend import Progress
    from analytics.studies.binding_record import Binding
    from analytics.types import Provenance


def ready_path() -> Path:
    """The shipped probes of the bundled model, PLDA and quadratic, for 224 px."""
    from analytics.models.bundled import weights_folder

    return weights_folder() / "binding_vit_small_patch14.safetensors"


def ready_probes(loaded: LoadedModel) -> dict[str, BindingProbe] | None:
    """The shipped probes, or None where they were fitted on another model or size."""
    try:
        probes, about = read_probes(ready_path())
        check_fits(about, loaded)
    except ValueError:
        return None
    return probes


def measure_ready(
    loaded: LoadedModel, sources: Sequence[AnnotatedSource], progress: Progress
) -> dict[str, Any]:
    """What the shipped probes reach on annotated pictures that they were not fitted on.

    Returns:
        `images`, the number measured, and `curves`: probe -> measure -> (points, 3) as lists of
        value, low and high over images.

    Raises:
        ValueError: another model or size, or no usable picture.
    """
    import torch

    from analytics.metrics.binding import MEASURES, measure_pairs, pair_set
    from analytics.studies.binding_choices import PREVIEW
    from analytics.studies.binding_features import binding_features
    from analytics.studies.binding_images import survey_annotated

    probes, about = read_probes(ready_path())
    check_fits(about, loaded)
    found = survey_annotated(sources, progress)
    whole = binding_features(loaded, found, PREVIEW, progress=progress)
    pairs = pair_set(whole.objects, whole.places, whole.pixels[..., :3])
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for name, probe in probes.items():
        curves[name] = {measure: [] for measure in MEASURES}
        for point in range(probe.points):
            read = probe.read(torch.from_numpy(whole.features[point]).float(), point)
            scores = pairs.scores(probe.logits(read, read, point).numpy())
            for measure, row in zip(MEASURES, measure_pairs(scores, pairs).tolist(), strict=True):
                curves[name][measure].append([round(one, 4) for one in row])
    return {"images": len(whole.names), "curves": curves}


def ready_table() -> dict[str, Any] | None:
    """What `measure_ready` gave for the shipped probes; None where the file is missing."""
    path = ready_path().with_suffix(".json")
    if not path.is_file():
        return None
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def ready_rows(made: Provenance) -> dict[str, tuple[dict[str, Any], int]]:
    """Curves of the shipped probes, and on how many images each was measured.

    Args:
        made: how the result beside which they stand was made; empty for another model or size.
    """
    table = ready_table()
    if table is None:
        return {}
    _, about = read_probes(ready_path())
    theirs = [about.get("weights_sha256"), about.get("input_size")]
    if theirs != [made.weights_sha256, list(made.parameters.get("input_size", ()))]:
        return {}
    return {name: (curves, table["images"]) for name, curves in table["curves"].items()}


def probes_about(record: Binding) -> dict[str, Any]:
    """Plain values that go with probes into their file: model, size, images."""
    made = record.provenance
    return {
        "study": record.id,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        "input_size": list(made.parameters["input_size"]),
        "fit": made.parameters["fit"],
        "purity": made.parameters["purity"],
        "pictures": "made scenes" if any(record.families) else "annotated pictures",
        "images": len(record.images),
        "train_images": sum(one.part == "train" for one in record.images),
        "seed": record.seeds[0],
    }


def check_fits(about: Mapping[str, Any], loaded: LoadedModel) -> None:
    """Refuse probes for a model, weights or an input size that they were not fitted on.

    Args:
        about: what `probes_about` gave, read from their file.
        loaded: the model to be read.

    Raises:
        ValueError: they do not go together, or nothing is known of the probes.
    """
    names = ("model", "weights_sha256", "input_size")
    fitted: list[Any] = [about.get(name) for name in names]
    here: list[Any] = [loaded.spec.public_id, loaded.weights_sha256, list(loaded.input_size)]
    if None in fitted:
        raise ValueError(
            "expected probes that say which model they were fitted on, got a file without it; fit "
            "them again"
        )
    if fitted[:2] != here[:2]:
        raise ValueError(
            f"expected the model {fitted[0]} with the weights {str(fitted[1])[:12]}, on which "
            f"these probes were fitted, got {here[0]} with {here[1][:12]}; fit probes on this model"
        )
    if fitted[2] != here[2]:
        theirs, ours = (" x ".join(str(side) for side in one) for one in (fitted[2], here[2]))
        raise ValueError(
            f"expected an input of {theirs} pixels, at which these probes were fitted, got "
            f"{ours}; choose that size, or fit probes at this one"
        )


def half_bytes(probes: Mapping[str, BindingProbe], about: Mapping[str, Any]) -> bytes:
    """`probes_bytes` with the matrices in half precision: half the size, to be shipped."""
    from safetensors.torch import load, save

    data = probes_bytes(probes, about)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors = {
        name: tensor.half() if name.endswith(".matrix") else tensor
        for name, tensor in load(data).items()
    }
    return save(tensors, metadata=header["__metadata__"])
