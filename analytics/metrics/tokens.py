"""Quantities of single tokens of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def token_norms(stream: np.ndarray) -> np.ndarray:
    """Euclidean norm of every token: how large it is at this point of the residual stream.

    Args:
        stream: (tokens, width).

    Returns:
        float32 (tokens,). Known answer: the norm of (3, 4) is 5.

    Reference: Darcet et al. 2024, "Vision Transformers Need Registers", section 2.
    """
    return np.linalg.norm(stream.astype(np.float64), axis=1).astype(np.float32)


@dataclass(frozen=True)
class ComponentColours:
    """Patches coloured by their first three principal components.

    `colours` is uint8 (patches, 3), `components` float64 (patches, 3) before scaling, and
    `explained` the share of the variance of each component.
    """

    colours: np.ndarray
    components: np.ndarray
    explained: np.ndarray


def component_colours(
    patches: np.ndarray, before: ComponentColours | None = None
) -> ComponentColours:
    """Colours in which patches with similar features look alike.

    The first three principal components of the patch tokens, each scaled from its 1st to
    its 99th percentile to red, green and blue. The sign of a component means nothing: it is
    chosen to agree with the same component of `before` (the layer below), or to make its
    largest value positive, so that colours change little from layer to layer.

    Args:
        patches: patch tokens, (patches, width); prefix tokens left out.
        before: the result for the layer below, if any.

    Differs: the DINOv2 authors' figures also remove the background by a threshold on the
    first component; nothing is removed here.
    """
    centred = patches.astype(np.float64) - patches.mean(axis=0, dtype=np.float64)
    count, width = centred.shape
    # The smaller of the two Gram matrices has the same eigenvalues.
    if count <= width:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        components = vectors * np.sqrt(np.maximum(values, 0))
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        components = centred @ vectors
    components = np.zeros((count, 3)) + _last_three(components)
    components *= _signs(components, before)
    total = max(float(values.sum()), np.finfo(float).tiny)
    explained = _last_three(np.maximum(values, 0)[None])[0] / total
    return ComponentColours(_scale(components), components, explained)


def _last_three(columns: np.ndarray) -> np.ndarray:
    """The last three columns, largest first, with zeros where there are fewer."""
    largest = columns[:, ::-1][:, :3]
    return np.pad(largest, ((0, 0), (0, 3 - largest.shape[1])))


def _signs(components: np.ndarray, before: ComponentColours | None) -> np.ndarray:
    if before is not None and before.components.shape == components.shape:
        agreement = (components * before.components).sum(axis=0)
    else:
        agreement = components[np.abs(components).argmax(axis=0), range(components.shape[1])]
    return np.where(agreement < 0, -1.0, 1.0)


def _scale(components: np.ndarray) -> np.ndarray:
    low, high = np.percentile(components, [1, 99], axis=0)
    # A component without spread (one patch, or a flat picture) is shown mid-grey, and so is
    # one that is rounding only: an eigenvalue is exact to 1e-16 of the largest, its root to 1e-8.
    noise = max(1e-9, 1e-6 * np.abs(components).max())
    spread = np.where(high - low > noise, high - low, np.inf)
    middle = np.where(np.isinf(spread), 0.5, 0.0)
    return (np.clip((components - low) / spread + middle, 0, 1) * 255).round().astype(np.uint8)
