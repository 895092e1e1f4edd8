"""Makes one backend share, as ``dlm_sway.backends.build`` has made it."""

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
"""Their view's id leaves out, or rounds, what they were called with."""


def share(backend: Any, spec: Any, adapter: Any) -> None:
    """``backend`` was built from ``spec`` (a ``ModelSpec``) and ``adapter`` (a path or None). Where
    it has no instrumentation of ours, or nobody knows what its numbers depend on, its results stay
    in this process."""
    inst = getattr(backend, "_inst", None)
    if not isinstance(inst, BackendInstrumentation):
        return
    try:
        _share(inst, backend, spec, adapter)
    except Exception as error:  # the suite does not need this
        _say(f"results of {type(backend).__name__} stay in this process: {error}")


def _share(inst: BackendInstrumentation, backend: Any, spec: Any, adapter: Any) -> None:
    """What it raises says that the backend is not as expected: it then does not share."""
    _tell_views_apart(backend, inst)
    if spec.kind == "api":
        inst.set_key_view(backend.id, _api_view(backend))
    namespace_of = namespaces(backend, spec, adapter)
    if namespace_of is not None:
        inst.share_by(namespace_of)
    else:
        _say(
            f"results of the backend {spec.entry_point} stay in this process: nobody here knows "
            "what they depend on; $FCACHE_NAMESPACE would name it"
        )


def _say(line: str) -> None:
    log_line(f"fcached.sway: {line}")


def _tell_views_apart(backend: Any, inst: BackendInstrumentation) -> None:
    """AttributeError where the backend's class does not let its methods be replaced."""
    for name in _PARAMETERS_IN_KEY:
        if callable(getattr(backend, name, None)):
            setattr(backend, name, _with_parameters(inst, getattr(backend, name)))
    if callable(getattr(backend, "preflight_finite_check", None)):
        setattr(backend, "preflight_finite_check", _always(inst, backend.preflight_finite_check))


def _with_parameters(inst: BackendInstrumentation, enter: Any) -> Any:
    """The context manager ``enter``; its view's name in keys has all arguments, to the last bit."""
    signature = inspect.signature(enter)

    @contextmanager
    def entered(*args: Any, **kwargs: Any) -> Iterator[Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        said = ", ".join(f"{name}={value!r}" for name, value in bound.arguments.items())
        with enter(*args, **kwargs) as view, inst.key_view(view.id, f"{view.id} ({said})"):
            yield view

    return entered


def _always(inst: BackendInstrumentation, check: Any) -> Any:
    """``check`` asks whether the model here is sound: what another one computed says nothing."""

    def checked() -> Any:
        with inst.computing_always():
            return check()

    return checked


def _api_view(backend: Any) -> str:
    """An endpoint may have a password in it, which is no one else's: so the key has its digest."""
    from fcached import prompt_hash

    host = urlsplit(backend._base_url).hostname or ""
    digest = prompt_hash(backend._base_url)[:16]
    return f"{backend.id} (host={host}, endpoint={digest}, vocab_size={backend._vocab_size!r})"
