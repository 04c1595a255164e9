"""`attention-atlas patterns`: in what patterns heads look, as an atlas of all of them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cli.options import Commands, add_study_options, positive, progress, say

if TYPE_CHECKING:
    from analytics.models.autoencoder import PatternCoder
    from analytics.studies.patterns_record import Atlas

CODER = "patterns.safetensors"


def add_command(commands: Commands) -> None:
    """Add `patterns` to the command line."""
    parser = commands.add_parser(
        "patterns", help="in what patterns heads look", description=__doc__
    )
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="picture, folder, zip, list of paths or .npz"
    )
    parser.add_argument(
        "--latent", type=positive, default=2, metavar="N", help="numbers a map is coded as"
    )
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the maps; default: some 800 steps"
    )
    parser.add_argument(
        "--layout",
        choices=("autoencoder", "umap"),
        help="default: autoencoder for a latent of 2, else umap",
    )
    parser.add_argument("--clusters", type=positive, default=8, metavar="N")
    parser.add_argument(
        "--pretrained", action="store_true", help="use the shipped coder of the bundled model"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="take N pictures, drawn")
    add_study_options(parser)
    parser.add_argument("--csv", action="store_true", help="write the table as CSV too")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where maps and fits are kept for the next run"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read the maps, fit or take the coder, write coder and atlas.

    An interruption keeps the maps read and the epochs run, and writes what these give; the same
    command goes on after them.

    Raises:
        ValueError: the pictures, the model or the choices cannot be used.
        OSError: a file cannot be read or written.
        KeyboardInterrupt: interrupted; what was made is written.
    """
    from analytics.cli.profile import drawn
    from analytics.cli.subject import load
    from analytics.io.labelled import read_labelled
    from analytics.store.results import ResultStore
    from analytics.studies.pattern_choices import PatternChoices
    from analytics.studies.patterns import make_atlas, partial_atlas

    choices = PatternChoices(
        args.latent,
        args.epochs,
        args.layout,
        args.clusters,
        args.pretrained,
        args.fit,
        args.seed or 0,
    ).checked()
    report, folder = progress(args.quiet), store_folder(args)
    images, notes = drawn(read_labelled(args.images).images, args.limit, args.seed or 0)
    loaded = load(args, report)
    store, maps = ResultStore(folder), ResultStore(folder / "maps")
    try:
        found = make_atlas(loaded, images, choices, store, maps, report, args.command_line)
    except KeyboardInterrupt:
        partial = partial_atlas(loaded, images, choices, store, maps, args.command_line)
        if partial is not None:
            finish(args, *partial, [*notes, "the same command goes on after the last whole epoch"])
        raise
    finish(args, *found, notes)


def store_folder(args: argparse.Namespace) -> Path:
    """`--store`, or the app's data folder: the pages and this command share what was made."""
    if args.store:
        return Path(args.store).expanduser()
    from analytics.serve.state import default_data_dir

    return default_data_dir() / "patterns"


def finish(args: argparse.Namespace, atlas: Atlas, coder: PatternCoder, notes: list[str]) -> None:
    """Write coder, table and provenance, and say what came out."""
    from analytics.studies.patterns_tables import atlas_summary

    files = write(args, atlas, coder, notes)
    made = atlas.provenance
    summary = {
        "command": "patterns",
        "out": str(args.out),
        "files": files,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        **atlas_summary(atlas),
        "notes": [*atlas.notes, *notes],
        "complete": atlas.complete,
    }
    say(args, summary, lines(summary, atlas))


def write(
    args: argparse.Namespace, atlas: Atlas, coder: PatternCoder, notes: list[str]
) -> list[str]:
    """Files into `--out`; their names."""
    from analytics.io.export import table_bytes
    from analytics.models.autoencoder import coder_bytes
    from analytics.store.provenance import provenance_json
    from analytics.studies.patterns_tables import atlas_summary, atlas_table

    made = atlas.provenance
    shown = {**made.parameters, "limit": args.limit, "complete": atlas.complete}
    shown |= {"result": atlas_summary(atlas)}
    made = replace(made, command=args.command_line, parameters=shown, notes=(*made.notes, *notes))
    about = {"model": made.model, "weights_sha256": made.weights_sha256}
    about |= {name: str(getattr(atlas, name)) for name in ("r2_autoencoder", "r2_pca")}
    frame = atlas_table(atlas)
    files = {
        "provenance.json": provenance_json(made).encode(),
        CODER: coder_bytes(coder, about),
        "atlas.parquet": table_bytes(frame, "parquet"),
    }
    if args.csv:
        files["atlas.csv"] = table_bytes(frame, "csv")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (args.out / name).write_bytes(data)
    return list(files)


def lines(summary: dict[str, Any], atlas: Atlas) -> list[str]:
    """The summary in words."""
    said = [atlas.model_labels[0], *summary["notes"]]
    said += [f"left out {name}: {reason}" for name, reason in atlas.skipped]
    said.append(
        f"{atlas.count:,} maps of {len(atlas.heads)} heads on {len(atlas.images)} pictures, coded "
        f"as {atlas.latent_size} numbers by {atlas.better}, laid out by {atlas.layout}"
    )
    if summary["r2_autoencoder"] is not None:
        said.append(
            f"share of variance explained on held-out pictures: autoencoder "
            f"{atlas.r2_autoencoder:.3f}, PCA {atlas.r2_pca:.3f}"
        )
    said += [
        f"  {size:>7,} {name}"
        for name, size in zip(atlas.cluster_names, atlas.cluster_sizes, strict=True)
    ]
    said.append(f"{summary['out']}: {', '.join(summary['files'])}")
    return said
