"""Installs fcached between dlm-sway's views and their forward passes."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

_REPLACED = "dlm_sway.backends._instrumentation"


def install() -> None:
    """Replaces dlm-sway's instrumentation in this process, and makes the backends of its ``build``
    share. Idempotent. Raises ``ImportError`` if dlm-sway is not installed, and ``RuntimeError`` if
    one of its backends was imported before, because that would keep the original."""
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
    """Wraps dlm-sway's ``build``. Its callers look the function up at each call."""

    @functools.wraps(build)
    def build_sharing(base_spec: Any, *, adapter_path: Any = None) -> Any:
        from fcached.sway.backends import share

        backend = build(base_spec, adapter_path=adapter_path)
        share(backend, base_spec, adapter_path if adapter_path is not None else base_spec.adapter)
        return backend

    return build_sharing
