"""timm modules built at a requested input size, with trained or with random weights."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analytics.models import hub
from analytics.models.checkpoints import read_tensors
from analytics.models.identity import weights_sha256
from analytics.models.sizes import SizeRule, runs
from analytics.models.specs import ModelSpec

SEED = 0
RANDOM_CAUTION = (
    "Random weights, a control: nothing here was learned. LayerScale factors and residual norms "
    "that start near zero are set to 1, otherwise the network would be nearly the identity."
)
# torch has one random generator per process: two models drawn at once would not come out the same.
_DRAWING = threading.Lock()
_LAYER_SCALE = re.compile(r"(^|[._])(gamma|layer_?scale)[._\w]*$")
_STARTS_NEAR_ZERO = 0.5


@dataclass(frozen=True)
class Recipe:
    """What timm needs to build a model.

    `native` is (height, width) in pixels; `weights` is the file to fill the module with,
    None leaves it random; `config` replaces timm's own configuration of the weights.
    """

    architecture: str
    native: tuple[int, int]
    weights: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None

    def build(self, side: int | None, filled: bool = False) -> nn.Module:
        """The module for an input side in pixels, None for the native size.

        `filled` lets timm fit `weights` into it (renaming and resampling as it does
        after a download of its own); otherwise its weights are drawn.
        """
        import timm

        arguments: dict[str, Any] = dict(self.arguments)
        if self.config is not None:
            arguments["pretrained_cfg"] = dict(self.config)
        if filled:
            overlay = {"file": str(self.weights), "custom_load": False}
            arguments.update(pretrained=True, pretrained_cfg_overlay=overlay)
        if side is None or (side, side) == self.native:
            return timm.create_model(self.architecture, **arguments)
        try:
            return timm.create_model(self.architecture, **{**arguments, "img_size": side})
        except TypeError as error:  # convolutional designs take any size and no such argument
            if "img_size" not in str(error):
                raise
        return timm.create_model(self.architecture, **arguments)


def find_recipe(spec: ModelSpec) -> Recipe:
    """How to build a `timm`, `hub` or `file` model; trained weights are fetched here.

    Raises:
        ValueError: the weights or the repository cannot be had.
    """
    if spec.source == "hub":
        return _hub_recipe(spec)
    config = _timm_config(spec.name)
    native = _native(config["input_size"])
    if spec.source == "file" or not spec.pretrained:
        return Recipe(spec.name, native)
    return Recipe(spec.name, native, _timm_weights(spec.name, config))


def check_size(recipe: Recipe, rule: SizeRule, side: int) -> None:
    """Refuse an input side, in pixels, that the model does not take.

    Raises:
        ValueError: with the nearest sides, or with those offered where a trial failed.
    """
    rule.check(side, recipe.architecture)
    if (side, side) != recipe.native and not runs(recipe.build, side):
        offered = ", ".join(str(taken) for taken in rule.offered if taken != side)
        raise ValueError(f"{recipe.architecture} does not run at {side} px; try {offered}")


def draw(recipe: Recipe, side: int | None) -> nn.Module:
    """The module with random weights, the same at every call."""
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(SEED)
        return recipe.build(side)


def draw_control(recipe: Recipe, side: int | None) -> tuple[nn.Module, str]:
    """The module with random weights and open residual branches, and their hash."""
    module = draw(recipe, side)
    open_residuals(module)
    return module, weights_sha256(module.state_dict())


def fill(recipe: Recipe, side: int | None) -> tuple[nn.Module, str]:
    """The module filled with the recipe's weights by timm, and the hash of the file's tensors.

    Raises:
        ValueError: timm could not fit the weights into a module of this size, or the file
            holds code.
    """
    if recipe.weights is None:
        raise ValueError(f"no weights were found for {recipe.architecture}")
    sha256 = weights_sha256(read_tensors(recipe.weights))
    try:
        with _DRAWING, torch.random.fork_rng(devices=[]):
            return recipe.build(side, filled=True), sha256
    except (RuntimeError, KeyError, AssertionError, TypeError) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"timm could not fit the weights of {recipe.architecture} at {side or 'its own'} px "
            f"({line}); try its own size, {recipe.native[0]} px"
        ) from None


def open_residuals(module: nn.Module) -> int:
    """Set LayerScale factors and norm scales that start near zero to 1.

    Returns:
        How many tensors were set.
    """
    count = 0
    for name, parameter in module.named_parameters():
        scale = _LAYER_SCALE.search(name) or _is_norm_scale(module, name)
        if not scale or not parameter.numel() or not bool((parameter == parameter.max()).all()):
            continue
        if abs(float(parameter.detach().max())) < _STARTS_NEAR_ZERO:
            nn.init.ones_(parameter)
            count += 1
    return count


def _is_norm_scale(module: nn.Module, name: str) -> bool:
    owner, _, last = name.rpartition(".")
    return last == "weight" and "norm" in type(module.get_submodule(owner)).__name__.lower()


def _timm_config(name: str) -> dict[str, Any]:
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None:  # a name that timm keeps only to forward it to a newer one
        with torch.device("meta"):
            stated: Any = timm.create_model(name).pretrained_cfg
        return dict(stated)
    return config.to_dict()


def _timm_weights(name: str, config: Mapping[str, Any]) -> Path:
    if config.get("hf_hub_id"):
        preferred = config.get("hf_hub_filename")
        files = (preferred, *hub.WEIGHTS_FILES) if preferred else hub.WEIGHTS_FILES
        return hub.fetch(config["hf_hub_id"], files, name)
    if config.get("url"):
        return hub.fetch_url(config["url"], name)
    raise ValueError(f"timm has no trained weights for {name}; write {name}:random for random ones")


def _hub_recipe(spec: ModelSpec) -> Recipe:
    import timm
    from timm.models import PretrainedCfg

    stated = hub.fetch_config(spec.name)
    architecture = str(stated["architecture"])
    if not timm.is_model(architecture):
        raise ValueError(f"{spec.id} is a {architecture!r}, which this timm does not know")
    raw = stated.get("pretrained_cfg", stated)
    known = {entry.name for entry in fields(PretrainedCfg)}
    away = {"hf_hub_id", "url", "source", "file", "state_dict"}
    config = {key: value for key, value in raw.items() if key in known - away}
    if "num_classes" in stated:
        config["num_classes"] = stated["num_classes"]
    config["architecture"] = architecture
    arguments = dict(stated.get("model_args") or {})
    native = _native(arguments.get("img_size") or config.get("input_size", (3, 224, 224)))
    weights = hub.fetch(spec.name, hub.WEIGHTS_FILES, spec.id)
    return Recipe(architecture, native, weights, arguments, config)


def _native(size: Any) -> tuple[int, int]:
    """(height, width) from a side, (height, width) or (channels, height, width)."""
    if isinstance(size, int):
        return size, size
    return int(size[-2]), int(size[-1])
