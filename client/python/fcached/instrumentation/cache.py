"""An LRU cache of objects inside one process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from fcached._core import MISS

_MISS: Any = MISS
"""The result of :meth:`ForwardCache.get` for a missing key. ``None`` is a value."""

Key = tuple[Any, ...]
"""``(op, view, prompt hash, top_k)``."""


class ForwardCache:
    """Holds at most ``maxsize`` objects and evicts the least recently used. Thread-safe. Raises
    ``ValueError`` if ``maxsize`` is not positive."""

    def __init__(self, maxsize: int = 256) -> None:
        if maxsize <= 0:
            raise ValueError(f"maxsize must be positive; got {maxsize}")
        self._maxsize = maxsize
        self._entries: OrderedDict[Key, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Any:
        """Returns the object stored for ``key``, now the most recently used, or ``_MISS``."""
        with self._lock:
            value = self._entries.get(key, _MISS)
            if value is not _MISS:
                self._entries.move_to_end(key)
            return value

    def put(self, key: Key, value: Any) -> None:
        """Stores or replaces an object as the most recently used. Then evicts down to
        ``maxsize``."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._maxsize:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Removes all objects."""
        with self._lock:
            self._entries.clear()
