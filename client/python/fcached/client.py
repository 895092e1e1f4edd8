"""Client: shares the results of one namespace between the processes of a machine."""

from __future__ import annotations

import math
import os
import warnings
from typing import TYPE_CHECKING, Any

from . import _core, ranks
from .errors import ArgumentError, NamespaceError

if TYPE_CHECKING:
    from types import TracebackType

    from .stats import ServerStats, Stats

_WARNINGS_MAX = 1000  # different texts: a text may contain the position of a value
_MS_MAX = 2**32 - 2  # the largest number of milliseconds in the C library


def _milliseconds(seconds: float, what: str) -> int:
    """Rounds up, because 0 milliseconds means a default."""
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {type(seconds).__name__}")
    if math.isnan(seconds) or seconds < 0:
        raise ArgumentError(f"{what} must be 0 or more seconds; got {seconds!r}")
    return _MS_MAX if seconds >= _MS_MAX / 1000 else math.ceil(seconds * 1000)


def _positive_milliseconds(seconds: float, what: str) -> int:
    milliseconds = _milliseconds(seconds, what)
    if milliseconds == 0:
        raise ArgumentError(f"{what} must be more than 0 seconds; got {seconds!r}")
    return milliseconds


def _is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def _share(verify: float | None) -> float:
    if verify is None:
        text = os.environ.get("FCACHE_VERIFY", "") or "0"
        try:
            verify = float(text)
        except ValueError:
            raise ArgumentError(f"$FCACHE_VERIFY must be a share, 0 to 1; got {text!r}") from None
    if not isinstance(verify, (int, float)):
        raise TypeError(f"verify must be a share of the hits, not {type(verify).__name__}")
    if not 0 <= verify <= 1:
        raise ArgumentError(f"verify must be a share of the hits, 0 to 1; got {verify!r}")
    return float(verify)


class Client(_core.Client):
    """A worker's access to one namespace.

    ``namespace``: a name for everything that the numbers depend on (see
    :func:`fcached.namespace_for`). None: ``$FCACHE_NAMESPACE``. A :class:`fcached.Namespace` has a
    manifest, which is stored with it.
    ``socket``: the only socket to try. None: the usual places.
    ``client``: this worker's name in traces.
    ``deadline``: seconds that bound one exchange with the daemon.
    ``lease``: seconds that a computation may take before another worker takes over.
    ``wait``: seconds that ``cached`` and ``cached_batch`` wait for the computations of other
    workers. None: as long as ``lease``. 0: not at all.
    ``max_entries``, ``max_bytes``: limits of the namespace, for all its clients. The daemon charges
    an entry a little more than the bytes of its key and value.
    ``verify``: the share of hits, 0 to 1, that is computed again and compared. None:
    ``$FCACHE_VERIFY``, else 0.
    ``independent_ranks``: if true, the ranks of torch.distributed may take different branches, so
    that sharing stays on with several. None: ``$FCACHE_INDEPENDENT_RANKS=1``.

    A client never breaks or hangs its user: without a daemon, lookups miss and ``cached`` computes.
    ``$FCACHE_DISABLE=1`` turns it off. It then needs no namespace.

    Any number of threads may use one client, and a forked child may use its parent's. A client is
    pickled as its settings: the copy is another client of the same namespace.

    Raises TypeError for an argument of a wrong type, and :class:`ArgumentError` for an invalid
    value.
    """

    __slots__ = ("_settings", "_warned", "__weakref__")
    _settings: dict[str, Any]
    _warned: set[str]

    def __init__(
        self,
        namespace: str | None = None,
        *,
        socket: str | None = None,
        client: str | None = None,
        deadline: float = 0.25,
        lease: float = 300.0,
        wait: float | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        manifest: str | None = None,
        verify: float | None = None,
        independent_ranks: bool | None = None,
    ) -> None:
        if namespace is None:
            namespace = os.environ.get("FCACHE_NAMESPACE") or None
        if namespace is None and not _is_set("FCACHE_DISABLE"):
            raise NamespaceError(
                "no namespace was given: pass namespace=, or set $FCACHE_NAMESPACE"
            )
        if manifest is None:
            manifest = getattr(namespace, "manifest", None)
        if independent_ranks is None:
            independent_ranks = _is_set("FCACHE_INDEPENDENT_RANKS")
        lease_ms = _positive_milliseconds(lease, "lease")
        wait_ms = 0 if wait is None else _milliseconds(wait, "wait") or -1
        self._warned = set()
        self._settings = {
            "namespace": namespace,
            "socket": socket,
            "client": client,
            "deadline": deadline,
            "lease": lease,
            "wait": wait,
            "max_entries": max_entries,
            "max_bytes": max_bytes,
            "manifest": manifest,
            "verify": _share(verify),
            "independent_ranks": bool(independent_ranks),
        }
        super().__init__(
            namespace,
            socket=socket,
            client=client,
            deadline_ms=_positive_milliseconds(deadline, "deadline"),
            lease_ms=lease_ms,
            wait_ms=min(wait_ms, 2**31 - 1),
            max_entries=max_entries,
            max_bytes=max_bytes,
            manifest=manifest,
            verify=self._settings["verify"],
            ranks=None if independent_ranks else ranks.Watch(),
        )

    @property
    def namespace(self) -> str | None:
        """The argument, or ``$FCACHE_NAMESPACE`` when the client was created."""
        found: str | None = self._settings["namespace"]
        return found

    def stats(self) -> Stats:
        """The counters of this client in this process, summed over all threads."""
        from .stats import Stats

        return Stats._of(self._counters())

    def server_stats(self) -> ServerStats:
        """The daemon's statistics. Raises UnavailableError if no daemon answers."""
        from .stats import ServerStats

        return ServerStats._of(self._server_stats())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def verify(self) -> float:
        """The share of hits, 0 to 1, that is computed again and compared."""
        return float(self._settings["verify"])

    def __repr__(self) -> str:
        state = "closed" if self.closed else "connected" if self.connected else "not connected"
        return f"<fcached.{type(self).__name__} namespace={self.namespace!r}, {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._settings)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < _WARNINGS_MAX:
            self._warned.add(text)
            warnings.warn(text, RuntimeWarning, stacklevel=3)

    def _on_unencodable(self, op: str, error: Exception) -> None:
        self._warn_once(f"not shared: a result of {op!r}: {str(error) or repr(error)}")

    def _on_undecodable(self, op: str, error: ValueError) -> None:
        self._warn_once(f"computed again: what is stored of {op!r} cannot be read: {error}")

    def _on_differing(
        self, op: str, view: str, prompt_hash: str, top_k: int, stored: str, computed: str
    ) -> None:
        import logging

        logging.getLogger("fcached").warning(
            "verify: %s, view %s, top_k %d, prompt %s in namespace %s: stored %s, computed %s",
            op,
            view,
            top_k,
            prompt_hash,
            self.namespace,
            stored,
            computed,
        )


def _remake(kind: type[Client], settings: dict[str, Any]) -> Client:
    return kind(**settings)
