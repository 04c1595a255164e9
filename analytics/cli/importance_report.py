"""What `attention-atlas importance` writes and says."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analytics.cli.options import say
from analytics.metrics.catalogue import HEAD_METRICS

if TYPE_CHECKING:
    from analytics.cli.subject import Subject
    from analytics.studies.curves import PruningCurves
    from analytics.studies.importance_record import Importance

SHOWN = 5
"""Heads named on the terminal for each metric."""


def finish(
    args: argparse.Namespace,
    subject: Subject,
    record: Importance,
    curves: PruningCurves | None,
    more: dict[str, Any],
) -> None:
    """Write the tables and say what came out."""
    notes = [*subject.notes]
    if curves is not None:
        on = {"images": curves.num_images, "measured": curves.num_measured}
        more = {**more, "curves": {"quality": curves.quality, **on}}
    if not more["complete"]:
        done = f"{len(record.images)} of {record.images_wanted} pictures measured"
        left = "the curves are missing" if record.complete else "only these are in the tables"
        notes.append(f"interrupted: {done}, {left}; the same command goes on after them")
    files = write(args, subject, record, curves, notes, more)
    made = record.provenance
    summary = {
        "command": "importance",
        "out": str(args.out),
        "files": files,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        "metrics": list(record.metrics),
        "ablation": record.ablation,
        "images": len(record.images),
        "images_wanted": record.images_wanted,
        "skipped": [list(one) for one in record.skipped],
        "readout": record.readout,
        "most_important": {name: most_important(record, name) for name in record.metrics},
        "caution": record.caution,
        "notes": [*made.notes, *notes],
        **more,
    }
    say(args, summary, lines(summary, record))


def write(
    args: argparse.Namespace,
    subject: Subject,
    record: Importance,
    curves: PruningCurves | None,
    notes: list[str],
    more: dict[str, Any],
) -> list[str]:
    """Tables and provenance into `--out`; names of the files."""
    from analytics.cli.subject import READOUT
    from analytics.io.export import table_bytes
    from analytics.store.provenance import provenance_json
    from analytics.studies import importance_tables as tables

    made = record.provenance
    # As typed: `prune` looks there for the pictures, and knows them by their bytes.
    choices = {
        "pictures": str(args.images),
        "labels": args.labels,
        "readout_file": str(args.readout) if args.readout else None,
        "limit": args.limit,
        "readout_fitted": subject.fitted,
        **more,
    }
    made = replace(made, parameters={**made.parameters, **choices}, notes=(*made.notes, *notes))
    frames = {
        "importance": tables.importance_table(record),
        "per_image": tables.per_image_table(record),
        "agreement": tables.agreement_table(record),
    }
    if curves is not None:
        frames["curves"] = tables.curves_table(curves)
    files = {"provenance.json": provenance_json(made).encode()}
    for name, frame in frames.items():
        files[f"{name}.parquet"] = table_bytes(frame, "parquet")
        if args.csv:
            files[f"{name}.csv"] = table_bytes(frame, "csv")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (args.out / name).write_bytes(data)
    return [*files, *([READOUT] if subject.fitted else [])]


def most_important(record: Importance, metric: str) -> list[dict[str, Any]]:
    """The heads with the largest means, with their intervals; fewer where few were measured."""
    import numpy as np

    from analytics.metrics.ranking import bootstrap_interval, top_heads
    from analytics.studies.importance_tables import mean_importance

    order = top_heads(mean_importance(record, metric), min(SHOWN, len(record.heads)))
    found = bootstrap_interval(record.table(metric)[:, order])
    rows = zip(order, found.mean, found.low, found.high, strict=True)
    return [
        {
            "layer": record.heads[column][0],
            "head": record.heads[column][1],
            "mean": float(mean),
            "ci_low": float(low) if np.isfinite(low) else None,
            "ci_high": float(high) if np.isfinite(high) else None,
        }
        for column, mean, low, high in rows
        if np.isfinite(mean)
    ]


def lines(summary: dict[str, Any], record: Importance) -> list[str]:
    """The summary in words."""
    from analytics.studies.curves import picture_words

    said = [record.model_label, summary["caution"], record.readout, *summary["notes"]]
    if summary["reused"]:
        said.append(f"{summary['reused']} pictures were measured before and are not measured again")
    said += [f"left out {name}: {reason}" for name, reason in record.skipped]
    pictures = f"{summary['images']} picture{'' if summary['images'] == 1 else 's'}"
    for metric, heads in summary["most_important"].items():
        said.append(f"{HEAD_METRICS[metric].title}, {record.ablation} ablation, {pictures}:")
        said += [f"  {in_words(one)}" for one in heads]
    for metric, agreement in summary.get("float32_agreement", {}).items():
        title = HEAD_METRICS[metric].title
        said.append(f"{title}: rank correlation with float32 {agreement:.4f}, a few pictures")
    if "curves" in summary:
        found = summary["curves"]
        words = picture_words(found["images"], found["measured"])
        said.append(f"pruning curves: {found['quality']}, {words}")
    if "top" in summary:
        said.append(top_words(summary["top"]))
    said.append(f"{summary['out']}: {', '.join(summary['files'])}")
    return [line for line in said if line]


def in_words(one: dict[str, Any]) -> str:
    """A head with its mean and interval."""
    interval = ""
    if one["ci_low"] is not None:
        interval = f"  (95 % interval {one['ci_low']:.4g} to {one['ci_high']:.4g})"
    return f"L{one['layer']} H{one['head']}  {one['mean']:.4g}{interval}"


def top_words(top: dict[str, Any]) -> str:
    """What the search found, at which risk, and what it saved."""
    heads = ", ".join(f"L{layer} H{head}" for layer, head in top["heads"])
    sure = "all measured" if top["exact"] else f"wrong set in at most {top['error_rate']:.0%}"
    return (
        f"the {len(top['heads'])} most important: {heads} ({sure}; {top['images_drawn']} of "
        f"{top['images']} pictures drawn, {top['work']:.0%} of the measurements made)"
    )
