"""Putting a finished file in its place."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path


def place_file(source: Path, target: Path) -> Path:
    """Copy a file to its place, whole or not at all, with the mode of any new file.

    safetensors writes for the owner alone; what a user asked for is as readable as the files
    beside it.

    Args:
        source: the finished file.
        target: where it goes; a file that is there is replaced.

    Returns:
        The target.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        shutil.copyfile(source, part)
        return part.replace(target)
    finally:
        part.unlink(missing_ok=True)
