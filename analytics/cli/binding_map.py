"""`attention-atlas binding map`: P(same object) of one patch with every other."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.cli.options import progress, say

if TYPE_CHECKING:
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.types import Picture, Provenance

FIGURES = ("svg", "png")
BEST = "quadratic"


def run(args: argparse.Namespace) -> None:
    """Read a picture with fitted probes, then write arrays first and figures after them.

    Raises:
        ValueError: picture, probes or query cannot be used, or do not go together.
        OSError: a file cannot be read or written.
    """
    from analytics.cli.subject import load
    from analytics.models.binding_probes import read_probes
    from analytics.studies.binding_map import same_object_map
    from analytics.studies.binding_ready import check_fits, ready_path

    report = progress(args.quiet)
    row, column = patch(args.query)
    picture = one_picture(args)
    probes, about = read_probes(args.probes or ready_path())
    name, probe = chosen_probe(probes, args.probe)
    loaded = load(args, report)
    try:
        check_fits(about, loaded)
    except ValueError as error:
        shipped = "" if args.probes else "; --probes FILE names others than those shipped"
        raise ValueError(f"{error}{shipped}") from error
    report(0, 1, "reading the picture")
    found = same_object_map(probe, loaded, picture, args.layer, args.fit)
    if not (row < found.grid.rows and column < found.grid.columns):
        raise ValueError(
            f"expected a query of row 0 to {found.grid.rows - 1} and column 0 to "
            f"{found.grid.columns - 1}, got {args.query}"
        )
    probability = found.row(row * found.grid.columns + column)
    made = provenance(args, loaded, picture, name, about)
    files = write(args, picture, loaded, probability, (row, column), made)
    report(1, 1)
    summary = {
        "command": "binding map",
        "out": str(args.out),
        "files": files,
        "model": made.model,
        "weights_sha256": made.weights_sha256,
        "picture": {"name": picture.name, "sha256": picture.sha256},
        "probe": name,
        "query": [row, column],
        "layer": args.layer,
        "grid_size": list(probability.shape),
        "above_half": int((probability > 0.5).sum()),
        "caution": loaded.caution,
        "notes": [*picture.notes, *made.notes],
    }
    said = (
        f"{summary['above_half']} of {probability.size} patches are more likely of the object at "
        f"{args.query} than not: {name} probe, {point_words(args.layer)}"
    )
    written = f"{args.out}: {', '.join(files)}"
    remarks = [loaded.label, loaded.caution, *summary["notes"], said, written]
    say(args, summary, [line for line in remarks if line])


def patch(text: str) -> tuple[int, int]:
    """Row and column of a query.

    Raises:
        ValueError: something else than R,C.
    """
    parts = text.replace(" ", "").split(",")
    if len(parts) != 2 or not all(one.isascii() and one.isdecimal() for one in parts):
        raise ValueError(f"--query: expected R,C, a patch from 0 at the top left; got {text!r}")
    return int(parts[0]), int(parts[1])


def one_picture(args: argparse.Namespace) -> Picture:
    """The picture, decoded.

    Raises:
        ValueError: more than one, or none that can be read.
    """
    from analytics.io.images import read_picture
    from analytics.io.sources import expand_images

    pictures = expand_images(args.image)
    if len(pictures) != 1:
        raise ValueError(f"expected one picture, {args.image} holds {len(pictures)}; name one file")
    return read_picture(pictures[0].read_bytes(), pictures[0].name)


def chosen_probe(probes: dict[str, BindingProbe], name: str | None) -> tuple[str, BindingProbe]:
    """The probe of a name; without one the quadratic probe, or the first of the file.

    Raises:
        ValueError: the file has none, or none of that name.
    """
    chosen = name or (BEST if BEST in probes else next(iter(probes), ""))
    if chosen not in probes:
        held = ", ".join(probes) or "no probe"
        raise ValueError(f"--probe: expected one of the file's, which holds {held}; got {chosen!r}")
    return chosen, probes[chosen]


def point_words(layer: int) -> str:
    """A point of the residual stream in words; layers are counted from 0, as L0."""
    return "the embedding" if layer == 0 else f"after layer {layer} (L{layer - 1})"


def provenance(
    args: argparse.Namespace,
    loaded: LoadedModel,
    picture: Picture,
    name: str,
    about: dict[str, Any],
) -> Provenance:
    """How the map was made; notes say where probes and picture were fitted differently."""
    from analytics.store.provenance import make_provenance

    notes = []
    if about.get("fit", args.fit) != args.fit:
        notes.append(f"the probes were fitted on pictures brought to size by {about['fit']}")
    chosen = {"query": args.query, "layer": args.layer, "probe": name, "fit": args.fit}
    return make_provenance(
        args.command_line,
        loaded.spec.public_id,
        loaded.weights_sha256,
        {picture.name: picture.sha256},
        {
            **chosen,
            "probes": about,
            "input_size": list(loaded.input_size),
            "dtype": loaded.dtype,
        },
        device=loaded.device,
        notes=tuple(notes),
    )


def write(
    args: argparse.Namespace,
    picture: Picture,
    loaded: LoadedModel,
    probability: np.ndarray,
    query: tuple[int, int],
    made: Provenance,
) -> list[str]:
    """Write the files one by one, so that an interruption keeps those before it."""
    from analytics.io.export import npz_bytes
    from analytics.store.provenance import provenance_json

    text, report = provenance_json(made), progress(args.quiet)
    arrays = {
        "probability": probability,
        "grid_size": np.asarray(probability.shape, np.int32),
        "query": np.asarray(query, np.int32),
        "layer": np.asarray(args.layer, np.int32),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "provenance.json").write_text(text, encoding="utf-8")
    (args.out / "same_object.npz").write_bytes(npz_bytes(arrays, text))
    files = ["provenance.json", "same_object.npz"]
    for number, kind in enumerate(FIGURES):
        report(number, len(FIGURES), f"drawing same_object.{kind}")
        data = figure_bytes(picture, loaded, probability, query, made, kind)
        (args.out / f"same_object.{kind}").write_bytes(data)
        files.append(f"same_object.{kind}")
    return files


def figure_bytes(
    picture: Picture,
    loaded: LoadedModel,
    probability: np.ndarray,
    query: tuple[int, int],
    made: Provenance,
    kind: str,
) -> bytes:
    """The figure with its provenance as metadata."""
    from analytics.io.fitting import patch_box, place
    from analytics.store.provenance import provenance_json
    from analytics.types import PatchGrid
    from analytics.views.figure import render
    from analytics.views.same_object import SameObjectFigure, same_object_chart

    chosen = made.parameters
    placement = place(picture.height, picture.width, chosen["fit"], *loaded.input_size)
    grid = PatchGrid(*probability.shape)
    at = f"patch {query[0]},{query[1]}"
    title = f"Same object as {at}, {point_words(chosen['layer'])}"
    about = chosen["probes"]
    pictures = f"{about.get('train_images')} {about.get('pictures')}"
    fitted = f" fitted on {pictures}" if "train_images" in about else ""
    caption = [
        f"{picture.name}. Left: what the model saw, {at} outlined. Right: the chance that a patch "
        f"belongs to the same object, as the {chosen['probe']} probe{fitted} reads it from "
        "the residual stream. The chance of the patch with itself is what the probe says of two "
        "such patches.",
        f"{loaded.label}, {loaded.input_size[0]} x {loaded.input_size[1]} pixels.",
        loaded.caution,
        *made.notes,
    ]
    figure = SameObjectFigure(
        picture,
        placement,
        probability,
        patch_box(placement, grid, *query),
        title,
        tuple(line for line in caption if line),
    )
    return render(same_object_chart(figure), kind, title, provenance_json(made))  # type: ignore[arg-type]
