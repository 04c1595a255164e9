"""How often the adaptive search names wrong heads, and how much work it saves.

Each run makes a population of importances with a known top k (by the mean over all its
images), and searches it. Printed for each population: the error rate asked for, the share of
runs with a wrong set with its 95 % Wilson interval, and the work as a share of measuring
everything. No model is run and no time is taken. The population "rare" breaks the assumption
of the search, and shows what happens then.

    python benchmarks/adaptive.py [--runs 1000] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analytics.metrics.ranking import top_heads
from analytics.studies.adaptive import AdaptiveResult, find_top_heads

HEADS = 72
TOP = 10
Sizes = tuple[int, int]
Population = Callable[[np.random.Generator, Sizes], np.ndarray]


def main() -> None:
    """Simulate, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--error-rate", type=float, default=0.05)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    rows = []
    print(f"{'population':14s} images  asked   seen  95 % interval   work  p90")
    for name in POPULATIONS:
        for images in args.images:
            rows.append(simulate(name, images, args.runs, args.error_rate))
            show(rows[-1])
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"heads": HEADS, "top": TOP, "numpy": np.__version__, "rows": rows}
    (args.out / "adaptive.json").write_text(json.dumps(result, indent=2) + "\n")


def simulate(
    name: str, num_images: int, runs: int, error_rate: float = 0.05, seed: int = 0
) -> dict[str, str | float]:
    """Search `runs` made populations; the share that went wrong, and the work."""
    wrong, work = 0, []
    for run in range(runs):
        # The same populations whatever the process: no hash of the name, no shared state.
        generator = np.random.default_rng([seed, run, list(POPULATIONS).index(name)])
        table = POPULATIONS[name](generator, (num_images, HEADS))
        result = search(table, TOP, error_rate, seed=run)
        wrong += set(result.top) != set(top_heads(table.mean(axis=0), TOP))
        work.append(result.work)
    low, high = wilson(wrong, runs)
    return {
        "population": name,
        "images": num_images,
        "runs": runs,
        "error_rate_asked": error_rate,
        "wrong": wrong,
        "error_rate_seen": wrong / runs,
        "low": low,
        "high": high,
        "work_median": statistics.median(work),
        "work_p90": float(np.quantile(work, 0.9)),
    }


def search(table: np.ndarray, k: int, error_rate: float, seed: int) -> AdaptiveResult:
    """The search on a table of known importances, (images, heads)."""
    return find_top_heads(
        lambda images, heads: table[np.ix_(images, heads)], *table.shape, k, error_rate, seed=seed
    )


def wilson(wrong: int, runs: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson's formula."""
    z = statistics.NormalDist().inv_cdf(0.975)
    share = wrong / runs
    middle = (share + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * math.sqrt(share * (1 - share) / runs + z**2 / (4 * runs**2))
    return max(0.0, middle - half), middle + half


def show(row: dict) -> None:
    """Print one line of the table."""
    print(
        f"{row['population']:14s} {row['images']:6d}  {row['error_rate_asked']:5.3f}"
        f"  {row['error_rate_seen']:5.3f}  {row['low']:.3f} to {row['high']:.3f}"
        f"  {row['work_median']:5.3f}  {row['work_p90']:.3f}",
        flush=True,
    )


def difficulty(generator: np.random.Generator, sizes: Sizes, sigma: float = 0.5) -> np.ndarray:
    """What an image does to all heads alike, (images, 1)."""
    return generator.lognormal(0, sigma, (sizes[0], 1))


def spread(generator: np.random.Generator, sizes: Sizes, sigma: float = 1.3) -> np.ndarray:
    """Importances of the heads, lognormal."""
    return generator.lognormal(0, sigma, sizes[1])


def tied(generator: np.random.Generator, sizes: Sizes, sigma: float) -> np.ndarray:
    """Importances of which ten around the boundary are nearly the same."""
    heads = np.sort(spread(generator, sizes))[::-1].copy()
    heads[TOP - 5 : TOP + 5] = heads[TOP] * generator.lognormal(0, sigma, 10)
    return heads


def noise(generator: np.random.Generator, sizes: Sizes, sigma: float | np.ndarray) -> np.ndarray:
    """Lognormal noise of mean 1, of one spread for all heads or one for each."""
    return np.exp(generator.normal(size=sizes) * sigma - np.square(sigma) / 2)


def vit(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Like cls_shift of a ViT-S."""
    heads = spread(generator, sizes) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, 0.7)


def exponential(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Gamma noise of shape 1."""
    heads = spread(generator, sizes) * difficulty(generator, sizes)
    return heads * generator.gamma(1, 1, sizes)


def heavy(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Very skewed noise, and images of very different difficulty."""
    heads = spread(generator, sizes) * difficulty(generator, sizes, 1)
    return heads * noise(generator, sizes, 1.2)


def near_ties(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Ten heads within 5 % around the boundary."""
    heads = tied(generator, sizes, 0.05) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, 0.7)


def alike(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """All heads within some 10 %."""
    heads = spread(generator, sizes, 0.1) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, 0.7)


def mixed(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Steady heads and skewed ones."""
    heads = spread(generator, sizes) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, generator.uniform(0.2, 1.4, sizes[1]))


def mixed_ties(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Steady heads and skewed ones, ten of them nearly tied around the boundary."""
    heads = tied(generator, sizes, 0.2) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, generator.choice([0.2, 1.4], sizes[1]))


def mixed_alike(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """Steady heads and skewed ones, all close: the hardest that is still within the bound."""
    heads = spread(generator, sizes, 0.3) * difficulty(generator, sizes)
    return heads * noise(generator, sizes, generator.choice([0.2, 1.2], sizes[1]))


def flips(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """0 or 1, mostly 0 for most heads."""
    heads = spread(generator, sizes)
    chance = np.clip(heads / heads.max(), 0, 0.9)
    return (generator.random(sizes) < chance).astype(float)


def rare(generator: np.random.Generator, sizes: Sizes) -> np.ndarray:
    """A third of the heads matter on one image in twenty only: outside the assumptions."""
    rarely = np.where(generator.random(sizes) < 0.05, 20, 0.01)
    seldom = generator.random(sizes[1]) < 0.3
    heads = spread(generator, sizes) * difficulty(generator, sizes)
    return heads * np.where(seldom, rarely, noise(generator, sizes, 0.7))


POPULATIONS: dict[str, Population] = {
    "vit": vit,
    "exponential": exponential,
    "heavy": heavy,
    "near ties": near_ties,
    "alike": alike,
    "mixed": mixed,
    "mixed ties": mixed_ties,
    "mixed alike": mixed_alike,
    "flips": flips,
    "rare": rare,
}


if __name__ == "__main__":
    main()
