"""The requests' fields as lists, and the replies' fields checked (protocol.md, "Requests and replies")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional, TypeVar

from .wire import Fields, Malformed

HELLO, GET, PUT, GET_MANY, PUT_MANY, PING, STATS, CLEAR, LIST, TRACE = range(0x01, 0x0B)
SHUTDOWN, GIVE_UP, LEASES, CLIENTS, NAMESPACES, RING = range(0x0B, 0x11)
SNAPSHOT, SET = 0x12, 0x13

UNRECORDED, KEEP_FIRST, LEASE, PEEK = 1, 2, 4, 8  # flags
NONE, GRANTED, TAKEN = 0, 1, 2  # of a lease
STORED, KEPT, STALE = 0, 1, 2  # outcomes of a put

T = TypeVar("T")


class Key(NamedTuple):
    op: str
    view: str
    top_k: int
    prompt: bytes  # its hash, 16 bytes


class Welcome(NamedTuple):
    version: int
    server: str
    boot_id: int
    clear_generation: int
    max_value: int
    max_frame: int
    namespace_id: int = 0  # 0: no region was given
    client_id: int = 0


class Got(NamedTuple):
    clear_generation: int
    value: Optional[bytes]  # None: a miss
    lease: int = NONE


class Part(NamedTuple):
    clear_generation: int
    first: int
    last: bool
    values: list[Optional[bytes]]
    leases: Optional[bytes]


class Counts(NamedTuple):
    stored: int
    kept: int
    stale: int
    too_big: int


class Stats(NamedTuple):
    daemon: dict[str, object]
    namespaces: list[dict[str, object]]


class Entry(NamedTuple):
    namespace: str
    op: str
    view: str
    prompt: bytes
    top_k: int
    value_size: int
    charge: int
    compute_ns: int
    idle_ns: int
    hits: int


class Trace(NamedTuple):
    on: bool
    path: Optional[str]
    lines: int
    lost: int


class Snapshot(NamedTuple):
    started: bool
    running: int  # its number; 0: none
    ended: int
    path: Optional[str]
    entries: int
    bytes: int
    duration_ns: int
    error: str


class Lease(NamedTuple):
    namespace: str
    key: Key
    client_id: int
    client: str
    pid: int
    held_ns: int
    left_ns: int
    waits: int


class Wait(NamedTuple):
    key: Key
    waited_ns: int
    client_id: int  # from here on: the connection that computes the key
    client: str
    pid: int


class Peer(NamedTuple):
    client_id: int
    client: str
    pid: int
    uid: int
    namespace: Optional[str]
    region: bool
    connected_ns: int
    hits: int
    shared_hits: int
    leases: int
    held: Optional[Key]
    waits: int
    wait: Optional[Wait]


class Namespace(NamedTuple):
    namespace: str
    manifest: Optional[str]
    entries: int
    bytes: int
    hits: int
    misses: int
    clients: int
    idle_ns: int


def hello(
    versions: tuple[int, int],
    client: str,
    namespace: Optional[str],
    max_entries: Optional[int],
    layout: int,
    manifest: Optional[str],
    max_bytes: Optional[int] = None,
) -> list[object]:
    """``version_max`` alone decides how many fields there are."""
    fields = [*versions, client, namespace, max_entries, layout, manifest, max_bytes]
    latest = versions[1]
    return fields[: 5 if latest < 2 else 6 if latest < 4 else 7 if latest < 5 else 8]


def welcome(f: Fields) -> Welcome:
    base = Welcome(f.u32(), f.name(), f.u64(), f.u64(), f.u32(), f.u32())
    if base.boot_id == 0:
        raise Malformed("a boot_id of 0")
    return base._replace(namespace_id=f.u64(), client_id=f.u64()) if base.version >= 2 else base


def another_ring(f: Fields) -> bool:
    namespace_id, client_id = f.u64(), f.u64()
    if (namespace_id == 0) != (client_id == 0):
        raise Malformed("one id without the other")
    return namespace_id != 0


def get(
    version: int, flags: int, key: Key, probe: Optional[str], lease_ms: int, wait_ms: int
) -> list[object]:
    fields = [flags, *key, probe]
    return [*fields, lease_ms, wait_ms] if version >= 3 else fields


def value_or_nil(f: Fields) -> Optional[bytes]:
    return None if f.nil() else f.binary()


def got(f: Fields, version: int) -> Got:
    """Only a miss of version 3 has the lease."""
    base = Got(f.u64(), value_or_nil(f))
    if base.value is not None or version < 3:
        return base
    return base._replace(lease=one_of(f.u32(), (NONE, GRANTED, TAKEN)))


def one_of(value: int, known: Sequence[int]) -> int:
    if value not in known:
        raise Malformed(f"{value} is none of {known}")
    return value


def put(
    flags: int,
    key: Key,
    probe: Optional[str],
    boot_id: int,
    clear_generation: int,
    compute_ns: int,
    value: Optional[bytes],
) -> list[object]:
    return [flags, *key, probe, boot_id, clear_generation, compute_ns, value]


def outcome(f: Fields) -> int:
    return one_of(f.u32(), (STORED, KEPT, STALE))


def get_many(
    version: int, flags: int, keys: Key, probe: Optional[str], lease_ms: int
) -> list[object]:
    """``keys.prompt`` is the prompts' hashes, one behind the other."""
    fields = [flags, *keys, probe]
    return [*fields, lease_ms] if version >= 3 else fields


