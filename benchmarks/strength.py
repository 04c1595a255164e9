"""What a profile of every head costs: time against plain fused forwards, and memory at 518 px.

All ways run in one process, in another order each round, so that a busy machine slows all; the
ratio of each round is taken and the median of the ratios printed, with threads stated. Memory
is the peak resident size of a fresh process, less that of one that runs the model plainly.

    python benchmarks/strength.py [--rounds 15] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import timm
import torch
from _measuring import compare, show

from analytics.capture.blocks import Block
from analytics.capture.recording import Heads, capture
from analytics.capture.tracing import find_sites
from analytics.metrics.flow import rollout_row
from analytics.metrics.sinks import massive_activations
from analytics.metrics.tokens import token_norms
from analytics.studies.flow_passes import watch_streams
from analytics.studies.head_sums import GridSums
from analytics.studies.profile import measure_batch, tables_of

SUBJECTS = {
    "vit_small_patch16_224": (224, 8),
    "vit_base_patch16_224": (224, 4),
    "vit_small_patch14_dinov2": (518, 1),
}
PLAIN, PROFILE, ALL = "plain fused forward", "profile", "profile, rollout, norms, sinks"


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--memory-of", choices=(PLAIN, PROFILE), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print(peak_of(args.memory_of))
        return
    result: dict[str, Any] = {"rounds": args.rounds, "time": {}}
    for threads in dict.fromkeys((1, torch.get_num_threads())):
        torch.set_num_threads(threads)
        for name, (size, images) in SUBJECTS.items():
            print(f"\n{name}, {size} px, {images} images, {threads} threads")
            ways = make_ways(name, size, images)
            for way in ways.values():
                way()
            rows = compare(ways, args.rounds, {"plain": (PLAIN,)})
            show(rows)
            result["time"][f"{name}, {threads} threads"] = rows
    result["memory_mb"] = peak(PROFILE) - peak(PLAIN)
    print(f"\nat 518 px, 1 image: {result['memory_mb']:.0f} MB beyond the plain forward")
    result |= {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "strength.json").write_text(json.dumps(result, indent=2) + "\n")


def make_ways(name: str, size: int, images: int) -> dict[str, Callable[[], Any]]:
    """The plain forward, a profile, and a profile with all that is free of gradients."""
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=size).eval()
    pixels = torch.randn(images, 3, size, size)
    sites = find_sites(model, (size, size))

    @torch.inference_mode()
    def plain() -> torch.Tensor:
        return model(pixels)

    def profile() -> Any:
        return measure_batch(SimpleNamespace(module=model), sites, pixels)  # type: ignore[arg-type]

    return {PLAIN: plain, PROFILE: profile, ALL: lambda: everything(model, sites, pixels)}


@torch.inference_mode()
def everything(model: Any, sites: Any, pixels: torch.Tensor) -> Any:
    """One pass: the profile's sums, each layer's mean over heads, and the residual stream."""
    means: list[torch.Tensor] = []

    def attend(heads: Heads) -> tuple[torch.Tensor, Any]:
        count, tokens = heads.site.num_heads, heads.site.query_tokens
        mean = torch.zeros(len(pixels), tokens, tokens)
        means.append(mean)

        def add(block: Block) -> None:
            # These subjects have room for all heads of a picture in a block.
            pictures = slice(block.lines.start // count, block.lines.stop // count)
            by_head = block.attention.unflatten(0, (-1, count))
            torch.sum(by_head, 1, out=mean[pictures, block.queries])

        output, sums = GridSums(heads, add).run()
        mean /= count
        return output, sums

    with watch_streams(model) as streams, capture(model, sites, attend=attend) as captured:
        model(pixels)
    start = torch.zeros(len(pixels), means[0].shape[-1])
    start[:, 0] = 1
    rolled = rollout_row(means, start)
    received = [mean.mean(1) * mean.shape[-1] > 5 for mean in means]
    arrays: list[np.ndarray] = [one.numpy() for stream in streams for one in stream]
    norms = [token_norms(one) for one in arrays]
    massive = [massive_activations(one) for one in arrays]
    return tables_of(captured), rolled, received, norms, massive


def peak(way: str) -> float:
    """Peak resident megabytes of a fresh process that runs one way at 518 px."""
    command = [sys.executable, __file__, "--memory-of", way]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_of(way: str) -> float:
    """The same of this process."""
    name = "vit_small_patch14_dinov2"
    ways = make_ways(name, *SUBJECTS[name])
    ways[PLAIN]()
    ways[way]()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
