"""The same architecture without what it learned: the controls of a study of binding."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from analytics.models.building import open_residuals
from analytics.models.identity import weights_sha256
from analytics.studies.binding_choices import CONTROLS

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel

# torch has one random generator per process.
_DRAWING = threading.Lock()


def control_model(loaded: LoadedModel, name: str, seed: int = 0) -> LoadedModel:
    """The model with weights drawn anew, as timm draws them, and open residual branches.

    Args:
        loaded: the trained model, which stays as it is.
        name: `random weights` draws everything; `random layers` keeps what comes before the
            first layer (patch embedding, positions, cls and registers) as it was trained.
        seed: of the draw.

    Raises:
        ValueError: another name.
    """
    if name not in CONTROLS:
        raise ValueError(f"expected a control out of {', '.join(CONTROLS)}, got {name!r}")
    module = copy.deepcopy(loaded.module).float()
    _draw(module, seed)
    if name == "random layers":
        trained = loaded.module.state_dict()
        kept = {n: t for n, t in trained.items() if not n.startswith(("blocks.", "norm.", "head"))}
        module.load_state_dict(kept, strict=False)
    module = module.to(loaded.device, getattr(torch, loaded.dtype)).eval().requires_grad_(False)
    sha256 = weights_sha256(module.state_dict())
    return replace(loaded, module=module, weights_sha256=sha256, label=f"{loaded.label}, {name}")


def _draw(module: nn.Module, seed: int) -> None:
    """Draw all weights anew in place."""
    with _DRAWING, torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.random.default_generator.manual_seed(seed)
        module.cpu()
        for part in module.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
        own = getattr(module, "init_weights", None)
        if callable(own):
            own()
        for name, parameter in module.named_parameters():
            # What is left of training: scales of residual branches in older versions of timm.
            if name.rpartition(".")[2] in ("gamma", "gamma_1", "gamma_2"):
                nn.init.ones_(parameter)
    open_residuals(module)
