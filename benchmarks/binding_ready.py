"""How well the shipped binding probes tell objects on made scenes that they were not fitted on.

Writes the table that the app shows beside them: every measure at every point with its 95 %
interval over scenes.

    python benchmarks/binding_ready.py [--scenes 220] [--out assets/weights]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from analytics.io.scenes import scene_sources
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding_ready import measure_ready, ready_path

SEED = 9
"""Of the scenes; the probes were fitted on the set of another seed."""


def main() -> None:
    """Measure, print the distance-matched AUC and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=220)
    parser.add_argument("--out", type=Path, default=ready_path().parent)
    args = parser.parse_args()
    loaded = load_model(parse_model("bundled"))
    sources = scene_sources(args.scenes, SEED, loaded.input_size[0])
    table = measure_ready(loaded, sources, lambda *told: None)
    for name, curves in table["curves"].items():
        print(f"{name:12}" + " ".join(f"{value[0]:.3f}" for value in curves["auc_matched"]))
    place = args.out / ready_path().with_suffix(".json").name
    place.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
