"""What a step of efficient probing costs beside its published form and multi-head attention.

Forward and backward of the pooling and its classifier on features that stay as they are, all
ways in one process, in another order each round; medians of the ratios of each round, CPU and
wall time, threads stated.

    python benchmarks/probing.py [--rounds 15] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _measuring import compare, show
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from analytics.models.pooling import AttentiveProbe, Pooled, forward_flops
from analytics.models.pooling_heads import MultiHeadPooling
from analytics.models.pooling_light import EfficientProbing

BAGS, INSTANCES, WIDTH, QUERIES, HEADS, CLASSES = 64, 256, 384, 32, 12, 10
OURS, PUBLISHED, MULTI = "pool first (ours)", "project first", f"{HEADS}-head attention"


class ProjectFirst(EfficientProbing):
    """The published order of the same sums: all instances are projected, then pooled."""

    def forward(self, bags: Tensor) -> Pooled:
        """Project, then pool each query's slice."""
        logits = linear(bags, self.queries / self.in_dim**0.5)
        attention = logits.transpose(1, 2).softmax(-1)
        value = linear(bags, self.projection).unflatten(2, (self.num_queries, -1))
        parts = torch.einsum("bqn,bnqw->bqw", attention, value)
        return Pooled(parts.flatten(1), attention)


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    result: dict[str, Any] = {"rounds": args.rounds, "time": {}}
    for threads in dict.fromkeys((1, torch.get_num_threads())):
        torch.set_num_threads(threads)
        print(f"\n{BAGS} bags of {INSTANCES} x {WIDTH}, {QUERIES} queries, {threads} threads")
        ways = make_ways()
        others = {"published": (PUBLISHED,), "multihead": (MULTI,)}
        rows = compare(ways, args.rounds, others)
        show(rows)
        result["time"][str(threads)] = rows
    result["flops"] = {
        name: forward_flops(pooling, INSTANCES)
        for name, pooling in (
            (OURS, EfficientProbing(WIDTH, QUERIES)),
            (PUBLISHED, ProjectFirst(WIDTH, QUERIES)),
            (MULTI, MultiHeadPooling(WIDTH, HEADS)),
        )
    }
    print("\nmillions of operations a bag, forward:")
    for name, flops in result["flops"].items():
        print(f"  {name:24} {flops / 1e6:.1f}")
    result["machine"] = {"machine": platform.machine(), "torch": torch.__version__}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "probing.json").write_text(json.dumps(result, indent=2), encoding="utf-8")


def make_ways() -> dict[str, Callable[[], Any]]:
    """One training step of each way, on the same bags."""
    torch.manual_seed(0)
    bags = torch.randn(BAGS, INSTANCES, WIDTH)
    labels = torch.randint(CLASSES, (BAGS,))
    poolings = {
        OURS: EfficientProbing(WIDTH, QUERIES),
        PUBLISHED: ProjectFirst(WIDTH, QUERIES),
        MULTI: MultiHeadPooling(WIDTH, HEADS),
    }

    def step(probe: AttentiveProbe) -> Callable[[], Any]:
        def run() -> None:
            probe.zero_grad(set_to_none=True)
            cross_entropy(probe(bags), labels).backward()

        return run

    return {name: step(AttentiveProbe(pooling, CLASSES)) for name, pooling in poolings.items()}


if __name__ == "__main__":
    main()