def part(f: Fields, version: int, flags: int) -> Part:
    generation, first, last = f.u64(), f.u32(), f.boolean()
    values = [value_or_nil(Fields([value])) for value in f.array()]
    misses = values.count(None)
    leases = f.binary(misses, misses) if version >= 3 and flags & LEASE and misses else None
    for lease in leases or b"":
        one_of(lease, (NONE, GRANTED, TAKEN))
    return Part(generation, first, last, values, leases)


def put_many(
    flags: int,
    keys: Key,
    probe: Optional[str],
    boot_id: int,
    clear_generation: int,
    compute_ns: int,
    batch: int,
    values: Sequence[Optional[bytes]],
) -> list[object]:
    return [flags, *keys, probe, boot_id, clear_generation, compute_ns, batch, list(values)]


def counts(f: Fields) -> Counts:
    return Counts(f.u32(), f.u32(), f.u32(), f.u32())


def stats(f: Fields) -> Stats:
    result = Stats(f.figures(), [Fields([each]).figures() for each in f.array()])
    for namespace in result.namespaces:
        first = next(iter(namespace.items()), ("", ""))
        if first[0] != "namespace":
            raise Malformed(f"the first figure of a namespace is {first}")
        Fields([first[1]]).name()
    return result


def trace(f: Fields) -> Trace:
    result = Trace(f.boolean(), None if f.nil() else f.text(), f.u64(), f.u64())
    if result.on != (result.path is not None):
        raise Malformed(f"the trace's path is there if and only if it is on: {result}")
    return result


def snapshot(f: Fields) -> Snapshot:
    numbers = (f.boolean(), f.u64(), f.u64())
    path = None if f.nil() else f.text()
    return Snapshot(*numbers, path, f.u64(), f.u64(), f.u64(), f.text())


def page(f: Fields, row: Callable[[Fields], T]) -> tuple[bytes, list[T]]:
    """A page of a list: the cursor for the next one, and its rows."""
    cursor, rows = f.token(), [row(Fields(each)) for each in f.array()]
    if len(rows) > 1000:
        raise Malformed(f"{len(rows)} rows in a page")
    return cursor, rows


def entry(f: Fields) -> Entry:
    names = f.name(), f.name(), f.name()
    return Entry(*names, f.hash(), f.u32(), f.u32(), f.u64(), f.u64(), f.u64(), f.u64())


def lease(f: Fields) -> Lease:
    namespace, op, view, prompt, top_k = f.name(), f.name(), f.name(), f.hash(), f.u32()
    who = f.u64(), f.name(), f.i64()
    return Lease(namespace, Key(op, view, top_k, prompt), *who, f.u64(), f.u64(), f.u32())


def listed_key(f: Fields) -> Key:
    """In the arrays of a client, unlike in a request, the prompt comes before ``top_k``."""
    op, view, prompt, top_k = f.name(), f.name(), f.hash(), f.u32()
    return Key(op, view, top_k, prompt)


def wait(f: Fields) -> Wait:
    return Wait(listed_key(f), f.u64(), f.u64(), f.name(), f.i64())


def peer(f: Fields) -> Peer:
    return Peer(
        client_id=f.u64(),
        client=f.name(),
        pid=f.i64(),
        uid=f.u32(),
        namespace=None if f.nil() else f.name(),
        region=f.boolean(),
        connected_ns=f.u64(),
        hits=f.u64(),
        shared_hits=f.u64(),
        leases=f.u32(),
        held=None if f.nil() else listed_key(Fields(f.array())),
        waits=f.u32(),
        wait=None if f.nil() else wait(Fields(f.array())),
    )


def namespace(f: Fields) -> Namespace:
    name, manifest = f.name(), None if f.nil() else f.manifest()
    sums = f.u64(), f.u64(), f.u64(), f.u64()
    return Namespace(name, manifest, *sums, f.u32(), f.u64())
