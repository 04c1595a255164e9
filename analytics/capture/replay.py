"""Running a model's later layers again without running the earlier ones.

`Replay` holds a private copy of the model's module tree that shares all tensors with the
original: steps of a forward pass can be short-circuited in the copy while every other user
of the model sees nothing. A step is a module that is run as a whole: the block around an
attention call, or a largest module without attention (patch embedding, norms, downsampling).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from analytics.capture.sites import SiteMap

Forward = Callable[..., Any]


@dataclass
class _Run:
    """One pass through the steps: how far it is, and what is kept or given back.

    `start` is the first step that is computed; None records all. `copies` is how many copies
    of the batch lie behind one another from there on.
    """

    start: int | None = None
    copies: int = 1
    instead: dict[str, Forward] = field(default_factory=dict)
    step: int = 0
    outputs: dict[str, Any] = field(default_factory=dict)


class Replay:
    """A forward pass of one model that can be begun again at any of its steps.

    Not for several threads at once; make one for each.
    """

    def __init__(self, model: nn.Module, sites: SiteMap) -> None:
        """Copy the module tree of a model in evaluation mode, sharing all tensors."""
        self.model = shared_copy(model)
        self._modules = dict(self.model.named_modules())
        self._blocks = {site.index: _block_of(self._modules, site.module) for site in sites.sites}
        self._recorded: list[tuple[str, Any]] = []
        self._batch: Tensor | None = None
        self._run = _Run()
        watched = {site.module for site in sites.sites}
        self.steps = tuple(_steps(self.model, "", watched, set(self._blocks.values())))
        for name in self.steps:
            module = self._modules[name]
            module.forward = partial(self._step, name, module.forward)  # type: ignore[method-assign]

    def block_of(self, layer: int) -> str:
        """Name of the step around a layer's attention."""
        return self._blocks[layer]

    def record(self, batch: Tensor) -> Any:
        """Run everything once and keep each step's output; returns the features."""
        self._recorded, self._batch = [], batch
        return self._forward(_Run(), batch)

    def rerun(
        self, layer: int, instead: dict[str, Forward] | None = None, copies: int = 1
    ) -> tuple[Any, dict[str, Any]]:
        """Run from a layer's block on, for the recorded batch.

        Args:
            layer: index of the site whose block is the first to be computed.
            instead: step name -> what is called in its place with (forward, *arguments).
            copies: how many copies of the batch the block is to work on.

        Returns:
            The features, and what each step that was computed gave.
        """
        assert self._batch is not None, "record a batch first"
        run = _Run(self.position(layer), copies, instead or {})
        return self._forward(run, repeat(self._batch, copies)), run.outputs

    def position(self, layer: int) -> int:
        """Number of recorded steps before a layer's block."""
        return next(i for i, (name, _) in enumerate(self._recorded) if name == self._blocks[layer])

    def output(self, step: int) -> Any:
        """What the recorded step of this number gave."""
        return self._recorded[step][1]

    @contextmanager
    def replaced(self, forwards: Mapping[str, Forward]) -> Iterator[None]:
        """Lets `forward(original, *arguments)` stand for modules inside the steps, by name."""
        originals = {name: self._modules[name].forward for name in forwards}
        for name, forward in forwards.items():
            self._modules[name].forward = partial(forward, originals[name])  # type: ignore[method-assign]
        try:
            yield
        finally:
            for name, original in originals.items():
                self._modules[name].forward = original  # type: ignore[method-assign]

    def _forward(self, run: _Run, batch: Tensor) -> Any:
        self._run = run
        return self.model.forward_features(batch)  # type: ignore[operator]

    def _step(self, name: str, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        run = self._run
        number, run.step = run.step, run.step + 1
        if run.start is not None and number < run.start:
            return repeat(self._recorded[number][1], run.copies)
        replacement = run.instead.get(name)
        call = forward if replacement is None else partial(replacement, forward)
        output = call(*args, **kwargs)
        if run.start is None:
            self._recorded.append((name, output))
        else:
            run.outputs[name] = output
        return output


def shared_copy(model: nn.Module) -> nn.Module:
    """A copy of the module tree whose parameters and buffers are the original's own."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


def _block_of(modules: dict[str, nn.Module], attention: str) -> str:
    """The module around an attention module that is called itself; at least that module."""
    parent = attention.rpartition(".")[0]
    called = parent and not isinstance(modules[parent], (nn.Sequential, nn.ModuleList))
    return parent if called else attention


def _steps(module: nn.Module, name: str, attend: set[str], blocks: set[str]) -> Iterator[str]:
    """Names of the steps below a module, in the order of the tree."""
    below = any(one == name or one.startswith(f"{name}." if name else "") for one in attend)
    is_called = name and not isinstance(module, (nn.ModuleList, nn.ModuleDict))
    if name in blocks or (is_called and not below):
        yield name
        return
    for child_name, child in module.named_children():
        yield from _steps(child, f"{name}.{child_name}" if name else child_name, attend, blocks)


def repeat(output: Any, copies: int) -> Any:
    """Copies of a batch behind one another, in every tensor of what a step gave."""
    if copies > 1 and isinstance(output, Tensor):
        return output.repeat(copies, *[1] * (output.ndim - 1))
    if copies > 1 and type(output) in (tuple, list):
        return type(output)(repeat(part, copies) for part in output)
    return output
