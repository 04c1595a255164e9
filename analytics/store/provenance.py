"""How a result was made, in a form that can be written beside it and read again."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import PurePath
from typing import Any

import numpy as np

from analytics.types import Provenance

PACKAGES = ("attention-atlas", "torch", "timm", "numpy", "pillow", "streamlit")
"""Packages whose versions a result depends on; those that are not installed are left out."""


def make_provenance(
    command: str,
    model: str,
    weights_sha256: str,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    seed: int | None = None,
    device: str = "cpu",
    notes: tuple[str, ...] = (),
) -> Provenance:
    """Record how a result is made, with the versions in use and the time now.

    Args:
        command: what was run, as it would be typed; empty where there was no command.
        model: the model's id.
        weights_sha256: content hash of its weights.
        inputs: name of each input to the SHA-256 of its bytes.
        parameters: everything else the result depends on; plain values, NumPy values,
            paths, and lists and mappings of these.
        seed: of the random numbers, or None where there are none.
        device: where it was computed, as torch writes it.
        notes: cautions that belong to the result.

    Raises:
        ValueError: a parameter cannot be written as JSON.
    """
    return Provenance(
        command=command,
        model=model,
        weights_sha256=weights_sha256,
        inputs=dict(inputs),
        parameters=_plain(parameters, "parameters"),
        seed=seed,
        versions=installed_versions(),
        device=device,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=tuple(notes),
    )


def installed_versions() -> dict[str, str]:
    """Versions of Python and of `PACKAGES`, read from package metadata without importing them."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def provenance_json(provenance: Provenance) -> str:
    """Write a provenance as JSON with sorted keys: the same record gives the same text."""
    record = {**vars(provenance), "notes": list(provenance.notes)}
    plain = _plain(record, "provenance")
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def parse_provenance(text: str) -> Provenance:
    """Read what `provenance_json` wrote.

    Raises:
        ValueError: the text is no provenance.
    """
    try:
        record = json.loads(text)
        return Provenance(**{**record, "notes": tuple(record.get("notes", ()))})
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"expected the JSON of a provenance, got something else ({error}); "
            "pass what provenance_json wrote"
        ) from error


def _plain(value: Any, where: str) -> Any:
    """The value in JSON's own types; numbers that are not finite become their names."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, where) for item in value), key=str)
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist(), where)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(
        f"expected plain values in {where}, got {type(value).__name__}; "
        "pass numbers, text, paths, or lists and mappings of these"
    )
