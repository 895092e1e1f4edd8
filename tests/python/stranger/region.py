"""A reader of the region (region.md). Use it on x86-64 alone: it needs loads that keep their order."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple, Optional

import xxhash

from .messages import Key

F_GET_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1034, 2, 4
MAGIC = 0x314E4F4947455246
LAYOUT = 2
HEADER = 256
ENTRY = 64
PIECES_MAX = 16
CHAIN_MAX = 1024
SEGMENTS_MAX, SEGMENT_UNIT = 64, 65536
TID_MASK, OWNER_DIED = 0x3FFFFFFF, 0x40000000
ATTEMPTS = 4


class Unusable(Exception):
    """A mapping that fails a check: the client uses the socket alone."""


class Dead(Exception):
    """The region's daemon has ended, or serves from another region."""


class Busy(Exception):
    """The attempt proves nothing."""


class Hit(NamedTuple):
    value: bytes
    compute_ns: int
    origin: int
    digest: int


def digest(namespace_id: int, key: Key) -> int:
    h = xxhash.xxh3_64_intdigest(key.op.encode(), seed=namespace_id)
    h = xxhash.xxh3_64_intdigest(key.view.encode(), seed=h)
    return xxhash.xxh3_64_intdigest(key.prompt + struct.pack("=I", key.top_k), seed=h)


def bucket(d: int, n_buckets: int) -> int:
    return ((d >> 32) * n_buckets) >> 32


def checksum(d: int, value: bytes) -> int:
    return xxhash.xxh3_64_intdigest(value, seed=d) & 0xFFFFFFFF


class Mapping:
    """All of a sealed file: as bytes, and as words that are loaded and stored in one access."""

    def __init__(self, descriptor: int, protection: int) -> None:
        seals = fcntl.fcntl(descriptor, F_GET_SEALS)
        if not (seals & F_SEAL_SHRINK and seals & F_SEAL_GROW):
            raise Unusable("the file can change its size")
        self.size = os.fstat(descriptor).st_size
        if self.size < HEADER or self.size % 8:
            raise Unusable(f"a file of {self.size} bytes")
        self._map = mmap.mmap(descriptor, self.size, mmap.MAP_SHARED, protection)
        self.bytes = memoryview(self._map)
        self.words = self.bytes.cast("Q")
        self.halves = self.bytes.cast("I")

    def close(self) -> None:
        for view in self.words, self.halves, self.bytes:
            view.release()
        self._map.close()


