"""Colour tables: one source for figures, exports and the page's JavaScript.

Each table has 256 entries, interpolated linearly between evenly spaced anchors.
The anchors of viridis, inferno, magma (31 each) and cividis (64) are samples of
the published tables, which their authors put in the public domain (CC0).
"""

from __future__ import annotations

import numpy as np

NAMES = ("viridis", "inferno", "magma", "cividis", "greys")
"""Names of the tables, in the order a menu shows them."""

NO_DATA = (148, 152, 160)
"""Colour of a value that does not exist (NaN): a cool grey, so that it is not 0."""

QUERY = "#2a6fdb"
"""Outline of the query patch and of the chosen head."""

_ANCHORS = {
    "viridis": (
        "440154470e61481a6c482575472f7d443a834144873d4e8a39568c35608d31688e"
        "2d708e2a788e27818e23888e21918d1f988b1fa08822a8842ab07f35b77943bf71"
        "54c56866cc5d7ad1518fd744a5db36bcdf27d2e21be9e51afde725"
    ),
    "inferno": (
        "0000040403130c0826170c3b240c4f330a5f420a68500d6c5d126e6b176e781c6d"
        "86216b932667a12b62ae305cbb3755c73e4cd24644dd513ae65c30ed6925f3771a"
        "f8850ffb9506fca50afcb519fac62df6d645f2e661f3f484fcffa4"
    ),
    "magma": (
        "0000040404130b0924150e3720114b2c11603b0f704a107957157e651a80721f81"
        "7f24828c29819a2e80a8327db6377ac43c75d1426fde4968e95462f1605df76f5c"
        "fa7f5efc8f65fe9f6dfeaf78febf84fece91fddea0fcedaffcfdbf"
    ),
    "cividis": (
        "00205100235800265d002961012b65042e670831690d346b11366c16396d1c3c6e"
        "213f6e26426e2c456e31476e374a6e3c4d6e42506e47536d4c566d51586e555b6e"
        "5a5e6e5e616e62646f66676f6a6a706e6d717270717573727976737c79747f7c75"
        "827f758682768985778c8877908b78938e789691789a94789e9778a19b78a59e77"
        "a9a177aea575b2a874b6ab73bbaf71c0b26fc5b66dc9b96acebd68d3c065d8c462"
        "ddc85fe2cb5ce7cf58ebd355f0d652f3da4ff7de4cfae249fce647"
    ),
    "greys": "000000ffffff",
}


def table(name: str) -> np.ndarray:
    """Colours of a table from its lowest to its highest value.

    Args:
        name: one of `NAMES`.

    Returns:
        uint8 (256, 3), RGB.

    Raises:
        ValueError: no table has this name.
    """
    if name not in _ANCHORS:
        raise ValueError(f"expected a colour map out of {', '.join(NAMES)}; got {name!r}")
    anchors = np.frombuffer(bytes.fromhex(_ANCHORS[name]), np.uint8).reshape(-1, 3)  # (A, 3)
    places = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)  # (256, 3)


def paint(values: np.ndarray, name: str, high: float) -> np.ndarray:
    """Colours of values from 0 to `high`; values beyond are clipped, NaN is grey.

    Args:
        values: float array of any shape (...).
        name: one of `NAMES`.
        high: value that gets the last colour; where it is not above 0, every value gets
            the first colour.

    Returns:
        uint8 (..., 3), RGB.
    """
    colours = table(name)[np.rint(_places(values, high) * 255).astype(np.uint8)]  # (..., 3)
    colours[np.isnan(values)] = NO_DATA
    return colours


def veil(values: np.ndarray, name: str, high: float, opacity: float) -> np.ndarray:
    """Colours to lay over a picture: faint below a quarter of the scale, full above it.

    Args:
        values: float array of any shape (...).
        name: one of `NAMES`.
        high: value that gets the last colour.
        opacity: of the values that are not faint, 0 to 1.

    Returns:
        uint8 (..., 4), RGB and opacity (not premultiplied).
    """
    strength = np.minimum(1.0, 4.0 * _places(values, high))
    strength[np.isnan(values)] = 1.0
    alpha = np.rint(255 * opacity * strength).astype(np.uint8)
    return np.concatenate([paint(values, name, high), alpha[..., None]], axis=-1)  # (..., 4)


def _places(values: np.ndarray, high: float) -> np.ndarray:
    """Values as places on the table, 0 to 1; NaN as 0."""
    span = high if high > 0 else np.inf
    return np.clip(np.nan_to_num(values, nan=0.0) / span, 0.0, 1.0)
