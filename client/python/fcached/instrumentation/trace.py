"""The trace of one backend: a file with one line for each lookup."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

_SLOTS = {"slots": True} if sys.version_info >= (3, 10) else {}


@dataclass(**_SLOTS)
class _TraceEvent:
    """One lookup. Its fields are those of a line, in that order."""

    ts: float
    """Seconds since the epoch."""
    probe: str | None
    view_id: str
    prompt_hash: str
    top_k: int
    op: str
    wall_ms: float
    """The time of the hit, or of the computation."""
    hit: bool


_FIELDS = tuple(field.name for field in fields(_TraceEvent))


class TraceWriter:
    """Appends JSON objects to ``path``, one a line, and flushes each. Creates parent directories.
    ``None`` turns it off. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self.is_on = path is not None
        """If false, the caller need not create events."""
        self._lock = threading.Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, event: _TraceEvent) -> None:
        """Appends a line. Raises OSError if that fails."""
        if self._file is None:
            return
        line = json.dumps({name: getattr(event, name) for name in _FIELDS}, default=str) + "\n"
        with self._lock:
            if self._file is not None:
                self._file.write(line)
                self._file.flush()

    def close(self) -> None:
        """Turns the trace off. Idempotent."""
        with self._lock:
            file, self._file = self._file, None
            self.is_on = False
            if file is not None:
                file.close()
