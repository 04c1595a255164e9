"""Small made pictures, and the naive way to a model without some of its heads."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from analytics.capture.recording import Gates, capture, switch_off
from analytics.capture.tracing import find_sites
from analytics.studies.features import read_batches


@dataclass(frozen=True)
class Made:
    """A small picture of two colours and noise."""

    name: str
    seed: int

    def read_bytes(self, limits=None) -> bytes:
        rng = np.random.default_rng(self.seed)
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        pixels[:, : 10 + self.seed] = (30 * self.seed % 256, 200, 90)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


@dataclass(frozen=True)
class Broken:
    name: str = "cut.png"

    def read_bytes(self, limits=None) -> bytes:
        return Made("whole.png", 99).read_bytes()[:80]


def pixels_of(loaded, pictures):
    return torch.cat([batch.pixels for batch in read_batches(pictures, loaded)])


@torch.no_grad()
def by_hand(loaded, pixels, layer, head, fill=None):
    """Features of the whole model run with one head's gate at 0."""
    gates = switch_off(find_sites(loaded.module, loaded.input_size), [(layer, head)])
    if fill is not None:
        gates = Gates(gates.values, {layer: fill})
    return gated(loaded, pixels, gates)


@torch.no_grad()
def without(loaded, pixels, heads):
    """Features of the whole model run with the gates of several heads at 0."""
    return gated(loaded, pixels, switch_off(find_sites(loaded.module, loaded.input_size), heads))


@torch.no_grad()
def gated(loaded, pixels, gates):
    sites = find_sites(loaded.module, loaded.input_size)
    with capture(loaded.module, sites, gates=gates):
        return loaded.module.forward_features(pixels)


def cosine_shift(a, b):
    return 1 - torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=-1)
