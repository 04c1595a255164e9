"""`attention-atlas prune`: cut the least important heads out and write the smaller model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli.options import Commands, add_study_options, positive, progress, say
from analytics.cli.prune_report import describe, lines, summarise
from analytics.cli.prune_subject import Material, find_material
from analytics.metrics.catalogue import HEAD_METRICS

if TYPE_CHECKING:
    import pandas as pd

    from analytics.capture.sites import SiteMap
    from analytics.models.registry import LoadedModel
    from analytics.studies.attend import Progress
    from analytics.studies.pruning import Pairs
    from analytics.types import Provenance

COLUMNS = ("layer", "head", "metric", "ablation", "mean")


def add_command(commands: Commands) -> None:
    """Add `prune` to the command line."""
    parser = commands.add_parser("prune", help="cut heads out", description=__doc__)
    parser.add_argument(
        "--importance", type=Path, required=True, metavar="FILE", help="importance.parquet"
    )
    parser.add_argument(
        "--metric", metavar="M", choices=tuple(HEAD_METRICS), help="default: the file's first"
    )
    parser.add_argument(
        "--budget", type=float, metavar="F", help="below 1 a share of all heads, else a number"
    )
    parser.add_argument("--heads", metavar="L3H5,...", help="these heads, whatever they matter")
    parser.add_argument(
        "--iterative", type=positive, metavar="STEPS", help="measure again after each of STEPS cuts"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="IMAGES",
        help="to compare on; default: the samples, with --iterative those of the importance run",
    )
    parser.add_argument("--labels", metavar="CSV|folders", help="class of each picture")
    parser.add_argument(
        "--readout", type=Path, metavar="FILE", help="classifier; default: that of the importance"
    )
    add_study_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Choose heads, cut them out, compare both models, then write.

    Raises:
        ValueError: the choice, the file, the model or the pictures cannot be used.
        OSError: a file cannot be read or written.
    """
    from analytics.capture.tracing import find_sites
    from analytics.cli.subject import load
    from analytics.models.readout import check_fits
    from analytics.studies.pruned_export import export_pruned
    from analytics.studies.pruning import added_up, prune_and_measure

    check(args)
    table, metric = read_importance(args.importance, args.metric)
    about, report = provenance_beside(args.importance), progress(args.quiet)
    material = find_material(args, metric, about)
    loaded = load(args, report)
    if material.readout is not None:
        check_fits(material.readout, loaded.spec.public_id, loaded.weights_sha256)
    report(0, 0, "finding where the model attends")
    sites = find_sites(loaded.module, loaded.input_size)
    check_model(args.importance, table, about, loaded, sites)
    heads = choose(args, table, metric, loaded, sites, material, report)
    pruned = prune_and_measure(
        loaded,
        material.images,
        heads,
        labels=material.labels,
        readout=material.readout,
        fit=args.fit,
        progress=report,
        sites=sites,
    )
    pruned = replace(pruned, predicted=added_up(means(table, "cls_shift"), heads))
    files = export_pruned(args.out, loaded, pruned, args.command_line)
    summary = summarise(args, loaded, pruned, metric, [file.name for file in files])
    summary["notes"] += [*remarks(table), *material.notes]
    describe(args, material, summary, files[-1])
    say(args, summary, lines(loaded, summary))


def check(args: argparse.Namespace) -> None:
    """Refuse choices that contradict each other.

    Raises:
        ValueError: both or neither of `--budget` and `--heads`, or steps with `--heads`.
    """
    if (args.budget is None) == (not args.heads):
        got = "neither" if args.budget is None else "both"
        raise ValueError(f"expected either --budget or --heads, got {got}; give one of them")
    if args.iterative and args.budget is None:
        raise ValueError("--iterative chooses the heads itself, so it goes with --budget alone")


