"""Pictures made for the tests, and the message of one that is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import Limits, read_picture


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def gradient(height: int = 40, width: int = 60) -> Image.Image:
    """Smooth, different along both axes and in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / width, 255 * y / height, 128 + 0 * x)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(data: bytes, name: str = "photo.png", limits: Limits | None = None) -> str:
    """The message of a refused file; checks that it is one plain line that names the file."""
    with pytest.raises(ValueError, match="expected") as caught:
        read_picture(data, name, limits or Limits())
    message = str(caught.value)
    assert message.startswith(f"{name}: expected ")
    assert "\n" not in message
    assert len(message) < 400
    return message
