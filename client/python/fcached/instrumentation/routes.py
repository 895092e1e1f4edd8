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


def look_nowhere(op: str, view: str, prompt: str, top_k: int) -> Any:
    return _MISS


def verifies(client: Client) -> bool:
    """True where the client is to see all hits in ``cached`` and ``cached_batch``, which compute a
    share of them again."""
    return float(client._settings["verify"]) > 0.0


def route(view: str, client: Client | None) -> Route:
    """The way of ``view`` to ``client``, or within this process."""
    look = look_nowhere if client is None or verifies(client) else client._local
    return Route(look, view, client)


def is_disabled() -> bool:
    """``$FCACHE_DISABLE``, read as the C library does."""
    return os.environ.get("FCACHE_DISABLE", "") not in ("", "0")
