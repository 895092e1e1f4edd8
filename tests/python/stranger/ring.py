"""The writer of a ring (region.md, "To append a hit")."""

from __future__ import annotations

import mmap
import os
import struct
from typing import Optional

from .messages import Key
from .region import Hit, Mapping, Unusable

MAGIC = 0x31474E4952434346
HEADER, SLOT = 192, 64
SLOTS_MIN, SLOTS_MAX = 512, 32768
CONTEXTS = 16
HIT, CONTEXT = 1, 2  # kinds
UNRECORDED = 1
ASLEEP, REVOKED = 1, 2  # bits of the state
HEAD, COUNTED, TAIL = 64 // 8, 72 // 8, 128 // 8  # words of the header
STATE = 136 // 4  # its half


class Ring:
    def __init__(self, descriptor: int) -> None:
        self._memory = Mapping(descriptor, mmap.PROT_READ | mmap.PROT_WRITE)
        words = self._memory.words
        self.n_slots = n = self._memory.halves[2]
        if not (
            words[0] == MAGIC
            and SLOTS_MIN <= n <= SLOTS_MAX
            and n & (n - 1) == 0
            and HEADER + SLOT * n <= self._memory.size
            and words[HEAD] == words[TAIL]
        ):
            self.close()
            raise Unusable("the ring's header makes no sense")
        self.head = self.tail = words[HEAD]
        self.unrecorded = 0
        self._contexts: list[Optional[tuple[str, str, Optional[str]]]] = [None] * CONTEXTS
        self._next_context = 0
        self._last_ns = 0
        self._pid = os.getpid()

    def close(self) -> None:
        self._memory.close()

    def state(self) -> int:
        return self._memory.halves[STATE]

    def append(
        self, key: Key, hit: Hit, probe: Optional[str], flags: int, end_ns: int, wall_ns: int
    ) -> bool:
        """Whether there was room. A ring that is full is left as it is."""
        assert self._pid == os.getpid(), "the ring is the parent's"
        context = (key.op, key.view, probe)
        known = context in self._contexts  # step 1
        index = self._contexts.index(context) if known else self._next_context
        record = b"" if known else context_record(index, *context)
        self._last_ns = max(self._last_ns, end_ns)
        record += hit_record(index, key, hit, flags, self._last_ns, wall_ns)
        need = len(record) // SLOT
        if not self._has_room(need):  # step 2
            return False
        for i in range(need):  # step 3
            self.write_slot(self.head + i, record[SLOT * i : SLOT * (i + 1)])
        if not known:
            self._contexts[index] = context
            self._next_context = (index + 1) % CONTEXTS
        self.publish(self.head + need)  # step 4
        return True

    def _has_room(self, need: int) -> bool:
        if self.head + need - self.tail > self.n_slots:
            tail = self._memory.words[TAIL]
            if self.tail <= tail <= self.head:
                self.tail = tail
        return self.head + need - self.tail <= self.n_slots

    def write_slot(self, number: int, data: bytes) -> None:
        at = HEADER + number % self.n_slots * SLOT
        self._memory.bytes[at : at + SLOT] = data.ljust(SLOT, b"\0")

    def publish(self, head: int) -> None:
        self.head = head
        self._memory.words[HEAD] = head

    def count_unrecorded(self, hits: int = 1) -> None:
        self.unrecorded += hits
        self._memory.words[COUNTED] = self.unrecorded

    def lost(self) -> int:
        """How many hits to be counted the daemon has not read. Final once the connection has ended."""
        hits, at = 0, self._memory.words[TAIL]
        while at < self.head:
            start = HEADER + at % self.n_slots * SLOT
            kind, _, first, second, third = self._memory.bytes[start : start + 5]
            hits += kind == HIT and not first & UNRECORDED
            at += 1 if kind == HIT else (8 + first + second + third + 63) // SLOT
        return hits

    def unread(self) -> int:
        """How many slots the daemon has not read."""
        return self.head - self._memory.words[TAIL]


def context_record(index: int, op: str, view: str, probe: Optional[str]) -> bytes:
    names = [op.encode(), view.encode(), (probe or "").encode()]
    data = struct.pack("=5B3x", CONTEXT, index, *map(len, names)) + b"".join(names)
    return data + bytes(-len(data) % SLOT)


def hit_record(index: int, key: Key, hit: Hit, flags: int, end_ns: int, wall_ns: int) -> bytes:
    head = struct.pack("=BBHIQ", HIT, index, flags, key.top_k, hit.digest)
    return head + key.prompt + struct.pack("=4Q", end_ns, wall_ns, hit.compute_ns, hit.origin)
