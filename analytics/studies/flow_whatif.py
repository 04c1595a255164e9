"""The what-if of sinks: their attention scaled, the freed mass given to the other patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from analytics.metrics.sinks import check_threshold, redistribute
from analytics.studies.flow_curves import Score, score_of
from analytics.studies.flow_layers import FlowLayers
from analytics.studies.flow_maps import attention_maps
from analytics.studies.flow_passes import Observed, observe
from analytics.studies.flow_record import Redistribution, WhatIf
from analytics.studies.flow_subject import FlowSubject, choose_target, flow_subject
from analytics.studies.flow_tokens import above
from analytics.studies.reading import top_classes
from analytics.types import Fit, Picture

if TYPE_CHECKING:
    from analytics.capture.recording import Edit
    from analytics.capture.sites import Site, SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel


def redistribute_sinks(
    loaded: LoadedModel,
    picture: Picture,
    what_if: WhatIf,
    fit: Fit = "crop",
    readout: ReadOut | None = None,
    target: str | int | None = None,
    sites: SiteMap | None = None,
) -> Redistribution:
    """The what-if alone, in two forward passes; as `measure_flow` gives it.

    Args:
        loaded: the model.
        picture: any decoded picture.
        what_if: the threshold and the factor.
        fit: how the picture is brought to the model's input size.
        readout: gives class probabilities; None for the model's own head where it has one.
        target: name or number of the class that is looked at.
        sites: where the model attends at this size, when already known.

    Raises:
        ValueError: as `measure_flow`.
    """
    from analytics.capture.tracing import find_sites

    sites = sites or find_sites(loaded.module, loaded.input_size)
    subject = flow_subject(loaded, sites, picture, fit, readout)
    clean = observe(subject)
    aim = choose_target(clean.read, readout, target)
    return measure_redistribution(subject, clean, what_if, score_of(clean.read, aim.label))


def measure_redistribution(
    subject: FlowSubject, clean: Observed, what_if: WhatIf, score: Score
) -> Redistribution:
    """Run the model with the attention to sinks scaled in every layer.

    Sinks are those of the clean pass, layer by layer; layers whose heads are mixed after the
    softmax are changed before the mixing.

    Args:
        subject: the model and the picture.
        clean: of `observe` on the picture.
        what_if: the threshold and the factor.
        score: of `score_of`.

    Raises:
        ValueError: a threshold not above 0, or p outside 0 to 1.
    """
    check_threshold(what_if.threshold)
    if not 0 <= what_if.p <= 1:
        raise ValueError(f"expected p from 0 (sinks get nothing) to 1, got {what_if.p}")
    layers, readout = subject.layers, subject.readout
    after = observe(subject, sink_edit(layers, clean, what_if))
    sinks = above(clean.received, what_if.threshold)
    if not what_if.prefix:
        sinks[:, : len(layers.base.prefix)] = False
    return Redistribution(
        what_if,
        sinks,
        float(cosine_similarity(clean.read.embedding.float(), after.read.embedding.float(), dim=1)),
        float(score(clean.read)),
        float(score(after.read)),
        top_classes(clean.read.probabilities, readout),
        top_classes(after.read.probabilities, readout),
        after.received,
        attention_maps(after.means, layers),
    )


def sink_edit(layers: FlowLayers, clean: Observed, what_if: WhatIf) -> Edit:
    """The change of attention of a what-if, for `capture`.

    Args:
        layers: of `flow_layers`.
        clean: tells what each key received.
        what_if: the threshold and the factor.
    """
    masks = {
        site.index: _key_masks(site, received, what_if)
        for site, received in zip(layers.placed, clean.own_received, strict=True)
    }

    def edit(site: Site, attention: Tensor) -> Tensor:
        if site.index not in masks:
            return attention
        sinks, patches = (mask.to(attention.device) for mask in masks[site.index])
        return redistribute(attention, sinks, what_if.p, patches)

    return edit


def _key_masks(site: Site, received: np.ndarray, what_if: WhatIf) -> tuple[Tensor, Tensor]:
    """Which keys are sinks and which are patches, bool (windows, 1, 1, keys)."""
    assert site.key_layout is not None and site.key_index is not None
    ahead, places = len(site.key_layout.prefix), site.key_index  # windows, keys; -1 is padding
    sinks = above(received, what_if.threshold)
    if not what_if.prefix:
        sinks[:ahead] = False
    keys = np.where(places >= 0, sinks[places], False)
    masks = (keys, places >= ahead)
    first, second = (torch.from_numpy(np.ascontiguousarray(mask)) for mask in masks)
    return first[:, None, None], second[:, None, None]  # windows, 1, 1, keys