class Region:
    """Of several files, each with its own mapping: Python cannot choose their addresses."""

    def __init__(self, descriptors: Sequence[int], boot_id: int) -> None:
        self._index = Mapping(descriptors[0], mmap.PROT_READ)
        self._segments: list[Mapping] = []
        words, halves = self._index.words, self._index.halves
        self.max_value = halves[3]
        self.buckets_offset, self.n_buckets = words[4], words[5]
        self.arena, self._end = words[6], words[6] + words[7]  # Python's sums do not overflow
        self.segment_bytes, n_segments = words[8], halves[18]
        size = words[2]
        if not (
            (words[0], halves[2], words[3]) == (MAGIC, LAYOUT, boot_id)
            and self.arena == self._index.size
            and self._end == size
            and self.buckets_offset >= HEADER
            and self.buckets_offset % 16 == self._end % 16 == 0
            and 0 < self.n_buckets < 2**32
            and self.buckets_offset + 16 * self.n_buckets <= self.arena
            and self.segment_bytes > 0
            and self.segment_bytes % SEGMENT_UNIT == self.arena % SEGMENT_UNIT == 0
            and 1 <= n_segments <= SEGMENTS_MAX
            and n_segments == -(-words[7] // self.segment_bytes) == len(descriptors) - 1
        ):
            self.close()
            raise Unusable("the region's header makes no sense")
        try:
            for i, descriptor in enumerate(descriptors[1:]):
                self._segments.append(Mapping(descriptor, mmap.PROT_READ))
                left = words[7] - i * self.segment_bytes
                if self._segments[-1].size != min(left, self.segment_bytes):
                    raise Unusable(f"segment {i} has {self._segments[-1].size} bytes")
        except Unusable:
            self.close()
            raise

    def close(self) -> None:
        for mapping in self._index, *self._segments:
            mapping.close()

    def _place(self, offset: int) -> tuple[Mapping, int]:
        """The file that an offset is in, and its place there."""
        if offset < self.arena:
            return self._index, offset
        number, rest = divmod(offset - self.arena, self.segment_bytes)
        return self._segments[number], rest

    def _word(self, offset: int) -> int:
        mapping, at = self._place(offset)
        return mapping.words[at >> 3]

    @property
    def owner(self) -> int:
        return self._index.halves[192 // 4]

    @property
    def retired(self) -> int:
        return self._index.halves[128 // 4]

    def lives(self) -> bool:
        owner = self.owner
        return owner & TID_MASK != 0 and owner & OWNER_DIED == 0 and self.retired == 0

    def look_up(self, namespace_id: int, key: Key) -> Optional[Hit]:
        """None is a miss. Raises Busy after four attempts, and Dead: ask by the socket then."""
        if not self.lives():  # step 1
            raise Dead
        d = digest(namespace_id, key)
        for attempt in range(ATTEMPTS):
            try:
                return self._attempt(namespace_id, key, d)
            except Busy:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _attempt(self, namespace_id: int, key: Key, d: int) -> Optional[Hit]:
        word = self._word
        at_bucket = self.buckets_offset + 16 * bucket(d, self.n_buckets)
        sequence = word(at_bucket)  # step 2
        if sequence & 1:
            raise Busy
        offset = word(at_bucket + 8)  # step 3
        hops = 0
        op, view = key.op.encode(), key.view.encode()
        prompt = struct.unpack("=QQ", key.prompt)
        while True:
            self._check(at_bucket, sequence)  # step 4
            if offset == 0:
                return None
            if offset % 16 or not self._in_arena(offset, ENTRY) or hops == CHAIN_MAX:
                raise Busy
            numbers, shape = word(offset + 32), word(offset + 40)  # step 5
            sizes = shape & 0xFF, shape >> 8 & 0xFF
            if (
                (word(offset + 16), word(offset + 24)) == prompt
                and word(offset + 8) == namespace_id
                and numbers & 0xFFFFFFFF == key.top_k
                and sizes == (len(op), len(view))
                and self._in_arena(offset, ENTRY + sum(sizes))
                and self._copy(offset + ENTRY, sum(sizes)) == op + view
            ):
                break
            offset = word(offset)
            hops += 1
        size = numbers >> 32  # step 6
        names = sum(sizes) + 7 & ~7
        places = self._places(offset + ENTRY + names, size, shape >> 16 & 0xFFFF)
        self._check(at_bucket, sequence)
        value = b"".join(self._copy(*place) for place in places)  # step 7
        compute_ns, origin = word(offset + 48), word(offset + 56)
        self._check(at_bucket, sequence)  # step 8
        if checksum(d, value) != shape >> 32:
            raise Busy
        return Hit(value, compute_ns, origin, d)

    def _check(self, at_bucket: int, sequence: int) -> None:
        if self._word(at_bucket) != sequence:
            raise Busy

    def _in_arena(self, offset: int, n: int) -> bool:
        return self.arena <= offset <= self._end and n <= self._end - offset

    def _copy(self, offset: int, n: int) -> bytes:
        copy = b""
        while n > 0:  # to the end of a file at most
            mapping, at = self._place(offset)
            part = bytes(mapping.bytes[at : at + n])
            copy += part
            offset += len(part)
            n -= len(part)
        return copy

    def _places(self, at: int, size: int, pieces: int) -> list[tuple[int, int]]:
        """Where the value's bytes are: offset and size of each piece."""
        if size > self.max_value or pieces > PIECES_MAX:
            raise Busy
        if pieces == 0:
            places = [(at, size)]
        else:
            if not self._in_arena(at, 16 * pieces):
                raise Busy
            table = range(at, at + 16 * pieces, 16)
            places = [(self._word(i), self._word(i + 8) & 0xFFFFFFFF) for i in table]
            if any(offset % 16 for offset, _ in places) or sum(n for _, n in places) != size:
                raise Busy
        if not all(self._in_arena(*place) for place in places):
            raise Busy
        return places

    def pieces_of(self, namespace_id: int, key: Key) -> int:
        """How many pieces the value lies in, for the tests; the daemon must be at rest."""
        d = digest(namespace_id, key)
        offset = self._word(self.buckets_offset + 16 * bucket(d, self.n_buckets) + 8)
        while self._copy(offset + 16, 16) != key.prompt:
            offset = self._word(offset)
        return self._word(offset + 40) >> 16 & 0xFFFF
