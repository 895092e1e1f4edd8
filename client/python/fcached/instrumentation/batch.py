"""One call of ``BackendInstrumentation.cached_batch``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fcached import items
from fcached._core import prompt_hash as hash_of
from fcached.errors import DecodeError, Error
from fcached.instrumentation.cache import _MISS
from fcached.instrumentation.routes import NOT_SHAREABLE, Route, route, verifies

if TYPE_CHECKING:
    from fcached import Client
    from fcached.instrumentation.backend import BackendInstrumentation


def _values(given: Any, size: int) -> list[Any]:
    """The result of ``compute_misses`` as a list of ``size`` values. Raises RuntimeError for
    another number."""
    returned = items.count(given, "what compute_misses returns")
    if returned != size:
        raise RuntimeError(
            f"batched compute returned {returned} values for {size} misses — backend bug"
        )
    return items.at_positions(given, size)


class Batch:
    """Call ``look_up`` and then ``compute``, once each. ``results`` holds ``_MISS`` for prompts
    without a result."""

    def __init__(
        self,
        inst: BackendInstrumentation,
        found: Route,
        op: str,
        view_id: str,
        prompts: list[str],
        top_k: int,
    ) -> None:
        self._inst = inst
        self._route = found
        self._op = op
        self._view_id = view_id
        self._prompts = prompts
        self._hashes = [hash_of(prompt) for prompt in prompts]
        self._top_k = top_k
        self.results: list[Any] = [_MISS] * len(prompts)

    def _missing(self) -> list[int]:
        return [index for index, result in enumerate(self.results) if result is _MISS]

    def _key(self, index: int) -> tuple[Any, ...]:
        return (self._op, self._route.view, self._hashes[index], self._top_k)

    def look_up(self) -> None:
        """Fills in and counts the results in the daemon and in the instance's own cache."""
        shared_wall_s = self._look_up_shared()
        for index, result in enumerate(self.results):
            wall_s = shared_wall_s
            if result is _MISS:
                started = perf_counter()
                result = self.results[index] = self._inst._get_own(self._key(index))
                wall_s = perf_counter() - started
            if result is not _MISS:
                self._count_hit(index, wall_s)

    def _look_up_shared(self) -> float:
        """Looks all prompts up in the daemon. Returns the seconds for each hit."""
        look, view, client = self._route
        if client is None or not self._prompts:
            return 0.0
        started = perf_counter()
        try:
            if verifies(client):
                look(self._op, view, "", self._top_k)
            else:
                self.results = client.get_many(self._op, view, self._prompts, self._top_k)
        except DecodeError:
            pass  # the client counts it and computes
        except NOT_SHAREABLE:
            self._route = route(view, None)
        wall_s = perf_counter() - started
        return wall_s / max(1, len(self.results) - len(self._missing()))

    def compute(self, compute_misses: Callable[[list[int]], Sequence[Any]]) -> None:
        """Fills in the missing results: computes them, or waits for workers that already compute
        them."""
        misses = self._missing()
        if not misses:
            return
        computed_s = 0.0
        began = False

        def compute_some(positions: list[int]) -> list[Any]:
            """Computes the misses at ``positions``, which are indices into ``misses``."""
            nonlocal began, computed_s
            began = True
            indices = [misses[position] for position in positions]
            started = perf_counter()
            values = _values(compute_misses(list(indices)), len(indices))
            wall_s = perf_counter() - started
            computed_s += wall_s
            self._keep(indices, values, wall_s)
            return values

        client = self._route.client
        if client is not None:
            try:
                self._compute_shared(client, misses, compute_some, lambda: computed_s)
                return
            except Error:  # another thread closed the client
                if began:
                    raise
        compute_some(list(range(len(misses))))

    def _compute_shared(
        self,
        client: Client,
        misses: list[int],
        compute_some: Callable[[list[int]], list[Any]],
        computed_s: Callable[[], float],
    ) -> None:
        """Looks ``misses`` up again and computes them through ``client``: other workers may have
        put them."""
        started, counted_s = perf_counter(), 0.0
        counted: set[int] = set()

        def count(indices: list[int]) -> None:
            """Counts hits of this call. They share the time not spent computing or counted
            before."""
            nonlocal counted_s
            wall_s = perf_counter() - started - computed_s() - counted_s
            counted_s += wall_s
            counted.update(indices)
            for index in indices:
                self._count_hit(index, wall_s / len(indices))

        values = client._cached_batch(
            self._op,
            self._route.view,
            [self._prompts[index] for index in misses],
            self._top_k,
            compute_some,
            lambda positions: count([misses[position] for position in positions]),
        )
        found = [pair for pair in zip(misses, values) if self.results[pair[0]] is _MISS]
        for index, value in found:
            self.results[index] = value
        count([index for index, _ in found if index not in counted])

    def _keep(self, indices: list[int], values: list[Any], wall_s: float) -> None:
        self._inst._count_batch(len(indices))
        for index, value in zip(indices, values):
            self.results[index] = value
            self._inst._put_own(self._key(index), value)
            self._inst._count_miss(
                self._op, self._view_id, self._hashes[index], self._top_k, wall_s / len(indices)
            )

    def _count_hit(self, index: int, wall_s: float) -> None:
        self._inst._count_hit(self._op, self._view_id, self._hashes[index], self._top_k, wall_s)
