"""Results that grow part by part on disk, known by what they were made from.

A result is a folder: `plan.json` says what is to be computed, `00000.npz`, `00001.npz`, ...
hold what was computed so far. A study that was cancelled or killed goes on after the last
whole part, and what there is can be read at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_TEXT = "json"
"""Name of the array that carries a part's plain values."""


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of plain values: equal inputs and parameters give the same result's key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class ResultStore:
    """Results of one kind of study below a folder; safe for one writer a result."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, made at the first write."""
        self._folder = folder

    def begin(self, key: str, plan: Mapping[str, Any]) -> None:
        """Note what a result is to hold; the first plan stands.

        Raises:
            OSError: the folder cannot be written.
        """
        if self.plan(key) is None:
            self.attach(key, "plan", plan)

    def plan(self, key: str) -> dict[str, Any] | None:
        """What was to be computed, or None where there is no such result."""
        return self.attached(key, "plan")

    def put(
        self,
        key: str,
        part: int,
        arrays: Mapping[str, np.ndarray],
        about: Mapping[str, Any],
        running: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write one part whole or not at all.

        Args:
            key: the result's key.
            part: number of the part, from 0.
            arrays: numbers, of any shape but without objects; none may be named `json`.
            about: plain values.
            running: sums over all parts up to this one; they replace those of the part before.
        """
        if running is not None:
            # First: a part is never there without the sums that it is in.
            self._write(self._running(key, part), _npz(running))
        text = np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), np.uint8)
        self._write(self._place(key) / f"{part:05d}.npz", _npz({**arrays, _TEXT: text}))
        if running is not None:
            self._running(key, part - 1).unlink(missing_ok=True)

    def running(self, key: str, part: int) -> dict[str, np.ndarray] | None:
        """The sums over all parts up to one; None where they are not there or damaged."""
        try:
            with np.load(self._running(key, part), allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def parts(self, key: str) -> Iterator[tuple[int, dict[str, np.ndarray], dict[str, Any]]]:
        """Every whole part in order: number, arrays, plain values. A damaged one is left out."""
        for path in sorted(self._place(key).glob("[0-9]*.npz")):
            try:
                with np.load(path, allow_pickle=False) as held:
                    arrays = {name: held[name] for name in held.files}
                about = json.loads(arrays.pop(_TEXT).tobytes())
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)  # it is computed again
                continue
            yield int(path.stem), arrays, about

    def attach(self, key: str, name: str, about: Mapping[str, Any]) -> None:
        """Keep plain values under a name beside a result's parts."""
        self._write(self._place(key) / f"{name}.json", json.dumps(about).encode())

    def attached(self, key: str, name: str) -> dict[str, Any] | None:
        """What was kept under a name; None where nothing was."""
        try:
            return json.loads((self._place(key) / f"{name}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def count(self, key: str) -> int:
        """How many parts there are."""
        return len(list(self._place(key).glob("[0-9]*.npz")))

    def trim(self, keep: int) -> None:
        """Forget all but the `keep` results begun last."""
        for key in self.keys()[keep:]:
            self.remove(key)

    def keys(self) -> list[str]:
        """Keys of all results, the one written last first."""
        found = [path.parent for path in self._folder.glob("*/plan.json")]
        return [place.name for place in sorted(found, key=lambda p: -p.stat().st_mtime)]

    def remove(self, key: str) -> None:
        """Forget a result."""
        shutil.rmtree(self._place(key), ignore_errors=True)

    def _running(self, key: str, part: int) -> Path:
        return self._place(key) / f"running-{part:05d}.npz"

    def _place(self, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"expected the key of a result, letters and digits; got {key!r}")
        return self._folder / key

    def _write(self, path: Path, data: bytes) -> None:
        """Write beside the file, then rename: nobody reads half a part."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
