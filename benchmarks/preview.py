"""How good the previews of head importance are, what they cost, and what adaptive search saves.

"preview": the metrics that need one backward pass, against a plain forward pass (another order
each round, medians of the ratios, threads stated), and how they rank the heads of the bundled
model. "adaptive": the search for the ten most important heads on measured values of crops of
the shipped photographs.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/preview.py [--parts preview,adaptive]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from _measuring import Ways, compare, importance, photographs, show
from torch import Tensor

from analytics.capture.tracing import find_sites
from analytics.io.images import read_picture
from analytics.io.labelled import ArrayImage, ImageSource
from analytics.metrics.ranking import rank_agreement, top_heads
from analytics.models.registry import load_model, parse_model
from analytics.studies.adaptive import find_top_heads
from analytics.studies.effects import HeadEffects

PLAIN = "plain forward"
PREVIEWS = ("sensitivity", "taylor")
PARTS = ("preview", "adaptive")
TOP, SEEDS, FIRST = 10, 50, (12, 24)


def main() -> None:
    """Measure, print tables and write JSON after every part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of " + ",".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--crops", type=int, default=48)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    if set(args.parts) - set(PARTS):
        parser.error(f"expected parts out of {','.join(PARTS)}, got {','.join(args.parts)}")
    result = {
        "machine": f"{platform.machine()}, {platform.processor() or platform.system()}",
        "torch": torch.__version__,
        "timm": timm.__version__,
        "images": args.images,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    for part in args.parts:
        torch.set_num_threads(threads)
        result[part] = {"preview": preview_part, "adaptive": adaptive_part}[part](args)
        (args.out / "preview.json").write_text(json.dumps(result, indent=2) + "\n")


def preview_part(args: argparse.Namespace) -> dict:
    """Cost of the previews against a plain forward pass, and how they rank the heads."""
    ways, found = preview_ways(args.images), {}
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for way in ways.values():
            way()
        rows = found[f"{threads} threads"] = compare(ways, 3 * args.rounds, {"plain": (PLAIN,)})
        print(f"\nbundled model, 224 px, {args.images} images, all heads, {threads} threads")
        show(rows)
    print("aim: at most 3 x the plain forward", flush=True)
    tables = importance(photographs(), ("cls_shift", *PREVIEWS))
    found["spearman_with_cls_shift"] = agreement("photographs", tables)
    return found


def preview_ways(images: int) -> Ways:
    """The plain pass, and each preview as a study measures it."""
    loaded = load_model(parse_model("bundled"))
    module, sites = loaded.module, find_sites(loaded.module, loaded.input_size)
    pixels = torch.randn(images, 3, *loaded.input_size, generator=torch.Generator().manual_seed(0))
    effects = {name: HeadEffects(loaded, sites, (name,)) for name in PREVIEWS}
    prototypes = torch.randn(images, module.num_features)

    @torch.no_grad()
    def plain() -> Tensor:
        return module.forward_features(pixels)[:, 0]

    def preview(name: str) -> Tensor:
        return effects[name].measure(pixels, prototypes=prototypes).values[name]

    def with_prototypes() -> Tensor:
        plain()  # the pass that a study makes beforehand for the embeddings of all pictures
        return preview("taylor")

    return {
        PLAIN: plain,
        **{name: partial(preview, name) for name in PREVIEWS},
        "taylor, with prototypes": with_prototypes,
    }


def agreement(pictures: str, tables: np.ndarray) -> dict[str, float]:
    """Spearman correlation of each preview's mean with that of the cls shift, over the heads."""
    row = rank_agreement(tables.mean(axis=1))[0, 1:].tolist()
    words = ", ".join(f"{name} {one:.3f}" for name, one in zip(PREVIEWS, row, strict=True))
    print(f"bundled model, {pictures}: rank correlation with the exact cls shift: {words}")
    return dict(zip(PREVIEWS, row, strict=True))


def adaptive_part(args: argparse.Namespace) -> dict:
    """Search measured values for the top heads, by table look-up, in many orders of the crops."""
    begin = time.perf_counter()
    tables = importance(crops(args.crops), ("cls_shift", *PREVIEWS)).astype(np.float64)
    seconds, table = time.perf_counter() - begin, tables[0]
    near = table[:, top_heads(table.mean(axis=0), TOP + 5)]
    share = float((near.max(axis=0) / near.sum(axis=0)).max())
    rows = {f"first {first}": searched(table, first) for first in FIRST}
    print(f"\nadaptive: {len(table)} crops measured in {seconds:.0f} s, top {TOP}, {SEEDS} seeds")
    for name, row in rows.items():
        print(f"  {name}: " + ", ".join(f"{key} {one:.3g}" for key, one in row.items()))
    print(f"  one crop's largest share of the sum of one of the {TOP + 5} top heads: {share:.2f}")
    return {
        "crops": len(table),
        "seconds_to_measure_all": seconds,
        "seeds": SEEDS,
        "largest_share_of_one_crop": share,
        **rows,
        "spearman_with_cls_shift": agreement("crops", tables),
    }


def searched(table: np.ndarray, first: int) -> dict[str, float]:
    """Share of the measurements made, and how many of the searches gave another set."""
    best = set(top_heads(table.mean(axis=0), TOP))

    def measure(images: Sequence[int], heads: Sequence[int]) -> np.ndarray:
        return table[np.ix_(images, heads)]

    runs = [
        find_top_heads(measure, *table.shape, TOP, first=first, seed=seed) for seed in range(SEEDS)
    ]
    work = [run.work for run in runs]
    return {
        "work_median": statistics.median(work),
        "work_p90": float(np.quantile(work, 0.9)),
        "wrong_sets": sum(set(run.top) != best for run in runs),
    }


def crops(count: int) -> list[ImageSource]:
    """Random squares of the photographs in turn, half of them mirrored; a seed for all."""
    generator = np.random.default_rng(0)
    pictures = [read_picture(one.read_bytes(), one.name).pixels for one in photographs()]
    found: list[ImageSource] = []
    for index in range(count):
        pixels = pictures[index % len(pictures)]
        side = int(generator.uniform(0.4, 1) * min(pixels.shape[:2]))
        top, left = (int(generator.integers(0, n - side + 1)) for n in pixels.shape[:2])
        square = pixels[top : top + side, left : left + side]
        mirrored = square[:, ::-1] if generator.random() < 0.5 else square
        found.append(ArrayImage(f"crop {index}", np.ascontiguousarray(mirrored)))
    return found


if __name__ == "__main__":
    main()
