"""`attention-atlas importance`: which heads matter, measured by taking each one out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cli.importance_report import finish
from analytics.cli.options import Commands, add_study_options, positive, progress, whole
from analytics.metrics.catalogue import ABLATIONS, HEAD_METRICS, check_metrics

if TYPE_CHECKING:
    from analytics.cli.subject import Subject
    from analytics.store.results import ResultStore
    from analytics.studies.curves import PruningCurves
    from analytics.studies.importance_record import Importance

    Outcome = tuple[Importance, PruningCurves | None, dict[str, Any]]

DEFAULT_METRICS = ("cls_shift", "sensitivity")


def add_command(commands: Commands) -> None:
    """Add `importance` to the command line."""
    parser = commands.add_parser("importance", help="which heads matter", description=__doc__)
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="picture, folder, zip, list of paths or .npz"
    )
    parser.add_argument(
        "--metric",
        type=metric_names,
        default=DEFAULT_METRICS,
        metavar="M[,M]",
        help=f"out of {', '.join(HEAD_METRICS)}; default: {','.join(DEFAULT_METRICS)}",
    )
    parser.add_argument(
        "--ablation", default="zero", choices=ABLATIONS, help="what stands in for a head"
    )
    parser.add_argument(
        "--top", type=positive, metavar="K", help="find the K most important by the first metric"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="measure N pictures, drawn")
    parser.add_argument("--curves", action="store_true", help="remove heads in each metric's order")
    classes = parser.add_argument_group("classes")
    classes.add_argument("--labels", metavar="CSV|folders", help="class of each picture")
    classes.add_argument(
        "--readout", type=Path, metavar="FILE", help="classifier; fitted on the labels if not given"
    )
    classes.add_argument("--readout-kind", choices=("linear", "knn"), help="default: linear")
    classes.add_argument("--readout-layer", type=whole, metavar="N", help="default: the end")
    add_study_options(parser)
    parser.add_argument("--csv", action="store_true", help="write every table as CSV too")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where measurements are kept for the next run"
    )
    parser.set_defaults(run=run)


def metric_names(text: str) -> tuple[str, ...]:
    """Names of metrics, each once."""
    names = tuple(dict.fromkeys(filter(None, text.replace(" ", "").split(","))))
    try:
        check_metrics(names, frozenset().union(*(one.needs for one in HEAD_METRICS.values())))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def run(args: argparse.Namespace) -> None:
    """Measure, then write tables; an interruption writes the tables of what was measured.

    Raises:
        ValueError: the pictures, labels, model, metrics or read-out cannot be used.
        OSError: a file cannot be read or written.
        KeyboardInterrupt: interrupted; what was measured is written.
    """
    from analytics.cli.subject import find_subject

    if args.top and args.curves:
        raise ValueError("--curves needs all heads measured, which --top avoids; choose one")
    store, report = store_folder(args), progress(args.quiet)
    metrics = args.metric[:1] if args.top else args.metric
    subject = find_subject(args, metrics, store, report)
    if args.top:
        search(args, subject, store)
    else:
        measure(args, subject, metrics, store)


def store_folder(args: argparse.Namespace) -> Path:
    """`--store`, or the app's data folder: the pages and this command share what was measured."""
    if args.store:
        return Path(args.store).expanduser()
    from analytics.serve.state import default_data_dir

    return default_data_dir() / "importance"


def measure(
    args: argparse.Namespace, subject: Subject, metrics: tuple[str, ...], folder: Path
) -> None:
    """Take out every head; go on after what the store holds."""
    from analytics.store.results import ResultStore
    from analytics.studies.importance import importance_key, measure_importance
    from analytics.studies.importance_record import load_importance
    from analytics.studies.pictures import survey

    store, report, seed = ResultStore(folder), progress(args.quiet), args.seed or 0
    loaded, readout = subject.loaded, subject.readout
    content = survey(subject.images, subject.labels).content
    key = importance_key(loaded, content, metrics, args.ablation, readout, args.fit, seed)

    def study() -> Outcome:
        record = measure_importance(
            loaded,
            subject.images,
            metrics,
            args.ablation,
            subject.labels,
            readout,
            args.fit,
            seed,
            store,
            report,
            args.command_line,
        )
        report(1, 1)
        curves = find_curves(args, subject, record, store) if args.curves else None
        return record, curves, check_precision(args, subject, record)

    finish_or_keep(args, subject, partial(load_importance, store, key), study)


