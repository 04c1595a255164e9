"""Provenance: complete, readable again, and the same text for the same record."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from analytics.store.provenance import (
    installed_versions,
    make_provenance,
    parse_provenance,
    provenance_json,
)
from analytics.types import Provenance


def example(**changes: object) -> Provenance:
    made = make_provenance(
        command="attention-atlas attend cat.png",
        model="bundled",
        weights_sha256="ab" * 32,
        inputs={"cat.png": "cd" * 32},
        parameters={"layer": np.int64(3), "fit": "crop", "mean": (0.5, np.float32(0.25))},
        seed=7,
        device="cpu",
        notes=("tuned for saliency",),
    )
    return dataclasses.replace(made, **changes)


def test_it_comes_back_without_loss() -> None:
    made = example()
    assert parse_provenance(provenance_json(made)) == made
    assert made.parameters == {"layer": 3, "fit": "crop", "mean": [0.5, 0.25]}


def test_time_is_utc_and_now() -> None:
    at = datetime.fromisoformat(example().time)
    assert at.tzinfo == UTC
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=60)


def test_key_order_does_not_depend_on_how_it_was_filled() -> None:
    one = example(parameters={"a": 1, "b": {"c": 2, "d": 3}}, inputs={"x": "1", "y": "2"})
    two = example(parameters={"b": {"d": 3, "c": 2}, "a": 1}, inputs={"y": "2", "x": "1"})
    two = dataclasses.replace(two, time=one.time)
    assert provenance_json(one) == provenance_json(two)
    keys = list(json.loads(provenance_json(one)))
    assert keys == sorted(keys)
    assert provenance_json(one).endswith("}\n")


def test_versions_name_what_a_result_depends_on() -> None:
    versions = installed_versions()
    assert versions["python"] == platform.python_version()
    assert {"numpy", "pillow"} <= set(versions)
    assert versions["numpy"] == np.__version__


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.store import provenance

    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package-at-all",))
    assert set(installed_versions()) == {"python"}


def test_versions_are_read_without_importing() -> None:
    code = (
        "import sys; from analytics.store.provenance import installed_versions\n"
        "installed_versions(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"torch", "timm", "streamlit"})


def test_values_of_every_plain_kind_become_json() -> None:
    parameters = MappingProxyType(
        {
            "path": Path("a/b"),
            "array": np.arange(3),
            "set": {3, 1, 2},
            "none": None,
            "flag": np.bool_(True),
            "missing": float("nan"),
            "many": np.float64("inf"),
            5: [1, (2, 3)],
        }
    )
    made = make_provenance("", "m", "", {}, parameters)
    assert json.loads(provenance_json(made))["parameters"] == {
        "5": [1, [2, 3]],
        "array": [0, 1, 2],
        "flag": True,
        "many": "inf",
        "missing": "nan",
        "none": None,
        "path": "a/b",
        "set": [1, 2, 3],
    }


def test_a_record_with_read_only_mappings_is_written() -> None:
    made = example(inputs=MappingProxyType({"a": "b"}))
    assert json.loads(provenance_json(made))["inputs"] == {"a": "b"}


def test_a_value_that_is_not_plain_is_named() -> None:
    with pytest.raises(ValueError, match=r"parameters\.run\.model, got object; pass numbers"):
        make_provenance("", "m", "", {}, {"run": {"model": object()}})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"command": 1}', '{"unknown": 1}'])
def test_what_is_no_provenance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the JSON of a provenance"):
        parse_provenance(text)
