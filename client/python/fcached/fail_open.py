"""Calls whose errors never cost the caller a result: log lines, counters, callbacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def log_line(text: str) -> None:
    """Prints a line to stderr. Ignores errors."""
    try:
        if sys.stderr is not None:
            print(text, file=sys.stderr)
    except Exception:
        pass  # stderr is closed, full or has another encoding


def attempt(call: Callable[..., object], *args: Any) -> None:
    """Calls ``call(*args)``. Logs an exception as one line instead of raising it."""
    try:
        call(*args)
    except Exception as error:
        name = getattr(call, "__qualname__", type(call).__name__)
        log_line(f"fcached: {name} failed: {error!r}")
