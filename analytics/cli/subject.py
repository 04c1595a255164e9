"""What a study of heads works on: the model, the pictures, and a read-out if classes are asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource, LabelledSet
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.attend import Progress
    from analytics.studies.pictures import Survey

READOUT = "readout.safetensors"
SEEN = (
    "on pictures that the read-out was fitted on its probabilities are too good; they are not "
    "told apart here"
)


@dataclass(frozen=True)
class Subject:
    """The pictures that are measured, and what is said of their choice.

    `held_out` has all pictures that a read-out fitted here has not seen, None without one.
    """

    loaded: LoadedModel
    images: Sequence[ImageSource]
    labels: Sequence[str | None] | None
    readout: ReadOut | None
    notes: tuple[str, ...]
    held_out: Survey | None = None

    @property
    def fitted(self) -> bool:
        """Whether the read-out was fitted on a part of the pictures."""
        return self.held_out is not None


def load(args: argparse.Namespace, report: Progress) -> LoadedModel:
    """The model that the options name."""
    report(0, 0, "loading the model")
    from analytics.models.registry import load_model, parse_model

    spec = parse_model(args.model, args.checkpoint)
    return load_model(spec, args.size, args.device, args.dtype)


def find_subject(
    args: argparse.Namespace, metrics: Sequence[str], store: Path, report: Progress
) -> Subject:
    """Read the pictures and labels, load the model, and read or fit the read-out.

    Raises:
        ValueError: pictures, labels, model or read-out cannot be used, or options of a fit where
            nothing is fitted.
        OSError: a file cannot be read or written.
    """
    from analytics.io.labelled import read_labelled
    from analytics.models.readout import check_fits, load_readout, save_readout
    from analytics.studies.readouts import fitted_readout, labelled_pictures

    if args.readout:
        _refuse_fit_options(args, "--readout gives one that is fitted")
    found = read_labelled(args.images, args.labels)
    if not found.classes:
        _refuse_fit_options(args, "the pictures have no labels to fit one on; add --labels")
    # A file is looked at before the model is loaded.
    given = load_readout(args.readout) if args.readout else None
    loaded = load(args, report)
    if given is not None:
        check_fits(given, loaded.spec.public_id, loaded.weights_sha256)
        return _chosen(args, loaded, found, given, (SEEN,))
    if not (args.labels or (found.classes and asks_for_classes(loaded, metrics))):
        _refuse_fit_options(args, f"{', '.join(metrics)} can be measured without one")
        return _chosen(args, loaded, found, None, ())
    report(0, 0, "reading the labelled pictures")
    whole = labelled_pictures(found.images, found.labels)
    readout, _, held_out = fitted_readout(
        loaded,
        whole,
        found.classes,
        store / "readouts",
        args.readout_kind or "linear",
        args.readout_layer,
        args.fit,
        args.seed or 0,
        report,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    save_readout(readout, args.out / READOUT)
    note = (
        f"measured on the pictures held out of the read-out's fit alone: {len(held_out.images):,} "
        f"of {len(whole.images):,}"
    )
    return _chosen(args, loaded, held_out, readout, (note,), held_out)


def _refuse_fit_options(args: argparse.Namespace, why: str) -> None:
    """Refuse options that say how a read-out is fitted; `why` says why none is.

    Raises:
        ValueError: one of them was given.
    """
    options = {"--readout-kind": args.readout_kind, "--readout-layer": args.readout_layer}
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} says how a read-out is fitted, and none is: {why}")


def _chosen(
    args: argparse.Namespace,
    loaded: LoadedModel,
    found: LabelledSet | Survey,
    readout: ReadOut | None,
    notes: tuple[str, ...],
    held_out: Survey | None = None,
) -> Subject:
    """All pictures, or as many as `--limit` says, drawn at random and kept in order."""
    rows = list(range(len(found.images)))
    if args.limit is not None and args.limit < len(rows):
        drawn = np.random.default_rng(args.seed or 0).permutation(len(rows))[: args.limit]
        notes = (*notes, f"{args.limit:,} of {len(rows):,} pictures drawn at random (--limit)")
        rows = sorted(drawn.tolist())
    labels = None if readout is None else [found.labels[row] for row in rows]
    return Subject(loaded, [found.images[row] for row in rows], labels, readout, notes, held_out)


def asks_for_classes(loaded: LoadedModel, metrics: Sequence[str]) -> bool:
    """Whether a metric needs a classifier that the model does not bring along."""
    from analytics.metrics.catalogue import HEAD_METRICS
    from analytics.studies.reading import available

    needed = {need for name in metrics if name in HEAD_METRICS for need in HEAD_METRICS[name].needs}
    return "classes" in needed - available(loaded, None)
