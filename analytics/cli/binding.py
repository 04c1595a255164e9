"""`attention-atlas binding`: which patches a model holds to be of one object.

`binding fit` fits probes at every layer on pictures whose objects are known, and measures them
beside what could fool them. `binding map` reads a picture with them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cli.binding_data import DATA, names
from analytics.cli.options import Commands, add_study_options, positive, progress, whole

if TYPE_CHECKING:
    from analytics.studies.binding_choices import BindingChoices


def add_command(commands: Commands) -> None:
    """Add `binding fit` and `binding map` to the command line."""
    parser = commands.add_parser(
        "binding", help="which patches are held to be of one object", description=__doc__
    )
    parts = parser.add_subparsers(metavar="fit|map", required=True)
    _add_fit(parts.add_parser("fit", help="fit and measure probes on annotated pictures"))
    _add_map(parts.add_parser("map", help="P(same object) of one patch of a picture"))


def _add_fit(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("annotated pictures")
    data.add_argument("--data", required=True, metavar="DATA", help=DATA)
    data.add_argument("--limit", type=positive, metavar="N", help="take N pictures, drawn")
    data.add_argument("--families", metavar="F[,F]", help="of made scenes; default: all in turn")
    data.add_argument("--purity", type=float, metavar="0..1", help="share of a patch's object")
    data.add_argument("--patches", type=positive, metavar="N", help="drawn of each picture")
    data.add_argument(
        "--count-background", action="store_true", help="take what is unlabelled as one object"
    )
    fit = parser.add_argument_group("probes")
    fit.add_argument("--probes", metavar="P[,P]", help="default: all")
    fit.add_argument("--controls", metavar="C[,C]|none", help="default: all")
    fit.add_argument("--seeds", metavar="N[,N]", help="splits and starting values; default: 0,1,2")
    fit.add_argument("--rank", type=positive, metavar="N", help="of the quadratic probe")
    fit.add_argument("--epochs", type=positive, metavar="N", help="default: some 400 steps")
    fit.add_argument("--no-link", action="store_true", help="leave out attention of every head")
    fit.add_argument("--preview", action="store_true", help="PLDA and baselines alone, in seconds")
    fit.add_argument("--half", action="store_true", help="save matrices in half precision")
    add_study_options(parser)
    parser.add_argument("--csv", action="store_true", help="write every table as CSV too")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where features and probes are kept"
    )
    parser.set_defaults(run=run_fit)


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--probes", type=Path, metavar="FILE", help="default: those shipped for the bundled model"
    )
    parser.add_argument("--probe", metavar="NAME", help="one of the file; default: quadratic")
    parser.add_argument(
        "--query", required=True, metavar="R,C", help="a patch, from 0 at the top left"
    )
    parser.add_argument(
        "--layer",
        type=whole,
        required=True,
        metavar="N",
        help="0: the embedding; N: after the N-th layer",
    )
    add_study_options(parser)
    parser.set_defaults(run=run_map)


def run_fit(args: argparse.Namespace) -> None:
    """Fit and measure, then write; an interruption writes what was measured.

    Raises:
        ValueError: pictures, model or choices cannot be used.
        OSError: a file cannot be read or written.
        KeyboardInterrupt: interrupted; what was measured is written.
    """
    from analytics.cli.binding_data import annotated, scenes
    from analytics.cli.binding_report import finish
    from analytics.cli.subject import load
    from analytics.store.results import ResultStore
    from analytics.studies.binding import measure_binding
    from analytics.studies.binding_choices import binding_key
    from analytics.studies.binding_images import survey_annotated
    from analytics.studies.binding_record import load_binding

    report, chosen = progress(args.quiet), choices(args)
    given, notes = annotated(args)
    loaded = load(args, report)
    sources = given if given is not None else scenes(args, loaded)
    found = survey_annotated(sources, report)
    store, features = (ResultStore(folder) for folder in store_folders(args))
    key = binding_key(loaded, found.sha256s, chosen)
    before = load_binding(store, key)
    known = 0 if before is None else before.done
    try:
        record = measure_binding(loaded, found, chosen, store, features, report, args.command_line)
    except KeyboardInterrupt:
        partial = load_binding(store, key)
        if partial is not None:
            done = f"{partial.done} of {partial.wanted} fits done"
            gone = f"interrupted: {done}, only these are in the tables; the same command goes on"
            finish(args, partial, store, [*notes, gone], known)
        raise
    report(1, 1)
    finish(args, record, store, notes, known)


def choices(args: argparse.Namespace) -> BindingChoices:
    """What the options choose, checked before anything is read.

    Raises:
        ValueError: an unknown name, a number out of range, or options against `--preview`.
    """
    from analytics.studies.binding_choices import PREVIEW, BindingChoices

    chosen: dict[str, Any] = {"fit": args.fit, "draw_seed": args.seed or 0}
    for name in ("purity", "patches", "rank", "epochs"):
        if getattr(args, name) is not None:
            chosen[name] = getattr(args, name)
    chosen["count_background"] = args.count_background
    if args.preview:
        against = [f"--{name}" for name in ("probes", "controls", "seeds") if getattr(args, name)]
        if against:
            raise ValueError(f"--preview fits PLDA alone with one seed: leave {against[0]} out")
        return replace(PREVIEW, **chosen).checked()
    if args.probes:
        chosen["probes"] = names(args.probes)
    if args.controls:
        chosen["controls"] = () if args.controls == "none" else names(args.controls)
    if args.seeds:
        chosen["seeds"] = seeds(args.seeds)
    return BindingChoices(**chosen, link=not args.no_link).checked()


def seeds(text: str) -> tuple[int, ...]:
    """Seeds between commas.

    Raises:
        ValueError: something else than whole numbers.
    """
    parts = names(text)
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(f"--seeds: expected whole numbers between commas, got {text!r}")
    return tuple(int(part) for part in parts)


def store_folders(args: argparse.Namespace) -> tuple[Path, Path]:
    """Where results and features are kept: `--store`, or the app's data folder.

    The pages and this command share what was fitted.
    """
    if args.store:
        folder = Path(args.store).expanduser()
        return folder, folder / "features"
    from analytics.serve.state import default_data_dir

    return default_data_dir() / "binding", default_data_dir() / "binding-features"


def run_map(args: argparse.Namespace) -> None:
    """Read a picture with fitted probes.

    Raises:
        ValueError: picture, probes or query cannot be used, or do not go together.
        OSError: a file cannot be read or written.
    """
    from analytics.cli import binding_map

    binding_map.run(args)
