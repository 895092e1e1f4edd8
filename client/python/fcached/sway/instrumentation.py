"""Replaces the module ``dlm_sway.backends._instrumentation``, with all of its names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fcached.fail_open import log_line
from fcached.instrumentation import (
    _MISS,
    BackendStats,
    ForwardCache,
    TraceWriter,
    _prompt_hash,
    _TraceEvent,
)
from fcached.instrumentation import BackendInstrumentation as _BackendInstrumentation
from fcached.instrumentation.backend import Timed
from fcached.instrumentation.batch import Batch
from fcached.instrumentation.routes import Route, is_disabled, route

if TYPE_CHECKING:
    from fcached import Client, Namespace

T = TypeVar("T")
CacheOp = str


class BackendInstrumentation(_BackendInstrumentation):
    """The instrumentation of a backend whose views have their own namespaces. Results stay in this
    process until :meth:`share_by`, because the backend's constructor, which creates it, does not
    know the facts."""

    def __init__(self, *, cache_maxsize: int = 256, trace_path: Path | None = None) -> None:
        self._namespace_of: Callable[[str], Namespace] | None = None
        self._by_name: dict[str, Client] = {}
        self._key_views: dict[str, str] = {}
        self._computes_always = False
        super().__init__(cache_maxsize=cache_maxsize, trace_path=trace_path)

    def _share(self, namespace: str | Namespace | None, client_settings: dict[str, Any]) -> None:
        """Does nothing: see :meth:`share_by`."""

    # ---- routes ------------------------------------------------------------------------------

    def share_by(self, namespace_of: Callable[[str], Namespace]) -> None:
        """Shares from now on. ``namespace_of(view_id)`` is called at a view's first lookup, when
        everything that the view needs is loaded. If it raises, that is logged once, and this
        backend's results stay in this process."""
        if not is_disabled():
            self._namespace_of = namespace_of
            self._routes.clear()

    def _find_route(self, view_id: str) -> Route:
        return route(self._key_views.get(view_id, view_id), self._client_of(view_id))

    def _client_of(self, view_id: str) -> Client | None:
        if self._namespace_of is None:
            return None
        try:
            namespace = self._namespace_of(view_id)
            if namespace not in self._by_name:
                self._by_name[namespace] = self._open(namespace)
        except Exception as error:  # the suite works without sharing
            self._stop_sharing()
            log_line(
                f"fcached.sway: results stay in this process: what the view {view_id!r} depends on "
                f"is unknown: {error}"
            )
            return None
        return self._by_name[namespace]

    def _open(self, namespace: Namespace) -> Client:
        from fcached import Client

        client = Client(namespace)
        self._share_through(client)
        return client

    def _is_sharing(self) -> bool:
        return self._namespace_of is not None

    def _stop_sharing(self) -> None:
        self._namespace_of = None
        self._by_name = {}
        super()._stop_sharing()

    @contextmanager
    def key_view(self, view_id: str, key_view: str) -> Iterator[None]:
        """Uses ``key_view`` instead of ``view_id`` in keys in this context: it contains facts that
        the id omits. Trace and counters keep the id."""
        before = self._key_views.get(view_id)
        self.set_key_view(view_id, key_view)
        try:
            yield
        finally:
            self.set_key_view(view_id, before)

    def set_key_view(self, view_id: str, key_view: str | None) -> None:
        """Uses ``key_view`` instead of ``view_id`` in keys from now on. None: the id itself."""
        self._key_views.pop(view_id, None)
        if key_view is not None:
            self._key_views[view_id] = key_view
        self._routes.pop(view_id, None)

    # ---- lookups that always compute ---------------------------------------------------------

    @contextmanager
    def computing_always(self) -> Iterator[None]:
        """Makes each lookup in this context compute, and counts and traces it as a miss. The
        results stay in this process, because the model may be broken."""
        self._computes_always = True
        try:
            yield
        finally:
            self._computes_always = False

    def cached(self, op: str, view_id: str, prompt: str, top_k: int, compute: Callable[[], T]) -> T:
        if not self._computes_always:
            return super().cached(op, view_id, prompt, top_k, compute)
        timed = Timed(compute)
        value: T = timed()
        prompt_hash = _prompt_hash(prompt)
        self._put_own((op, self._own_route(view_id).view, prompt_hash, top_k), value)
        self._count_miss(op, view_id, prompt_hash, top_k, timed.wall_s or 0.0)
        return value

    def cached_batch(
        self,
        op: str,
        view_id: str,
        prompts: Sequence[str],
        top_k: int,
        compute_misses: Callable[[list[int]], Sequence[Any]],
    ) -> list[Any]:
        if not self._computes_always:
            return super().cached_batch(op, view_id, prompts, top_k, compute_misses)
        batch = Batch(self, self._own_route(view_id), op, view_id, list(prompts), top_k)
        batch.compute(compute_misses)
        return batch.results

    def _own_route(self, view_id: str) -> Route:
        """The route inside this process."""
        return route(self._key_views.get(view_id, view_id), None)


__all__ = [
    "_MISS",
    "BackendInstrumentation",
    "BackendStats",
    "CacheOp",
    "ForwardCache",
    "TraceWriter",
    "_TraceEvent",
    "_prompt_hash",
]
