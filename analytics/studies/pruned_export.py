"""A pruned model as files, with what timm needs to build it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.models.pruned_files import write_pruned
from analytics.store.provenance import make_provenance, provenance_json

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel
    from analytics.studies.pruning import Pruned


def export_pruned(
    folder: Path,
    loaded: LoadedModel,
    pruned: Pruned,
    command: str = "",
) -> list[Path]:
    """Write checkpoint, recipe and loader, and how they were made.

    Args:
        folder: where to write.
        loaded: the full model.
        pruned: what `prune_and_measure` gave.
        command: what was typed.

    Returns:
        The files written, `provenance.json` last.

    Raises:
        ValueError: plain timm cannot build this model again.
    """
    architecture, arguments = build_of(loaded)
    made = make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        {},
        {
            "heads_removed": [f"L{layer}H{head}" for layer, head in pruned.heads],
            "parameters": {"before": pruned.parameters[0], "after": pruned.parameters[1]},
            "cosine_to_unpruned": pruned.measured,
            "latency_ratio": pruned.latency["pruned"].ratio,
            "images": pruned.num_images,
            "input_size": list(loaded.input_size),
        },
        device=loaded.device,
        notes=tuple(filter(None, (loaded.caution,))),
    )
    text = provenance_json(made)
    files = write_pruned(
        folder,
        loaded.module,
        pruned.module,
        architecture,
        arguments,
        pruned.modules,
        text,
        input_size=loaded.input_size,
        mean=loaded.mean,
        std=loaded.std,
    )
    about = folder / "provenance.json"
    about.write_text(text, encoding="utf-8")
    return [*files, about]


def build_of(loaded: LoadedModel) -> tuple[str, dict[str, Any]]:
    """Architecture as timm writes it, and the arguments of `create_model` beside it."""
    import timm

    from analytics.models.bundled import ARCHITECTURE

    module, source = loaded.module, loaded.spec.source
    stated: Any = getattr(module, "pretrained_cfg", None) or {}
    architecture = {
        "bundled": ARCHITECTURE,
        "hub": str(stated.get("architecture", "")),
    }.get(source, loaded.spec.name.partition(".")[0])
    arguments: dict[str, Any] = {}
    config = timm.get_pretrained_cfg(architecture)
    native = tuple(config.input_size[-2:]) if config is not None else None
    if loaded.input_size != native and hasattr(module, "patch_embed"):
        arguments["img_size"] = loaded.input_size[0]
    classes = getattr(module, "num_classes", None)
    if classes is not None and (config is None or classes != config.num_classes):
        arguments["num_classes"] = classes
    return architecture, arguments
