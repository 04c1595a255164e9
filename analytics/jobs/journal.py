"""The journal of unfinished jobs: one small JSON file each, gone when the job ends."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What it takes to run a job again."""

    key: str
    kind: str
    params: Mapping[str, Any]
    device: str


class Journal:
    """A folder of entries; one running queue per folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, entry: Entry) -> None:
        """Record a job before it is queued.

        Raises:
            ValueError: the parameters cannot be written as JSON.
        """
        try:
            text = json.dumps(vars(entry))
        except TypeError as error:
            raise ValueError(
                f"expected job parameters of plain text and numbers, so that the job can be "
                f"resumed after a crash; got something else in {entry.kind!r} ({error})"
            ) from None
        # A rename is atomic: a crash leaves the whole entry or none.
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(self._path(entry.key))

    def remove(self, key: str) -> None:
        """Forget a job; nothing happens where it is not in the journal."""
        self._path(key).unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """Jobs that never ended, by file name; files that cannot be read are dropped."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(Entry(**json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                path.unlink(missing_ok=True)
        return found

    def _path(self, key: str) -> Path:
        """Keys hold any character, so the file is named by their hash."""
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
