"""A client: the socket, the region and the ring together."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from typing import Optional, TypeVar

import xxhash

from . import messages as m
from .region import LAYOUT, Busy, Dead, Hit, Region, Unusable
from .ring import ASLEEP, REVOKED, SLOTS_MAX, Ring
from .wire import Closed, Fields, Refused, Wire

T = TypeVar("T")
Self = TypeVar("Self", bound="Client")  # typing.Self is of Python 3.11
BY_USE = 0  # an order of list
VERSIONS = (1, 4)  # on 5 the ring's state is looked at, and the daemon must be there


def hash_of(prompt: bytes) -> bytes:
    return xxhash.xxh3_128_digest(prompt)


class Client:
    """Without a namespace it is a tool, which can neither get nor put."""

    def __init__(
        self,
        path: str,
        namespace: Optional[str] = None,
        client: str = "stranger",
        versions: tuple[int, int] = VERSIONS,
        max_entries: Optional[int] = None,
        region: bool = False,
        manifest: Optional[str] = None,
        timeout_s: float = 20,
    ) -> None:
        self.region: Optional[Region] = None
        self.ring: Optional[Ring] = None
        self.served = 0  # hits from the region
        self.unreported = 0  # of these, the ones that no ring has recorded or counted
        self._ping: Optional[int] = None  # the id of the one that asks for room in the ring
        self.wire = Wire(path, timeout_s)
        layout = LAYOUT if region and platform.machine() == "x86_64" else 0
        try:
            fields = m.hello(versions, client, namespace, max_entries, layout, manifest)
            self.welcome = m.welcome(self.wire.call(m.HELLO, *fields))
            self.wire.max_frame = self.welcome.max_frame
            self._map()
        except BaseException:
            self.close()
            raise

    def _map(self) -> None:
        try:
            if len(self.wire.descriptors) >= 3:
                self.region = Region(self.wire.descriptors[:-1], self.welcome.boot_id)
                self.ring = Ring(self.wire.descriptors[-1])
        except Unusable:
            self._unmap()
        self.wire.drop_descriptors()

    def _unmap(self) -> None:
        for mapping in self.region, self.ring:
            if mapping is not None:
                mapping.close()
        self.region = self.ring = None

    def close(self) -> None:
        self._unmap()
        self.wire.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Gets

    def get(
        self,
        key: m.Key,
        probe: Optional[str] = None,
        flags: int = 0,
        lease_ms: int = 0,
        wait_ms: int = 0,
    ) -> m.Got:
        """From the region if the key is there, else by the socket."""
        value = self.read(key, probe, flags)
        if value is not None:
            return m.Got(0, value)  # the generation is for a put after a miss
        return self.wait_for(self.ask(key, probe, flags, lease_ms, wait_ms))

    def read(self, key: m.Key, probe: Optional[str] = None, flags: int = 0) -> Optional[bytes]:
        """From the region alone. The hit is recorded in the ring."""
        if self.region is None:
            return None
        start = time.monotonic_ns()
        try:
            hit = self.region.look_up(self.welcome.namespace_id, key)
        except Busy:
            return None
        except Dead:
            self._unmap()
            return None
        if hit is None:
            return None
        end = time.monotonic_ns()
        self.served += 1
        if self.wire.ended:
            self._end_ring()
        record = (key, hit, probe, flags & m.UNRECORDED, end, end - start)
        if self.welcome.version >= 5:
            self._record_by_state(record)
            return hit.value
        ring = self.ring
        if ring and (ring.append(*record) or (self._pong() and ring.append(*record))):
            return hit.value
        if ring and not flags & m.UNRECORDED:
            ring.count_unrecorded()
        elif not flags & m.UNRECORDED:
            self.unreported += 1
        return hit.value

    def _record_by_state(self, record: tuple[m.Key, Hit, Optional[str], int, int, int]) -> None:
        """As region.md has it for version 5; the daemon must be there."""
        assert self.ring is not None
        state = self.ring.state()
        if state & REVOKED:
            assert self.another_ring(0)
        elif not self.ring.append(*record):
            self.another_ring(SLOTS_MAX)  # or there is room
        elif state & ASLEEP:
            self.ping()
            return
        else:
            return
        assert self.ring.append(*record)

    def another_ring(self, want_slots: int) -> bool:
        """Whether there was one to be had. The one that there was is let go of then."""
        if not m.another_ring(self.wire.call(m.RING, LAYOUT, want_slots)):
            return False
        assert len(self.wire.descriptors) >= 3
        if self.ring is not None:
            self.ring.close()
        if self.region is None:
            self.region = Region(self.wire.descriptors[:-1], self.welcome.boot_id)
        self.ring = Ring(self.wire.descriptors[-1])
        self.wire.drop_descriptors()
        return True

    def _end_ring(self) -> None:
        """The connection has ended, so the ring is not read any more; the region may still live."""
        if self.ring is not None:
            self.unreported += self.ring.lost()
            self.ring.close()
            self.ring = None

    def _pong(self) -> bool:
        """Whether the daemon has read the ring. At most one ping is under way, even if it is late."""
        try:
            if self._ping is None:
                self._ping = self.wire.send(m.PING)
            self.wire.reply(self._ping, m.PING)
        except (TimeoutError, Closed, Refused):
            return False
        self._ping = None
        return True

    def ask(
        self,
        key: m.Key,
        probe: Optional[str] = None,
        flags: int = 0,
        lease_ms: int = 0,
        wait_ms: int = 0,
    ) -> int:
        """Sends a get. ``wait_for`` its id gives the reply, which may take ``wait_ms``."""
        fields = m.get(self.welcome.version, flags, key, probe, lease_ms, wait_ms)
        return self.wire.send(m.GET, *fields)

    def wait_for(self, id: int) -> m.Got:
        return m.got(self.wire.reply(id, m.GET), self.welcome.version)

    def get_many(
        self, keys: Sequence[m.Key], probe: Optional[str] = None, flags: int = 0, lease_ms: int = 0
    ) -> list[m.Got]:
        """``keys`` differ in their prompts alone."""
        version = self.welcome.version
        fields = m.get_many(version, flags, together(keys), probe, lease_ms)
        id = self.wire.send(m.GET_MANY, *fields)
        result: list[m.Got] = []
        last = False
        while not last:
            part = m.part(self.wire.reply(id, m.GET_MANY), version, flags)
            assert part.first == len(result), "each index comes once, in order"
            leases = iter(part.leases or bytes(len(part.values)))
            for value in part.values:
                lease = next(leases) if value is None else m.NONE
                result.append(m.Got(part.clear_generation, value, lease))
            last = part.last
        assert len(result) == len(keys)
        return result

    # Puts

    def put(
        self,
        key: m.Key,
        value: Optional[bytes],
        known: Optional[m.Got] = None,
        probe: Optional[str] = None,
        flags: int = 0,
        compute_ns: int = 1000,
    ) -> int:
        """``known`` is the miss that came before; None: the put is never stale."""
        pair = (self.welcome.boot_id, known.clear_generation) if known else (0, 0)
        fields = m.put(flags, key, probe, *pair, compute_ns, value)
        return m.outcome(self.wire.call(m.PUT, *fields))

    def put_many(
        self,
        keys: Sequence[m.Key],
        values: Sequence[Optional[bytes]],
        known: Optional[m.Got] = None,
        flags: int = 0,
        compute_ns: int = 1000,
        batch: int = 0,
    ) -> m.Counts:
        pair = (self.welcome.boot_id, known.clear_generation) if known else (0, 0)
        fields = m.put_many(flags, together(keys), None, *pair, compute_ns, batch, values)
        return m.counts(self.wire.call(m.PUT_MANY, *fields))

    def give_up(self, *keys: m.Key) -> int:
        """Without keys: all leases and all waits."""
        fields = list(together(keys)) if keys else [None, None, 0, None]
        return self.wire.call(m.GIVE_UP, *fields).u32()

    # Tools

    def ping(self) -> None:
        self.wire.call(m.PING)

    def stats(self, namespace: Optional[str] = None) -> m.Stats:
        return m.stats(self.wire.call(m.STATS, namespace))

    def clear(
        self,
        namespace: Optional[str] = None,
        view: Optional[str] = None,
        op: Optional[str] = None,
        local: Optional[bool] = None,
    ) -> int:
        """A ``local`` of None leaves the field out, as before version 8."""
        flags = [] if local is None else [local]
        return self.wire.call(m.CLEAR, namespace, view, op, *flags).u64()

    def trace(
        self, action: int = 0, path: Optional[str] = None, mkdir: Optional[bool] = None
    ) -> m.Trace:
        """A ``mkdir`` of None leaves the field out, as before version 7."""
        fields = [action, path] if mkdir is None else [action, path, mkdir]
        return m.trace(self.wire.call(m.TRACE, *fields))

    def shutdown(self) -> None:
        self.wire.call(m.SHUTDOWN)

    def entries(
        self,
        namespace: Optional[str] = None,
        view: Optional[str] = None,
        op: Optional[str] = None,
        limit: int = 1000,
        min_compute_ns: int = 0,
    ) -> list[m.Entry]:
        later = (BY_USE, min_compute_ns) if min_compute_ns else ()  # may be left out together
        return self._pages(m.LIST, m.entry, [namespace, view, op, limit], *later)

    def leases(self, namespace: Optional[str] = None, limit: int = 1000) -> list[m.Lease]:
        return self._pages(m.LEASES, m.lease, [namespace, limit])

    def clients(self, namespace: Optional[str] = None, limit: int = 1000) -> list[m.Peer]:
        return self._pages(m.CLIENTS, m.peer, [namespace, limit])

    def namespaces(self, namespace: Optional[str] = None, limit: int = 1000) -> list[m.Namespace]:
        return self._pages(m.NAMESPACES, m.namespace, [namespace, limit])

    def snapshot(self, start: bool = False) -> m.Snapshot:
        return m.snapshot(self.wire.call(m.SNAPSHOT, int(start)))

    def set(self, name: str, value: str) -> tuple[int, int]:
        f = self.wire.call(m.SET, name, value)
        return f.u64(), f.u64()

    def _pages(
        self, type: int, row: Callable[[Fields], T], fields: list[object], *later: int
    ) -> list[T]:
        """``later`` are the fields behind the cursor."""
        rows: list[T] = []
        cursor = b""
        while True:
            cursor, more = m.page(self.wire.call(type, *fields, cursor, *later), row)
            rows += more
            if not cursor:
                return rows


def together(keys: Sequence[m.Key]) -> m.Key:
    assert len({key[:3] for key in keys}) == 1
    return keys[0]._replace(prompt=b"".join(key.prompt for key in keys))
