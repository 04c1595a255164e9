"""`attention-atlas profile`: how far and in what shape every head looks."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cli.options import Commands, add_study_options, positive, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.io.labelled import ImageSource
    from analytics.studies.profile_record import Profile


def add_command(commands: Commands) -> None:
    """Add `profile` to the command line."""
    parser = commands.add_parser(
        "profile", help="how far and in what shape heads look", description=__doc__
    )
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="picture, folder, zip, list of paths or .npz"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="measure N pictures, drawn")
    add_study_options(parser)
    parser.add_argument("--csv", action="store_true", help="write every table as CSV too")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where measurements are kept for the next run"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, then write tables; an interruption writes the tables of what was measured.

    Raises:
        ValueError: the pictures or the model cannot be used.
        OSError: a file cannot be read or written.
        KeyboardInterrupt: interrupted; what was measured is written.
    """
    from analytics.cli.subject import load
    from analytics.io.labelled import read_labelled
    from analytics.store.results import ResultStore
    from analytics.studies.pictures import survey
    from analytics.studies.profile import load_profile, profile_images, profile_key

    report = progress(args.quiet)
    images, notes = drawn(read_labelled(args.images).images, args.limit, args.seed or 0)
    loaded = load(args, report)
    store = ResultStore(store_folder(args))
    key = profile_key(loaded, survey(images).sha256s, args.fit)
    before = load_profile(store, key)
    known = 0 if before is None else len(before.images)
    try:
        record = profile_images(loaded, images, args.fit, store, report, args.command_line)
    except KeyboardInterrupt:
        partial = load_profile(store, key)
        if partial is not None and partial.images:
            done = f"{len(partial.images)} of {partial.images_wanted} pictures measured"
            gone = f"interrupted: {done}, only these are in the tables; the same command goes on"
            finish(args, partial, [*notes, gone], known)
        raise
    report(1, 1)
    finish(args, record, notes, known)


def drawn(
    images: Sequence[ImageSource], limit: int | None, seed: int
) -> tuple[Sequence[ImageSource], list[str]]:
    """All pictures, or `limit` of them drawn at random and kept in order; and a word on it."""
    import numpy as np

    if limit is None or limit >= len(images):
        return images, []
    rows = sorted(np.random.default_rng(seed).permutation(len(images))[:limit].tolist())
    note = f"{limit:,} of {len(images):,} pictures drawn at random (--limit)"
    return [images[row] for row in rows], [note]


def store_folder(args: argparse.Namespace) -> Path:
    """`--store`, or the app's data folder: the pages and this command share what was measured."""
    if args.store:
        return Path(args.store).expanduser()
    from analytics.serve.state import default_data_dir

    return default_data_dir() / "profile"


def finish(args: argparse.Namespace, record: Profile, notes: list[str], known: int) -> None:
    """Write the tables and say what came out."""
    notes = [*notes, *overflow_notes(record)]
    files = write(args, record, notes, known)
    made = record.provenance
    summary = {
        "command": "profile",
        "out": str(args.out),
        "files": files,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        "images": len(record.images),
        "images_wanted": record.images_wanted,
        "complete": record.complete,
        "reused": known,
        "skipped": [list(one) for one in record.skipped],
        "layers": by_layer(record),
        "caution": record.caution,
        "notes": [*made.notes, *notes],
    }
    say(args, summary, lines(summary, record))


def overflow_notes(record: Profile) -> list[str]:
    """A word on heads whose attention is not a number."""
    if not record.overflowed:
        return []
    named = ", ".join(f"L{layer} H{head}" for layer, head in list(record.overflowed)[:5])
    more = " and others" if len(record.overflowed) > 5 else ""
    return [
        f"the attention of {named}{more} is not a number on some pictures: the logits are too "
        "large for this precision, or the weights are damaged; try --dtype float32"
    ]


def write(args: argparse.Namespace, record: Profile, notes: list[str], known: int) -> list[str]:
    """Tables, arrays and provenance into `--out`; names of the files."""
    from analytics.io.export import npz_bytes, table_bytes
    from analytics.store.provenance import provenance_json
    from analytics.studies import profile_tables as tables

    made = record.provenance
    choices = {"limit": args.limit, "reused": known, "complete": record.complete}
    made = replace(made, parameters={**made.parameters, **choices}, notes=(*made.notes, *notes))
    files = {
        "provenance.json": provenance_json(made).encode(),
        "profile.npz": npz_bytes(tables.profile_arrays(record), provenance_json(made)),
    }
    frames = {"profile": tables.profile_table(record), "per_image": tables.per_image_table(record)}
    for name, frame in frames.items():
        files[f"{name}.parquet"] = table_bytes(frame, "parquet")
        if args.csv:
            files[f"{name}.csv"] = table_bytes(frame, "csv")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (args.out / name).write_bytes(data)
    return list(files)


def by_layer(record: Profile) -> list[dict[str, Any]]:
    """Mean distance of each layer in patches, beside that of uniform attention."""
    import numpy as np

    from analytics.studies.profile_tables import spread_of

    mean = spread_of(record, "mean_distance:renormalised").mean
    found = []
    for i, layer in enumerate(record.layers):
        values = mean[[column for column, (own, _) in enumerate(record.heads) if own == i]]
        known = values[np.isfinite(values)]
        uniform = layer.uniform_distance
        found.append(
            {
                "layer": i,
                "mean_distance": float(known.mean()) if len(known) else None,
                "uniform_distance": uniform if np.isfinite(uniform) else None,
                "local_heads": int((known < uniform / 2).sum()),
                "heads": layer.num_heads,
            }
        )
    return found


def lines(summary: dict[str, Any], record: Profile) -> list[str]:
    """The summary in words."""
    said = [record.model_label, summary["caution"], *summary["notes"]]
    if summary["reused"]:
        said.append(f"{summary['reused']} pictures were measured before and are not measured again")
    said += [f"left out {name}: {reason}" for name, reason in record.skipped]
    pictures = f"{summary['images']} picture{'' if summary['images'] == 1 else 's'}"
    said.append(f"mean distance in patches, renormalised, {pictures}; local: below half of uniform")
    for one in summary["layers"]:
        if one["mean_distance"] is None:
            said.append(f"  L{one['layer']}  no patch asks, or no number")
            continue
        said.append(
            f"  L{one['layer']}  {one['mean_distance']:.2f} of {one['uniform_distance']:.2f} "
            f"uniform, {one['local_heads']} of {one['heads']} heads local"
        )
    said.append(f"{summary['out']}: {', '.join(summary['files'])}")
    return [line for line in said if line]
