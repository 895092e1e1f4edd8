"""Makes a backend that ``dlm_sway.backends.build`` created share its results."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from fcached.fail_open import log_line
from fcached.sway.dependencies import namespaces
from fcached.sway.instrumentation import BackendInstrumentation

_PARAMETERS_IN_KEY = ("as_null_adapter", "as_scaled_adapter")
"""Methods whose arguments the id of their view omits or rounds."""


def share(backend: Any, spec: Any, adapter: Any) -> None:
    """Shares the results of ``backend``, built from ``spec`` (a ``ModelSpec``) and ``adapter`` (a
    path or None). They stay in this process if the backend does not use fcached's instrumentation,
    or if it is unknown what its numbers depend on."""
    inst = getattr(backend, "_inst", None)
    if not isinstance(inst, BackendInstrumentation):
        return
    try:
        _share(inst, backend, spec, adapter)
    except Exception as error:  # the suite works without sharing
        _log(f"results of {type(backend).__name__} stay in this process: {error}")


def _share(inst: BackendInstrumentation, backend: Any, spec: Any, adapter: Any) -> None:
    """Any exception means that the backend has an unexpected form and does not share."""
    _distinguish_views(backend, inst)
    if spec.kind == "api":
        inst.set_key_view(backend.id, _api_view(backend))
    namespace_of = namespaces(backend, spec, adapter)
    if namespace_of is not None:
        inst.share_by(namespace_of)
    else:
        _log(
            f"results of the backend {spec.entry_point} stay in this process: it is unknown "
            "what they depend on. To share them, set $FCACHE_NAMESPACE"
        )


def _log(line: str) -> None:
    log_line(f"fcached.sway: {line}")


def _distinguish_views(backend: Any, inst: BackendInstrumentation) -> None:
    """Makes the keys of different views differ. Raises AttributeError if the backend's class does
    not allow its methods to be replaced."""
    for name in _PARAMETERS_IN_KEY:
        if callable(getattr(backend, name, None)):
            setattr(backend, name, _with_parameters(inst, getattr(backend, name)))
    if callable(getattr(backend, "preflight_finite_check", None)):
        setattr(backend, "preflight_finite_check", _always(inst, backend.preflight_finite_check))


def _with_parameters(inst: BackendInstrumentation, enter: Any) -> Any:
    """Wraps the context manager ``enter``. The view's name in keys has all arguments, exactly."""
    signature = inspect.signature(enter)

    @contextmanager
    def entered(*args: Any, **kwargs: Any) -> Iterator[Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = ", ".join(f"{name}={value!r}" for name, value in bound.arguments.items())
        with enter(*args, **kwargs) as view, inst.key_view(view.id, f"{view.id} ({arguments})"):
            yield view

    return entered


def _always(inst: BackendInstrumentation, check: Any) -> Any:
    """Wraps ``check``, which tests the model of this process, so that it always computes."""

    def checked() -> Any:
        with inst.computing_always():
            return check()

    return checked


def _api_view(backend: Any) -> str:
    """The view in keys has a digest of the endpoint, which may contain a password."""
    from fcached import prompt_hash

    host = urlsplit(backend._base_url).hostname or ""
    digest = prompt_hash(backend._base_url)[:16]
    return f"{backend.id} (host={host}, endpoint={digest}, vocab_size={backend._vocab_size!r})"
