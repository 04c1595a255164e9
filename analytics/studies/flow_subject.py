"""A model and one picture, ready for the passes of a flow, and what is looked at in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from analytics.io.fitting import fit_picture, normalise, place
from analytics.studies.flow_layers import FlowLayers, flow_layers
from analytics.studies.reading import Read, Reader, available
from analytics.studies.slopes import forward_with_read
from analytics.types import Fit, Picture, Placement

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel


class FlowSubject(NamedTuple):
    """What every pass of a flow needs; `pixels` is one picture, (1, 3, height, width)."""

    loaded: LoadedModel
    sites: SiteMap
    layers: FlowLayers
    reader: Reader
    readout: ReadOut | None
    placement: Placement
    pixels: Tensor

    def read(self, pixels: Tensor) -> Read:
        """Run the model and read its end."""
        return self.reader.read(
            *forward_with_read(self.loaded.module, pixels, self.reader.read_layer)
        )


def flow_subject(
    loaded: LoadedModel, sites: SiteMap, picture: Picture, fit: Fit, readout: ReadOut | None
) -> FlowSubject:
    """Make a model and a picture ready.

    Raises:
        ValueError: no layer can be drawn.
    """
    layers = flow_layers(loaded, sites, readout)
    needs: Any = available(loaded, readout) & {"classes"}
    placement = place(picture.height, picture.width, fit, *loaded.input_size)
    values = normalise(fit_picture(picture, placement), loaded.mean, loaded.std)
    pixels = torch.from_numpy(values)[None].to(loaded.device, getattr(torch, loaded.dtype))
    reader = Reader(loaded, needs, readout)
    return FlowSubject(loaded, sites, layers, reader, readout, placement, pixels)


class Target(NamedTuple):
    """What is looked at: the class numbered `label`, or the embedding (None).

    `gradient` says what relevance and LeGrad are taken of, `score` what curves measure.
    """

    label: int | None
    gradient: str
    score: str


def choose_target(read: Read, readout: ReadOut | None, target: str | int | None) -> Target:
    """The class that is looked at, else the embedding along itself.

    Args:
        read: of the whole picture.
        readout: names the classes; a model's own head has numbers.
        target: name or number of a class; None for the most probable one.

    Raises:
        ValueError: no such class, or a class where there are none.
    """
    if read.probabilities is None:
        if target is not None:
            raise ValueError(
                f"expected no target for a model without classes, got {target!r}; fit a read-out "
                "on labelled pictures to look at a class"
            )
        return Target(
            None,
            "the embedding along itself (ours): what is read of the residual stream after the "
            "last layer, times its own direction held fixed",
            "cosine of the embedding to that of the whole picture",
        )
    count = read.probabilities.shape[1]
    names = readout.classes if readout else tuple(f"class {i}" for i in range(count))
    label: Any = int(read.probabilities[0].argmax()) if target is None else target
    if isinstance(label, str):
        label = names.index(label) if label in names else -1
    if not 0 <= label < count:
        raise ValueError(
            f"expected a class out of {', '.join(names[:8])}{' ...' if count > 8 else ''} or its "
            f"number from 0 to {count - 1}, got {target!r}"
        )
    chosen = "the most probable class" if target is None else "the chosen class"
    words = f"{names[label]}, {chosen}"
    return Target(label, f"the logit of {words}", f"probability of {words}")
