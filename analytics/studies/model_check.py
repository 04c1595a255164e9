"""Which timm models the capture adapter reads right: five checks on real tensors.

Each model is built with random weights, cut short where its family allows, and run on noise.
No check looks at what a map shows, only whether it is what the model computed.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analytics.capture.interception import AttentionTap, FusedCall
from analytics.capture.recording import Gates, Heads, capture
from analytics.capture.sites import Site, SiteMap
from analytics.capture.tracing import find_sites

CHECKS = ("no-op", "explicit", "per image", "gradient", "ablation")
"""`no-op`: watching changes no bit of the output. `explicit`: attention @ value is the head
output, and rows sum to 1. `per image`: gates that differ in a batch act as on each image
alone. `gradient`: a gate's gradient is sum(o * dL/do). `ablation`: a head gated to 0 equals
the model with that head's columns of the following projection set to 0."""


@dataclass(frozen=True)
class ModelCheck:
    """The verdict on one model.

    `failed` names checks with what went wrong; `refused` is the reason where the model has no
    attention that can be captured; `undrawable` the reason where heads can be gated but not
    drawn; all three are empty where all is well. `placed` of `sites` attention calls can be
    drawn.
    """

    name: str
    family: str
    sites: int = 0
    placed: int = 0
    heads: str = ""
    failed: tuple[str, ...] = ()
    refused: str = ""
    undrawable: str = ""
    notes: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether it was not refused and passed every check."""
        return not self.refused and not self.failed


def check_models(
    names: Sequence[str], report: Callable[[float, float, str], None] | None = None
) -> list[ModelCheck]:
    """Check each named timm model; one that breaks is reported, not raised.

    Args:
        names: timm model names.
        report: called with (done, total, name) before each; may raise to stop.
    """
    results = []
    for done, name in enumerate(names):
        if report is not None:
            report(done, len(names), name)
        results.append(check_model(name))
    return results


def check_model(name: str) -> ModelCheck:
    """Build one timm model with random weights, cut short, and run all checks on it."""
    from timm.models import model_entrypoint

    family = model_entrypoint(name).__module__.rsplit(".", 1)[-1]
    try:
        model, size = build_short(name)
        sites = find_sites(model, size)
    except ValueError as error:
        return ModelCheck(name, family, refused=str(error))
    heads = sorted({site.num_heads for site in sites.sites})
    result = ModelCheck(
        name,
        family,
        len(sites.sites),
        len(sites.placed),
        "/".join(map(str, heads)),
        undrawable=sites.undrawable,
    )
    failed = []
    for check, function in zip(CHECKS, _FUNCTIONS, strict=True):
        try:
            wrong = function(model, sites)
        except Exception as error:  # a broken family must not end the table
            wrong = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        if wrong:
            failed.append(f"{check}: {wrong}")
    return replace(result, failed=tuple(failed), notes=_notes(sites))


def build_short(name: str) -> tuple[nn.Module, tuple[int, int]]:
    """A timm model with random weights and few blocks, with its own input size.

    Weights are seeded, and factors that start at nothing (LayerScale, residual norms, learned
    tokens) are set to random ones, so that every block does something to the output.
    """
    import timm

    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _create(timm.create_model, name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2 or float(parameter.abs().max()) < 1e-3:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    size = model.pretrained_cfg["input_size"]
    return model.double().eval().requires_grad_(False), (int(size[1]), int(size[2]))


def _create(create: Callable[..., nn.Module], name: str) -> Any:
    """The first way of cutting the model short that its family takes."""
    shorter: tuple[dict[str, Any], ...] = ({"depth": 2}, {"depths": (1, 1, 2, 1)}, {})
    for options in shorter:
        try:
            return create(name, pretrained=False, **options)
        except (TypeError, AssertionError, IndexError, ValueError, RuntimeError, KeyError):
            if not options:
                raise
    raise AssertionError("unreachable: the last way has no options")


def _noise(model: nn.Module, sites: SiteMap, images: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(images, 3, *sites.input_size, generator=generator)
    return pixels.to(next(model.parameters()))


@torch.no_grad()
def _no_op(model: nn.Module, sites: SiteMap) -> str:
    pixels = _noise(model, sites, 1)
    plain = model(pixels)
    ones = Gates({site.index: torch.ones(site.num_heads) for site in sites.sites})
    with capture(model, sites, ("query", "key", "output")) as captured:
        watched = model(pixels)
    with capture(model, sites, gates=ones):
        gated = model(pixels)
    if len(captured) != len(sites.sites):
        return f"{len(captured)} of {len(sites.sites)} calls seen"
    return "" if torch.equal(plain, watched) and torch.equal(plain, gated) else "output differs"


@torch.no_grad()
def _explicit(model: nn.Module, sites: SiteMap) -> str:
    pixels = _noise(model, sites, 1)
    plain = model(pixels)

    def error(heads: Heads) -> float:
        attention = heads.attention().to(heads.output.dtype)
        if heads.value is not None:
            return float((attention @ heads.value - heads.output).detach().abs().max())
        # An explicit call's map is the tensor that the model itself multiplied.
        return 0.0 if heads.site.mixed else float((attention.sum(-1) - 1).abs().max())

    with capture(model, sites, reduce=error) as captured:
        model(pixels)
    worst = max(one.reduced for one in captured)
    with capture(model, sites, edit=lambda site, attention: attention):
        worst = max(worst, float((model(pixels) - plain).abs().max() / plain.abs().max()))
    return "" if worst < 1e-5 else f"differs by {worst:.1e}"


@torch.no_grad()
def _per_image(model: nn.Module, sites: SiteMap) -> str:
    pixels = _noise(model, sites, 2)
    generator = torch.Generator().manual_seed(2)
    gates = {site.index: torch.rand(2, site.num_heads, generator=generator) for site in sites.sites}
    with capture(model, sites, gates=Gates(gates)):
        together = model(pixels)
    for image in range(2):
        own = Gates({index: gate[image] for index, gate in gates.items()})
        with capture(model, sites, gates=own):
            alone = model(pixels[image : image + 1])
        worst = float((together[image] - alone[0]).abs().max() / alone.abs().max())
        if worst > 1e-5:
            return f"image {image} differs by {worst:.1e}"
    return ""


def _gradient(model: nn.Module, sites: SiteMap) -> str:
    pixels = _noise(model, sites, 1)
    dtype = pixels.dtype
    gates = {s.index: torch.ones(s.num_heads, dtype=dtype, requires_grad=True) for s in sites.sites}
    # A gate of exactly 1 leaves each output as it is; a sum would not see every direction.
    outputs: dict[int, Tensor] = {}

    def watch(heads: Heads) -> None:
        heads.output.retain_grad()
        outputs[heads.site.index] = heads.output

    with capture(model, sites, reduce=watch, gates=Gates(gates), detach=False):
        loss = model(pixels).pow(2).sum()
    wanted = [outputs[site.index] for site in sites.sites]
    found = torch.autograd.grad(loss, [*gates.values(), *wanted], allow_unused=True)
    for site, gate, slope in zip(
        sites.sites, found[: len(wanted)], found[len(wanted) :], strict=True
    ):
        if gate is None or slope is None:
            continue  # nothing of this call reaches the output
        expected = (outputs[site.index].detach() * slope).sum((0, 1, 3, 4))
        scale = float(expected.abs().max()) or 1.0
        if float((gate - expected).abs().max()) > 1e-6 * scale:
            return f"{site.label} differs by {float((gate - expected).abs().max()) / scale:.1e}"
    if all(gate is None for gate in found[: len(wanted)]):
        return "no gradient reaches any gate"
    return ""


@torch.no_grad()
def _ablation(model: nn.Module, sites: SiteMap) -> str:
    pixels = _noise(model, sites, 1)
    chosen = [sites.sites[0], sites.sites[-1]] if len(sites.sites) > 1 else list(sites.sites)
    for site in chosen:
        head = site.num_heads - 1
        gate = torch.ones(site.num_heads)
        gate[head] = 0
        with capture(model, sites, gates=Gates({site.index: gate})):
            gated = model(pixels)
        cut = _without_columns(model, site, head, pixels)
        if cut is None:
            return f"{site.label}: what follows the heads has no column for each channel"
        worst = float((gated - cut).abs().max() / cut.abs().max())
        if worst > 1e-5:
            return f"{site.label} differs by {worst:.1e}"
    return ""


class _Follower:
    """Finds which channels of the next layer read a head: marks its output, looks downstream.

    NaN marks a head's channels. The first layer or normalisation that meets the mark shows it
    in some of the channels that it reads.
    """

    def __init__(self, model: nn.Module, site: Site, head: int) -> None:
        self.reader = ""
        self.channels: Tensor | None = None  # True where a channel of the reader is the head's
        self.widths: tuple[int, ...] = ()
        self._tap = AttentionTap(model, self, watch_all=True)
        self._site, self._head = site, head
        self._calls: Counter[str] = Counter()

    def follow(self, model: nn.Module, pixels: Tensor) -> None:
        with self._tap:
            model(pixels)

    def fused(self, module: str, call: FusedCall, run: Callable[[], Tensor]) -> Tensor:
        return self._mark(self._next(module), run())

    def softmax(self, module: str, attention: Tensor) -> tuple[Tensor, Any]:
        return attention, self._next(module)

    def product(self, mark: Any, attention: Tensor, output: Tensor, mixed: bool) -> Tensor:
        return self._mark(mark, output)

    def other(self, function: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        if self.reader or function not in _READERS:
            return
        axis = _channel_axis(function)
        marked = args[0].isnan().movedim(axis, 0).flatten(1).any(1)
        if marked.any():
            self.reader = self._tap.caller()
            self.channels = marked if axis == -1 else marked.reshape(-1, 1, 1)

    def _next(self, module: str) -> tuple[str, int]:
        self._calls[module] += 1
        return module, self._calls[module] - 1

    def _mark(self, event: tuple[str, int], output: Tensor) -> Tensor:
        if event != (self._site.module, self._site.call):
            return output
        heads = self._site.split(output).clone()
        self.widths = tuple(heads.shape[-2:])  # some families put the channels before the tokens
        heads[:, :, self._head] = float("nan")
        return self._site.join(heads, output)


_READERS = frozenset(
    {F.linear, F.conv2d, torch.conv2d, F.conv_transpose2d, torch.conv_transpose2d}
    | {F.layer_norm, F.batch_norm}
)


def _channel_axis(function: Callable[..., Any]) -> int:
    return -1 if function in (F.linear, F.layer_norm) else 1


def _without_columns(model: nn.Module, site: Site, head: int, pixels: Tensor) -> Tensor | None:
    """The output of a copy of the model whose next layer does not read one head.

    A projection loses the columns of its weights; a normalisation or depthwise convolution,
    which has none, is given zeros. None where the next layer does not have one channel of its
    own for each channel of the head.
    """
    twin = copy.deepcopy(model)
    follower = _Follower(twin, site, head)
    follower.follow(twin, pixels)
    channels = follower.channels
    if channels is None or int(channels.sum()) not in follower.widths:
        return None
    reader = twin.get_submodule(follower.reader)
    weight = getattr(reader, "weight", None)
    if isinstance(weight, Tensor) and weight.ndim >= 2 and weight.shape[1] == len(channels):
        weight[:, channels.flatten()] = 0
    else:
        reader.register_forward_pre_hook(lambda module, args: (args[0] * ~channels, *args[1:]))
    return twin(pixels)


def _notes(sites: SiteMap) -> tuple[str, ...]:
    notes = list(sites.refused_notes)
    if any(site.mixed for site in sites.sites):
        notes.append("heads mixed after the softmax")
    if any(site.num_windows > 1 for site in sites.placed):
        notes.append("windows")
    unplaced = len(sites.sites) - len(sites.placed)
    if unplaced:
        notes.append(f"{unplaced} layers gated but not drawn")
    return tuple(notes)


_FUNCTIONS = (_no_op, _explicit, _per_image, _gradient, _ablation)
