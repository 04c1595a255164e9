"""What `attention-atlas prune` measures on: pictures, their classes, and a read-out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli.subject import READOUT, SEEN
from analytics.metrics.catalogue import HEAD_METRICS

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.studies.pictures import Survey
    from analytics.types import Provenance


@dataclass(frozen=True)
class Material:
    """Pictures to compare both models on; labels and read-out come together or not at all.

    With `--iterative` importance is measured again on these pictures.
    """

    images: Sequence[ImageSource]
    labels: Sequence[str | None] | None = None
    readout: ReadOut | None = None
    notes: tuple[str, ...] = ()


def find_material(args: argparse.Namespace, metric: str, about: Provenance | None) -> Material:
    """What `--images`, `--labels` and `--readout` name.

    Without `--images`: the samples, or, with `--iterative`, the pictures that the importance
    was measured on, with their labels and the run's read-out.

    Args:
        args: the command's.
        metric: the importance to go by.
        about: the provenance of the importance, None where there is none.

    Raises:
        ValueError: something cannot be found; the message says what to add.
    """
    from analytics.io.labelled import read_labelled
    from analytics.io.sources import ImageFile, samples

    if args.images is None and not args.iterative:
        if args.labels or args.readout:
            raise ValueError("--labels and --readout go with pictures: name them with --images")
        return Material([ImageFile(one.name, one.path) for one in samples()])
    readout = find_readout(args, metric, about)
    if args.images is None:
        again = measured_before(args, about)
        words = "importance was measured again on the pictures of the importance run"
        notes = (f"{words}, {len(again.images):,}",)
        return _joined(args, again.images, again.labels, readout, notes)
    found = read_labelled(args.images, args.labels)
    return _joined(args, found.images, found.labels, readout, (SEEN,) if readout else ())


def _joined(
    args: argparse.Namespace,
    images: Sequence[ImageSource],
    labels: Sequence[str | None],
    readout: ReadOut | None,
    notes: tuple[str, ...],
) -> Material:
    """Labels go with a read-out alone; a read-out without labels names the predicted class."""
    if readout is None:
        return Material(images, None, None, notes)
    if any(label is not None for label in labels):
        return Material(images, labels, readout, notes)
    if not args.iterative:
        raise ValueError(
            "--readout is asked how many pictures are named right, and these have no labels: add "
            "--labels"
        )
    return Material(images, None, readout, notes)


def find_readout(args: argparse.Namespace, metric: str, about: Provenance | None) -> ReadOut | None:
    """`--readout`, or the one that the importance was measured with where classes are asked for.

    Raises:
        ValueError: none is found where one is needed.
    """
    from analytics.models.readout import load_readout

    if args.readout:
        return load_readout(args.readout)
    sha256 = about.parameters.get("readout") if about else None
    known = HEAD_METRICS.get(metric)
    by_class = metric == "taylor" or (known is not None and "classes" in known.needs)
    needed = bool(args.labels) or bool(args.iterative and sha256 and by_class)
    if not (needed or (args.iterative and args.images is None)):
        return None
    named = about.parameters.get("readout_file") if about else None
    for path in (args.importance.parent / READOUT, *([Path(named)] if named else [])):
        if sha256 and path.is_file():
            found = load_readout(path)
            if found.sha256 == sha256:
                return found
    if not needed:
        return None
    asks = "--labels" if args.labels else f"the metric {metric}"
    raise ValueError(
        f"{asks} needs the read-out that names the classes, and {READOUT} of the importance run is "
        f"not beside {args.importance.name}: add --readout FILE"
    )


def measured_before(args: argparse.Namespace, about: Provenance | None) -> Survey:
    """The pictures of the importance run, known by their bytes.

    Raises:
        ValueError: the run does not say where they were, or they are not there any more.
    """
    from analytics.io.labelled import read_labelled
    from analytics.studies.pictures import survey

    why = "--iterative measures importance again, and"
    advice = "add --images IMAGES, with --labels and --readout where classes are asked for"
    if about is None or "pictures" not in about.parameters:
        raise ValueError(
            f"{why} no provenance.json beside {args.importance.name} says on which pictures: "
            f"{advice}"
        )
    place = str(about.parameters["pictures"])
    try:
        found = read_labelled(place, args.labels or about.parameters.get("labels"))
        whole = survey(found.images, found.labels)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{why} the pictures of the importance run are not found at {place} ({error}): {advice}"
        ) from None
    wanted = set(about.inputs.values())
    missing = len(wanted - set(whole.sha256s))
    if missing:
        raise ValueError(
            f"{why} {missing} of the {len(wanted)} pictures of the importance run are not at "
            f"{place} any more: {advice}"
        )
    return whole.without(set(whole.sha256s) - wanted)
