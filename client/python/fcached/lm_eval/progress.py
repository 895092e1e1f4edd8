"""One progress bar for a call that is computed in pieces, instead of one for each piece."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from ..fail_open import attempt


def takes_disable_tqdm(method: Callable[..., Any]) -> bool:
    """True if a model's method has the harness's argument ``disable_tqdm``. Some do not."""
    try:
        return "disable_tqdm" in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False


class Progress:
    """A bar of tqdm. Shows nothing if tqdm is not installed or fails."""

    def __init__(self, total: int, description: str, shown: bool) -> None:
        self._bar: Any = None
        if shown:
            attempt(self._show, total, description)

    def _show(self, total: int, description: str) -> None:
        try:
            tqdm = importlib.import_module("tqdm").tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, desc=description)

    def advance(self, count: int) -> None:
        if self._bar is not None:
            attempt(self._bar.update, count)

    def close(self) -> None:
        if self._bar is not None:
            attempt(self._bar.close)
