"""docs/protocol.md against the daemon, by a client that was written from that page alone."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import Daemon, wait_until
from stranger import messages as m
from stranger import wire
from stranger.client import Client
from stranger.support import blocks, figure, key, refused, running
from stranger.wire import Closed, Refused, Wire

A, B, C = key(1), key(2), key(3)
NAME = "logprob_of"
HASH = A.prompt
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


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_hello_of_each_version_gets_its_welcome(daemon: Daemon, version: int) -> None:
    connection = Wire(daemon.socket, 20)
    fields = m.hello((1, version), "stranger", "ns", None, 0, None)
    connection.send(m.HELLO, *fields)
    body = connection.receive()
    assert len(body) == (8 if version == 1 else 10)
    welcome = m.welcome(wire.Fields(body[2:]))
    assert welcome.version == version and (welcome.namespace_id, welcome.client_id) == (0, 0)
    assert welcome.max_frame > welcome.max_value
    connection.close()


def test_range_of_versions_gets_the_highest_in_common(daemon: Daemon) -> None:
    for versions, expected in ((1, 1), 1), ((2, 3), 3), ((1, 9), 4), ((4, 2**32 - 1), 4):
        with Client(daemon.socket, versions=versions) as client:
            assert client.welcome.version == expected


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_value_of_each_version_is_stored_and_found(daemon: Daemon, version: int) -> None:
    with Client(daemon.socket, "ns", versions=(version, version)) as client:
        missed = client.get(A, "probe")
        assert missed.value is None and missed.clear_generation >= 1
        assert client.put(A, b"value", missed, "probe") == m.STORED
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
        assert [namespace[name] for name in counted] == [2, 3, 1, 2, 2]
        assert client.stats("no such").namespaces == []
        # Requests of later versions are answered too.
        assert client.give_up(C) == 0  # the nil ended its lease
        assert client.leases() == []
        assert [peer.namespace for peer in client.clients()] == ["ns"]
        assert [each.namespace for each in client.namespaces()] == ["ns"]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
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


def test_requests_in_a_row_are_answered_by_their_ids(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        client.put(A, b"a")
        ids = [client.ask(each) for each in (A, B) * 50]
        pong = client.wire.send(m.PING)
        client.wire.reply(pong, m.PING)
        values = [client.wait_for(id).value for id in reversed(ids)]
        assert values == [None, b"a"] * 50


def test_fields_of_a_later_version_are_skipped(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        rest = [{"a": [1, 2.5]}, None, b"x"]
        client.wire.call(m.PING, *rest)
        assert m.got(client.wire.call(m.GET, 0xFF00, *A, None, 0, 0, *rest), 4).value is None
        assert m.outcome(client.wire.call(m.PUT, *m.put(0, A, None, 0, 0, 0, b""), *rest)) == 0
        assert client.get(A).value == b""


def test_max_entries_of_a_hello_evicts_the_least_recently_used(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        for each in A, B, C:
            client.put(each, b"v")
        assert client.get(A).value == b"v"
        with Client(daemon.socket, "ns", max_entries=2):
            assert [client.get(each).value for each in (A, B, C)] == [b"v", None, b"v"]
        assert figure(client, "evictions_entries") == 1


def test_namespace_without_a_place_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M", "--max-namespaces", "1") as daemon:
        with Client(daemon.socket, "one"):
            with refused(wire.EREFUSED):
                Client(daemon.socket, "two")
        Client(daemon.socket, "two").close()


def test_namespace_that_was_never_used_ends_with_its_last_client(daemon: Daemon) -> None:
    with Client(daemon.socket) as tool:
        Client(daemon.socket, "unused", manifest="{}").close()
        Client(daemon.socket, "limited", max_entries=5).close()
        with Client(daemon.socket, "used") as client:
            known = client.get(A)
            client.put(A, b"a")
        names = ["limited", "used"]
        wait_until(lambda: [each.namespace for each in tool.namespaces()] == names, "it is gone")
        Client(daemon.socket, "unused").close()  # made anew
        with Client(daemon.socket, "unused") as client:
            assert client.put(A, b"a", known) == m.STALE  # known before the namespace was made


def test_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    options = "--max-bytes", "8M", "--max-value", "1M", "--stall-timeout", "1"
    with running(tmp_path, *options) as daemon, Client(daemon.socket) as tool:
        with Client(daemon.socket, "ns") as client:
            client.put(A, bytes(BIG))
            for _ in range(8):
                client.ask(A)
            wait_until(lambda: figure(tool, "dropped") == 1, "it is dropped")
            with pytest.raises((Closed, Refused)):
                while True:
                    client.wire.receive()


# Puts


def test_put_follows_the_order_of_the_checks(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "256K", "--max-value", "256K") as daemon:
        with Client(daemon.socket, "ns") as client:
            full = b"x" * client.welcome.max_value
            boot, now = client.welcome.boot_id, client.get(A).clear_generation

            def put(pair: tuple[int, int], value: object, flags: int = 0) -> int:
                fields = [flags, *A, None, *pair, 0, value]
                return m.outcome(client.wire.call(m.PUT, *fields))

            with refused(wire.ETOOBIG):  # 1
                put((boot ^ 1, now), None)
            assert put((boot ^ 1, now), full) == m.STALE  # 2
            with refused(wire.ETOOBIG):  # 3: the charge is over --max-bytes
                put((boot, 0), full)
            assert put((boot, now), b"first") == m.STORED
            client.clear("ns")
            assert put((0, 0), b"preloaded") == m.STORED  # 0 and 0 forgo the check
            assert put((boot, now), b"late", m.KEEP_FIRST) == m.STALE  # 4
            assert put((boot, now + 1), b"other", m.KEEP_FIRST) == m.KEPT  # 5
            assert client.get(A).value == b"preloaded"
            assert put((boot, now + 1), b"other") == m.STORED  # 7
            assert client.get(A).value == b"other"
            assert figure(client, "puts_stale") == 2 and figure(client, "puts_kept") == 1
            assert figure(client, "puts_too_big") == 2
            assert figure(client, "cache_misses") == 8  # stored or not
            put((0, 0), b"unrecorded", m.UNRECORDED)
            assert figure(client, "cache_misses") == 8


def test_get_many_of_more_than_a_frame_comes_in_parts(tmp_path: Path) -> None:
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


def test_put_after_more_clears_than_are_remembered_is_stale(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        known = client.get(A)
        for i in range(16):
            client.clear("ns", f"view {i}")
        assert client.put(A, b"a", known) == m.STORED
        client.clear("ns", "one more")
        assert client.put(A, b"a", known) == m.STALE


# Tools


def test_entries_are_charged_as_the_page_says(daemon: Daemon) -> None:
    [(_, text)] = blocks("protocol.md", "charges")
    with Client(daemon.socket, "ns") as client:
        for line in text.splitlines():
            op, view, size, charge = map(int, line.split())
            client.put(key(0, "o" * op, "v" * view, 2**32 - 1), bytes(size), compute_ns=size)
            [entry] = client.entries("ns", "v" * view, "o" * op)
            assert entry[:2] == ("ns", "o" * op) and entry.prompt == key(0).prompt
            assert (entry.value_size, entry.charge, entry.compute_ns) == (size, charge, size)
            assert (entry.top_k, entry.hits) == (2**32 - 1, 0)


def test_lists_come_in_pages_in_their_order(daemon: Daemon) -> None:
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


def test_manifest_stays_until_another_comes(daemon: Daemon) -> None:
    longest = "é" * 8192
    with Client(daemon.socket, "ns", manifest="first") as client:
        for given, kept in (None, "first"), (longest, longest), ("{}", "{}"):
            Client(daemon.socket, "ns", manifest=given).close()
            assert client.namespaces("ns")[0].manifest == kept


def test_trace_has_a_line_for_each_recorded_lookup(daemon: Daemon, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "trace.jsonl")
    with Client(daemon.socket, "ns") as client:
        assert client.trace() == (False, None, 0, 0)
        assert client.trace(1, path)[:2] == (True, path)
        client.put(A, b"a", probe="é")
        client.get(A)
        client.get(A, flags=m.UNRECORDED)
        assert client.trace() == (True, path, 2, 0)
        assert client.trace(2) == (False, None, 2, 0)
        wait_until(lambda: Path(path).read_text().count("\n") == 2, "the trace is written")
        with refused(wire.ETRACE):
            client.trace(1, str(tmp_path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without rights")
def test_user_without_rights_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path, "--max-bytes", "1M") as daemon:
        monkeypatch.chdir(tmp_path)
        tmp_path.chmod(0o755)
        os.chmod(daemon.socket, 0o666)
        os.seteuid(65534)
        try:
            client = Client("fcached.sock", "ns")
        finally:
            os.seteuid(0)
        with client:
            assert client.trace().on is False and client.clear("ns") == 0
            requests: list[tuple[int, list[object]]] = [
                (m.CLEAR, [None, None, None]),
                (m.CLEAR, ["other", None, None]),
                (m.TRACE, [1, str(tmp_path / "t")]),
                (m.TRACE, [2, None]),
                (m.SHUTDOWN, []),
            ]
            for type, fields in requests:
                with refused(wire.EDENIED):
                    client.wire.call(type, *fields)


@pytest.mark.parametrize("by_message", [True, False])
def test_shutdown_is_told_to_each_client(daemon: Daemon, by_message: bool) -> None:
    assert daemon.process is not None
    with Client(daemon.socket, "ns") as client, Client(daemon.socket) as tool:
        if by_message:
            tool.shutdown()
        else:
            daemon.process.send_signal(signal.SIGTERM)
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


def test_put_answers_all_who_wait(trio: Trio) -> None:
    assert trio.first.get(A).lease == m.TAKEN  # a wait_ms of 0
    assert trio.second.get_many([A])[0].lease == m.NONE  # no flag, so no leases
    assert trio.second.get_many([A], flags=m.LEASE)[0].lease == m.TAKEN
    assert trio.owner.get(A, flags=m.LEASE).lease == m.NONE  # nested in its own computation
    assert trio.owner.leases()[0].waits == 2
    assert trio.owner.put(A, b"value", trio.known) == m.STORED
    assert trio.first.wait_for(trio.first_id).value == b"value"
    assert trio.second.wait_for(trio.second_id).value == b"value"
    assert figure(trio.owner, "coalesced_hits") == 2


def test_lease_that_is_given_up_passes_on(trio: Trio) -> None:
    assert trio.owner.give_up(A, B) == 1
    trio.is_passed_on()


def test_lease_of_a_closed_connection_passes_on(trio: Trio) -> None:
    trio.owner.close()
    trio.is_passed_on()


def test_lease_of_a_half_closed_connection_passes_on(trio: Trio) -> None:
    trio.owner.wire.socket.shutdown(socket.SHUT_WR)
    trio.is_passed_on()


def test_lease_of_a_connection_that_broke_the_protocol_passes_on(trio: Trio) -> None:
    trio.owner.wire.send(0x3F)
    trio.is_passed_on()


def test_lease_of_a_cleared_key_passes_on_with_the_new_generation(trio: Trio) -> None:
    trio.second.clear("ns")
    got = trio.is_passed_on()
    assert got.clear_generation == trio.known.clear_generation + 1
    assert trio.owner.put(A, b"late", trio.known, flags=m.KEEP_FIRST) == m.STALE


def test_lease_after_a_stale_put_of_its_owner_passes_on(trio: Trio) -> None:
    assert trio.owner.put(A, b"v", trio.known._replace(clear_generation=0)) == m.STALE
    trio.is_passed_on()


def test_value_that_is_too_big_sends_all_who_wait_to_compute(trio: Trio) -> None:
    with refused(wire.ETOOBIG):
        trio.first.put(A, None)  # of anybody else: changes nothing
    assert figure(trio.owner, "lease_waits") == 2
    with refused(wire.ETOOBIG):
        trio.owner.put(A, None)
    for client, id in (trio.first, trio.first_id), (trio.second, trio.second_id):
        assert client.wait_for(id) == (trio.known.clear_generation, None, m.NONE)


def test_give_up_of_all_answers_the_waits_too(trio: Trio) -> None:
    other = trio.first.ask(B, flags=m.LEASE)  # a lease while it waits
    assert trio.first.wait_for(other).lease == m.GRANTED
    assert trio.first.wait_for(trio.first_id).lease == m.TAKEN  # a holder never waits
    assert trio.first.get(A, flags=m.LEASE, wait_ms=60000).lease == m.NONE
    assert trio.second.give_up() == 0
    assert trio.second.wait_for(trio.second_id).lease == m.NONE
    assert trio.first.give_up() == 1


def test_wait_without_the_flag_never_gets_the_lease(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as owner, Client(daemon.socket, "ns") as other:
        owner.get(A, flags=m.LEASE)
        id = waiting(other, A, flags=0)
        owner.give_up()
        assert other.wait_for(id).lease == m.NONE


def test_times_that_are_over_end_the_term_and_the_wait(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as owner, Client(daemon.socket, "ns") as other:
        owner.get(A, flags=m.LEASE, lease_ms=1)
        owner.get(B, flags=m.LEASE)
        assert other.get(B, flags=m.LEASE, wait_ms=1).lease == m.NONE
        assert other.get(A, flags=m.LEASE, wait_ms=60000).lease == m.GRANTED
        assert figure(other, "leases_expired") == 1
        assert owner.put(A, b"late", flags=m.KEEP_FIRST) == m.STORED  # it is the first


def test_leases_past_their_bound_are_not_granted(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M", "--max-leases", "8") as daemon:
        with Client(daemon.socket, "ns") as client:
            got = client.get_many([key(i) for i in range(4)], flags=m.LEASE)
            assert [each.lease for each in got] == [m.GRANTED, m.GRANTED, m.NONE, m.NONE]


def test_term_of_a_lease_is_bounded(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M", "--lease-max", "60") as daemon:
        with Client(daemon.socket, "ns") as client:
            client.get(A, flags=m.LEASE, lease_ms=2**32 - 1)
            client.get(B, flags=m.LEASE)  # 0: 5 minutes
            client.get(C, flags=m.LEASE, lease_ms=50000)
            terms = [round((each.held_ns + each.left_ns) / 1e9) for each in client.leases()]
            assert terms == [60, 60, 50]


# Errors

LONG = "é" * 128  # 256 bytes
BAD: dict[str, tuple[int, Sequence[object], int, bool]] = {
    "empty name": (m.GET, [0, "", "base", 0, HASH, None, 0, 0], wire.ENAME, False),
    "long name": (m.GET, [0, LONG, "base", 0, HASH, None, 0, 0], wire.ENAME, False),
    "control character": (m.STATS, ["a\x85"], wire.ENAME, False),
    "bad name before missing fields": (m.GET, [0, "\n"], wire.ENAME, False),
    "limit of 0": (m.LIST, [None, None, None, 0, b""], wire.EINVAL, False),
    "cursor": (m.CLIENTS, [None, 1, b"x"], wire.EINVAL, False),
    "no path": (m.TRACE, [1, None], wire.EINVAL, False),
    "relative path": (m.TRACE, [1, "trace"], wire.EINVAL, False),
    "empty path": (m.TRACE, [1, ""], wire.EINVAL, False),
    "long path": (m.TRACE, [1, "/" * 4096], wire.EINVAL, False),
    "NUL in path": (m.TRACE, [1, "/tmp/\0"], wire.EINVAL, False),
    "path to switch off": (m.TRACE, [2, "/tmp/x"], wire.EINVAL, False),
    "nil value": (m.PUT, [0, *A, None, 0, 0, 0, None], wire.ETOOBIG, False),
    "bin for str": (m.STATS, [b"ns"], wire.EPROTOCOL, True),
    "str for bin": (m.LEASES, [None, 1, ""], wire.EPROTOCOL, True),
    "nil op": (m.GET, [0, None, "base", 0, HASH, None, 0, 0], wire.EPROTOCOL, True),
    "negative": (m.LIST, [None, None, None, -1, b""], wire.EPROTOCOL, True),
    "too large": (m.LIST, [None, None, None, 2**32, b""], wire.EPROTOCOL, True),
    "too few fields": (m.GET, [0, *A], wire.EPROTOCOL, True),
    "lease without wait": (m.GET, [0, *A, None, 1], wire.EPROTOCOL, True),
    "short prompt": (m.GET, [0, *A[:3], HASH[:15], None], wire.EPROTOCOL, True),
    "no prompts": (m.GET_MANY, [0, *A[:3], b"", None], wire.EPROTOCOL, True),
    "odd prompts": (m.GET_MANY, [0, *A[:3], HASH + b"x", None], wire.EPROTOCOL, True),
    "values": (m.PUT_MANY, [0, *A, None, 0, 0, 0, 0, []], wire.EPROTOCOL, True),
    "long cursor": (m.NAMESPACES, [None, 1, bytes(65)], wire.EPROTOCOL, True),
    "path for the status": (m.TRACE, [0, "/tmp/x"], wire.EINVAL, False),
    "action": (m.TRACE, [3, None], wire.EPROTOCOL, True),
    "op without view": (m.GIVE_UP, [NAME, None, 0, HASH], wire.EPROTOCOL, True),
    "op without prompts": (m.GIVE_UP, [NAME, "base", 0, None], wire.EPROTOCOL, True),
    "view without op": (m.GIVE_UP, [None, "base", 0, None], wire.EPROTOCOL, True),
    "unknown type": (0x10, [], wire.EPROTOCOL, True),
    "second hello": (m.HELLO, [1, 1, "stranger", "ns", None], wire.EPROTOCOL, True),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_argument_is_refused_as_the_page_says(daemon: Daemon, what: str) -> None:
    type, fields, code, closed = BAD[what]
    with Client(daemon.socket, "ns") as client:
        id = client.wire.send(type, *fields)
        assert error_of(client.wire) == (id, code, closed)


def test_lease_fields_of_version_1_are_checked_and_ignored(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns", versions=(1, 1)) as client:
        for _ in range(2):
            fields = client.wire.call(m.GET, m.LEASE, *A, None, 1000, 1000)
            assert m.got(fields, 1).value is None
        assert client.leases() == []
        id = client.wire.send(m.GET, 0, *A, None, "no u32", 0)
        assert error_of(client.wire) == (id, wire.EPROTOCOL, True)


def test_tool_can_neither_get_nor_put(daemon: Daemon) -> None:
    with Client(daemon.socket) as tool:
        requests: list[Callable[[], object]] = [
            lambda: tool.get(A),
            lambda: tool.get_many([A]),
            lambda: tool.put(A, b""),
            lambda: tool.put_many([A], [b""]),
            lambda: tool.give_up(A),
            tool.give_up,
        ]
        for request in requests:
            with refused(wire.ENONAMESPACE):
                request()


ping = wire.frame(m.PING, 7, [])
BYTES: dict[str, tuple[bytes, int, int]] = {
    "wrong magic": (b"FCA2" + ping[4:], 0, wire.EPROTOCOL),
    "length of 0": (b"FCA1\0\0\0\0", 0, wire.EPROTOCOL),
    "long frame": (b"FCA1\x7f\0\0\0", 0, wire.EFRAME),
    "no array": (b"FCA1\0\0\0\1\x07", 0, wire.EPROTOCOL),
    "array of one": (b"FCA1\0\0\0\2\x91\x06", 0, wire.EPROTOCOL),
    "id that is no u32": (b"FCA1\0\0\0\4\x92\x06\xa1x", 0, wire.EPROTOCOL),
    "bytes behind the array": (b"FCA1\0\0\0\4\x92\x06\7\xc0", 7, wire.EPROTOCOL),
}


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_are_no_message_end_the_connection(daemon: Daemon, what: str) -> None:
    data, id, code = BYTES[what]
    with Client(daemon.socket, "ns") as client, Client(daemon.socket, "ns") as other:
        client.wire.send_bytes(data)
        assert error_of(client.wire) == (id, code, True)
        other.ping()


HELLOS: dict[str, tuple[int, Sequence[object], int]] = {
    "bad client": (m.HELLO, [1, 1, "", "ns", None], wire.ENAME),
    "bad namespace": (m.HELLO, [1, 1, "c", "\0", None], wire.ENAME),
    "max_entries of 0": (m.HELLO, [1, 1, "c", "ns", 0], wire.EMAXENTRIES),
    "large max_entries": (m.HELLO, [1, 1, "c", "ns", 2**63], wire.EPROTOCOL),
    "other versions": (m.HELLO, [5, 6, "c", "ns", None, 0, None], wire.EVERSION),
    "version 0": (m.HELLO, [0, 0, "c", "ns", None], wire.EVERSION),
    "too few fields of version 2": (m.HELLO, [1, 2, "c", "ns", None], wire.EPROTOCOL),
    "too few fields of version 4": (m.HELLO, [1, 4, "c", "ns", None, 0], wire.EPROTOCOL),
    "empty manifest": (m.HELLO, [1, 4, "c", "ns", None, 0, ""], wire.EINVAL),
    "long manifest": (m.HELLO, [1, 4, "c", "ns", None, 0, "x" * 16385], wire.EINVAL),
    "NUL in manifest": (m.HELLO, [1, 4, "c", "ns", None, 0, "a\0"], wire.EINVAL),
    "no hello": (m.PING, [], wire.ENOHELLO),
    "unknown type": (0x10, [], wire.EPROTOCOL),
}


@pytest.mark.parametrize("what", HELLOS)
def test_bad_hello_ends_the_connection(daemon: Daemon, what: str) -> None:
    type, fields, code = HELLOS[what]
    connection = Wire(daemon.socket, 20)
    id = connection.send(type, *fields)
    assert error_of(connection) == (id, code, True)
    connection.close()


def test_max_entries_of_a_tool_is_ignored(daemon: Daemon) -> None:
    Client(daemon.socket, max_entries=0).close()


def test_frame_before_hello_has_a_smaller_limit(daemon: Daemon) -> None:
    connection = Wire(daemon.socket, 20)
    connection.send_bytes(b"FCA1" + (65537).to_bytes(4, "big"))
    assert error_of(connection) == (0, wire.EFRAME, True)
    connection.close()


def test_client_over_the_limit_is_told_that_the_daemon_is_busy(tmp_path: Path) -> None:
    with running(tmp_path, "--max-bytes", "1M", "--max-clients", "1") as daemon:
        clients: list[Client] = []

        def is_welcome() -> bool:  # once the daemon has seen the end of the fixture's connection
            try:
                clients.append(Client(daemon.socket))
            except Refused as error:
                assert (error.id, error.code) == (0, wire.EBUSY)
            return bool(clients)

        wait_until(is_welcome, "the first client is welcome")
        connection = Wire(daemon.socket, 20)
        assert error_of(connection) == (0, wire.EBUSY, True)
        connection.close()
        clients[0].ping()
        clients[0].close()


def test_hello_and_frame_that_do_not_come_are_timed_out(tmp_path: Path) -> None:
    options = "--hello-timeout", "1", "--stall-timeout", "1"
    with running(tmp_path, "--max-bytes", "1M", *options) as daemon:
        silent = Wire(daemon.socket, 20)
        with Client(daemon.socket) as client:
            client.wire.send_bytes(ping[:9])
            assert error_of(silent) == (0, wire.ETIMEDOUT, True)
            assert error_of(client.wire) == (0, wire.ETIMEDOUT, True)
        silent.close()


def test_put_over_the_largest_frame_is_not_sent(daemon: Daemon) -> None:
    with Client(daemon.socket, "ns") as client:
        with pytest.raises(ValueError):
            client.put(A, bytes(client.welcome.max_frame))
        with pytest.raises(Refused, match=r"\d"):
            client.put(A, bytes(client.welcome.max_value + 1))
        client.put(A, bytes(client.welcome.max_value))
        assert client.get(A).value == bytes(client.welcome.max_value)
