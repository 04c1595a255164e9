"""What `attention-atlas binding fit` writes and says."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.cli.options import say
from analytics.metrics.binding import AUCS, MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from analytics.store.results import ResultStore
    from analytics.studies.binding_record import Binding

PROBES = "probes.safetensors"


def finish(
    args: argparse.Namespace, record: Binding, store: ResultStore, notes: list[str], known: int
) -> None:
    """Write the tables and the probes and say what came out."""
    files = write(args, record, store, notes, known)
    made = record.provenance
    summary = {
        "command": "binding fit",
        "out": str(args.out),
        "files": files,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        "images": len(record.images),
        "images_wanted": record.images_wanted,
        "families": list(record.families),
        "complete": record.complete,
        "reused": known,
        "skipped": [list(one) for one in record.skipped],
        "rows": [row_summary(record, name) for name in measured_rows(record)],
        "caution": record.caution,
        "notes": [*made.notes, *notes],
    }
    say(args, summary, lines(summary, record))


def measured_rows(record: Binding) -> list[str]:
    """Rows with a number."""
    known = np.isfinite(record.values).any(axis=(1, 2, 3, 4))
    return [name for name, one in zip(record.rows, known, strict=True) if one]


def row_summary(record: Binding, name: str) -> dict[str, Any]:
    """A row's distance-matched AUC at its points, and all of its best point."""
    kind = record.kinds[record.row(name)]
    curve = record.curve(name)[: 1 if kind == "baseline" else None]
    # Where no distance has both kinds of pairs, the plain AUC chooses.
    order = curve[:, 0] if np.isfinite(curve[:, 0]).any() else record.curve(name, "auc")[:, 0]
    best = int(np.nanargmax(order[: len(curve)]))
    found: dict[str, Any] = {
        "probe": name,
        "kind": kind,
        "best_layer": None if kind == "baseline" else best,
    }
    for measure in MEASURES:
        found[measure] = [plain(value) for value in record.curve(name, measure)[best]]
    return {**found, "auc_matched_by_layer": [plain(value) for value in curve[:, 0]]}


def plain(value: float) -> float | None:
    """A number for JSON."""
    return float(value) if np.isfinite(value) else None


def write(
    args: argparse.Namespace, record: Binding, store: ResultStore, notes: list[str], known: int
) -> list[str]:
    """Tables, probes and provenance into `--out`; names of the files."""
    from analytics.io.export import table_bytes
    from analytics.store.provenance import provenance_json
    from analytics.studies.binding_record import binding_table

    made = record.provenance
    shown = {"data": args.data, "families": args.families, "limit": args.limit}
    shown |= {"reused": known, "complete": record.complete}
    made = replace(
        made,
        command=args.command_line,
        parameters={**made.parameters, **shown},
        notes=(*made.notes, *notes),
    )
    frames = {
        "binding": binding_table(record),
        "by_family": group_table(record, "family"),
        "by_distance": group_table(record, "distance"),
    }
    if record.link:
        frames["attention"] = link_table(record)
    files = {"provenance.json": provenance_json(made).encode()}
    for name, frame in frames.items():
        files[f"{name}.parquet"] = table_bytes(frame, "parquet")
        if args.csv:
            files[f"{name}.csv"] = table_bytes(frame, "csv")
    files |= probe_files(record, store, args.half)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (args.out / name).write_bytes(data)
    return list(files)


def probe_files(record: Binding, store: ResultStore, half: bool) -> dict[str, bytes]:
    """The probes of the first seed as one file; nothing where none is fitted yet."""
    from analytics.models.binding_probes import probes_bytes
    from analytics.studies.binding_ready import half_bytes, probes_about
    from analytics.studies.binding_record import load_binding_probes

    found = load_binding_probes(store, record.id, record.seeds[0])
    # Those of controls read other weights than the model's.
    own = [name for name, kind in zip(record.rows, record.kinds, strict=True) if kind == "probe"]
    probes = {name: found[name] for name in own if name in found}
    if not probes:
        return {}
    return {PROBES: (half_bytes if half else probes_bytes)(probes, probes_about(record))}


def group_table(record: Binding, group: str) -> pd.DataFrame:
    """AUC of every row in each family of pictures or at each distance, a mean over seeds.

    Columns: layer, probe, kind, the group, each of `AUCS`, and for distances the numbers of
    different and same pairs. `distance` counts whole patches.
    """
    import pandas as pd

    values = getattr(record, f"by_{group}")  # (R, P, S, groups, AUCS)
    names = record.families if group == "family" else range(values.shape[3])
    rows = []
    for row, (name, kind) in enumerate(zip(record.rows, record.kinds, strict=True)):
        for point in range(1 if kind == "baseline" else record.points):
            for number, one in enumerate(names):
                cells = values[row, point, :, number]
                known = np.isfinite(cells)
                if not known[:, 0].any():
                    continue
                layer = None if kind == "baseline" else point
                line: dict[str, Any] = {"layer": layer, "probe": name, "kind": kind, group: one}
                mean = np.where(known, cells, 0).sum(0) / np.maximum(known.sum(0), 1)
                mean = np.where(known.any(0), mean, np.nan)
                line |= dict(zip(AUCS, mean.tolist(), strict=True))
                if group == "distance":
                    different, same = record.pairs[:, number].sum(0).tolist()
                    line |= {"different_pairs": different, "same_pairs": same}
                rows.append(line)
    frame = pd.DataFrame(rows)
    if len(frame):
        frame["layer"] = frame["layer"].astype("Int64")
    return frame


def link_table(record: Binding) -> pd.DataFrame:
    """Attention of every head beside probe and truth; head -1 is the mean over heads."""
    import pandas as pd

    layers, columns = next(iter(record.link.values())).shape
    layer, head = np.divmod(np.arange(layers * columns), columns)
    frame = pd.DataFrame({"layer": layer, "head": np.where(head == columns - 1, -1, head)})
    for name, table in record.link.items():
        frame[name] = np.asarray(table).reshape(-1)
    return frame


def lines(summary: dict[str, Any], record: Binding) -> list[str]:
    """The summary in words."""
    said = [record.model_label, summary["caution"], *summary["notes"]]
    if summary["reused"]:
        said.append(f"{summary['reused']} fits were made before and are not made again")
    said += [f"left out {name}: {reason}" for name, reason in record.skipped[:20]]
    if len(record.skipped) > 20:
        said.append(f"left out {len(record.skipped) - 20} more, see --json")
    parts = [sum(one.part == part for one in record.images) for part in ("train", "test")]
    pictures = f"{parts[0]} pictures fitted, {parts[1]} tested"
    said.append(
        f"AUC, same and different pairs alike in distance; {pictures}, "
        f"{len(record.seeds)} seed{'' if len(record.seeds) == 1 else 's'}; layer 0 is the embedding"
    )
    said += [f"  {row_words(one)}" for one in summary["rows"]]
    said.append(f"{summary['out']}: {', '.join(summary['files'])}")
    return [line for line in said if line]


def row_words(one: dict[str, Any]) -> str:
    """A row with its best point."""
    value, low, high = one["auc_matched"]
    where = "" if one["best_layer"] is None else f" at layer {one['best_layer']}"
    accuracy = one["accuracy"][0]
    if value is None:
        return f"{one['probe']}{where}  no distance with both kinds of pairs"
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{one['probe']}{where}  {value:.3f}{interval}, accuracy {accuracy:.3f}"
