"""The messages of versions 7 and 8, and kill: for people and tools. ``Tool`` is a client that sends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional, TypeVar

from .client import Client
from .messages import Key
from .wire import Fields, Malformed

KILL = 0x11
DELETE, USAGE, LATENCY, SLOWEST, WATCH, EVENTS, RELOAD, SETTINGS = range(0x14, 0x1C)

BY_NAMESPACE, BY_OP, BY_PROBE, BY_CLIENT = range(4)  # the names of a row of usage
CELLS = 1152  # of a histogram
LOST, HIT, MISS, PUT, EVICTION, CLEAR, DELETED, LEASE = range(8)  # kinds of events

T = TypeVar("T")


class Usage(NamedTuple):
    namespace: Optional[str]  # None: the row of the others
    op: Optional[str]
    view: Optional[str]
    probe: Optional[str]
    client: Optional[str]
    client_id: int
    pid: int
    others: int
    hits: int
    misses: int
    saved_ns: int
    computed_ns: int
    put_bytes: int
    stored_bytes: int


class Latency(NamedTuple):
    path: str
    operation: str
    sum_ns: int
    max_ns: int
    cells: dict[int, int]  # the count of each cell that is not empty


class Slow(NamedTuple):
    request: str
    age_ns: int
    total_ns: int
    queue_ns: int
    serve_ns: int
    send_ns: int
    bytes: int
    keys: int
    client_id: int
    client: str
    pid: int
    namespace: Optional[str]
    op: Optional[str]
    view: Optional[str]


class Event(NamedTuple):
    kind: int
    time_ns: int
    namespace: Optional[str]
    op: Optional[str]
    view: Optional[str]
    prompt: Optional[bytes]
    top_k: int
    bytes: int
    cost_ns: int
    client: Optional[str]
    detail: int
    number: int  # the field count, which a tuple has as a method


class Setting(NamedTuple):
    name: str
    value: str
    source: str
    next: str
    live: bool


class Tool(Client):
    def kill(self, client_id: int) -> bool:
        return self.wire.call(KILL, client_id).boolean()

    def delete(self, namespace: str, key: Key, local: Optional[bool] = None) -> bool:
        """A ``local`` of None leaves the field out, as in version 7."""
        later = [] if local is None else [local]
        return self.wire.call(DELETE, namespace, *key, *later).boolean()

    def usage(self, by: int, limit: int = 1000) -> list[Usage]:
        return self._pages(USAGE, usage, [by, limit])

    def latency(self, reset: bool = False) -> tuple[int, list[Latency]]:
        f = self.wire.call(LATENCY, reset)
        return f.u64(), rows(f, latency)

    def slowest(self, limit: int = 64, reset: bool = False) -> tuple[int, list[Slow]]:
        f = self.wire.call(SLOWEST, limit, reset)
        period_ns, requests = f.u64(), rows(f, slow)
        if len(requests) > limit:
            raise Malformed(f"{len(requests)} requests, not {limit}")
        return period_ns, requests

    def watch(
        self,
        *kinds: int,
        namespace: Optional[str] = None,
        op: Optional[str] = None,
        view: Optional[str] = None,
        client: Optional[str] = None,
    ) -> int:
        """Without kinds: all."""
        bits = sum(1 << kind for kind in kinds)
        return self.wire.call(WATCH, bits, namespace, op, view, client).u32()

    def events(self, wait_ms: int = 0) -> list[Event]:
        return rows(self.wire.call(EVENTS, wait_ms), event)

    def reload(self) -> tuple[int, int]:
        """How many options changed, and how many wait for a restart."""
        f = self.wire.call(RELOAD)
        return f.u32(), f.u32()

    def settings(self) -> list[Setting]:
        return rows(self.wire.call(SETTINGS), setting)


def rows(f: Fields, row: Callable[[Fields], T]) -> list[T]:
    return [row(Fields(each)) for each in f.array()]


def name_or_nil(f: Fields) -> Optional[str]:
    return None if f.nil() else f.name()


def usage(f: Fields) -> Usage:
    names = name_or_nil(f), name_or_nil(f), name_or_nil(f), name_or_nil(f), name_or_nil(f)
    who = f.u64(), f.i64(), f.u64()
    return Usage(*names, *who, f.u64(), f.u64(), f.u64(), f.u64(), f.u64(), f.u64())


def latency(f: Fields) -> Latency:
    path, operation, sum_ns, max_ns = f.name(), f.name(), f.u64(), f.u64()
    flat = f.array()
    numbers, counts = flat[::2], [Fields([count]).u64() for count in flat[1::2]]
    cells = {Fields([number]).u32(): count for number, count in zip(numbers, counts)}
    if len(flat) != 2 * len(cells) or list(cells) != sorted(cells) or 0 in counts:
        raise Malformed(f"no cells by rising numbers: {flat!r:.80}")
    if max(cells, default=0) >= CELLS:
        raise Malformed(f"there is no cell {max(cells)}")
    return Latency(path, operation, sum_ns, max_ns, cells)


def least(cell: int) -> int:
    """The shortest duration in a cell of a histogram, in nanoseconds."""
    return cell if cell < 32 else (32 + cell % 32) << (cell // 32 - 1)


def slow(f: Fields) -> Slow:
    times = f.name(), f.u64(), f.u64(), f.u64(), f.u64(), f.u64()
    who = f.u64(), f.u32(), f.u64(), f.name(), f.i64()
    result = Slow(*times, *who, name_or_nil(f), name_or_nil(f), name_or_nil(f))
    if result.total_ns != result.queue_ns + result.serve_ns + result.send_ns:
        raise Malformed(f"the total is not the sum of its parts: {result}")
    return result


def event(f: Fields) -> Event:
    kind, time_ns = f.u32(), f.u64()
    names = name_or_nil(f), name_or_nil(f), name_or_nil(f)
    prompt = None if f.nil() else f.hash()
    sizes = f.u32(), f.u64(), f.u64()
    return Event(kind, time_ns, *names, prompt, *sizes, name_or_nil(f), f.u32(), f.u64())


def setting(f: Fields) -> Setting:
    return Setting(f.name(), f.text(), f.text(), f.text(), f.boolean())
