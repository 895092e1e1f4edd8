"""docs/protocol.md against the daemon, by a client that was written from that page alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Daemon, wait_until
from stranger import messages as m
from stranger import wire
from stranger.client import Client
from stranger.support import figure, key, refused, running
from stranger.wire import Closed, Refused, Wire

A, B, C = key(1), key(2), key(3)
NAME = "logprob_of"
BIG = 2**20


def error_of(connection: Wire) -> tuple[object, object, bool]:
    """The id and the code of the error that comes next, and whether the connection ends with it."""
    body = connection.receive()
    assert body[0] == wire.ERROR and isinstance(body[3], str) and body[3], body
    id = connection._id + 1
    connection.send_bytes(wire.frame(m.PING, id, []))
    try:
        closed = connection.receive()[:2] != [0x46, id]
    except Closed:
        closed = True
    return body[1], body[2], closed


# A connection


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 7, 8])
def test_hello_each_version_gets_its_welcome(daemon: Daemon, version: int) -> None:
    connection = Wire(daemon.socket, 20)
    fields = m.hello((1, version), "stranger", "ns", None, 0, None)
    connection.send(m.HELLO, *fields)
    body = connection.receive()
    assert len(body) == (8 if version == 1 else 10)
    welcome = m.welcome(wire.Fields(body[2:]))
    assert welcome.version == version and (welcome.namespace_id, welcome.client_id) == (0, 0)
    assert welcome.max_frame > welcome.max_value
    assert welcome.clear_generation == 2  # the namespace was made
    connection.close()
    for later in 9, 2**32 - 1:
        with Client(daemon.socket, versions=(version, later)) as client:
            assert client.welcome.version == 8


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 7])
def test_value_of_each_version_is_stored_and_found(daemon: Daemon, version: int) -> None:
    with Client(daemon.socket, "ns", versions=(version, version)) as client:
        missed = client.get(A, "probe")
        assert missed.value is None and missed.clear_generation >= 1
        assert client.put(A, b"value", missed, "probe") == m.STORED
        assert client.put(A, b"other", missed, "probe", m.KEEP_FIRST) == m.KEPT
        assert client.get(A, "probe") == (missed.clear_generation, b"value", m.NONE)
        assert client.get(A._replace(top_k=1)).value is None
        lease = m.GRANTED if version >= 3 else m.NONE
        assert client.get(B, flags=m.LEASE) == (missed.clear_generation, None, lease)
        many = client.get_many([A, C, C, B], flags=m.LEASE)
        assert [got.value for got in many] == [b"value", None, None, None]
        assert [got.lease for got in many] == [m.NONE, lease, m.NONE, m.NONE]
        assert client.put_many([B, C], [b"b", None], missed, batch=2) == (1, 0, 0, 1)
        client.ping()
        [namespace] = client.stats("ns").namespaces
        assert namespace["namespace"] == "ns"
        counted = ["cache_hits", "cache_misses", "batches_sent", "batched_prompts", "entries"]
        assert [namespace[name] for name in counted] == [2, 4, 1, 2, 2]
        assert client.stats("no such").namespaces == []
        # Requests of later versions are answered too.
        assert client.give_up(C) == 0  # the nil ended its lease
        assert client.leases() == []
        assert [peer.namespace for peer in client.clients()] == ["ns"]
        assert [each.namespace for each in client.namespaces()] == ["ns"]


def test_peek_leaves_the_order(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        client.put(A, b"a")
        client.put(B, b"b")
        for flags, latest in (m.PEEK, B), (0, A):
            assert client.wait_for(client.ask(A, None, flags, 0, 0)).value == b"a"
            assert client.entries("ns")[0].prompt == latest.prompt


def test_snapshot_and_set_refused_with_reason(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        assert client.snapshot() == m.Snapshot(False, 0, 0, None, 0, 0, 0, "")
        with pytest.raises(wire.Refused, match="state folder"):
            client.snapshot(start=True)
        with pytest.raises(wire.Refused, match="max-bytes") as refused:
            client.set("max_bytes", "1M")
        assert refused.value.code == wire.EINVAL


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 7])
def test_version_decides_how_many_fields_a_reply_has(daemon: Daemon, version: int) -> None:
    with Client(daemon.socket, "ns", versions=(1, version)) as client:
        client.put(A, b"a")

        def size(type: int, *fields: object) -> int:
            client.wire.send(type, *fields)
            return len(client.wire.receive())

        leases = version >= 3
        assert size(m.GET, *m.get(version, 0, A, None, 0, 0)) == 4  # a hit
        assert size(m.GET, *m.get(version, 0, B, None, 0, 0)) == 4 + leases
        assert size(m.GET, 0, *B, None) == 4 + leases  # without lease_ms and wait_ms
        assert size(m.GET_MANY, m.LEASE, *A, None) == 6
        assert size(m.GET_MANY, 0, *B, None) == 6
        assert size(m.GET_MANY, m.LEASE, *B, None) == 6 + leases


def test_requests_pipelined_matched_by_id(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        client.put(A, b"a")
        ids = [client.ask(each) for each in (A, B) * 50]
        pong = client.wire.send(m.PING)
        client.wire.reply(pong, m.PING)
        values = [client.wait_for(id).value for id in reversed(ids)]
        assert values == [None, b"a"] * 50


# Puts


def test_get_many_over_a_frame_comes_in_parts(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "16M", "--max-value", "1M") as daemon:
        with Client(daemon.socket, "ns") as client:
            keys = [key(i) for i in range(8)]
            for i, each in enumerate(keys):
                client.put(each, bytes([i]) * (BIG - i))
            assert client.welcome.max_frame < 8 * BIG
            got = client.get_many([*keys, key(99)], flags=m.LEASE)
            assert [each.value for each in got[:8]] == [bytes([i]) * (BIG - i) for i in range(8)]
            assert (got[8].value, got[8].lease) == (None, m.GRANTED)
            assert client.put_many(keys[:2], [b"x" * (BIG + 1), b"y"]) == (1, 0, 0, 1)


def test_clear_makes_older_puts_stale_and_raises_the_generation(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        ft = key(1, view="ft")
        missed, other = client.get(A), client.get(ft)
        client.put(B, b"b")
        assert client.clear("ns", "base") == 1
        assert client.get(B).clear_generation == missed.clear_generation + 1
        assert client.put(A, b"a", missed) == m.STALE
        assert client.put(ft, b"ft", other) == m.STORED  # the clear did not take this key
        assert client.clear("no such") == 0
        assert client.get(A).clear_generation == missed.clear_generation + 1
        assert client.clear() == 1
        assert client.get(ft).value is None
        with Client(daemon.socket, "another") as another:
            assert another.welcome.clear_generation == missed.clear_generation + 3


# Tools


def test_lists_paged_in_order(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns", manifest="{}") as client, Client(daemon.socket) as tool:
        keys = [key(i) for i in range(5)]
        for each in keys:
            client.put(each, b"v")
        client.get(keys[0])  # now the most recently used
        order = [keys[i].prompt for i in (0, 4, 3, 2, 1)]
        assert [entry.prompt for entry in tool.entries(limit=2)] == order
        assert [entry.hits for entry in tool.entries("ns", "base", NAME, 1)] == [1, 0, 0, 0, 0]
        assert tool.entries(view="no such") == []
        client.get_many([key(i) for i in (7, 8, 9)], flags=m.LEASE, lease_ms=60000)
        leases = tool.leases("ns", limit=1)
        assert [lease.key for lease in leases] == [key(7), key(8), key(9)]
        assert [(lease.pid, lease.client) for lease in leases] == [(os.getpid(), "stranger")] * 3
        assert all(0 < lease.left_ns <= 60_000_000_000 and not lease.waits for lease in leases)
        cursor, _ = m.page(tool.wire.call(m.LEASES, "ns", 1, b""), m.lease)
        m.page(tool.wire.call(m.CLIENTS, None, 1, cursor), m.peer)  # any rows, but no error
        with Client(daemon.socket, "other", client="last"):
            first, second, third = tool.clients(limit=1)
            assert (first.leases, first.held, first.hits) == (3, key(7), 1)
            assert (second.namespace, second.uid, second.region) == (None, os.getuid(), False)
            assert (third.client, third.namespace) == ("last", "other")
            assert [peer.client for peer in tool.clients("other")] == ["last"]
            one, two = tool.namespaces(limit=1)
        assert (one.namespace, one.manifest, one.entries, one.hits, one.misses) == (
            *("ns", "{}", 5, 1, 5),
        )
        assert (two.namespace, two.manifest, two.bytes, two.clients) == ("other", None, 0, 1)


def test_trace_has_a_line_for_each_recorded_lookup(daemon: Daemon, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "trace.jsonl")
    with Client(daemon.socket, "ns") as client:
        assert client.trace() == (False, None, 0, 0)
        for mkdir in None, False:
            with refused(wire.ETRACE):
                client.trace(1, path, mkdir)
        assert client.trace(1, path, mkdir=True)[:2] == (True, path)
        client.put(A, b"a", probe="é")
        client.get(A)
        client.get(A, flags=m.UNRECORDED)
        assert client.trace() == (True, path, 2, 0)
        assert client.trace(2) == (False, None, 2, 0)
        wait_until(lambda: Path(path).read_text().count("\n") == 2, "the trace is written")
        with refused(wire.ETRACE):
            client.trace(1, str(tmp_path))


def test_shutdown_sent_to_each_client(daemon: Daemon) -> None:
    assert daemon.process is not None
    with Client(daemon.socket, "ns") as client, Client(daemon.socket) as tool:
        tool.shutdown()
        for connection in client.wire, tool.wire:
            assert error_of(connection) == (0, wire.ESHUTDOWN, True)
        assert daemon.process.wait(20) == 0


# Leases


def waiting(client: Client, wanted: m.Key, flags: int = m.LEASE, wait_ms: int = 60000) -> int:
    """Sends a get that waits; returns once the daemon has it in its queue."""
    id = client.ask(wanted, None, flags, 0, wait_ms)
    client.ping()  # is answered at once; requests take effect in the order in which they were sent
    assert any(peer.wait and peer.wait.key == wanted for peer in client.clients())
    return id


class Trio:
    """``owner`` computes A; ``first`` and ``second`` wait for it, in this order."""

    def __init__(self, path: str) -> None:
        names = "owner", "first", "second"
        self.owner, self.first, self.second = (Client(path, "ns", each) for each in names)
        self.known = self.owner.get(A, flags=m.LEASE)
        assert self.known.lease == m.GRANTED
        self.first_id, self.second_id = waiting(self.first, A), waiting(self.second, A)

    def close(self) -> None:
        for client in self.owner, self.first, self.second:
            client.close()

    def is_passed_on(self) -> m.Got:
        """``first`` is granted the lease, and ``second`` waits for it now."""
        got = self.first.wait_for(self.first_id)
        assert (got.value, got.lease) == (None, m.GRANTED)
        second = next(peer for peer in self.second.clients() if peer.client == "second")
        assert second.wait is not None and second.wait.client == "first"
        assert (second.waits, second.wait.key) == (1, A)
        assert self.first.put(A, b"of first", got, flags=m.KEEP_FIRST) == m.STORED
        assert self.second.wait_for(self.second_id).value == b"of first"
        return got


@pytest.fixture
def trio(daemon: Daemon) -> Iterator[Trio]:
    result = Trio(daemon.socket)
    yield result
    result.close()


def test_put_ends_all_waits(trio: Trio) -> None:
    assert trio.first.get(A).lease == m.TAKEN  # a wait_ms of 0
    assert trio.second.get_many([A])[0].lease == m.NONE  # no flag, so no leases
    assert trio.second.get_many([A], flags=m.LEASE)[0].lease == m.TAKEN
    assert trio.owner.get(A, flags=m.LEASE).lease == m.NONE  # nested in its own computation
    assert trio.owner.leases()[0].waits == 2
    assert trio.owner.put(A, b"value", trio.known) == m.STORED
    assert trio.first.wait_for(trio.first_id).value == b"value"
    assert trio.second.wait_for(trio.second_id).value == b"value"
    assert figure(trio.owner, "coalesced_hits") == 2


@pytest.mark.parametrize(
    "end",
    [
        lambda trio: trio.owner.give_up(A, B),
        lambda trio: trio.owner.close(),
        lambda trio: trio.owner.wire.socket.shutdown(socket.SHUT_WR),
        lambda trio: trio.owner.wire.send(0x3F),  # no request: the daemon ends the connection
        lambda trio: trio.owner.put(A, b"v", trio.known._replace(clear_generation=0)),  # stale
    ],
)
def test_lease_ended_without_value_passed_on(trio: Trio, end: Callable[[Trio], object]) -> None:
    end(trio)
    trio.is_passed_on()


def test_lease_of_cleared_key_passed_on_with_new_generation(trio: Trio) -> None:
    trio.second.clear("ns")
    got = trio.is_passed_on()
    assert got.clear_generation == trio.known.clear_generation + 1
    assert trio.owner.put(A, b"late", trio.known, flags=m.KEEP_FIRST) == m.STALE


def test_give_up_of_all_ends_waits(trio: Trio) -> None:
    other = trio.first.ask(B, flags=m.LEASE)  # a lease while it waits
    assert trio.first.wait_for(other).lease == m.GRANTED
    assert trio.first.wait_for(trio.first_id).lease == m.TAKEN  # a holder never waits
    assert trio.first.get(A, flags=m.LEASE, wait_ms=60000).lease == m.NONE
    assert trio.second.give_up() == 0
    assert trio.second.wait_for(trio.second_id).lease == m.NONE
    assert trio.first.give_up() == 1


def test_connection_waiting_twice_granted_once(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as owner, Client(daemon.socket, "ns") as other:
        owner.get(A, flags=m.LEASE)
        ids = waiting(other, A), waiting(other, A)
        owner.give_up(A)
        assert [other.wait_for(id).lease for id in ids] == [m.GRANTED, m.TAKEN]


def test_wait_without_the_flag_never_gets_the_lease(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as owner, Client(daemon.socket, "ns") as other:
        owner.get(A, flags=m.LEASE)
        id = waiting(other, A, flags=0)
        owner.give_up()
        assert other.wait_for(id).lease == m.NONE


# Errors


def test_error_has_the_id_of_its_request_and_may_end_the_connection(daemon: Daemon) -> None:
    """Two of many: tests/system/hostile/test_protocol_doc_claims.c tries the page's whole table."""
    with Client(daemon.socket, "ns") as client:
        id = client.wire.send(m.STATS, "a\x85")
        assert error_of(client.wire) == (id, wire.ENAME, False)
        client.wire.send_bytes(wire.MAGIC + b"\0\0\0\3\x94\6\7")  # four elements in two bytes
        assert error_of(client.wire) == (0, wire.EPROTOCOL, True)


def test_frame_before_hello_has_a_smaller_limit(daemon: Daemon) -> None:
    connection = Wire(daemon.socket, 20)
    connection.send_bytes(b"FCA1" + (65537).to_bytes(4, "big"))
    assert error_of(connection) == (0, wire.EFRAME, True)
    connection.close()


def test_put_over_the_largest_frame_is_not_sent(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        with pytest.raises(ValueError):
            client.put(A, bytes(client.welcome.max_frame))
        with pytest.raises(Refused, match=r"\d"):
            client.put(A, bytes(client.welcome.max_value + 1))
        client.put(A, bytes(client.welcome.max_value))
        assert client.get(A).value == bytes(client.welcome.max_value)
