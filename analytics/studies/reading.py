"""What is read of a forward pass, with all heads or without one: embedding, maps, classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from analytics.metrics.catalogue import Need
from analytics.models.readout import ReadOut
from analytics.studies.features import feature_tokens, pool_tokens, prefix_facts

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel


class Read(NamedTuple):
    """What is read of a batch of b pictures; None for what was not asked for.

    `embedding` is the cls token after the final norm, or the mean of the patch tokens where
    the model has no cls, (b, width); `patches` the patch tokens, (b, patches, width);
    `saliency` the bundled read-out's map, (b, 1, height, width); `probabilities` (b, classes).
    """

    embedding: Tensor
    patches: Tensor | None = None
    saliency: Tensor | None = None
    probabilities: Tensor | None = None

    def part(self, rows: slice) -> Read:
        """Some of the pictures."""
        return Read(*(None if one is None else one[rows] for one in self))  # type: ignore[arg-type]


class Reader:
    """Reads what a study needs out of a model's features."""

    def __init__(
        self, loaded: LoadedModel, needs: frozenset[Need], readout: ReadOut | None
    ) -> None:
        """Make ready.

        Args:
            loaded: the model.
            needs: what the metrics build on.
            readout: gives class probabilities; None for the model's own head, which is asked
                where classes are needed.
        """
        self._loaded = loaded
        self._readout = readout.to(loaded.device) if readout else None
        self._num_prefix, self.has_cls = prefix_facts(loaded.module)
        self.with_classes = "classes" in needs or readout is not None
        self._decoder = load_decoder(loaded) if "saliency" in needs else None
        self.read_layer = readout.layer if readout else None
        at_end = self.with_classes and self.read_layer is None
        own_head_reads_cls = getattr(loaded.module, "global_pool", "") == "token"
        self.all_tokens = (
            "tokens" in needs
            or not self.has_cls
            or (at_end and (readout is not None or not own_head_reads_cls))
        )

    def read(self, features: Tensor, at: Tensor | None = None) -> Read:
        """Read one forward pass.

        Args:
            features: what the model's `forward_features` gave; the first token alone is enough
                unless `all_tokens`.
            at: the output of layer `read_layer`, (b, tokens, width), where there is one.
        """
        tokens = feature_tokens(self._loaded.module, features)
        patches = tokens[:, self._num_prefix :]
        return Read(
            self.embedding(features),
            patches if self.all_tokens else None,
            self._saliency(patches),
            self._probabilities(features, tokens, at),
        )

    def embedding(self, features: Tensor) -> Tensor:
        """The cls token, or the mean of the patch tokens, (b, width)."""
        tokens = feature_tokens(self._loaded.module, features)
        return tokens[:, 0] if self.has_cls else tokens[:, self._num_prefix :].mean(dim=1)

    def _saliency(self, patches: Tensor) -> Tensor | None:
        if self._decoder is None:
            return None
        side = round(patches.shape[1] ** 0.5)
        plane = patches.float().mT.unflatten(2, (side, side))  # b, width, rows, columns
        return self._decoder(plane, self._loaded.input_size)

    def _probabilities(self, features: Tensor, tokens: Tensor, at: Tensor | None) -> Tensor | None:
        if not self.with_classes:
            return None
        module = self._loaded.module
        if self._readout is None:
            return torch.softmax(module.forward_head(features).float(), dim=1)  # type: ignore[operator]
        if at is not None:
            tokens = module.norm(at)  # type: ignore[operator]
        return self._readout.probabilities(pool_tokens(tokens, self._num_prefix, self.has_cls))


def available(loaded: LoadedModel, readout: ReadOut | None) -> frozenset[Need]:
    """What metrics can build on with this model and read-out."""
    have: set[Need] = {"tokens", "gradient", "attention", "projection"}
    if readout is not None or int(getattr(loaded.module, "num_classes", 0) or 0):
        have.add("classes")
    if loaded.spec.source == "bundled":
        have.add("saliency")
    return frozenset(have)


def top_classes(
    probabilities: Tensor | None, readout: ReadOut | None, count: int = 5
) -> tuple[tuple[str, float], ...]:
    """The most probable classes of the first picture; empty where there are no classes.

    A model's own head names no classes, so theirs are numbers.
    """
    if probabilities is None:
        return ()
    values, places = probabilities[0].topk(min(count, probabilities.shape[1]))
    names = readout.classes if readout else [f"class {i}" for i in range(probabilities.shape[1])]
    pairs = zip(places.tolist(), values.tolist(), strict=True)
    return tuple((names[place], value) for place, value in pairs)


def load_decoder(loaded: LoadedModel) -> nn.Module:
    """The bundled saliency read-out on the model's device."""
    from analytics.models.bundled import load_saliency_decoder

    return load_saliency_decoder().to(loaded.device)
