"""Uploaded pictures on disk, each under the SHA-256 of its bytes.

The original bytes are kept, so a deep link by hash opens the same picture later. The store
is bounded: the pictures unused for longest leave first. Several threads and processes may
use one folder; a file appears in it whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from analytics.io.images import DEFAULT_LIMITS, MEBIBYTE, Limits, read_picture
from analytics.io.names import plain_path
from analytics.types import Picture

_HASH = re.compile(r"[0-9a-f]{64}")
_STALE_SECONDS = 3600.0
"""Age from which a half-written file belongs to no living writer."""


@dataclass(frozen=True)
class StoredPicture:
    """An entry of the store: hash, name, size in bytes, last use in seconds since 1970."""

    sha256: str
    name: str
    nbytes: int
    used: float


class PictureStore:
    """Pictures by content hash in one folder, at most `max_bytes` of them together."""

    def __init__(
        self, root: Path, max_bytes: int = 4096 * MEBIBYTE, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        """Open or make a store.

        Args:
            root: the folder; made when missing, readable by its owner only.
            max_bytes: bound on the sum of the stored files.
            limits: what is accepted of one picture.
        """
        self.root = root
        self.max_bytes = max_bytes
        self.limits = limits
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, data: bytes, name: str) -> Picture:
        """Check a picture, keep its bytes and return it decoded.

        The same bytes under another name are one entry, which takes the new name. The
        newest picture always stays, even where it alone is above the bound.

        Raises:
            ValueError: the bytes are no picture that can be read; nothing is stored.
        """
        picture = read_picture(data, name, self.limits)
        # Written even when there: the file on disk may be damaged.
        self._write(self._file(picture.sha256), data)
        label = json.dumps({"name": picture.name}, ensure_ascii=False)
        self._write(self._label(picture.sha256), label.encode())
        self._evict(keep=picture.sha256)
        return picture

    def get(self, sha256: str) -> Picture:
        """Decode a stored picture; notes and name as when it was put.

        Decoding happens on each call (half a second for 50 megapixels): callers cache.

        Raises:
            ValueError: not stored here, or damaged on disk.
        """
        return read_picture(self.data(sha256), self.name(sha256), self.limits)

    def data(self, sha256: str) -> bytes:
        """The original bytes, checked against their hash; counts as a use.

        Raises:
            ValueError: not stored here, or damaged on disk.
        """
        file = self._file(sha256)
        try:
            data = file.read_bytes()
        except OSError:
            raise _missing(sha256) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _missing(sha256)
        with contextlib.suppress(OSError):
            os.utime(file)
        return data

    def name(self, sha256: str) -> str:
        """The name a picture was put under; the start of its hash where that is lost.

        Raises:
            ValueError: `sha256` is no hash.
        """
        try:
            label = json.loads(self._label(sha256).read_bytes())
            return plain_path(str(label["name"]))
        except (OSError, ValueError, KeyError, TypeError):
            return sha256[:12]

    def recent(self, count: int = 20) -> list[StoredPicture]:
        """The pictures used last, newest first.

        On a server with several users these are everybody's: show them only where that is
        wanted.
        """
        newest = sorted(self._entries(), key=lambda entry: -entry[1].st_mtime_ns)[:count]
        return [
            StoredPicture(file.name, self.name(file.name), stat.st_size, stat.st_mtime)
            for file, stat in newest
        ]

    def _file(self, sha256: str) -> Path:
        # Checked because the hash comes from a URL and becomes a path.
        if not _HASH.fullmatch(sha256):
            raise ValueError(
                f"expected a SHA-256 of 64 digits 0-9 and a-f, got {plain_path(sha256)[:70]!r}; "
                "choose the picture again"
            )
        return self.root / sha256

    def _label(self, sha256: str) -> Path:
        return self._file(sha256).with_suffix(".json")

    def _write(self, file: Path, data: bytes) -> None:
        """Write beside the target and rename, so that no reader sees half a file."""
        handle, name = tempfile.mkstemp(prefix=".part-", dir=self.root)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            temporary.replace(file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        """Stored pictures with size and last use; what vanishes meanwhile is left out."""
        found = []
        with os.scandir(self.root) as entries:
            for entry in entries:
                if _HASH.fullmatch(entry.name):
                    with contextlib.suppress(OSError):
                        found.append((Path(entry.path), entry.stat()))
        return found

    def _evict(self, keep: str) -> None:
        """Remove the pictures unused for longest until the rest fit, and forgotten parts."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
        total = sum(stat.st_size for _, stat in entries)
        for file, stat in entries:
            if total <= self.max_bytes:
                break
            if file.name != keep:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                total -= stat.st_size
        for part in self.root.glob(".part-*"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                    part.unlink()


def _missing(sha256: str) -> ValueError:
    return ValueError(
        f"expected a picture that is stored here; no picture with this hash is stored here "
        f"({sha256[:12]}...); upload it again"
    )
