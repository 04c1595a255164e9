"""What fitting probes of object binding costs beside extracting the features they are fitted on.

One run over made scenes: features of all points in one pass, then every probe at all points, one
split. Fitting and measuring on held-out scenes are timed apart. Then the preview from nothing:
scenes made, model run, PLDA fitted and measured. CPU and wall time, threads stated.

    python benchmarks/binding.py [--scenes 480] [--preview 66] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from analytics.io.scenes import scene_sources
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding import preview_binding
from analytics.studies.binding_choices import PROBES, BindingChoices
from analytics.studies.binding_features import binding_features
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_units import Fitter, Split, measured

Times = dict[str, tuple[float, float]]


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=480)
    parser.add_argument("--preview", type=int, default=66)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    loaded = load_model(parse_model("bundled"), None, "cpu", "float32")
    loaded.module(torch.zeros(1, 3, *loaded.input_size))  # warm
    times: Times = {}
    fit_all(loaded, args.scenes, times)
    with clock(times, "preview from nothing"):
        preview_binding(loaded, scene_sources(args.preview, 7, 224))
    show(times, args.scenes, args.preview)
    result = {
        "scenes": args.scenes,
        "preview_scenes": args.preview,
        "threads": torch.get_num_threads(),
        "seconds": {name: {"cpu": cpu, "wall": wall} for name, (cpu, wall) in times.items()},
        "fit_over_features": total(times, "fit ")[0] / times["features"][0],
        "machine": {"machine": platform.machine(), "torch": torch.__version__},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "binding.json").write_text(json.dumps(result, indent=2), encoding="utf-8")


def fit_all(loaded: object, scenes: int, times: Times) -> None:
    """Features, then every probe of one split."""
    chosen = BindingChoices(controls=(), seeds=(0,), link=False)
    with clock(times, "making scenes"):
        found = survey_annotated(scene_sources(scenes, 0, 224), lambda *told: None)
    with clock(times, "features"):
        whole = binding_features(loaded, found, chosen)  # type: ignore[arg-type]
    families = sorted(set(whole.families))
    with clock(times, "split and pairs"):
        split = Split.of(whole, families, 0)
    fitter = Fitter(whole, chosen, families, "cpu")
    for kind in PROBES:
        with clock(times, f"fit {kind}"):
            probe = fitter.fit(kind, split, lambda *told: None)
        with clock(times, f"measure {kind}"):
            scores = fitter.scores(probe, split)
            measured(scores, split, len(families), fitter.distances)


@contextmanager
def clock(times: Times, name: str) -> Iterator[None]:
    """CPU and wall seconds of what is done inside."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    times[name] = (time.process_time() - cpu, time.perf_counter() - wall)
    print(f"  {name:24} {times[name][0]:8.1f} s CPU {times[name][1]:8.1f} s", flush=True)


def total(times: Times, prefix: str) -> tuple[float, float]:
    """CPU and wall seconds of all that begins alike."""
    found = [both for name, both in times.items() if name.startswith(prefix)]
    return sum(cpu for cpu, _ in found), sum(wall for _, wall in found)


def show(times: Times, scenes: int, preview: int) -> None:
    """Print the ratios that count."""
    base = times["features"]
    print(
        f"\n{scenes} scenes, 224 px, {torch.get_num_threads()} threads: over features (CPU, wall)"
    )
    for words, prefix in (("fitting all probes", "fit "), ("measuring them", "measure ")):
        cpu, wall = total(times, prefix)
        print(f"  {words:24} {cpu / base[0]:8.2f} {wall / base[1]:8.2f}")
    print(f"preview on {preview} scenes: {times['preview from nothing'][1]:.1f} s")


if __name__ == "__main__":
    main()
