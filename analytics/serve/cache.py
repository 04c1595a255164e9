"""What the server holds in memory, bounded by bytes; the least recently used leaves first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Values by key, at most `max_bytes` together; the newest stays even where it is larger."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty."""
        self.max_bytes = max_bytes
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value, which counts as a use, or None."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: Hashable, value: Value, nbytes: int) -> None:
        """Hold a value of `nbytes` bytes; others leave until it fits."""
        with self._lock:
            if key in self._held:
                self._nbytes -= self._held.pop(key)[1]
            self._held[key] = (value, nbytes)
            self._nbytes += nbytes
            while self._nbytes > self.max_bytes and len(self._held) > 1:
                self._nbytes -= self._held.popitem(last=False)[1][1]

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        with self._lock:
            return self._nbytes

    def __len__(self) -> int:
        """Number of values held now."""
        with self._lock:
            return len(self._held)


class RecordCache:
    """Computed lens records by id."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty."""
        self._cache: BoundedCache[LensRecord] = BoundedCache(max_bytes)

    def get(self, identifier: str) -> LensRecord | None:
        """The record, which counts as a use, or None where it was never here or has left."""
        return self._cache.get(identifier)

    def put(self, record: LensRecord) -> None:
        """Hold a record under its id."""
        self._cache.put(record.id, record, record.nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._cache.nbytes

    def __len__(self) -> int:
        """Number of records held now."""
        return len(self._cache)
