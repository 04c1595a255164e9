"""Local checkpoints: read without running code, matched to an architecture, reported."""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analytics.models import huggingface
from analytics.models.keyreport import KeyReport, Renamed, check, compare, covered, head_names

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_TEACHERS = ("teacher", "ema")
_GLOBAL = re.compile(r"GLOBAL (\S+)")
Tensors = dict[str, torch.Tensor]


def read_tensors(path: Path) -> Tensors:
    """Every tensor of a file by dotted name; nested dictionaries become prefixes.

    Pickled files are read with `weights_only`, so nothing in them is ever run.

    Raises:
        ValueError: no such file, not a checkpoint, damaged, or it holds code.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name} is no checkpoint; expected one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ValueError(f"there is no file {path.name} in {path.parent}")
    tensors = dict(_flatten("", _read(path)))
    if not tensors:
        raise ValueError(f"{path.name} holds no tensors")
    return tensors


def fit(module: nn.Module, tensors: Mapping[str, torch.Tensor], name: str) -> KeyReport:
    """Load the tensors into the module under whatever prefix and naming they have.

    Args:
        module: a timm model on the CPU.
        tensors: as `read_tensors` returns them.
        name: the architecture's name for messages.

    Raises:
        ValueError: less than `LEAST_COVERED` of the architecture is in the file, or the
            file holds parts of its trunk that the architecture lacks.
    """
    wanted = module.state_dict()
    heads = head_names(module)
    best = -1.0
    found: Tensors = {}
    renamed: Renamed = ()
    for candidate, names in _readings(tensors, wanted):
        adapted = _adapt(module, candidate)
        share = covered(adapted, wanted, heads)
        if share > best:
            best, found, renamed = share, adapted, names
        if share == 1.0:
            break
    report = compare(found, wanted, renamed)
    check(report, found, wanted, heads, name)
    module.load_state_dict({key: found[key] for key in report.loaded}, strict=False)
    return report


def _read(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files fail in many ways: archive, pickle, header, memory
        raise ValueError(f"{path.name} {_reason(str(error))}") from None


def _reason(message: str) -> str:
    """Why a file was not read; torch's own words advise reading it without care."""
    advice = "Save its state_dict alone, best as .safetensors"
    found = _GLOBAL.search(message)
    if found:
        held = f"holds code or Python objects ({found.group(1)})"
        return f"{held}, refused; nothing of it was run. {advice}"
    if "weights_only" in message:
        return f"holds more than plain tensors, refused; nothing of it was run. {advice}"
    return "cannot be read as a checkpoint: it is empty, damaged or of another format"


def _flatten(prefix: str, value: Any) -> Iterable[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)


def _readings(
    tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> Iterable[tuple[Tensors, Renamed]]:
    """Ways to read the names, the likeliest first."""
    mapped = huggingface.map_names(tensors)
    if mapped is not None:
        yield mapped[0], tuple((stored, key) for key, stored in mapped[1].items())
    prefix = best_prefix(tensors, wanted)
    under = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    yield under, tuple((prefix + key, key) for key in under) if prefix else ()
    if prefix:
        yield dict(tensors), ()


def best_prefix(stored: Iterable[str], wanted: Iterable[str]) -> str:
    """The prefix under which most of the wanted names stand, a teacher's before a student's.

    Known answer: `teacher.backbone.` for a DINO training file, the empty string for a
    plain state dict.
    """
    known = set(wanted)
    counts: Counter[str] = Counter()
    for key in stored:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in known:
                counts[".".join([*parts[:start], ""])] += 1

    def rank(prefix: str) -> tuple[int, bool, int]:
        taught = any(word in prefix for word in _TEACHERS)
        return counts[prefix], taught, -len(prefix)

    return max(counts, key=rank, default="")


def _adapt(module: nn.Module, tensors: Tensors) -> Tensors:
    """Let timm convert older layouts and resample positions, where the family can."""
    convert = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return tensors
    extra: dict[str, Any] = {}
    old_scales = any(key.endswith((".gamma_1", ".gamma_2")) for key in tensors)
    if old_scales and any(key.endswith("ls1.gamma") for key in module.state_dict()):
        extra["adapt_layer_scale"] = True
    try:
        return dict(convert(dict(tensors), module, **extra))
    except Exception:  # the filter assumes the right architecture; the comparison will tell
        return tensors
