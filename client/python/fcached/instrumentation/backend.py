"""The instrumentation of one backend: its lookups in this process and in the daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakMethod

from fcached import _core
from fcached._core import prompt_hash as hash_of
from fcached.errors import Error
from fcached.fail_open import log_line
from fcached.instrumentation.batch import Batch
from fcached.instrumentation.cache import _MISS, ForwardCache
from fcached.instrumentation.routes import NOT_SHAREABLE, Route, is_disabled, route
from fcached.instrumentation.stats import BackendStats
from fcached.instrumentation.trace import TraceWriter, _TraceEvent

if TYPE_CHECKING:
    from fcached import Client, Namespace

T = TypeVar("T")

_MAX_ROUTES = 4096
"""Limits the memory of a program that creates view ids without end."""


class _ClearHook:
    """Replaces the ``clear`` method of a cache: calls it, and then the registered callbacks."""

    def __init__(self, clear: Callable[..., Any]) -> None:
        self._clear = clear
        self.callbacks: list[WeakMethod[Callable[[], None]]] = []

    def __call__(self, *args: Any, **kw: Any) -> Any:
        try:
            return self._clear(*args, **kw)
        finally:  # the shared values are stale even if the call failed
            for callback in [reference() for reference in self.callbacks]:
                if callback is not None:
                    callback()


def _hook_clear(cache: Any, callback: Callable[[], None]) -> bool:
    """Calls ``callback`` after each ``cache.clear()``. Returns False if the object does not allow
    it."""
    clear = getattr(cache, "clear", None)
    if not isinstance(clear, _ClearHook):
        clear = _ClearHook(clear or _clear_nothing)
        try:
            cache.clear = clear
        except (AttributeError, TypeError):
            return False
    clear.callbacks.append(WeakMethod(callback))
    return True


def _clear_nothing() -> None:
    """The ``clear`` of a cache that has none."""


def _unhook_clear(cache: Any, callback: Callable[[], None]) -> None:
    clear = getattr(cache, "clear", None)
    if isinstance(clear, _ClearHook):
        clear.callbacks = [
            reference for reference in clear.callbacks if reference() not in (callback, None)
        ]


class Timed:
    """Calls ``compute``. Records that it was called (``began``) and the seconds that it took
    (``wall_s``, None until it returns)."""

    __slots__ = ("_compute", "began", "wall_s")

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute
        self.began = False
        self.wall_s: float | None = None

    def __call__(self) -> Any:
        self.began = True
        started = perf_counter()
        value = self._compute()
        self.wall_s = perf_counter() - started
        return value


class BackendInstrumentation(_core.Instrumentation):
    """The cache, trace and counters of a backend. Its views call :meth:`cached` for each forward
    pass.

    With ``namespace`` (or ``$FCACHE_NAMESPACE``) results are shared through the daemon.
    ``client_settings`` are further arguments of :class:`fcached.Client` (``socket``, ``verify``,
    ...). Without a namespace, and with ``$FCACHE_DISABLE=1``, results stay in this process:
    ``cache`` holds the latest ``cache_maxsize`` objects.

    With a namespace, ``cache`` holds the results of this process, for when the daemon is away, has
    evicted or cleared them, or could not store them. A lookup tries

    1. the daemon's shared memory, 2. ``cache``, 3. the daemon, and waits if another worker is
    computing the value,

    and then computes. A value from ``cache`` is never put again, because a clear may have removed
    it from the daemon. Keys that the daemon refuses (an empty view, a negative ``top_k``) and
    values that have no encoding stay in this process.

    ``cache.clear()`` also clears the namespaces that this instance has used, for all workers. So
    does ``inst.cache = ForwardCache(n)``. If that fails, this instance stops sharing.

    ``trace_path``: the file of the trace, which this process writes. Raises ``ValueError`` if
    ``cache_maxsize`` is not positive, and the exceptions of :class:`fcached.Client`. Threads may
    share an instance if its backend allows it, but counters may then lose counts. After
    :meth:`close` lookups continue in this process alone.
    """

    stats: BackendStats
    trace: TraceWriter
    _routes: dict[str, Route]

    def __init__(
        self,
        *,
        cache_maxsize: int = 256,
        trace_path: Path | None = None,
        namespace: str | Namespace | None = None,
        **client_settings: Any,
    ) -> None:
        self._cache = ForwardCache(cache_maxsize)
        _hook_clear(self._cache, self._clear_shared)
        self._failed: set[str] = set()
        self.stats = BackendStats()
        self._current_probe: str | None = None
        self._routes = {}
        self._clients: list[Client] = []
        if not is_disabled():
            self._share(namespace or os.environ.get("FCACHE_NAMESPACE"), client_settings)
        self.trace = TraceWriter(trace_path)

    @property
    def cache(self) -> ForwardCache:
        """The results of this process. Replacing it also clears the shared results, as ``clear``
        does."""
        return self._cache

    @cache.setter
    def cache(self, cache: ForwardCache) -> None:
        if cache is self._cache:
            return
        _unhook_clear(self._cache, self._clear_shared)
        self._cache = cache
        self._clear_shared()
        if not _hook_clear(cache, self._clear_shared) and self._is_sharing():
            self._stop_sharing()
            log_line(
                f"fcached: this backend's results are no longer shared: {type(cache).__name__} does "
                "not report when it is cleared"
            )

    def set_current_probe(self, name: str | None) -> None:
        """Sets the label of later lookups in the trace, or None."""
        self._current_probe = name
        for client in self._clients:
            _set_probe(client, name)

    def close(self) -> None:
        """Ends the trace and the sharing. Idempotent."""
        self._stop_sharing()
        try:
            self.trace.close()
        except Exception as error:
            self._log_failure("trace", error)

    # ---- routes ------------------------------------------------------------------------------

    def _share(self, namespace: str | Namespace | None, client_settings: dict[str, Any]) -> None:
        """Called once by the constructor, unless sharing is disabled."""
        if namespace:
            from fcached import Client

            self._share_through(Client(namespace, **client_settings))

    def _find_route(self, view_id: str) -> Route:
        """The route of a view, for its first lookup. Must not raise."""
        return route(view_id, self._clients[0] if self._clients else None)

    def _new_route(self, view_id: str) -> Route:
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        found = self._routes[view_id] = self._find_route(view_id)
        return found

    def _share_through(self, client: Client) -> None:
        """Applies probes, clears and the end to ``client`` from now on."""
        _set_probe(client, self._current_probe)
        self._clients.append(client)

    def _is_sharing(self) -> bool:
        return bool(self._clients)

    def _stop_sharing(self) -> None:
        clients, self._clients = self._clients, []
        self._routes.clear()
        for client in clients:
            client.close()

    def _clear_shared(self) -> None:
        try:
            for client in self._clients:
                client.clear()
        except Error as error:
            self._stop_sharing()
            log_line(
                f"fcached: the shared results could not be cleared: {error}; "
                "this backend's are no longer shared"
            )

    # ---- one lookup --------------------------------------------------------------------------

    # `cached` is in C. It calls `_new_route` for the first lookup of a view, `_cached_slow` and
    # `_cached_unshared` for what is no hit, and `_count_prompt_hit` for a hit that is traced, or
    # counted in an object of another class.

    def _cached_unshared(
        self,
        found: Route,
        op: str,
        view_id: str,
        prompt: str,
        top_k: int,
        compute: Callable[[], T],
        started: float,
    ) -> T:
        """As `_cached_slow`, for a key that the daemon refuses."""
        own = route(found.view, None)
        return self._cached_slow(own, op, view_id, prompt, top_k, compute, started)

    def _cached_slow(
        self,
        found: Route,
        op: str,
        view_id: str,
        prompt: str,
        top_k: int,
        compute: Callable[[], T],
        started: float,
    ) -> T:
        """Looks the key up in ``cache`` and the daemon, and else computes it."""
        prompt_hash = hash_of(prompt)
        key = (op, found.view, prompt_hash, top_k)
        value: T = self._get_own(key)
        if value is _MISS:
            timed = Timed(compute)
            value = self._compute_shared(found, op, prompt, top_k, timed)
            if timed.wall_s is not None:
                self._put_own(key, value)
                self._count_miss(op, view_id, prompt_hash, top_k, timed.wall_s)
                return value
        self._count_hit(op, view_id, prompt_hash, top_k, perf_counter() - started)
        return value

    def _compute_shared(
        self, found: Route, op: str, prompt: str, top_k: int, compute: Timed
    ) -> Any:
        if found.client is not None:
            try:
                return found.client.cached(op, found.view, prompt, top_k, compute)
            except Error:  # another thread closed the client
                if compute.began:
                    raise
        return compute()

    # ---- parts that may fail -----------------------------------------------------------------

    def _log_failure(self, part: str, error: Exception) -> None:
        """Logs the first error of a part that results do not depend on."""
        if part not in self._failed:
            self._failed.add(part)
            log_line(f"fcached: the {part} of this backend failed; lookups go on: {error!r}")

    def _get_own(self, key: tuple[Any, ...]) -> Any:
        try:
            return self._cache.get(key)
        except Exception as error:
            self._log_failure("cache", error)
            return _MISS

    def _put_own(self, key: tuple[Any, ...], value: Any) -> None:
        try:
            self._cache.put(key, value)
        except Exception as error:
            self._log_failure("cache", error)

    # ---- a batch -----------------------------------------------------------------------------

    def cached_batch(
        self,
        op: str,
        view_id: str,
        prompts: Sequence[str],
        top_k: int,
        compute_misses: Callable[[list[int]], Sequence[Any]],
    ) -> list[Any]:
        """Returns a list with one result for each of ``prompts``, as :meth:`cached`.
        ``compute_misses`` gets the indices of misses, in rising order, and returns a result for
        each, in that order. A wrong number raises ``RuntimeError``. It is called once, and again
        for prompts that other workers gave up. The time of a batch is divided evenly over its
        prompts. Hits stay counted if ``compute_misses`` raises."""
        found = self._routes.get(view_id) or self._new_route(view_id)
        batch = Batch(self, found, op, view_id, list(prompts), top_k)
        batch.look_up()
        batch.compute(compute_misses)
        return batch.results

    # ---- counters and trace ------------------------------------------------------------------

    def _count_prompt_hit(
        self, op: str, view_id: str, prompt: str, top_k: int, wall_s: float
    ) -> None:
        self._count_hit(op, view_id, hash_of(prompt), top_k, wall_s)

    def _count_hit(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float
    ) -> None:
        try:
            self.stats.cache_hits += 1
            self.stats.scoring_wall_s += wall_s
        except Exception as error:
            self._log_failure("stats", error)
        self._trace(op, view_id, prompt_hash, top_k, wall_s, hit=True)

    def _count_miss(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float
    ) -> None:
        try:
            self.stats.cache_misses += 1
            self.stats.forward_passes += 1
            self.stats.scoring_wall_s += wall_s
        except Exception as error:
            self._log_failure("stats", error)
        self._trace(op, view_id, prompt_hash, top_k, wall_s, hit=False)

    def _count_batch(self, size: int) -> None:
        try:
            self.stats.batches_sent += 1
            self.stats.batched_prompts += size
            self.stats.max_batch_size = max(self.stats.max_batch_size, size)
        except Exception as error:
            self._log_failure("stats", error)

    def _trace(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float, *, hit: bool
    ) -> None:
        try:
            trace = self.trace
            if type(trace) is TraceWriter and not trace.is_on:
                return
            trace.write(
                _TraceEvent(
                    ts=time.time(),
                    probe=self._current_probe,
                    view_id=view_id,
                    prompt_hash=prompt_hash,
                    top_k=top_k,
                    op=op,
                    wall_ms=wall_s * 1000.0,
                    hit=hit,
                )
            )
        except Exception as error:  # such as a full disk
            self._log_failure("trace", error)


def _set_probe(client: Client, probe: str | None) -> None:
    """Sets the probe in the daemon's trace, or None if the daemon would refuse the name."""
    try:
        client.set_probe(probe)
    except NOT_SHAREABLE:
        if not client.closed:
            client.set_probe(None)
