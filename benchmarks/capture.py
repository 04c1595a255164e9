"""What capturing costs: time against a plain fused forward, and memory at 518 px.

All ways run in one process, in another order each round, so that a busy machine slows all; the
ratio of each round is taken and the median of the ratios printed, with threads stated. Memory
is the peak resident size of a fresh process, less that of one that runs the model plainly.

    python benchmarks/capture.py [--rounds 15] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from timm.layers import set_fused_attn

from analytics.capture.recording import Gates, Heads, capture
from analytics.capture.tracing import find_sites

MODEL = "vit_small_patch16_224"
PLAIN = "plain fused forward"
LARGE = "vit_small_patch14_dinov2"  # 37 x 37 patches at 518 px


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--memory-of", choices=MEMORY, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print(peak_of(args.memory_of))
        return
    result = {
        "machine": f"{platform.machine()}, {platform.processor() or platform.system()}",
        "torch": torch.__version__,
        "timm": timm.__version__,
        "model": MODEL,
        "images": args.images,
        "rounds": args.rounds,
        "time": {},
        "memory_mb": memory(),
    }
    for threads in (1, torch.get_num_threads()):
        result["time"][f"{threads} threads"] = times(threads, args.rounds, args.images)
    show(result)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "capture.json").write_text(json.dumps(result, indent=2) + "\n")


def times(threads: int, rounds: int, images: int) -> dict[str, dict[str, float]]:
    """Median CPU and wall seconds of each way, and the medians of their ratios to the plain one."""
    torch.set_num_threads(threads)
    ways = make_ways(images)
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        for way in ways.values():
            way()
        for _ in range(rounds):
            for name, way in random.sample(list(ways.items()), len(ways)):
                begin, start = time.process_time(), time.perf_counter()
                way()
                cpu[name].append(time.process_time() - begin)
                wall[name].append(time.perf_counter() - start)
    return {
        name: {
            "cpu_seconds": statistics.median(cpu[name]),
            "cpu_ratio": ratio(cpu[name], cpu[PLAIN]),
            "wall_seconds": statistics.median(wall[name]),
            "wall_ratio": ratio(wall[name], wall[PLAIN]),
        }
        for name in ways
    }


def ratio(values: list[float], plain: list[float]) -> float:
    """Median over the rounds of a time's ratio to the plain forward of the same round."""
    return statistics.median([a / b for a, b in zip(values, plain, strict=True)])


def make_ways(images: int) -> dict[str, Callable[[], object]]:
    """The plain forward, ours with and without maps, and hooks on timm's explicit attention."""
    torch.manual_seed(0)
    model = timm.create_model(MODEL).eval()
    pixels = torch.randn(images, 3, 224, 224)
    sites = find_sites(model, (224, 224))
    set_fused_attn(False)
    hooked = timm.create_model(MODEL).eval()
    set_fused_attn(True)
    hooked.load_state_dict(model.state_dict())
    gates = Gates({site.index: torch.full((site.num_heads,), 0.5) for site in sites.sites})

    def maps() -> object:
        with capture(model, sites, keep=("attention",)) as captured:
            model(pixels)
        return [one.attention for one in captured]

    def queries_and_keys() -> object:
        with capture(model, sites, keep=("query", "key")) as captured:
            model(pixels)
        return captured

    def gated() -> object:
        with capture(model, sites, gates=gates):
            return model(pixels)

    def hooks() -> object:
        kept: list[torch.Tensor] = []
        handles = [
            block.attn.attn_drop.register_forward_hook(lambda m, i, out: kept.append(out))
            for block in hooked.blocks
        ]
        hooked(pixels)
        for handle in handles:
            handle.remove()
        return kept

    return {
        PLAIN: lambda: model(pixels),
        "all maps (ours)": maps,
        "all maps (hooks, timm's explicit attention)": hooks,
        "queries and keys (ours)": queries_and_keys,
        "gates, no maps (ours)": gated,
    }


MEMORY = ("plain", "statistics", "queries and keys", "every map")


def memory() -> dict[str, float]:
    """Peak megabytes of each way at 518 px, one image, beyond the plain forward."""
    peaks = {}
    for way in MEMORY:
        command = [sys.executable, __file__, "--memory-of", way]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[way] = float(done.stdout)
    return {way: round(peak - peaks["plain"], 1) for way, peak in peaks.items()}


def peak_of(way: str) -> float:
    """Peak resident megabytes of this process after one forward made in the given way."""
    torch.manual_seed(0)
    model = timm.create_model(LARGE, img_size=518).eval()
    pixels = torch.randn(1, 3, 518, 518)
    sites = find_sites(model, (518, 518))

    def entropy(heads: Heads) -> torch.Tensor:
        attention = heads.attention()
        return -torch.special.xlogy(attention, attention).sum(-1).mean(-1)

    options = {
        "statistics": {"reduce": entropy},
        "queries and keys": {"keep": ("query", "key")},
        "every map": {"keep": ("attention",)},
    }
    with torch.no_grad():
        model(pixels)
        if way != "plain":
            with capture(model, sites, **options[way]):  # type: ignore[arg-type]
                model(pixels)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def show(result: dict) -> None:
    """Print the tables."""
    for threads, ways in result["time"].items():
        print(f"\n{MODEL}, 224 px, {result['images']} images, {threads}")
        for name, one in ways.items():
            print(
                f"  {name:44s} CPU {one['cpu_seconds']:6.3f} s {one['cpu_ratio']:.3f} x"
                f"   wall {one['wall_seconds']:6.3f} s {one['wall_ratio']:.3f} x"
            )
    print(f"\n{LARGE}, 518 px, 1 image: peak memory beyond the plain forward")
    for way, extra in result["memory_mb"].items():
        print(f"  {way:46s} {extra:7.1f} MB")


if __name__ == "__main__":
    main()
