"""Puts fcached between dlm-sway's views and their forward passes."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

_REPLACED = "dlm_sway.backends._instrumentation"


def install() -> None:
    """Replaces dlm-sway's instrumentation in this process, and has what its ``build`` makes share.
    May be called again. ``ImportError`` where dlm-sway is not installed; ``RuntimeError`` where a
    backend of it was imported before: it would go on with what is replaced here."""
    from fcached.sway import instrumentation

    if sys.modules.get(_REPLACED) is instrumentation:
        return
    if _REPLACED in sys.modules:
        raise RuntimeError(
            f"{_REPLACED} was imported before: call fcached.sway.install() before anything imports "
            "dlm_sway's backends"
        )
    sys.modules[_REPLACED] = instrumentation
    try:
        backends = importlib.import_module("dlm_sway.backends")
    except BaseException:
        del sys.modules[_REPLACED]
        raise
    setattr(backends, "_instrumentation", instrumentation)
    setattr(backends, "build", _sharing(backends.build))


def _sharing(build: Any) -> Any:
    """dlm-sway's ``build``, whose backends share. Its callers look it up when they need it."""

    @functools.wraps(build)
    def build_sharing(base_spec: Any, *, adapter_path: Any = None) -> Any:
        from fcached.sway.backends import share

        backend = build(base_spec, adapter_path=adapter_path)
        share(backend, base_spec, adapter_path if adapter_path is not None else base_spec.adapter)
        return backend

    return build_sharing
