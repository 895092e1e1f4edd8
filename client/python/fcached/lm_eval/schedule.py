"""In which order a worker asks for what is missing, and for how much at a time.

No worker knows of the others: the daemon's leases see to it that nothing is computed twice. What
is decided here is that they meet seldom, that a model's batches stay full and alike in length, and
that all of them end at about the same time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import Any, TypeVar

T = TypeVar("T")

BATCHES_AT_ONCE = 4
"""At most so many batches are leased together: a worker that dies loses no more, and a model still
has some to sort by length."""
_LEAST_ROUNDS = 8
"""A worker leases at most this part of what it has not asked for yet, so that towards the end the
pieces are small, and nobody is left with a large one that all others wait for."""
_UNKNOWN_BATCH = 64
_GOLDEN = 0.6180339887498949


def batch_of(lm: Any) -> int:
    """How many requests the model takes at a time. ``auto`` is not known before it has run: then
    the bound of what it tries."""
    size = getattr(lm, "batch_size", None)
    if not isinstance(size, int):
        try:
            size = int(str(size))
        except ValueError:
            size = getattr(lm, "max_batch_size", None)
    batch = size if isinstance(size, int) and size > 0 else _UNKNOWN_BATCH
    # The models behind an API keep several requests going at once.
    concurrent = getattr(lm, "_concurrent", None)
    return batch * (concurrent if isinstance(concurrent, int) and concurrent > 0 else 1)


def start_of(worker: int) -> float:
    """Where in the order a worker starts, from 0 to 1. Multiples of the golden ratio: however many
    workers have consecutive numbers (process ids, mostly), their starts are far apart."""
    return (worker * _GOLDEN) % 1.0


class Walk:
    """Items in the order in which one worker asks for them: from its own start to where that is
    again. Falsy when all have been handed out.

    Neighbours of the same ``group`` are requests that a model may need one pass for, if it is
    given all of them; a piece is not ended among them where that leaves its batches full."""

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
        """The next ``count`` items, or up to twice as many. ``count`` is positive."""
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
    """How many to lease now, when ``left`` have not been asked for. ``most``: as the user says."""
    largest = BATCHES_AT_ONCE * batch if most is None else most
    share = left // _LEAST_ROUNDS // batch * batch
    return max(1, min(largest, max(batch, share)))


def this_worker() -> int:
    return os.getpid()
