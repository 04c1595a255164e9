"""A model by its spec: built for an input size, checked, labelled and ready to run.

torch and timm are imported inside the functions, because app start imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.models.specs import ModelSpec, list_models, parse_model

if TYPE_CHECKING:
    import torch
    from torch import nn

    from analytics.models.building import Recipe
    from analytics.models.keyreport import KeyReport
    from analytics.models.sizes import SizeRule

__all__ = ["LoadedModel", "ModelSpec", "list_models", "load_model", "parse_device", "parse_model"]

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, without gradients, for one input size.

    `weights_sha256` names the weights as stored (see `identity`), or as drawn for random
    ones; it is the same at every input size of stored weights and says nothing of the
    architecture, so a key of results needs `spec.id` beside it.
    `input_size` is (height, width) in pixels. `patch_size` is the side in pixels of what
    the patch embedding makes one token of, None where that is not one square. `sizes` are
    the sides offered on a page; any multiple of `size_step` between `size_limits` works
    (a step of 0: only `input_size`). `caution` is empty where nothing need be said.
    """

    module: nn.Module
    spec: ModelSpec
    weights_sha256: str
    label: str
    caution: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    input_size: tuple[int, int]
    patch_size: int | None
    sizes: tuple[int, ...]
    size_step: int
    size_limits: tuple[int, int]
    report: KeyReport | None
    device: str
    dtype: str

    @property
    def nbytes(self) -> int:
        """Memory of parameters and buffers."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def load_model(
    spec: ModelSpec,
    input_size: int | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> LoadedModel:
    """Load a model for square inputs of one size.

    Args:
        spec: from `parse_model`.
        input_size: side in pixels; None is 224 for the bundled model and otherwise the
            size that the weights were trained at.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        dtype: `float32` or `bfloat16`.

    Raises:
        ValueError: the size, device or dtype is not possible, the weights cannot be had
            or do not fit.
    """
    import torch
    from timm.data import resolve_model_data_config

    from analytics.models.sizes import pixels_per_token

    place = parse_device(device)
    if dtype not in DTYPES:
        raise ValueError(f"expected a dtype of {' or '.join(DTYPES)}, got {dtype!r}")
    parts = _bundled(input_size) if spec.source == "bundled" else _built(spec, input_size)
    module = parts.module.eval().requires_grad_(False)
    config = resolve_model_data_config(module)
    return LoadedModel(
        module=module.to(device=place, dtype=getattr(torch, dtype)),
        spec=spec,
        weights_sha256=parts.weights_sha256,
        label=parts.label,
        caution=parts.caution,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        input_size=parts.rule.native if parts.side is None else (parts.side, parts.side),
        patch_size=pixels_per_token(module),
        sizes=parts.rule.offered,
        size_step=parts.rule.step,
        size_limits=(parts.rule.lowest, parts.rule.highest),
        report=parts.report,
        device=str(place),
        dtype=dtype,
    )


def parse_device(text: str) -> torch.device:
    """The device meant by `auto`, `cpu`, `cuda` or `cuda:i`.

    Raises:
        ValueError: another spelling, or a GPU that is not there.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "cpu" or (text == "auto" and not count):
        return torch.device("cpu")
    if text in ("auto", "cuda") and count:
        return torch.device("cuda:0")
    kind, colon, index = text.partition(":")
    if kind != "cuda" or (colon and not index.isdecimal()):
        raise ValueError(f"expected a device of auto, cpu, cuda or cuda:i, got {text!r}")
    if not count:
        raise ValueError(f"{text} was asked for, but torch finds no CUDA device; use cpu or auto")
    if int(index) >= count:
        raise ValueError(f"{text} was asked for, but there is only cuda:0 to cuda:{count - 1}")
    return torch.device(text)


@dataclass(frozen=True)
class _Parts:
    """A module and what is said of it, before it moves to its device."""

    module: nn.Module
    weights_sha256: str
    label: str
    caution: str
    rule: SizeRule
    side: int | None
    report: KeyReport | None = None


def _bundled(input_size: int | None) -> _Parts:
    from analytics.models import bundled
    from analytics.models.sizes import SizeRule

    rule = SizeRule(
        (bundled.DEFAULT_SIZE, bundled.DEFAULT_SIZE),
        bundled.PATCH_SIZE,
        bundled.MIN_SIZE,
        bundled.MAX_SIZE,
    )
    side = bundled.DEFAULT_SIZE if input_size is None else input_size
    rule.check(side, "the bundled model")
    module, sha256 = bundled.load_backbone(side)
    return _Parts(module, sha256, bundled.LABEL, bundled.CAUTION, rule, side)


def _built(spec: ModelSpec, input_size: int | None) -> _Parts:
    from analytics.models import building
    from analytics.models.sizes import size_rule

    recipe = building.find_recipe(spec)
    rule = size_rule(recipe.build, recipe.native)
    if input_size is not None:
        building.check_size(recipe, rule, input_size)
    if spec.source == "file":
        return _from_file(spec, recipe, rule, input_size)
    if spec.pretrained:
        module, sha256 = building.fill(recipe, input_size)
        return _Parts(module, sha256, spec.id, "", rule, input_size)
    module, sha256 = building.draw_control(recipe, input_size)
    label = f"{spec.name}, random weights (control)"
    return _Parts(module, sha256, label, building.RANDOM_CAUTION, rule, input_size)


def _from_file(spec: ModelSpec, recipe: Recipe, rule: SizeRule, side: int | None) -> _Parts:
    from analytics.models import building, checkpoints, keyreport
    from analytics.models.identity import weights_sha256

    assert spec.checkpoint is not None  # parse_model gives every file spec its path
    tensors = checkpoints.read_tensors(spec.checkpoint)
    module = building.draw(recipe, side)
    report = checkpoints.fit(module, tensors, spec.name)
    return _Parts(
        module,
        weights_sha256(tensors),
        f"{spec.name} from {spec.checkpoint.name}",
        keyreport.caution(report, keyreport.head_names(module)),
        rule,
        side,
        report,
    )
