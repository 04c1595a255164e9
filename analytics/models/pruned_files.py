"""A pruned model as files that plain timm reads: weights, recipe and loader."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analytics.models import pruned_loader
from analytics.models.placing import place_file
from analytics.models.pruning import count_parameters, plan_pruning

WEIGHTS, RECIPE, LOADER = "pruned.safetensors", "recipe.json", "load_pruned.py"
_SAME = 1e-4
_USE = (
    "Keep the three files in one folder. In Python with torch, timm and safetensors: "
    "`from load_pruned import load; model = load()`. Give it pictures of the input size below, "
    "scaled to 0..1, less the mean, divided by the standard deviation of each channel."
)


def write_pruned(
    folder: Path,
    model: nn.Module,
    pruned: nn.Module,
    architecture: str,
    build_arguments: Mapping[str, Any],
    heads: Mapping[str, Collection[int]],
    provenance_json: str,
    *,
    input_size: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> list[Path]:
    """Write the weights, `recipe.json` and a loader that needs torch, timm and safetensors only.

    The files are first read back by that loader, and kept only if the model they give has
    the output of `pruned`.

    Args:
        folder: where to write; made if it is not there. Files of the same names are replaced.
        model: the whole model, as given to `prune_heads`.
        pruned: what `prune_heads` returned; it may have been trained further.
        architecture: timm's name.
        build_arguments: what `timm.create_model` needs besides to build `model`, such as
            img_size or num_classes, in JSON's own types.
        heads: as given to `prune_heads`.
        provenance_json: goes into the header of the weights file as it is.
        input_size: (height, width) in pixels; left out, `img_size` of the arguments or else
            the input size of timm's configuration of the model.
        mean: of each channel in 0..1; left out, timm's configuration.
        std: of each channel in 0..1; left out, timm's configuration.

    Returns:
        The paths of the three files.

    Raises:
        ValueError: architecture and arguments do not build this model, or the arguments are
            not JSON; nothing is written then.
    """
    arguments = {key: value for key, value in build_arguments.items() if key != "pretrained"}
    recipe = {
        "format": 1,
        "use": _USE,
        "architecture": architecture,
        "build_arguments": arguments,
        "dtype": str(next(pruned.parameters()).dtype).removeprefix("torch."),
        "input": _input(model, arguments, input_size, mean, std),
        "parameters": {"before": count_parameters(model), "after": count_parameters(pruned)},
        "versions": {name: version(name) for name in ("torch", "timm", "safetensors")},
        "attention": {name: cut.changes for name, cut in plan_pruning(model, heads).items()},
    }
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name)
        _write(draft, pruned, recipe, provenance_json)
        _check(draft, pruned, recipe)
        folder.mkdir(parents=True, exist_ok=True)
        return [place_file(draft / file, folder / file) for file in (WEIGHTS, RECIPE, LOADER)]


def load_pruned(folder: Path) -> nn.Module:
    """The model that `write_pruned` wrote, on the CPU and in evaluation mode.

    Raises:
        ValueError: a file is missing or damaged, or the installed timm builds another model.
    """
    missing = [name for name in (WEIGHTS, RECIPE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"expected {WEIGHTS} and {RECIPE} in {folder.name}; {missing[0]} is missing. "
            "Choose the folder that write_pruned wrote"
        )
    try:
        return pruned_loader.load(folder)
    except Exception as error:  # damaged files and another timm fail in many ways
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"timm {version('timm')} does not build the model of {folder.name} ({line}): a file is "
            f"damaged, or {RECIPE} names another version"
        ) from None


def _input(
    model: nn.Module,
    arguments: Mapping[str, Any],
    input_size: tuple[int, int] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> dict[str, list[float]]:
    """Size (channels, height, width) and normalisation of the pictures that go in."""
    from timm.data import resolve_data_config

    config = resolve_data_config(model=model, verbose=False)
    channels, *native = config["input_size"]
    side = arguments.get("img_size", native)
    size = input_size or ((side, side) if isinstance(side, int) else tuple(side))
    return {
        "size": [int(arguments.get("in_chans", channels)), *(int(length) for length in size)],
        "mean": [float(value) for value in mean or config["mean"]],
        "std": [float(value) for value in std or config["std"]],
    }


def _write(
    folder: Path, pruned: nn.Module, recipe: Mapping[str, Any], provenance_json: str
) -> None:
    from safetensors.torch import save_file

    try:
        text = json.dumps(recipe, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected build arguments that JSON can hold ({error}); "
            "pass numbers, text, lists and mappings of these"
        ) from None
    (folder / RECIPE).write_text(text + "\n", encoding="utf-8")
    state = {key: value.detach().cpu().contiguous() for key, value in pruned.state_dict().items()}
    save_file(state, folder / WEIGHTS, {"format": "pt", "provenance": provenance_json})
    shutil.copyfile(pruned_loader.__file__, folder / LOADER)


def _check(folder: Path, pruned: nn.Module, recipe: Mapping[str, Any]) -> None:
    """Refuse files that give another model than `pruned`, on one picture of noise."""
    expected = (
        f"expected an architecture and arguments that build this model; got "
        f"{recipe['architecture']!r} with {recipe['build_arguments']}"
    )
    advice = "pass what the model was created with"
    try:
        again = pruned_loader.load(folder)
    except Exception as error:  # each architecture refuses wrong arguments in its own way
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{expected}, where {line}; {advice}") from None
    one = next(pruned.parameters())
    noise = torch.randn(1, *recipe["input"]["size"], generator=torch.Generator().manual_seed(0))
    was_training = pruned.training
    with torch.no_grad():
        before = pruned.eval()(noise.to(one))
        after = again.to(one.device)(noise.to(one))
    pruned.train(was_training)
    if before.shape != after.shape or not torch.allclose(before, after, rtol=_SAME, atol=_SAME):
        raise ValueError(f"{expected}, which gives other outputs; {advice}")
