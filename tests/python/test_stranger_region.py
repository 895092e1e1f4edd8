"""docs/region.md against the daemon, by a reader and a ring's writer that were made from that page alone."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import platform
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Daemon, wait_until
from stranger import messages as m
from stranger import region, ring, wire
from stranger.client import Client
from stranger.region import Busy, Dead, Unusable
from stranger.support import F_ADD_SEALS, figure, key, refused, running
from stranger.wire import Closed

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="Python has no atomics")

A, B, C = key(1), key(2), key(3)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.socket, "ns", region=True) as result:
        assert result.region is not None and result.ring is not None
        yield result


@contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def end(daemon: Daemon, signal_number: int) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(signal_number)
    daemon.process.wait(20)


def is_in_region(client: Client, wanted: m.Key) -> bool:
    """Whether a look-up finds the key; nothing is recorded."""
    assert client.region is not None
    return client.region.look_up(client.welcome.namespace_id, wanted) is not None


# The region of a daemon


def test_values_of_all_sizes_are_read(client: Client) -> None:
    sizes = [0, 1, 7, 8, 15, 16, 17, 4095, 32768, 65536, 65537, 2**20 + 3]
    for i, size in enumerate(sizes):
        names = "o" * (1 + i), "é" * (i + 1)
        client.put(key(i, *names), os.urandom(size), compute_ns=i)
        client.ask(key(i, *names))
        [answer] = [client.wait_for(client.wire._id)]
        assert client.read(key(i, *names)) == answer.value
        assert client.region is not None
        hit = client.region.look_up(client.welcome.namespace_id, key(i, *names))
        assert hit is not None and len(hit.value) == size and hit.compute_ns == i
        assert hit.origin & 0xFFFFFFFF == client.welcome.client_id


def test_longest_names_are_found(client: Client) -> None:
    wanted = key(1, "o" * 255, "v" * 255, 2**32 - 1)
    client.put(wanted, b"value")
    assert client.read(wanted) == b"value"
    assert client.read(wanted._replace(top_k=0)) is None
    assert client.read(wanted._replace(op="o" * 254)) is None
    assert client.read(wanted._replace(view="v" * 254 + "w")) is None


def test_value_in_pieces_is_read(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "4M", "--max-value", "4M") as daemon:
        with Client(daemon.socket, "ns", region=True) as client:
            for i in range(98):  # holes between entries of another op
                client.put(key(i, op="ab"[i % 2]), bytes(40000))
            client.clear("ns", op="a")
            value = os.urandom(500003)
            client.put(A, value)
            assert client.region is not None
            pieces = client.region.pieces_of(client.welcome.namespace_id, A)
            assert 1 < pieces <= 16
            assert client.read(A) == value
            [entry] = client.entries(op=A.op)
            names = 16  # "logprob_of" and "base", 14 bytes
            assert entry.charge == (64 + names + 16 * pieces + 128) + 500016 + 32 * pieces


def test_chains_are_walked_to_their_end(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M") as daemon:
        with Client(daemon.socket, "ns", region=True) as client:
            assert client.region is not None and client.region.n_buckets == 1024
            keys = [key(i) for i in range(3000)]
            assert client.put_many(keys, [each.prompt for each in keys]) == (3000, 0, 0, 0)
            assert all(client.read(each) == each.prompt for each in keys)
            assert client.read(key(3000)) is None


def test_other_namespaces_are_not_found(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    with Client(daemon.socket, "other", region=True) as other:
        assert other.read(A) is None and client.read(A) == b"a"


def test_cleared_and_replaced_values_are_not_found(client: Client) -> None:
    for value in b"first", b"other", b"a longer one":
        client.put(A, value)
        assert client.read(A) == value
    client.clear("ns")
    assert client.read(A) is None


def test_value_replaced_all_the_time_read_whole(client: Client, daemon: Daemon) -> None:
    size = 20000
    client.put(A, bytes(size))
    child = os.fork()
    if child == 0:
        try:
            with Client(daemon.socket, "ns") as writer:
                for i in range(10**9):
                    writer.put(A, bytes([i % 251]) * (size - i % 2))  # in place, and anew
        finally:
            os._exit(1)
    assert client.region is not None
    busy = changes = 0
    last = b"\0"
    while changes < 200:
        try:
            hit = client.region.look_up(client.welcome.namespace_id, A)
        except Busy:
            busy += 1
            continue
        assert hit is not None, "a key that is only ever replaced is never missed"
        assert len(hit.value) >= size - 1 and len(set(hit.value)) == 1
        changes += hit.value[:1] != last
        last = hit.value[:1]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_region_of_killed_daemon_dead(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    seen, boot_id = client.region, client.welcome.boot_id
    assert seen is not None and daemon.process is not None and seen.lives()
    assert seen.owner & region.TID_MASK == daemon.process.pid
    end(daemon, signal.SIGKILL)
    assert seen.owner & (region.OWNER_DIED | region.TID_MASK) == region.OWNER_DIED
    assert seen.retired == 0
    with pytest.raises(Dead):
        seen.look_up(client.welcome.namespace_id, A)
    assert client.read(A) is None and client.region is None  # unmapped
    with pytest.raises(Closed):
        client.get(A)
    daemon.start()
    with Client(daemon.socket, "ns", region=True) as again:
        assert again.welcome.boot_id != boot_id and again.read(A) is None


def test_region_of_ended_daemon_retired(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    end(daemon, signal.SIGTERM)
    assert client.region is not None
    assert client.region.retired == 1 and client.region.owner & region.TID_MASK == 0
    assert not client.region.lives()
    assert client.read(A) is None and client.region is None


def test_region_outlives_its_connection(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    id = client.wire.send(0x3F)  # no request: the daemon ends the connection
    with Client(daemon.socket) as tool:
        wait_until(lambda: len(tool.clients()) == 1, "the connection has ended")
    assert client.read(A) == b"a" and client.served == 1  # into a ring that is not read any more
    with refused(wire.EPROTOCOL):
        client.wire.reply(id, 0x3F)
    with pytest.raises(Closed):
        client.ping()
    assert client.read(A) == client.read(A, flags=m.UNRECORDED) == b"a"
    assert client.unreported == 2 and client.ring is None
    with Client(daemon.socket, "ns", region=True) as again:
        assert again.ring is not None and again.welcome.boot_id == client.welcome.boot_id
        again.ring.count_unrecorded(client.unreported)
        assert figure(again, "hits_unrecorded") == 2
        assert figure(again, "cache_hits") == 0


@pytest.mark.parametrize("version", [1, 2])
def test_region_comes_from_version_2_on_as_sealed_files(daemon: Daemon, version: int) -> None:
    connection = wire.Wire(daemon.socket, 20)
    fields = m.hello((1, version), "stranger", "ns", None, region.LAYOUT, None)
    welcome = m.welcome(connection.call(m.HELLO, *fields))
    assert (welcome.namespace_id > 0, welcome.client_id > 0) == (version > 1, version > 1)
    assert (len(connection.descriptors) in range(3, 67)) == (version > 1)
    size_seals = region.F_SEAL_SHRINK | region.F_SEAL_GROW
    for descriptor in connection.descriptors:
        assert fcntl.fcntl(descriptor, region.F_GET_SEALS) & size_seals == size_seals
        assert not os.get_inheritable(descriptor)
    connection.close()


@pytest.mark.parametrize("layout", [1, 3, 2**32 - 1])
def test_client_of_other_layout_gets_no_region(daemon: Daemon, layout: int) -> None:
    connection = wire.Wire(daemon.socket, 20)
    fields = m.hello((1, 4), "stranger", "ns", None, layout, None)
    welcome = m.welcome(connection.call(m.HELLO, *fields))
    assert (welcome.namespace_id, welcome.client_id, connection.descriptors) == (0, 0, [])
    assert m.outcome(connection.call(m.PUT, *m.put(0, A, None, 0, 0, 1000, b"a"))) == m.STORED
    got = m.got(connection.call(m.GET, *m.get(4, 0, A, None, 0, 0)), 4)
    assert got.value == b"a"
    connection.close()


def test_values_across_segments_are_read(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "4M") as daemon:
        with Client(daemon.socket, "ns", region=True) as client:
            assert client.region is not None
            segment = client.region.segment_bytes
            assert len(client.region._segments) > 2
            values = {key(i): os.urandom(segment // 3) for i in range(9)}
            for wanted, value in values.items():
                client.put(wanted, value)
            for wanted, value in values.items():
                assert client.read(wanted) == value


def test_daemon_without_region_replies_by_socket(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M", "--no-region") as daemon:
        with Client(daemon.socket, "ns", region=True) as client:
            assert client.region is None and client.welcome.namespace_id == 0
            client.put(A, b"a")
            assert client.get(A).value == b"a"


# The ring


def test_hits_from_the_region_are_counted(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a", compute_ns=10**9)
    with Client(daemon.socket, "ns", region=True) as other:
        for _ in range(3):
            assert other.read(A) == b"a"
        assert client.read(A) == b"a"
        stats = client.stats("ns")
        assert [stats.daemon[name] for name in ("hits_region", "hits_socket")] == [4, 0]
        [counted] = stats.namespaces
        assert (counted["cache_hits"], counted["shared_hits"]) == (4, 0)  # all of one process
        saved = counted["saved_wall_s"]
        assert isinstance(saved, float) and 3.9 < saved <= 4
        assert client.entries()[0].hits == 4
        assert [(peer.hits, peer.shared_hits) for peer in client.clients()] == [(1, 0), (3, 0)]
        assert [peer.region for peer in client.clients()] == [True, True]
    assert client.ring is not None and client.ring.unread() == 0


def test_hits_of_killed_client_counted(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    child = os.fork()
    if child == 0:
        try:
            other = Client(daemon.socket, "ns", region=True)
            for _ in range(5):
                other.read(A)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    wait_until(lambda: figure(client, "hits_region") == 5, "the ring is read")
    assert client.stats("ns").namespaces[0]["shared_hits"] == 5  # of another process


def test_ring_of_parent_unmapped_in_child(client: Client) -> None:
    client.put(A, b"a")
    child = os.fork()
    if child == 0:
        try:
            client.read(A)
        except AssertionError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("flags, counted", [(0, 1), (m.UNRECORDED, 0)])
def test_hit_recorded_makes_entry_most_recently_used(
    daemon: Daemon, flags: int, counted: int
) -> None:
    with Client(daemon.socket, "ns", region=True, max_entries=2) as client:
        client.put(A, b"a")
        client.put(B, b"b")
        assert client.read(A, flags=flags) == b"a"
        client.put(C, b"c")  # evicts B, which would have stayed without the hit
        assert [is_in_region(client, each) for each in (A, B, C)] == [True, False, True]
        assert figure(client, "cache_hits") == counted
        assert {entry.prompt: entry.hits for entry in client.entries()} == {
            A.prompt: 1,
            C.prompt: 0,
        }
        client.put(B, b"b")  # no hit came between: A goes
        assert [is_in_region(client, each) for each in (A, B, C)] == [False, True, True]


def test_hits_are_traced_with_their_contexts(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    client.trace(1, str(path))
    keys = [key(i, op=f"op {i}", view="é" * (1 + i), top_k=i) for i in range(40)]
    for each in keys:
        client.put(each, b"v", flags=m.UNRECORDED)
    expected = []
    for i in [*range(40), 39, 38, 3]:  # more contexts than indices
        probe = f"probe {i}" if i % 2 else None
        client.read(keys[i], probe)
        prompt = keys[i].prompt.hex()
        expected.append(("ns", "stranger", *keys[i][:3], prompt, probe, True))
    client.read(keys[0], "not traced", m.UNRECORDED)
    client.trace(2)
    wait_until(lambda: path.read_text().count("\n") == len(expected), "the trace is written")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = "namespace", "client", "op", "view_id", "top_k", "prompt_hash", "probe", "hit"
    assert [tuple(line[name] for name in names) for line in lines] == expected
    assert all(0 < line["wall_ms"] < 10000 for line in lines)
    assert sorted(line["ts"] for line in lines) == [line["ts"] for line in lines]


def test_contexts_wrap_around_the_end_of_the_ring(client: Client) -> None:
    assert client.ring is not None
    keys = [key(i, "o" * 255, f"{i:02}" + "v" * 253) for i in range(17)]  # one over the indices
    for each in keys:
        client.put(each, b"v")
    hits = 0
    while client.ring.head < client.ring.n_slots * 5 // 4:  # 14 slots a hit
        assert client.read(keys[hits % 17], "p" * 255) == b"v"
        hits += 1
    assert client.ring.head == 14 * hits and client.ring.unrecorded == 0
    assert figure(client, "hits_region") == hits


def test_rings_of_version_5_grow_and_sleep(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns", region=True, versions=(1, 5)) as client:
        others = [Client(daemon.socket, "ns", region=True, versions=(1, 5)) for _ in range(16)]
        late = Client(daemon.socket, "ns", region=True, versions=(1, 5))
        assert late.ring is not None and late.ring.state() == ring.ASLEEP
        client.put(A, b"a")
        assert late.read(A) == b"a" and late.ring.state() == 0  # its ping was answered
        assert client.ring is not None
        small = client.ring.n_slots
        for _ in range(4 * small):
            assert client.read(A) == b"a"
        assert client.ring.n_slots > small
        assert not client.another_ring(client.ring.n_slots)  # no larger one
        assert client.another_ring(0) and client.ring.n_slots == small
        assert client.read(A) == b"a"
        assert figure(client, "hits_region") == 4 * small + 2
        for other in [*others, late]:
            other.close()


def test_ring_full_emptied_by_ping_or_hit_not_recorded(client: Client, daemon: Daemon) -> None:
    client.put(A, b"a")
    assert client.ring is not None and client.region is not None
    with stopped(daemon):
        while client.ring.unread() < client.ring.n_slots:
            assert client.read(A) == b"a"
        client.wire.socket.settimeout(0.01)
        ping = client.wire._id + 1
        assert client.read(A, "not written") == b"a"  # nor is its context
        assert client.read(A, flags=m.UNRECORDED) == b"a"
        assert client.wire._id == ping, "one ping is under way, and no other"
    assert client.ring.unrecorded == 1
    client.wire.socket.settimeout(20)
    assert client.read(A, "not written") == b"a"  # the pong that is late makes room again
    assert client.ring.unrecorded == 1
    assert figure(client, "hits_region") == client.served - 2  # one of these was unrecorded
    assert figure(client, "hits_unrecorded") == 1


def test_ring_invalid_rejected(daemon: Daemon) -> None:
    for number, word in (0, 0), (1, 500), (1, 1 << 16), (8, 1), (8, 0):
        descriptor = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, 192 + 64 * 512)
        with mmap.mmap(descriptor, 0) as memory:
            memory[:16] = struct.pack("=QQ", ring.MAGIC, 512)
            memory[8 * number : 8 * number + 8] = struct.pack("=Q", word)
            fcntl.fcntl(descriptor, F_ADD_SEALS, region.F_SEAL_SHRINK | region.F_SEAL_GROW)
            if (number, word) == (8, 0):
                ring.Ring(descriptor).close()
            else:
                with pytest.raises(Unusable):
                    ring.Ring(descriptor)
        os.close(descriptor)


def append_slots(client: Client, *slots: bytes) -> None:
    """Publishes slots that ``append`` would not write."""
    assert client.ring is not None
    for i, slot in enumerate(slots):
        client.ring.write_slot(client.ring.head + i, slot)
    client.ring.publish(client.ring.head + len(slots))


def test_record_with_impossible_numbers_accepted(client: Client) -> None:
    most = 2**64 - 1
    hits = [
        struct.pack("=BBHIQ16s4Q", 1, 0, 0, 7, most, b"prompt", end, most, most, most)
        for end in (most, 0, time.monotonic_ns(), 1)
    ]
    context = struct.pack("=8B", 2, 0, 1, 1, 0, 9, 9, 9) + b"ov" + b"\xff" * 54
    client.put(A, b"a")
    append_slots(client, context, *hits)
    assert figure(client, "hits_region") == 4 and client.entries()[0].hits == 0
    [counted] = client.stats("ns").namespaces
    assert counted["shared_hits"] == 4 and counted["saved_wall_s"] == 4 * 86400.0
    assert isinstance(counted["scoring_wall_s"], float) and counted["scoring_wall_s"] < 60


@pytest.mark.parametrize("during_a_request", [False, True])
def test_ring_with_bad_record_ends_only_its_connection(
    client: Client, daemon: Daemon, during_a_request: bool
) -> None:
    """One of many: tests/system/region/test_region_corrupt_rings.c has more."""
    client.put(A, b"a")
    with Client(daemon.socket, "ns", region=True) as broken:
        assert broken.read(A) == b"a"
        with stopped(daemon):  # so that the request is there when the record is found
            append_slots(broken, b"\3")
            id = broken.wire.send(m.PING) if during_a_request else 0
        body = broken.wire.receive()
        assert body[0] == wire.ERROR and body[2] == wire.EPROTOCOL and "its ring" in str(body[3])
        assert body[1] in (0, id), "the timer may have come first"
        with pytest.raises(Closed):
            broken.wire.receive()
    assert client.read(A) == b"a"
    assert figure(client, "hits_region") == 2 and figure(client, "dropped") == 1
