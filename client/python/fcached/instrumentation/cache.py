"""The least recently used cache inside one process: objects, by key."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from fcached._core import MISS

_MISS: Any = MISS
"""What :meth:`ForwardCache.get` returns for a key that it does not have: ``None`` is a value."""

Key = tuple[Any, ...]
"""``(op, view, prompt hash, top_k)``."""


class ForwardCache:
    """At most ``maxsize`` objects, by key; the one longest unused goes first. Any number of threads
    may use it. ``ValueError`` where ``maxsize`` is not positive."""

    def __init__(self, maxsize: int = 256) -> None:
        if maxsize <= 0:
            raise ValueError(f"maxsize must be positive; got {maxsize}")
        self._maxsize = maxsize
        self._entries: OrderedDict[Key, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Any:
        """The object stored for ``key`` itself, now the most recently used; or ``_MISS``."""
        with self._lock:
            value = self._entries.get(key, _MISS)
            if value is not _MISS:
                self._entries.move_to_end(key)
            return value

    def put(self, key: Key, value: Any) -> None:
        """Stores or replaces, as the most recently used, and then evicts down to ``maxsize``."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._maxsize:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._entries.clear()
