"""The order in which a worker leases missing requests, and the number at a time.

Workers do not know each other: the daemon's leases prevent that a request is computed twice. The
order here makes workers meet seldom, keeps a model's batches full and of similar length, and lets
all workers end at about the same time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import Any, TypeVar

T = TypeVar("T")

BATCHES_AT_ONCE = 4
"""The most batches leased together. A worker that dies loses no more, and a model can still sort by
length."""
_LEAST_ROUNDS = 8
"""A worker leases at most the remaining requests divided by this, so that pieces become small
towards the end, and no worker keeps a large one that the others wait for."""
_UNKNOWN_BATCH = 64
_GOLDEN = 0.6180339887498949


def batch_of(lm: Any) -> int:
    """The model's batch size. ``auto`` is unknown before the first run: then the largest that it
    tries."""
    size = getattr(lm, "batch_size", None)
    if not isinstance(size, int):
        try:
            size = int(str(size))
        except ValueError:
            size = getattr(lm, "max_batch_size", None)
    batch = size if isinstance(size, int) and size > 0 else _UNKNOWN_BATCH
    # The models behind an API run several requests at once.
    concurrent = getattr(lm, "_concurrent", None)
    return batch * (concurrent if isinstance(concurrent, int) and concurrent > 0 else 1)


def start_of(worker: int) -> float:
    """A worker's start in the order, 0 to 1. Multiples of the golden ratio keep the starts of
    workers with consecutive numbers (usually process ids) far apart."""
    return (worker * _GOLDEN) % 1.0


class Walk:
    """The items in one worker's order: from its own start around to it. Falsy when all were taken.

    A model may need one pass for neighbours of the same ``group`` if it gets them together. A piece
    does not end between them if that leaves its batches full."""

    def __init__(
        self, items: Sequence[T], group: Callable[[T], Hashable], batch: int, start: float = 0.0
    ) -> None:
        groups = [list(members) for _, members in groupby(items, group)]
        first = int(len(groups) * start)
        self._groups = deque(groups[first:] + groups[:first])
        self._batch = batch
        self._left = len(items)

    def __len__(self) -> int:
        return self._left

    def take(self, count: int) -> list[Any]:
        """Takes the next ``count`` items, or up to twice as many. ``count`` is positive."""
        taken: list[Any] = []
        while self._groups and len(taken) < count:
            group = self._groups.popleft()
            total = len(taken) + len(group)
            if total > count and (total % self._batch or total > 2 * count):
                room = count - len(taken)
                self._groups.appendleft(group[room:])
                group = group[:room]
            taken += group
        self._left -= len(taken)
        return taken


def piece(left: int, batch: int, most: int | None = None) -> int:
    """The number of requests to lease now. ``left``: those not leased yet. ``most``: the user's
    limit."""
    largest = BATCHES_AT_ONCE * batch if most is None else most
    share = left // _LEAST_ROUNDS // batch * batch
    return max(1, min(largest, max(batch, share)))


def this_worker() -> int:
    return os.getpid()