def read_importance(path: Path, metric: str | None) -> tuple[pd.DataFrame, str]:
    """The table of a file that `importance` wrote, and the metric to go by.

    Raises:
        ValueError: no such table or metric.
    """
    import pandas as pd

    reader = pd.read_csv if path.suffix.lower() == ".csv" else pd.read_parquet
    try:
        table = reader(path)
    except FileNotFoundError:
        raise ValueError(f"expected importance.parquet, found nothing at {path}") from None
    except (ValueError, OSError) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"expected importance.parquet, {path.name} cannot be read: {line}"
        ) from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or table.empty:
        lacking = f"no column {missing[0]}" if missing else "no rows"
        raise ValueError(
            f"expected the importance.parquet that `attention-atlas importance` wrote; "
            f"{path.name} has {lacking}"
        )
    names = list(dict.fromkeys(table["metric"]))
    if metric is not None and metric not in names:
        raise ValueError(
            f"expected a metric out of {', '.join(names)}; {path.name} has no {metric}"
        )
    return table, metric or names[0]


def means(table: pd.DataFrame, metric: str) -> dict[tuple[int, int], float]:
    """Mean of one metric for each (layer, head)."""
    rows = table[table["metric"] == metric]
    return {
        (int(layer), int(head)): float(mean)
        for layer, head, mean in zip(rows["layer"], rows["head"], rows["mean"], strict=True)
    }


def remarks(table: pd.DataFrame) -> list[str]:
    """What the importance was measured by, where it is not what cutting does."""
    kinds = sorted(set(table["ablation"]) - {"zero"})
    words = f"importance was measured by {', '.join(kinds)} ablation; cutting is zero ablation"
    return [words] if kinds else []


def check_model(
    path: Path,
    table: pd.DataFrame,
    about: Provenance | None,
    loaded: LoadedModel,
    sites: SiteMap,
) -> None:
    """Refuse a table that was measured on another model.

    Raises:
        ValueError: heads that the model does not have or that the table lacks, or other weights
            by the provenance beside the table.
    """
    there = {(site.index, head) for site in sites.sites for head in range(site.num_heads)}
    measured = set(zip(table["layer"].astype(int), table["head"].astype(int), strict=True))
    layers = {layer for layer, _ in measured}
    # A layer that pools after the features has heads, but no importance.
    lacking = {pair for pair in there if pair[0] in layers} - measured
    wrong = sorted(measured - there) or sorted(lacking)
    if wrong:
        layer, head = wrong[0]
        side = "the model has no" if wrong[0] in measured else "the table lacks"
        raise ValueError(
            f"expected the importance of {loaded.label}; {side} L{layer} H{head}. Name the model "
            "that it was measured on with --model"
        )
    if about and about.weights_sha256 != loaded.weights_sha256:
        raise ValueError(
            f"expected the importance of {loaded.label}; {path.name} was measured on {about.model} "
            "with other weights. Name that model with --model"
        )


def provenance_beside(path: Path) -> Provenance | None:
    """The provenance of the importance run in the table's folder; None where there is none."""
    from analytics.store.provenance import parse_provenance

    try:
        about = parse_provenance((path.parent / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    # Another command may have written into the same folder since.
    return about if "ablation" in about.parameters else None


def choose(
    args: argparse.Namespace,
    table: pd.DataFrame,
    metric: str,
    loaded: LoadedModel,
    sites: SiteMap,
    material: Material,
    report: Progress,
) -> Pairs:
    """The heads to remove."""
    import numpy as np

    from analytics.studies.pruning import least_important, parse_pairs
    from analytics.studies.pruning_steps import prune_iteratively

    if args.heads:
        return parse_pairs(args.heads)
    found = means(table, metric)
    values = np.array(list(found.values()))
    # Of a signed metric the size counts.
    heads = least_important(list(found), np.abs(values), args.budget)
    if not args.iterative:
        return heads
    return prune_iteratively(
        loaded,
        material.images,
        metric,
        args.budget,
        args.iterative,
        material.labels,
        material.readout,
        args.fit,
        args.seed or 0,
        report,
        sites,
    )
