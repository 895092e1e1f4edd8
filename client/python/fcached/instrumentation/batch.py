"""One call of ``BackendInstrumentation.cached_batch``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fcached._core import prompt_hash as hash_of
from fcached.errors import DecodeError
from fcached.instrumentation.cache import _MISS
from fcached.instrumentation.routes import NOT_SHAREABLE, Route, route, verifies

if TYPE_CHECKING:
    from fcached.instrumentation.backend import BackendInstrumentation


class Batch:
    """Used once: ``look_up``, ``compute``. ``results`` holds ``_MISS`` where there is none yet."""

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
        """Fills in what the daemon and the instance's own cache have, and counts it."""
        shared_wall_s = self._look_up_shared()
        for index, result in enumerate(self.results):
            wall_s = shared_wall_s
            if result is _MISS:
                started = perf_counter()
                result = self.results[index] = self._inst.cache.get(self._key(index))
                wall_s = perf_counter() - started
            if result is not _MISS:
                self._count_hit(index, wall_s)

    def _look_up_shared(self) -> float:
        """Asks the daemon for all. Seconds of each hit."""
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
        """Fills in the rest: computed here, or by other workers that are at it already."""
        misses = self._missing()
        if not misses:
            return
        computed_s = 0.0

        def compute_some(positions: list[int]) -> list[Any]:
            """``positions`` are those in ``misses``."""
            nonlocal computed_s
            indices = [misses[position] for position in positions]
            started = perf_counter()
            values = compute_misses(list(indices))
            if len(values) != len(indices):
                raise RuntimeError(
                    f"batched compute returned {len(values)} values for {len(indices)} misses "
                    "— backend bug"
                )
            wall_s = perf_counter() - started
            computed_s += wall_s
            self._keep(indices, list(values), wall_s)
            return list(values)

        if self._route.client is None:
            compute_some(list(range(len(misses))))
            return
        started = perf_counter()
        prompts = [self._prompts[index] for index in misses]
        values = self._route.client.cached_batch(
            self._op, self._route.view, prompts, self._top_k, compute_some
        )
        wall_s = perf_counter() - started - computed_s
        late = [pair for pair in zip(misses, values) if self.results[pair[0]] is _MISS]
        for index, value in late:
            self.results[index] = value
            self._count_hit(index, wall_s / len(late))

    def _keep(self, indices: list[int], values: list[Any], wall_s: float) -> None:
        self._inst._count_batch(len(indices))
        for index, value in zip(indices, values):
            self.results[index] = value
            self._inst.cache.put(self._key(index), value)
            self._inst._count_miss(
                self._op, self._view_id, self._hashes[index], self._top_k, wall_s / len(indices)
            )

    def _count_hit(self, index: int, wall_s: float) -> None:
        self._inst._count_hit(self._op, self._view_id, self._hashes[index], self._top_k, wall_s)
