"""What every test needs: no network, one thread per process, and the bundled assets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Set before torch or huggingface_hub is imported, and inherited by servers that tests start.
# With several test processes side by side more threads only get into each other's way.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def assets(root: Path) -> Path:
    """The folder of bundled weights, pictures, masks and slides."""
    return root / "assets"
