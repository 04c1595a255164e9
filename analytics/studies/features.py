"""Features of pictures from a model that is not trained further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analytics.io.fitting import fit_picture, normalise, place
from analytics.io.images import DEFAULT_LIMITS, Limits, read_picture
from analytics.studies.attend import Progress
from analytics.types import Fit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from analytics.io.labelled import ImageSource
    from analytics.models.registry import LoadedModel

OnSkip = Callable[[str, str], None]
"""Called with a picture's name and the reason why it was left out."""


class Batch(NamedTuple):
    """Pictures ready for a model: positions in the set, names, hashes, (b, 3, height, width)."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    pixels: Tensor


@dataclass(frozen=True)
class Features:
    """One row of numbers for each picture that could be read.

    `values` is float32 (N, width); row n belongs to picture `kept[n]` of the set, whose bytes
    have the hash `sha256s[n]`. `skipped` has the name of every other picture and why.
    `layer` is 0-based, None for what the model itself ends with; `pooling` says in words
    how a picture's tokens became one row.
    """

    values: np.ndarray
    kept: tuple[int, ...]
    sha256s: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    layer: int | None
    pooling: str


def read_batches(
    images: Sequence[ImageSource],
    loaded: LoadedModel,
    fit: Fit = "crop",
    batch: int = 16,
    on_skip: OnSkip | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Batch]:
    """Read, fit and normalise pictures, one batch in memory at a time.

    Args:
        images: pictures that can be read, in any order.
        loaded: the model; its input size, mean, deviation, device and dtype are used.
        fit: how a picture is brought to the model's input size.
        batch: pictures at once; the last batch may be smaller.
        on_skip: called for every picture that cannot be read, which is then left out.
        limits: what is accepted of a picture.

    Yields:
        Batches of the pictures that could be read, in the order of `images`.

    Raises:
        ValueError: a batch below 1.
    """
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1 picture, got {batch}")
    held: list[tuple[int, str, str, np.ndarray]] = []
    for index, image in enumerate(images):
        try:
            picture = read_picture(image.read_bytes(limits), image.name, limits)
        except (ValueError, OSError) as error:
            if on_skip is not None:
                on_skip(image.name, _reason(error, image.name))
            continue
        placement = place(picture.height, picture.width, fit, *loaded.input_size)
        pixels = normalise(fit_picture(picture, placement), loaded.mean, loaded.std)
        held.append((index, picture.name, picture.sha256, pixels))
        if len(held) == batch:
            yield _batch(held, loaded)
            held = []
    if held:
        yield _batch(held, loaded)


def _batch(held: list[tuple[int, str, str, np.ndarray]], loaded: LoadedModel) -> Batch:
    import torch

    indices, names, sha256s, pixels = zip(*held, strict=True)
    stacked = torch.from_numpy(np.stack(pixels))  # (b, 3, H, W)
    return Batch(indices, names, sha256s, stacked.to(loaded.device, getattr(torch, loaded.dtype)))


def _reason(error: Exception, name: str) -> str:
    """Why a picture was refused, without its name and without a path of this machine."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error).removeprefix(f"{name}: ")


def frozen_features(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    layer: int | None = None,
    fit: Fit = "crop",
    batch: int = 16,
    progress: Progress | None = None,
) -> Features:
    """Run a model on pictures and keep one row of features for each.

    Args:
        loaded: the model, built for the input size to use.
        images: pictures that can be read.
        layer: after which layer (0-based) tokens are taken, passed through the model's final
            norm; None for the model's own end (the last layer).
        fit: how a picture is brought to the model's input size.
        batch: pictures at once.
        progress: called with (done, total, what is being done); may raise to cancel.

    Raises:
        ValueError: no such layer, a model without one grid of tokens where a layer is asked
            for, or no picture that can be read.
    """
    import torch

    report = progress or (lambda done, total, message: None)
    layer = _checked_layer(loaded.module, layer)
    skipped: list[tuple[str, str]] = []
    kept: list[int] = []
    sha256s: list[str] = []
    rows = []
    report(0, len(images), "reading pictures and running the model")
    for one in read_batches(images, loaded, fit, batch, lambda *why: skipped.append(why)):
        with torch.no_grad():
            rows.append(pooled_features(loaded.module, one.pixels, layer).float().cpu().numpy())
        kept += one.indices
        sha256s += one.sha256s
        report(len(kept) + len(skipped), len(images), "reading pictures and running the model")
    if not rows:
        why = f"; the first, {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise ValueError(f"expected pictures that can be read, got none of {len(images)}{why}")
    return Features(
        np.concatenate(rows),
        tuple(kept),
        tuple(sha256s),
        tuple(skipped),
        layer,
        pooling_words(loaded.module),
    )