def finish_or_keep(
    args: argparse.Namespace,
    subject: Subject,
    load: Callable[[], Importance | None],
    study: Callable[[], Outcome],
) -> None:
    """Run a study and write its tables; an interruption writes those of what was measured.

    Args:
        args: the command's.
        subject: what the study works on.
        load: reads what the store holds of it.
        study: gives the record, curves if any, and what else the summary says.

    Raises:
        KeyboardInterrupt: interrupted.
    """
    before = load()
    known = 0 if before is None else len(before.images)
    try:
        record, curves, more = study()
    except KeyboardInterrupt:
        measured = load()
        if measured is not None and measured.images:
            finish(args, subject, measured, None, {"complete": False, "reused": known})
        raise
    finish(args, subject, record, curves, {"complete": record.complete, "reused": known, **more})


def check_precision(
    args: argparse.Namespace, subject: Subject, record: Importance
) -> dict[str, dict[str, float]]:
    """How the ranking agrees with float32 on a few pictures; empty for float32 itself."""
    if args.dtype == "float32":
        return {}
    from analytics.models.registry import load_model
    from analytics.studies.precision import agreement_with_float32

    exact = load_model(subject.loaded.spec, args.size, args.device, "float32")
    found = agreement_with_float32(
        exact,
        subject.images,
        record,
        subject.labels,
        subject.readout,
        args.fit,
        args.seed or 0,
        progress(args.quiet),
    )
    return {"float32_agreement": found}


def find_curves(
    args: argparse.Namespace, subject: Subject, record: Importance, store: ResultStore
) -> PruningCurves:
    """Pruning curves on the pictures measured, and more held-out ones; kept beside the result."""
    from analytics.capture.tracing import find_sites
    from analytics.studies.curves import (
        curve_pictures,
        curves_values,
        pruning_curves,
        restore_curves,
    )

    held = store.attached(record.id, "curves")
    # The pages ask too whether all that is measured by now was known to the curves.
    measured = {"measured": len(record.images)}
    if held is not None and held.get("measured") == measured["measured"]:
        return restore_curves(held)
    loaded, seed = subject.loaded, args.seed or 0
    images, labels = subject.images, subject.labels
    if subject.held_out is not None:
        known = {image.sha256 for image in record.images}
        chosen = curve_pictures(subject.held_out, known, seed)
        images, labels = chosen.images, chosen.labels
    found = pruning_curves(
        loaded,
        find_sites(loaded.module, loaded.input_size),
        images,
        record,
        labels,
        subject.readout,
        args.fit,
        seed=seed,
        progress=progress(args.quiet),
    )
    store.attach(record.id, "curves", {**curves_values(found), **measured})
    return found


def search(args: argparse.Namespace, subject: Subject, folder: Path) -> None:
    """Find the K most important heads on as few pictures as it takes."""
    from analytics.store.results import ResultStore
    from analytics.studies.pictures import survey
    from analytics.studies.top_importance import (
        find_important_heads,
        load_search,
        search_key,
        search_summary,
    )

    store, report, seed = ResultStore(folder / "top"), progress(args.quiet), args.seed or 0
    if len(args.metric) > 1:
        note = f"--top measures the first metric alone, {args.metric[0]}"
        subject = replace(subject, notes=(*subject.notes, note))
    loaded, readout, metric = subject.loaded, subject.readout, args.metric[0]
    content = survey(subject.images, subject.labels).content
    key = search_key(loaded, content, metric, args.top, args.ablation, readout, args.fit, seed)

    def study() -> Outcome:
        found = find_important_heads(
            loaded,
            subject.images,
            metric,
            args.top,
            args.ablation,
            subject.labels,
            readout,
            args.fit,
            seed,
            store,
            report,
            args.command_line,
        )
        report(1, 1)
        # A search that is done has left pictures out on purpose.
        return found.record, None, {"complete": True, "top": search_summary(found)}

    finish_or_keep(args, subject, partial(load_search, store, key), study)
