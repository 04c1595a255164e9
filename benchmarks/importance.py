"""What leave-one-head-out costs: every head of a model, exactly.

The cls shift of every head of a ViT-S/16 at 224 px by the plainest loop (one whole forward pass
for each head), by captum's LayerFeatureAblation where captum is installed (pip install captum),
and by ours in float32 and bfloat16; on a CUDA device also S, B and L. All ways run in another
order each round; the ratio of each round is taken and the median of the ratios printed, with
threads stated.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/importance.py [--rounds 5] [--images 4]
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from _measuring import (
    Rows,
    Ways,
    bfloat16_units,
    compare,
    importance,
    photographs,
    ratio,
    show,
    timed,
)
from torch import Tensor, nn

from analytics.capture.leave_one_out import LeaveOneOut
from analytics.capture.recording import capture, switch_off
from analytics.capture.sites import SiteMap
from analytics.capture.tracing import find_sites
from analytics.metrics.importance import cosine_shift
from analytics.metrics.ranking import rank_agreement

SIZES = {  # name, layers, heads, width
    "S": ("vit_small_patch16_224", 12, 6, 384),
    "B": ("vit_base_patch16_224", 12, 12, 768),
    "L": ("vit_large_patch16_224", 24, 16, 1024),
}
NAIVE, OURS, OURS_BF16 = "naive loop", "ours, float32", "ours, bfloat16"
CAPTUM = "captum, {} at once"
AIMS = "float32 2.0 x naive, 2.6 x captum; bfloat16 with matrix units 7 x and 9 x"


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--cuda-images", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    result = {
        "machine": f"{platform.machine()}, {platform.processor() or platform.system()}",
        "bfloat16_units": bfloat16_units(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "images": args.images,
        "rounds": args.rounds,
    }
    print(f"bfloat16 units of the processor: {result['bfloat16_units']}", flush=True)
    result.update(time_part(args))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "importance.json").write_text(json.dumps(result, indent=2) + "\n")


def time_part(args: argparse.Namespace) -> dict:
    """Seconds of each way with one thread and with all, correctness, CUDA, arithmetic."""
    model, pixels = random_model(SIZES["S"][0], args.images)
    ways = cpu_ways(model, pixels)
    values = {name: way() for name, way in ways.items()}
    found: dict = {"aims": AIMS, "bound": {size: bound(*SIZES[size][1:]) for size in SIZES}}
    captum = tuple(name for name in ways if name.startswith("captum"))
    others = {"naive": (NAIVE,)} | ({"captum": captum} if captum else {})
    found["largest_shift"] = float(values[NAIVE].max())
    found["largest_difference_to_naive"] = {
        name: float((one - values[NAIVE]).abs().max()) for name, one in values.items()
    }
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        rows = found[f"{threads} threads"] = compare(ways, args.rounds, others)
        print(f"\n{SIZES['S'][0]}, 224 px, {args.images} images, every head, {threads} threads")
        show(rows)
    print("aims:", AIMS)
    print(f"largest cls shift {found['largest_shift']:.2e}; largest difference to the naive loop:")
    for name, one in found["largest_difference_to_naive"].items():
        print(f"  {name:28s} {one:.1e}")
    for size, limit in found["bound"].items():
        print(f"arithmetic of the naive loop over ours, {size}: {limit:.2f}", flush=True)
    found["bfloat16_spearman"] = bfloat16_agreement()
    print(f"bundled model, photographs: bfloat16 with float32 {found['bfloat16_spearman']:.4f}")
    if torch.cuda.is_available():
        found["cuda"] = {size: throughput(size, "cuda", args) for size in SIZES}
    return found


def random_model(name: str, images: int, device: str = "cpu") -> tuple[nn.Module, Tensor]:
    """A timm model of random weights and pictures of noise."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval().requires_grad_(False)
    return model.to(device), torch.randn(images, 3, 224, 224).to(device)


def cpu_ways(model: nn.Module, pixels: Tensor) -> Ways:
    """The cls shift of every head in each way, (images, heads)."""
    sites = find_sites(model, (224, 224))
    ways = {NAIVE: naive(model, pixels, sites), OURS: ours(model, pixels, sites)}
    half = copy.deepcopy(model).bfloat16()
    ways[OURS_BF16] = ours(half, pixels.bfloat16(), sites)
    if importlib.util.find_spec("captum") is None:
        print("captum is not installed: its rows are left out")
        return ways
    for at_once in (1, sites.sites[0].num_heads):
        ways[CAPTUM.format(at_once)] = by_captum(model, pixels, sites, at_once)
    return ways


