"""What object binding costs: fitting all probes at all points against extracting the features.

Both sides run in one process on the same made scenes: features once, then each probe with its
measures on the test images, for one seed. The ratio of the two is printed, with threads stated;
the preview (features of a few scenes and PLDA) is timed on its own.

    python benchmarks/binding.py [--scenes 480] [--preview 48] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from analytics.io.scenes import scene_sources
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding import preview_binding
from analytics.studies.binding_choices import PROBES, BindingChoices
from analytics.studies.binding_features import binding_features
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_units import Fitter, Split, baseline_units


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=480)
    parser.add_argument("--preview", type=int, default=48, help="scenes of the preview; 0: none")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    loaded = load_model(parse_model(args.model))
    chosen = BindingChoices(seeds=(0,))
    seconds: dict[str, float] = {}
    found = timed(seconds, "scenes", lambda: survey_annotated(scene_sources(args.scenes, 0, 224)))
    features = timed(seconds, "features", lambda: binding_features(loaded, found, chosen))
    families = sorted(set(features.families))
    points = len(features.features)
    split = Split.of(features, families, 0)
    timed(seconds, "baselines", lambda: baseline_units(features, split, len(families), points))
    fitter = Fitter(features, chosen, families, loaded.device)
    for kind in PROBES:
        timed(seconds, kind, lambda kind=kind: fitter.unit(kind, kind, split, quiet))
    if args.preview:
        few = scene_sources(args.preview, 0, 224)
        timed(seconds, "preview", lambda: preview_binding(loaded, few))
    probes = sum(seconds[name] for name in ("baselines", *PROBES))
    result: dict[str, Any] = {
        "model": args.model,
        "scenes": args.scenes,
        "preview_scenes": args.preview,
        "points": points,
        "probes_over_features": probes / seconds["features"],
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    show(seconds, probes, result)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "binding.json").write_text(json.dumps(result, indent=2) + "\n")


def quiet(done: float, total: float, message: str) -> None:
    """Says nothing."""


def timed(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Run something and note how long it took."""
    begin = time.perf_counter()
    result = work()
    seconds[name] = time.perf_counter() - begin
    return result


def show(seconds: dict[str, float], probes: float, result: dict[str, Any]) -> None:
    """Print a table."""
    print(f"{result['scenes']} scenes, {result['points']} points, {result['threads']} threads")
    for name, value in seconds.items():
        share = value / seconds["features"]
        print(f"  {name:12s}{value:9.2f} s {share:9.2f} of the time of the features")
    print(f"  all probes  {probes:9.2f} s {result['probes_over_features']:9.2f}")


if __name__ == "__main__":
    main()
