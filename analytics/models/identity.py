"""The content hash that names a set of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


def weights_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the SHA-256 of (name, dtype, shape, bytes) of every tensor, sorted by name.

    For weights from a file it is taken over the tensors as stored, before positions are
    resampled or numbers converted, so that one file has one identity at every input size
    and in every dtype. The same tensors in another container (.pth, .safetensors) have
    the same hash. It does not say which architecture reads them.

    Args:
        tensors: any shapes and dtypes, on any device.

    Returns:
        64 hexadecimal digits.
    """
    names = sorted(tensors)
    with ThreadPoolExecutor() as threads:  # hashing lets other threads run
        digests = threads.map(lambda name: _one(name, tensors[name]), names)
        return hashlib.sha256(b"".join(digests)).hexdigest()


def _one(name: str, tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{name}\0{plain.dtype}\0{tuple(plain.shape)}\0".encode())
    values: Any = plain.reshape(-1).view(torch.uint8).numpy()
    digest.update(values)
    return digest.digest()