def naive(model: nn.Module, pixels: Tensor, sites: SiteMap) -> Callable[[], Tensor]:
    """One whole forward pass with all heads, and one without each."""

    @torch.no_grad()
    def way() -> Tensor:
        clean, shifts = model.forward_features(pixels)[:, 0], []
        for site in sites.sites:
            for head in range(site.num_heads):
                with capture(model, sites, gates=switch_off(sites, [(site.index, head)])):
                    shifts.append(cosine_shift(clean, model.forward_features(pixels)[:, 0]))
        return torch.stack(shifts, dim=1)

    return way


def ours(
    model: nn.Module, pixels: Tensor, sites: SiteMap, at_once: int = 1
) -> Callable[[], Tensor]:
    """One clean pass, and for each head what comes after it."""
    loo = LeaveOneOut(model, sites, tokens="cls")

    @torch.no_grad()
    def way() -> Tensor:
        clean, shifts = loo.start(pixels)[:, 0], []
        for site in sites.sites:
            for first in range(0, site.num_heads, at_once):
                heads = range(first, min(first + at_once, site.num_heads))
                pruned = loo.without(site.index, heads).features[:, 0]  # heads * images, width
                repeated = clean.repeat(len(heads), 1)
                shifts.append(cosine_shift(repeated, pruned).unflatten(0, (len(heads), -1)))
        return torch.cat(shifts).mT

    return way


def by_captum(
    model: nn.Module, pixels: Tensor, sites: SiteMap, at_once: int
) -> Callable[[], Tensor]:
    """Each head's slice of what the output projection reads, as one of captum's features."""
    from captum.attr import LayerFeatureAblation

    def way() -> Tensor:
        with torch.no_grad():
            clean = model.forward_features(pixels)[:, 0]

        def shift(batch: Tensor) -> Tensor:
            pruned = model.forward_features(batch)[:, 0]
            return cosine_shift(clean.repeat(len(pruned) // len(clean), 1), pruned)

        shifts = []
        for site in sites.sites:
            layer = model.get_submodule(site.module).proj
            width = layer.in_features // site.num_heads
            mask = torch.arange(layer.in_features)[None, None] // width  # 1, 1, heads * width
            given = LayerFeatureAblation(shift, layer).attribute(
                pixels,
                layer_mask=mask,
                attribute_to_layer_input=True,
                perturbations_per_eval=at_once,
            )
            shifts.append(-given[:, 0, ::width])  # images, heads
        return torch.cat(shifts, dim=1)

    return way


def bound(layers: int, heads: int, width: int, tokens: int = 197) -> float:
    """Multiplications of the naive loop over those of ours, where the cls token alone is read."""
    hidden = 8 * width**2  # of one token in the MLP
    attention = tokens * (4 * width**2 + 2 * tokens * width)
    block = attention + tokens * hidden
    whole = layers * block + (tokens - 1) * 3 * 16**2 * width
    update = tokens * width * (width // heads)
    # Keys and values of all tokens; query, projection and MLP of the first alone.
    last = 2 * tokens * width**2 + 2 * width**2 + 2 * tokens * width + hidden
    later = [(layers - 2 - layer) * block + last for layer in range(layers - 1)]
    one_head_each = layers * update + (layers - 1) * tokens * hidden + hidden + sum(later)
    return (1 + layers * heads) * whole / (whole + heads * one_head_each)


def bfloat16_agreement() -> float:
    """Spearman correlation over the heads of the mean cls shift of the photographs."""
    means = [importance(photographs(), ("cls_shift",), t)[0] for t in ("float32", "bfloat16")]
    return float(rank_agreement(np.stack(means).mean(axis=1))[0, 1])


def throughput(size: str, device: str, args: argparse.Namespace) -> Rows:
    """Images a second on a GPU: naive, head by head and all heads of a layer at once."""
    name, _, heads, _ = SIZES[size]
    model, pixels = random_model(name, args.cuda_images, device)
    sites, ways = find_sites(model, (224, 224)), {}
    for dtype in (torch.float32, torch.bfloat16):
        cast, batch = copy.deepcopy(model).to(dtype), pixels.to(dtype)
        kind = str(dtype).removeprefix("torch.")
        ways[f"{NAIVE}, {kind}"] = naive(cast, batch, sites)
        for at_once in (1, heads):
            ways[f"ours, {kind}, {at_once} at once"] = ours(cast, batch, sites, at_once)
    for way in ways.values():
        way()
    _, wall = timed(ways, max(1, args.rounds // 2))
    rows = {way: {"images_per_second": len(pixels) / statistics.median(wall[way])} for way in ways}
    print(f"\n{name}, {device}, {len(pixels)} images; arithmetic {bound(*SIZES[size][1:]):.2f} x")
    for way, one in rows.items():
        plain = wall[f"{NAIVE}, {'bfloat16' if 'bfloat16' in way else 'float32'}"]
        one["naive_over_this"] = ratio(plain, wall[way])
        print(
            f"  {way:28s} {one['images_per_second']:9.2f} images/s {one['naive_over_this']:.2f} x"
        )
    return rows


if __name__ == "__main__":
    main()
