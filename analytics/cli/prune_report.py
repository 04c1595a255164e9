"""What `attention-atlas prune` says and adds to the provenance."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytics.cli.prune_subject import Material
    from analytics.models.registry import LoadedModel
    from analytics.studies.pruning import Pruned


def summarise(
    args: argparse.Namespace, loaded: LoadedModel, pruned: Pruned, metric: str, files: list[str]
) -> dict[str, Any]:
    """What was cut, what it cost and what it saved."""
    by_layer: dict[int, list[int]] = {}
    for layer, head in sorted(pruned.heads):
        by_layer.setdefault(layer, []).append(head)
    full, small = pruned.latency["full"], pruned.latency["pruned"]
    return {
        "command": "prune",
        "out": str(args.out),
        "files": files,
        "model": loaded.spec.public_id,
        "weights_sha256": loaded.weights_sha256,
        "metric": None if args.heads else metric,
        "heads": [list(pair) for pair in pruned.heads],
        "heads_by_layer": {str(layer): heads for layer, heads in by_layer.items()},
        "parameters": {"before": pruned.parameters[0], "after": pruned.parameters[1]},
        "cosine": {
            "predicted": pruned.predicted,
            "measured": pruned.measured,
            "images": pruned.num_images,
        },
        "accuracy": None
        if pruned.accuracy is None
        else {"before": pruned.accuracy[0], "after": pruned.accuracy[1]},
        "latency": {
            "ratio": small.ratio,
            "ratio_low": small.ratio_low,
            "ratio_high": small.ratio_high,
            "full_s": full.median_s,
            "pruned_s": small.median_s,
            "images": small.images,
            "rounds": small.rounds,
            "threads": small.threads,
            "device": small.device,
        },
        "caution": loaded.caution,
        "notes": [],
    }


def describe(
    args: argparse.Namespace, material: Material, summary: dict[str, Any], path: Path
) -> None:
    """Add to the provenance what the heads were chosen from and what was found."""
    from analytics.store.provenance import parse_provenance, provenance_json
    from analytics.studies.pictures import survey

    found = survey(material.images)
    inputs = dict(zip(found.names, found.sha256s, strict=True))
    inputs[args.importance.name] = hashlib.sha256(args.importance.read_bytes()).hexdigest()
    made = parse_provenance(path.read_text(encoding="utf-8"))
    choice: dict[str, Any] = {
        "metric": summary["metric"],
        "budget": args.budget,
        "iterative": args.iterative,
    }
    choice["readout"] = None if material.readout is None else material.readout.sha256
    found_out = {name: summary[name] for name in ("cosine", "accuracy", "latency")}
    made = replace(
        made,
        inputs=inputs,
        parameters={**made.parameters, **choice, "fit": args.fit, **found_out},
        seed=args.seed or 0 if args.iterative else None,
        notes=(*made.notes, *summary["notes"]),
    )
    path.write_text(provenance_json(made), encoding="utf-8")


def lines(loaded: LoadedModel, summary: dict[str, Any]) -> list[str]:
    """The summary in words."""
    before, after = summary["parameters"]["before"], summary["parameters"]["after"]
    cosine, time = summary["cosine"], summary["latency"]
    guess = cosine["predicted"]
    expected = "" if guess is None else f", {guess:.4f} predicted if effects add up"
    layers, right = summary["heads_by_layer"].items(), summary["accuracy"]
    named = (
        [f"named right: {right['before']:.1%} with all heads, {right['after']:.1%} without these"]
        if right
        else []
    )
    return [
        loaded.label,
        *filter(None, [summary["caution"], *summary["notes"]]),
        f"{len(summary['heads'])} heads removed:",
        *(f"  L{layer}: {', '.join(f'H{head}' for head in heads)}" for layer, heads in layers),
        f"parameters: {before:,} to {after:,} ({after / before - 1:+.1%})",
        f"cosine to the unpruned embedding: {cosine['measured']:.4f} over {cosine['images']} "
        f"pictures{expected}",
        *named,
        f"time of a forward pass: {time['ratio']:.3f} of the full model's (80 % of "
        f"{time['rounds']} rounds {time['ratio_low']:.3f} to {time['ratio_high']:.3f}; "
        f"{time['images']} pictures, {time['device']}, {time['threads']} threads)",
        f"{summary['out']}: {', '.join(summary['files'])}",
    ]
