"""The instrumentation of one backend: its lookups, in this process and on the whole machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakMethod

from fcached._core import prompt_hash as hash_of
from fcached.errors import DecodeError, Error
from fcached.fail_open import log_line
from fcached.instrumentation.batch import Batch
from fcached.instrumentation.cache import _MISS, ForwardCache
from fcached.instrumentation.routes import NOT_SHAREABLE, Route, is_disabled, route
from fcached.instrumentation.stats import BackendStats
from fcached.instrumentation.trace import TraceWriter, _TraceEvent

if TYPE_CHECKING:
    from fcached import Client, Namespace

T = TypeVar("T")

_MOST_ROUTES = 4096
"""A program that makes up view ids without end finds their routes again, and stays small."""


class _Clear:
    """Stands for the ``clear`` of one cache: calls it, and tells those who share the values."""

    def __init__(self, clear: Callable[..., Any]) -> None:
        self._clear = clear
        self.tells: list[WeakMethod[Callable[[], None]]] = []

    def __call__(self, *args: Any, **kw: Any) -> Any:
        try:
            return self._clear(*args, **kw)
        finally:  # its values are stale, whatever became of them here
            for tell in [reference() for reference in self.tells]:
                if tell is not None:
                    tell()


def _watch(cache: Any, tell: Callable[[], None]) -> bool:
    """Has ``tell`` called after each ``cache.clear()``. False where the object does not let it."""
    clear = getattr(cache, "clear", None)
    if not isinstance(clear, _Clear):
        clear = _Clear(clear or _clear_nothing)
        try:
            cache.clear = clear
        except (AttributeError, TypeError):
            return False
    clear.tells.append(WeakMethod(tell))
    return True


def _clear_nothing() -> None:
    """Of a cache without ``clear``."""


def _stop_watching(cache: Any, tell: Callable[[], None]) -> None:
    clear = getattr(cache, "clear", None)
    if isinstance(clear, _Clear):
        clear.tells = [reference for reference in clear.tells if reference() not in (tell, None)]


class Timed:
    """A ``compute`` that keeps whether it was called, and how long it took: None until it has
    returned."""

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


class BackendInstrumentation:
    """A backend's cache, trace and counters. Its views call :meth:`cached` for each forward pass.

    ``namespace``, or ``$FCACHE_NAMESPACE``, names what the results depend on, and shares them
    through the daemon; ``client_settings`` are further ones of :class:`fcached.Client` (``socket``,
    ``verify``, ...). Without a namespace, and with ``$FCACHE_DISABLE=1``, results stay in this
    process: ``cache`` holds the latest ``cache_maxsize`` of them, the objects themselves.

    With one, ``cache`` has what this process computed, for when the daemon does not have it: it is
    away, has evicted it or been cleared, could not take it. A lookup asks

    1. the memory that the daemon shares,
    2. ``cache``,
    3. the daemon, and waits where another worker computes the value at the moment,

    and then computes. What comes out of ``cache`` is never put to the daemon again: a clear may
    have come between. Keys that a daemon does not take (an empty view, a negative ``top_k``) and
    values that have no encoding stay in this process.

    ``cache.clear()`` says that the values are stale: it also clears, for everybody, the namespaces
    that this instance has used. So does ``inst.cache = ForwardCache(n)``, whose ``clear`` then does
    the same. Where the daemon could not be told, this instance shares no longer.

    ``trace_path``: of the trace, which this process writes. ``ValueError`` where ``cache_maxsize``
    is not positive; what :class:`fcached.Client` raises where ``namespace`` is not a name. Threads
    may use an instance side by side as far as its backend lets them; counters may then lose counts.
    After :meth:`close` lookups go on, in this process alone.
    """

    def __init__(
        self,
        *,
        cache_maxsize: int = 256,
        trace_path: Path | None = None,
        namespace: str | Namespace | None = None,
        **client_settings: Any,
    ) -> None:
        self._cache = ForwardCache(cache_maxsize)
        _watch(self._cache, self._clear_shared)
        self._failed: set[str] = set()
        self.stats = BackendStats()
        self._current_probe: str | None = None
        self._routes: dict[str, Route] = {}
        self._clients: list[Client] = []
        if not is_disabled():
            self._share(namespace or os.environ.get("FCACHE_NAMESPACE"), client_settings)
        self.trace = TraceWriter(trace_path)

    @property
    def cache(self) -> ForwardCache:
        """What this process computed. To replace it says that its values are stale, as to clear it
        does."""
        return self._cache

    @cache.setter
    def cache(self, cache: ForwardCache) -> None:
        if cache is self._cache:
            return
        _stop_watching(self._cache, self._clear_shared)
        self._cache = cache
        self._clear_shared()
        if not _watch(cache, self._clear_shared) and self._shares():
            self._share_no_more()
            log_line(
                f"fcached: this backend's results are no longer shared: {type(cache).__name__} does "
                "not tell when it is cleared"
            )

    def set_current_probe(self, name: str | None) -> None:
        """The label of the lookups that follow, in the trace; None for none."""
        self._current_probe = name
        for client in self._clients:
            _set_probe(client, name)

    def close(self) -> None:
        """Ends the trace and the sharing. May be called again."""
        self._share_no_more()
        try:
            self.trace.close()
        except Exception as error:
            self._excuse("trace", error)

    # ---- which way a view goes ---------------------------------------------------------------

    def _share(self, namespace: str | Namespace | None, client_settings: dict[str, Any]) -> None:
        """Called once by the constructor, unless sharing is disabled."""
        if namespace:
            from fcached import Client

            self._share_through(Client(namespace, **client_settings))

    def _find_route(self, view_id: str) -> Route:
        """A view's first lookup asks for its route. Must not raise."""
        return route(view_id, self._clients[0] if self._clients else None)

    def _new_route(self, view_id: str) -> Route:
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        found = self._routes[view_id] = self._find_route(view_id)
        return found

    def _share_through(self, client: Client) -> None:
        """``client`` hears of probes, of clears and of the end, from now on."""
        _set_probe(client, self._current_probe)
        self._clients.append(client)

    def _shares(self) -> bool:
        return bool(self._clients)

    def _share_no_more(self) -> None:
        clients, self._clients = self._clients, []
        self._routes.clear()
        for client in clients:
            client.close()

    def _clear_shared(self) -> None:
        try:
            for client in self._clients:
                client.clear()
        except Error as error:
            self._share_no_more()
            log_line(
                f"fcached: the shared results could not be cleared: {error}; "
                "this backend's are no longer shared"
            )

    # ---- one lookup --------------------------------------------------------------------------

    def cached(self, op: str, view_id: str, prompt: str, top_k: int, compute: Callable[[], T]) -> T:
        """What ``op`` gives for ``prompt`` by the view ``view_id``: an earlier result, or now that
        of ``compute``. A hit counts with the time of its lookup, a wait for another worker
        included; a miss is a forward pass and counts with the time of ``compute``. What ``compute``
        raises goes to the caller, and leaves neither count nor trace."""
        # Most lookups end here, and each line of Python costs a tenth of what the hit does.
        started = perf_counter()
        found = self._routes.get(view_id) or self._new_route(view_id)
        look, view, _ = found
        try:
            value: T = look(op, view, prompt, top_k)
        except DecodeError:  # the client counts it and computes
            value = _MISS
        except NOT_SHAREABLE:
            value, found = _MISS, route(view, None)
        if value is _MISS:
            return self._cached_further(found, op, view_id, prompt, top_k, compute, started)
        try:
            stats = self.stats
            stats.cache_hits += 1
            wall_s = perf_counter() - started
            stats.scoring_wall_s += wall_s
            trace = self.trace
            if type(trace) is not TraceWriter or trace.is_on:
                self._trace(op, view_id, hash_of(prompt), top_k, wall_s, hit=True)
        except Exception as error:
            self._excuse("stats", error)
        return value

    def _cached_further(
        self,
        found: Route,
        op: str,
        view_id: str,
        prompt: str,
        top_k: int,
        compute: Callable[[], T],
        started: float,
    ) -> T:
        """What shared memory did not have: from ``cache``, the daemon, or ``compute``."""
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
            except Error:  # closed meanwhile, by another thread
                if compute.began:
                    raise
        return compute()

    # ---- parts that may be replaced, and fail --------------------------------------------------

    def _excuse(self, part: str, error: Exception) -> None:
        """A part failed that the result does not depend on. The first time, a line says so."""
        if part not in self._failed:
            self._failed.add(part)
            log_line(f"fcached: the {part} of this backend failed; lookups go on: {error!r}")

    def _get_own(self, key: tuple[Any, ...]) -> Any:
        try:
            return self._cache.get(key)
        except Exception as error:
            self._excuse("cache", error)
            return _MISS

    def _put_own(self, key: tuple[Any, ...], value: Any) -> None:
        try:
            self._cache.put(key, value)
        except Exception as error:
            self._excuse("cache", error)

    # ---- a batch -----------------------------------------------------------------------------

    def cached_batch(
        self,
        op: str,
        view_id: str,
        prompts: Sequence[str],
        top_k: int,
        compute_misses: Callable[[list[int]], Sequence[Any]],
    ) -> list[Any]:
        """The same for many ``prompts``: a list of as many results. ``compute_misses`` gets the
        indices of those that missed, in rising order, and returns a result for each, in that order:
        another number of them is a ``RuntimeError``. It is called once where nothing is shared, and
        once more for what other workers were computing and gave up. A batch's time is divided
        evenly over its prompts; hits stay counted where ``compute_misses`` raises."""
        found = self._routes.get(view_id) or self._new_route(view_id)
        batch = Batch(self, found, op, view_id, list(prompts), top_k)
        batch.look_up()
        batch.compute(compute_misses)
        return batch.results

    # ---- counters and trace ------------------------------------------------------------------

    def _count_hit(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float
    ) -> None:
        try:
            self.stats.cache_hits += 1
            self.stats.scoring_wall_s += wall_s
        except Exception as error:
            self._excuse("stats", error)
        self._trace(op, view_id, prompt_hash, top_k, wall_s, hit=True)

    def _count_miss(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float
    ) -> None:
        try:
            self.stats.cache_misses += 1
            self.stats.forward_passes += 1
            self.stats.scoring_wall_s += wall_s
        except Exception as error:
            self._excuse("stats", error)
        self._trace(op, view_id, prompt_hash, top_k, wall_s, hit=False)

    def _count_batch(self, size: int) -> None:
        try:
            self.stats.batches_sent += 1
            self.stats.batched_prompts += size
            self.stats.max_batch_size = max(self.stats.max_batch_size, size)
        except Exception as error:
            self._excuse("stats", error)

    def _trace(
        self, op: str, view_id: str, prompt_hash: str, top_k: int, wall_s: float, *, hit: bool
    ) -> None:
        trace = self.trace
        if type(trace) is TraceWriter and not trace.is_on:
            return
        event = _TraceEvent(
            ts=time.time(),
            probe=self._current_probe,
            view_id=view_id,
            prompt_hash=prompt_hash,
            top_k=top_k,
            op=op,
            wall_ms=wall_s * 1000.0,
            hit=hit,
        )
        try:
            trace.write(event)
        except Exception as error:  # a full disk costs lines
            self._excuse("trace", error)


def _set_probe(client: Client, probe: str | None) -> None:
    """A label that the daemon does not take is none in its trace; this process's has it."""
    try:
        client.set_probe(probe)
    except NOT_SHAREABLE:
        if not client.closed:
            client.set_probe(None)
