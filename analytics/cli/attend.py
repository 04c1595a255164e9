"""`attention-atlas attend`: what one token attends to, as arrays and figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from analytics.cli.options import Commands, add_study_options, progress, say, whole
from analytics.types import Direction
from analytics.views.colours import NAMES
from analytics.views.maps import LensView, Scale, check_view

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

FIGURES = ("svg", "png", "pdf")


def add_command(commands: Commands) -> None:
    """Add `attend` to the command line."""
    parser = commands.add_parser("attend", help="attention of one query", description=__doc__)
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--query", required=True, metavar="R,C|cls|regK", help="patch (from 0, top left) or token"
    )
    parser.add_argument(
        "--layer", type=layer, metavar="N|all", help="default: all; the figure enlarges the last"
    )
    parser.add_argument(
        "--head", type=whole, metavar="N", help="head to enlarge; default: mean of the layer's"
    )
    parser.add_argument(
        "--direction",
        default="to",
        choices=get_args(Direction),
        help="what it attends to, or who to it",
    )
    parser.add_argument("--scale", default="map", choices=get_args(Scale))
    parser.add_argument("--cmap", default="inferno", choices=NAMES)
    parser.add_argument("--opacity", type=float, default=LensView.opacity, metavar="0..1")
    add_study_options(parser)
    parser.set_defaults(run=run)


def layer(text: str) -> int | None:
    """A layer, or None for `all`."""
    return None if text == "all" else whole(text)


def run(args: argparse.Namespace) -> None:
    """Compute, then write arrays first and figures after them.

    Raises:
        ValueError: the picture, the model or the view cannot be used.
        OSError: a file cannot be read or written.
    """
    # A wrong choice is found before the model is loaded.
    LensView(scale=args.scale, cmap=args.cmap, opacity=args.opacity)
    record = compute(args)
    view = view_of(args, record)
    args.out.mkdir(parents=True, exist_ok=True)
    files = write(args, record, view)
    summary = {
        "command": "attend",
        "out": str(args.out),
        "files": files,
        "model": record.provenance.model,
        "weights_sha256": record.provenance.weights_sha256,
        "picture": {"name": record.picture.name, "sha256": record.picture.sha256},
        "query": view.token,
        "direction": view.direction,
        "layers": [view.layer] if args.layer is not None else list(range(len(record.layers))),
        "grid_size": [record.base_layout.grid.rows, record.base_layout.grid.columns],
        "num_prefix_tokens": len(record.base_layout.prefix),
        "caution": record.caution,
        "notes": [*record.picture.notes, *record.provenance.notes],
    }
    remarks = [record.caution, *record.picture.notes, *record.provenance.notes]
    written = f"{args.out}: {', '.join(files)}"
    say(args, summary, [record.model_label, *filter(None, remarks), written])


def compute(args: argparse.Namespace) -> LensRecord:
    """Read the picture, load the model and capture its attention."""
    from analytics.io.sources import expand_images

    pictures = expand_images(args.image)
    if len(pictures) != 1:
        raise ValueError(f"expected one picture, {args.image} holds {len(pictures)}; name one file")
    from analytics.io.images import read_picture

    picture = read_picture(pictures[0].read_bytes(), pictures[0].name)
    report = progress(args.quiet)
    report(0, 0, "loading the model")
    from analytics.models.registry import load_model, parse_model
    from analytics.studies.attend import attend

    spec = parse_model(args.model, args.checkpoint)
    loaded = load_model(spec, args.size, args.device, args.dtype)
    return attend(loaded, picture, args.fit, progress=report, command=args.command_line)


def view_of(args: argparse.Namespace, record: LensRecord) -> LensView:
    """The view that the options describe: one head, or the mean of the layer's heads.

    Raises:
        ValueError: the model has no such token, layer or head.
    """
    from analytics.serve.sidecar import layer_maps

    last = len(record.layers) - 1
    chosen = last if args.layer is None else args.layer
    count = record.layers[min(chosen, last)].num_heads
    view = LensView(
        token=args.query.replace(" ", ""),
        direction=args.direction,
        layer=chosen,
        head=args.head or 0,
        heads=None if args.head is not None else tuple((chosen, head) for head in range(count)),
        scale=args.scale,
        cmap=args.cmap,
        opacity=args.opacity,
    )
    check_view(view, layer_maps(record, view))
    return view


def write(args: argparse.Namespace, record: LensRecord, view: LensView) -> list[str]:
    """Write the files one by one, so that an interruption keeps those before it."""
    from analytics.serve.export import array_files, figure_bytes
    from analytics.store.provenance import provenance_json

    report = progress(args.quiet)
    layers = None if args.layer is None else (view.layer,)
    files = {"provenance.json": provenance_json(record.provenance).encode()}
    files |= array_files(record, view, "npz", layers)
    for name, data in files.items():
        (args.out / name).write_bytes(data)
    names = [*files]
    for number, kind in enumerate(FIGURES, start=1):
        report(number - 1, len(FIGURES), f"drawing lens.{kind}")
        (args.out / f"lens.{kind}").write_bytes(figure_bytes(record, view, kind))
        names.append(f"lens.{kind}")
    report(len(FIGURES), len(FIGURES))
    return names
