"""The route of a view's lookups: its name in keys, and the client that shares its results."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fcached.instrumentation.cache import _MISS

if TYPE_CHECKING:
    from fcached import Client

NOT_SHAREABLE = (TypeError, ValueError, OverflowError)
"""The exceptions of a lookup for a key that the daemon refuses: an invalid name, or a ``top_k``
that is negative or not an integer."""


class Route(NamedTuple):
    """The route of one view's lookups."""

    look: Callable[[str, str, str, int], Any]
    """(op, view, prompt, top_k) -> the value in shared memory, recorded as a hit, or ``_MISS``."""
    view: str
    """The view's name in keys. Unlike the view's id, it contains everything that the numbers depend
    on."""
    client: Client | None
    """None if the view is not shared."""


def _look_up_nowhere(op: str, view: str, prompt: str, top_k: int) -> Any:
    return _MISS


def _always_miss(client: Client) -> Callable[[str, str, str, int], Any]:
    """The lookup of a client that verifies: it always misses, so that all hits pass through
    ``cached`` and ``cached_batch``, which compute a share of them again. Raises NOT_SHAREABLE as
    ``_local`` does."""

    def look(op: str, view: str, prompt: str, top_k: int) -> Any:
        client.give_up(op, view, "\0nobody has this lease", top_k)  # checks the names and sends
        # nothing
        return _MISS

    return look


def verifies(client: Client) -> bool:
    return client.verify > 0.0


def route(view: str, client: Client | None) -> Route:
    """The route of ``view`` to ``client``, or for None inside this process."""
    if client is None:
        return Route(_look_up_nowhere, view, None)
    return Route(_always_miss(client) if verifies(client) else client._local, view, client)


def is_disabled() -> bool:
    """True if ``$FCACHE_DISABLE`` is set, by the rule of the C library."""
    return os.environ.get("FCACHE_DISABLE", "") not in ("", "0")
