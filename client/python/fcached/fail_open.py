"""No log line, count or callback costs the caller a result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def log_line(text: str) -> None:
    """One line on stderr, where there is one that takes it."""
    try:
        if sys.stderr is not None:
            print(text, file=sys.stderr)
    except Exception:
        pass  # closed, full, or another encoding: there is no better place to say so


def attempt(call: Callable[..., object], *args: Any) -> None:
    """``call(*args)``, for what the result does not depend on. What it raises becomes a line."""
    try:
        call(*args)
    except Exception as error:
        name = getattr(call, "__qualname__", type(call).__name__)
        log_line(f"fcached: {name} failed: {error!r}")
