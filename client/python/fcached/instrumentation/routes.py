"""Which way a lookup goes: the view's name in keys, and the client that shares it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fcached.instrumentation.cache import _MISS

if TYPE_CHECKING:
    from fcached import Client

NOT_SHAREABLE = (TypeError, ValueError, OverflowError)
"""What a look raises at a key that no daemon takes: a name that is empty or too long or has a
control character, a ``top_k`` that is negative or no integer."""


class Route(NamedTuple):
    """The way of one view's lookups."""

    look: Callable[[str, str, str, int], Any]
    """(op, view, prompt, top_k): what shared memory has, recorded as a hit; or ``_MISS``."""
    view: str
    """The view in keys. It has in it what the numbers depend on and the view's id leaves out."""
    client: Client | None
    """None where the view is not shared."""


def _look_nowhere(op: str, view: str, prompt: str, top_k: int) -> Any:
    return _MISS


def _look_later(client: Client) -> Callable[[str, str, str, int], Any]:
    """For a client that verifies: it is to see all hits in ``cached`` and ``cached_batch``, where
    it computes a share of them again. Raises what is no key all the same."""

    def look(op: str, view: str, prompt: str, top_k: int) -> Any:
        client.give_up(op, view, "\0nobody has this lease", top_k)  # checks names, sends nothing
        return _MISS

    return look


def verifies(client: Client) -> bool:
    return client.verify > 0.0


def route(view: str, client: Client | None) -> Route:
    """The way of ``view`` to ``client``, or within this process."""
    if client is None:
        return Route(_look_nowhere, view, None)
    return Route(_look_later(client) if verifies(client) else client._local, view, client)


def is_disabled() -> bool:
    """``$FCACHE_DISABLE``, read as the C library does."""
    return os.environ.get("FCACHE_DISABLE", "") not in ("", "0")
