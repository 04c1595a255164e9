"""Deletion and insertion curves: the model on pictures with patches painted over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from analytics.metrics.faithfulness import (
    first_of,
    mean_colour,
    paint_patches,
    patch_order,
    step_counts,
)
from analytics.studies.flow_subject import FlowSubject
from analytics.studies.reading import Read

RANDOM_ORDERS = 3
"""Random orders that every curve stands beside."""

CPU_TOKENS, GPU_TOKENS = 2_048, 65_536
"""Tokens of the pictures that are run at once."""

Score = Callable[[Read], Tensor]
"""One number for each picture, (b,)."""


class Curves(NamedTuple):
    """The curves of several orders of the patches.

    `fractions` is the share of changed patches; `deletion` and `insertion` map each order to
    the score as patches are removed and put back; all float32 (steps + 1,). Those of random
    orders are (orders, steps + 1).
    """

    fractions: np.ndarray
    deletion: dict[str, np.ndarray]
    insertion: dict[str, np.ndarray]
    random_deletion: np.ndarray
    random_insertion: np.ndarray


def score_of(whole: Read, label: int | None) -> Score:
    """What curves measure: the probability of a class, else the likeness to the whole picture.

    Args:
        whole: what was read of the whole picture.
        label: the class; None for the cosine of the embedding to that of the whole picture.
    """
    if label is not None:

        def probability(read: Read) -> Tensor:
            assert read.probabilities is not None
            return read.probabilities[:, label]

        return probability
    own = whole.embedding.float()
    return lambda read: cosine_similarity(read.embedding.float(), own, dim=1)


def measure_curves(
    subject: FlowSubject,
    maps: Mapping[str, np.ndarray],
    score: Score,
    steps: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Curves:
    """Remove and put back patches in the order of every map, and in random orders.

    Removed patches get the picture's mean colour; insertion starts from a picture of that
    colour alone. Pictures that occur in several curves are run once.

    Args:
        subject: the model and the picture, whose finest grid must divide it.
        maps: (rows, columns) by name; one that holds NaN gets curves of NaN.
        score: of `score_of`.
        steps: points of a curve less one.
        seed: of the random orders.
        progress: called with (done, total) pictures; may raise to cancel.
    """
    grid = subject.layers.base.grid
    counts = step_counts(grid.count, steps)
    rng = np.random.default_rng(seed)
    usable = {name: values for name, values in maps.items() if np.isfinite(values).all()}
    orders = [patch_order(values) for values in usable.values()]
    orders += [rng.permutation(grid.count) for _ in range(RANDOM_ORDERS)]
    first = np.stack([first_of(order, counts) for order in orders])  # orders, points, patches
    painted = np.concatenate([first, ~first])  # deletion, then insertion
    flat = painted.reshape(-1, grid.count)
    packed, back = np.unique(np.packbits(flat, axis=1), axis=0, return_inverse=True)
    different = np.unpackbits(packed, axis=1, count=grid.count).astype(bool)
    scores = _scores(subject, different, score, progress)
    curves = scores[back.reshape(-1)].reshape(2, len(orders), len(counts))
    nothing = np.full(len(counts), np.nan, np.float32)
    found = [dict.fromkeys(maps, nothing) | dict(zip(usable, one, strict=False)) for one in curves]
    random = curves[:, len(usable) :]
    fractions = (counts / grid.count).astype(np.float32)
    return Curves(fractions, found[0], found[1], random[0], random[1])


@torch.no_grad()
def _scores(
    subject: FlowSubject,
    painted: np.ndarray,
    score: Score,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """The score of every painted picture, float32 (pictures,)."""
    pixels, grid = subject.pixels, subject.layers.base.grid
    room = GPU_TOKENS if subject.loaded.device.startswith("cuda") else CPU_TOKENS
    batch = max(1, room // grid.count)
    fill = mean_colour(pixels[0])
    planes = torch.from_numpy(painted.reshape(-1, grid.rows, grid.columns)).to(pixels.device)
    found = []
    for start in range(0, len(planes), batch):
        if progress is not None:
            progress(start, len(planes))
        pictures = paint_patches(pixels[0], fill, planes[start : start + batch])
        found.append(score(subject.read(pictures)).float().cpu().numpy())
    return np.concatenate(found).astype(np.float32)
