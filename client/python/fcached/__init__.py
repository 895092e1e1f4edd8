"""fcached: the processes of one machine share expensive results, such as forward passes.

    import fcached

    with fcached.Client("gpt2-base") as client:
        logprob = client.cached("logprob_of", "base", prompt, 0, lambda: model(prompt))

The workers of a namespace share each other's results. If several miss the same key at the same
time, one computes it. Without the daemon, each worker computes everything itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import LEASED, MISS, decode, encode, prompt_hash
from .client import Client
from .errors import (
    ArgumentError,
    BatchError,
    DecodeError,
    DeniedError,
    EncodeError,
    Error,
    NamespaceError,
    ProtocolError,
    RefusedError,
    TooBigError,
    UnavailableError,
)

if TYPE_CHECKING:
    from .namespaces import Namespace, namespace_for
    from .stats import ServerStats, Stats
    from .values import register

__version__ = "0.1.0"

# Imported at their first use, because they take time: name -> submodule (None: a submodule).
_LAZY = {
    "ServerStats": "stats",
    "Stats": "stats",
    "Namespace": "namespaces",
    "namespace_for": "namespaces",
    "register": "values",
    "instrumentation": None,
    "lm_eval": None,
    "sway": None,
}

__all__ = [
    "ArgumentError",
    "BatchError",
    "Client",
    "DecodeError",
    "DeniedError",
    "EncodeError",
    "Error",
    "LEASED",
    "MISS",
    "Namespace",
    "NamespaceError",
    "ProtocolError",
    "RefusedError",
    "ServerStats",
    "Stats",
    "TooBigError",
    "UnavailableError",
    "decode",
    "encode",
    "namespace_for",
    "prompt_hash",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fcached' has no attribute {name!r}")
    from importlib import import_module

    home = _LAZY[name]
    module = import_module(f".{home or name}", __name__)
    value = module if home is None else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