def pooled_features(module: nn.Module, pixels: Tensor, layer: int | None = None) -> Tensor:
    """Features of a batch, as `frozen_features` keeps them; gradients and gates act as set.

    Args:
        module: a timm model.
        pixels: (b, 3, height, width), normalised.
        layer: after which layer, 0-based; None for the model's own end.

    Returns:
        (b, width), float32 at least.

    Raises:
        ValueError: as in `frozen_features`, or an output that is not one set of tokens.
    """
    layer = _checked_layer(module, layer)
    if layer is None:
        end = module.forward_features(pixels)  # type: ignore[operator]
        # A map has places only, whatever the model declares.
        facts = (0, False) if getattr(end, "ndim", 3) == 4 else prefix_facts(module)
        return pool_tokens(feature_tokens(module, end), *facts)
    from analytics.capture.streams import join_tokens

    num_prefix, has_cls = prefix_facts(module)
    (block,) = module.forward_intermediates(  # type: ignore[operator]
        pixels,
        indices=[layer],
        # Some families fail when they are asked for prefix tokens that they do not have.
        return_prefix_tokens=num_prefix > 0,
        norm=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    return pool_tokens(join_tokens(block), num_prefix, has_cls)


def pool_tokens(tokens: Tensor, num_prefix: int, has_cls: bool) -> Tensor:
    """One row of features from the tokens of each picture.

    The cls token joined with the mean of the patch tokens, the mean alone where there is no
    cls. Registers and a distillation token are left out.

    Args:
        tokens: (b, tokens, width), prefix tokens first.
        num_prefix: how many prefix tokens there are.
        has_cls: whether the first of them is a cls token.

    Returns:
        (b, 2 * width) or (b, width); float32, float64 stays.

    Raises:
        ValueError: no patch tokens, or a cls token that is no prefix token.

    Known answer: cls 1, register 9 and patches 2 and 4 give (1, 3).

    Reference: Oquab et al. 2024, "DINOv2", the joined tokens of the linear evaluation.
    """
    import torch

    if tokens.ndim != 3 or tokens.shape[1] <= num_prefix or (has_cls and not num_prefix):
        raise ValueError(
            "expected (pictures, tokens, width) with prefix tokens first and patch tokens after "
            f"them, got {tuple(tokens.shape)} with {num_prefix} prefix tokens, "
            f"{'a' if has_cls else 'no'} cls among them; choose a model that ends with patches"
        )
    exact = tokens if tokens.dtype == torch.float64 else tokens.float()
    mean = exact[:, num_prefix:].mean(dim=1)
    return torch.cat([exact[:, 0], mean], dim=1) if has_cls else mean  # (b, 2 * width or width)


def prefix_facts(module: nn.Module) -> tuple[int, bool]:
    """How many prefix tokens a timm model has, and whether the first is a cls token."""
    from analytics.capture.layouts import prefix_names

    declared = getattr(module, "num_prefix_tokens", None)
    if declared is None:
        # Hierarchical models with a cls declare nothing.
        declared = int(getattr(module, "cls_token", None) is not None)
    return declared, prefix_names(module, declared)[:1] == ("cls",)


def layer_count(module: nn.Module) -> int:
    """After how many layers features can be had; 0 where the layers share no one grid."""
    from analytics.capture.streams import has_one_grid

    return len(module.blocks) if has_one_grid(module) else 0  # type: ignore[arg-type]


def pooling_words(module: nn.Module) -> str:
    """What `pooled_features` does for this model, in words."""
    from torch import nn

    norm = getattr(module, "norm", None)
    after = "" if norm is None or isinstance(norm, nn.Identity) else ", after the final norm"
    mean = f"mean of the patch tokens{after}"
    return f"cls token joined with the {mean}" if prefix_facts(module)[1] else mean


def _checked_layer(module: nn.Module, layer: int | None) -> int | None:
    count = layer_count(module)
    if layer is None:
        return None
    if not count:
        raise ValueError(
            f"expected no layer for {type(module).__name__}, whose layers do not share one grid of "
            f"tokens, got layer {layer}; leave it out, which takes the model's own end"
        )
    if not 0 <= layer < count:
        raise ValueError(f"expected a layer of 0 to {count - 1}, or none, got {layer}")
    return layer


def feature_tokens(module: nn.Module, features: object) -> Tensor:
    """What `forward_features` gave as tokens: prefix tokens first, or the places of a map.

    Args:
        module: the timm model.
        features: (b, tokens, width), or a map with channels last or first.

    Returns:
        (b, tokens, width).

    Raises:
        ValueError: neither one set of tokens nor one feature map.
    """
    import torch

    if not isinstance(features, torch.Tensor) or features.ndim not in (3, 4):
        got = getattr(features, "shape", type(features).__name__)
        raise ValueError(
            f"expected {type(module).__name__} to end with one set of tokens or one feature map, "
            f"got {got if isinstance(got, str) else tuple(got)}; choose a model of another family"
        )
    if features.ndim == 3:
        return features
    width = module.num_features
    if features.shape[1] == width and getattr(module, "output_fmt", "NCHW") != "NHWC":
        features = features.movedim(1, -1)
    if features.shape[-1] != width:
        raise ValueError(
            f"expected a feature map of {width} channels, got {tuple(features.shape)}; choose a "
            "model of another family"
        )
    return features.flatten(1, 2)  # b, places, width
