"""The messages for tools against the daemon, by the client that was written from docs/protocol.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import pytest
from conftest import Daemon, wait_until
from stranger import messages as m
from stranger import tools as t
from stranger import wire
from stranger.client import Client
from stranger.support import key, refused, running
from stranger.tools import Tool

A, B = key(1), key(2)
OTHER = key(3, op="other")
OP = A.op


@pytest.fixture
def tool(daemon: Daemon) -> Iterator[Tool]:
    with Tool(daemon.socket, client="tool", versions=(1, 8)) as result:
        yield result


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.socket, "ns", client="worker", versions=(1, 8)) as result:
        yield result


def test_delete_removes_one_key_and_makes_its_older_puts_stale(tool: Tool, client: Client) -> None:
    known = client.get(A)
    client.put(A, b"a")
    client.put(B, b"b")
    # The namespace, whether there was an entry, and by how much the generation rises.
    for namespace, existed, rise in ("ns", True, 1), ("ns", False, 2), ("no such", False, 2):
        assert tool.delete(namespace, A) is existed
        assert client.get(A) == (known.clear_generation + rise, None, m.NONE)
    assert client.put(A, b"old", known) == m.STALE
    assert client.put(key(9), b"9", known) == m.STORED
    assert client.get(B).value == b"b"


@pytest.mark.parametrize("version", [7, 8])
@pytest.mark.parametrize("local", [None, False, True])
def test_local_changes_nothing_without_tier(
    daemon: Daemon, version: int, local: Optional[bool]
) -> None:
    with Tool(daemon.socket, "ns", client="tool", versions=(version, version)) as tool:
        assert tool.welcome.version == version
        for i in range(3):
            tool.put(key(i), b"v")
        assert tool.delete("ns", key(0), local) is True
        assert tool.clear("ns", local=local) == 2
        assert all(tool.get(key(i)).value is None for i in range(3))
        with refused(wire.EPROTOCOL):
            tool.wire.call(m.CLEAR, "ns", None, None, 1)


def test_kill_ends_the_connection_with_a_reason(tool: Tool, client: Client) -> None:
    [id] = [peer.client_id for peer in tool.clients() if peer.client == "worker"]
    assert tool.kill(id)
    with pytest.raises(wire.Refused) as error:
        client.wire.reply(0, m.PING)
    assert (error.value.id, error.value.code) == (0, wire.EKILLED)
    assert not tool.kill(id)


def test_list_has_the_entries_whose_computation_took_as_long(client: Client) -> None:
    for i in range(4):
        client.put(key(i), b"v", compute_ns=10 * i)
    expected: dict[int, list[int]] = {0: [3, 2, 1, 0], 11: [3, 2], 20: [3, 2], 31: []}
    for least, wanted in expected.items():
        rows = client.entries("ns", limit=1, min_compute_ns=least)
        assert [row.prompt for row in rows] == [key(i).prompt for i in wanted]


USAGE: list[tuple[int, list[tuple[Optional[str], ...]], list[tuple[int, ...]]]] = [
    # By, names (namespace, op, view, probe, client), and hits, misses, saved_ns, computed_ns, put_bytes.
    (
        t.BY_NAMESPACE,
        [("ns", None, None, None, None), ("unused", None, None, None, None)],
        [(3, 2, 2007, 1007, 6), (0, 0, 0, 0, 0)],
    ),
    (
        t.BY_OP,
        [("ns", OP, "base", None, None), ("ns", "other", "base", None, None)],
        [(2, 1, 2000, 1000, 1), (1, 1, 7, 7, 5)],
    ),
    (
        t.BY_PROBE,
        [("ns", None, None, "probe", None), ("ns", None, None, None, None)],
        [(2, 1, 2000, 1000, 1), (1, 1, 7, 7, 5)],
    ),
    (t.BY_CLIENT, [("ns", None, None, None, "worker")], [(3, 2, 2007, 1007, 6)]),
]


@pytest.mark.parametrize(("by", "names", "sums"), USAGE)
def test_usage_has_a_row_for_each_name(
    daemon: Daemon,
    tool: Tool,
    client: Client,
    by: int,
    names: list[tuple[Optional[str], ...]],
    sums: list[tuple[int, ...]],
) -> None:
    with Client(daemon.socket, "unused"):
        client.put(A, b"a", probe="probe", compute_ns=1000)
        client.get(A, "probe")
        client.get(A, "probe")
        client.put(OTHER, b"other", compute_ns=7)
        client.get(OTHER)
        client.get(OTHER, flags=m.UNRECORDED)
        rows = tool.usage(by, limit=1)
        if by == t.BY_CLIENT:
            rows = [row for row in rows if row.client == "worker"]
        assert [row[:5] for row in rows] == names
        assert [row[8:13] for row in rows] == sums
        assert not any(row.others for row in rows)
        [peer] = [peer for peer in tool.clients() if peer.client == "worker"]
        process = (peer.client_id, os.getpid()) if by == t.BY_CLIENT else (0, 0)
        assert (rows[0].client_id, rows[0].pid) == process
        [size] = [each.bytes for each in tool.namespaces("ns")]
        assert rows[0].stored_bytes == (size if by == t.BY_NAMESPACE else 0)
    with refused(wire.EINVAL):
        tool.usage(by, limit=0)


OPERATIONS = "miss", "put", "hit", "lease_wait"


def count_of(kinds: list[t.Latency], path: str, operation: str) -> int:
    [kind] = [each for each in kinds if (each.path, each.operation) == (path, operation)]
    return sum(kind.cells.values())


def test_latency_has_each_request_until_the_reset(tool: Tool, client: Client) -> None:
    for _ in range(20):
        client.get(A)
    client.put(A, b"a")
    client.get(A)
    period_ns, kinds = tool.latency(reset=True)
    assert [count_of(kinds, "socket", name) for name in OPERATIONS] == [20, 1, 1, 0]
    assert {kind.path for kind in kinds} == {"region", "socket", "daemon"}
    for kind in kinds:
        low = sum(t.least(cell) * count for cell, count in kind.cells.items())
        high = sum((t.least(cell + 1) - 1) * count for cell, count in kind.cells.items())
        assert low <= kind.sum_ns <= high
        last = max(kind.cells, default=0)
        assert t.least(last) <= kind.max_ns < t.least(last + 1)
    later_ns, kinds = tool.latency()
    assert later_ns < period_ns
    assert not any(count_of(kinds, "socket", name) for name in OPERATIONS)


def test_slowest_has_the_slowest_first_until_the_reset(tool: Tool, client: Client) -> None:
    keys = [key(i) for i in range(3)]
    client.put_many(keys, [b"v"] * 3)
    client.get(A)
    client.ping()
    assert len(tool.slowest(limit=1)[1]) == 1
    period_ns, requests = tool.slowest(reset=True)
    totals = [each.total_ns for each in requests]
    assert totals == sorted(totals, reverse=True)
    mine = {each.request: each for each in requests if each.client == "worker"}
    assert {name: each.keys for name, each in mine.items()} == {
        **{"hello": 0, "put_many": 3, "get": 1, "ping": 0}
    }
    assert mine["get"][9:] == ("worker", os.getpid(), "ns", OP, "base")
    assert all(each.age_ns <= period_ns for each in requests)
    later_ns, requests = tool.slowest()
    assert later_ns < period_ns
    assert all(each.client == "tool" for each in requests)
    with refused(wire.EINVAL):
        tool.slowest(limit=0)


# Events


def next_events(tool: Tool, wanted: int) -> list[t.Event]:
    """``wanted`` events, in as many replies as they take, and no more."""
    result: list[t.Event] = []
    while len(result) < wanted:
        more = tool.events(20000)
        assert more, f"{result}, and no other event"
        result += more
    return result + tool.events()


def steps(client: Client, tool: Tool) -> None:
    known = client.get(A, flags=m.LEASE)
    client.put(A, b"a", known)
    client.put(A, b"a", known, flags=m.KEEP_FIRST)
    client.get(A)
    client.get(A, flags=m.UNRECORDED)
    client.get(B)
    client.get(B, flags=m.LEASE)
    client.give_up(B)
    assert [tool.delete("ns", A) for _ in range(2)] == [True, False]
    client.put(A, b"a", known)
    with refused(wire.ETOOBIG):
        client.put(A, None)
    client.put(B, b"bb", compute_ns=5)
    client.clear("ns", "base")


# The kind, the detail, the key, the size, the count and the client of the events that steps makes.
Row = tuple[int, int, Optional[m.Key], int, int, Optional[str]]
EVENTS: list[Row] = [
    (t.LEASE, 0, A, 0, 0, "worker"),
    (t.MISS, 1, A, 0, 0, "worker"),
    (t.PUT, 0, A, 1, 0, "worker"),
    (t.LEASE, 1, A, 0, 0, "worker"),
    (t.PUT, 1, A, 1, 0, "worker"),
    (t.HIT, 1, A, 1, 0, "worker"),
    (t.MISS, 0, B, 0, 0, "worker"),
    (t.LEASE, 0, B, 0, 0, "worker"),
    (t.MISS, 1, B, 0, 0, "worker"),
    (t.LEASE, 2, B, 0, 0, "worker"),
    (t.DELETED, 0, A, 0, 1, "tool"),
    (t.DELETED, 0, A, 0, 0, "tool"),
    (t.PUT, 2, A, 1, 0, "worker"),
    (t.PUT, 3, A, 0, 0, "worker"),
    (t.PUT, 0, B, 2, 0, "worker"),
    (t.CLEAR, 0, None, 0, 1, "worker"),
]


def row_of(event: t.Event) -> Row:
    known = None
    if event.op and event.view and event.prompt:
        known = m.Key(event.op, event.view, event.top_k, event.prompt)
    return event.kind, event.detail, known, event.bytes, event.number, event.client


WATCHES: list[tuple[dict[str, str], tuple[int, ...], Callable[[Row], bool]]] = [
    ({}, (), lambda row: True),
    ({"namespace": "ns", "op": OP, "view": "base"}, (), lambda row: True),
    ({}, (t.PUT, t.CLEAR, 31), lambda row: row[0] in (t.PUT, t.CLEAR)),
    ({"client": "tool"}, (), lambda row: row[5] == "tool"),
    ({"namespace": "another"}, (), lambda row: False),
    ({"op": "another"}, (), lambda row: row[0] == t.CLEAR),  # it cleared each op
    ({"view": "another"}, (), lambda row: False),
]


@pytest.mark.parametrize(("names", "kinds", "selects"), WATCHES)
def test_watcher_gets_the_events_that_it_selects(
    daemon: Daemon,
    tool: Tool,
    client: Client,
    names: dict[str, str],
    kinds: tuple[int, ...],
    selects: Callable[[Row], bool],
) -> None:
    wanted = [row for row in EVENTS if selects(row)]
    with Tool(daemon.socket, client="watcher", versions=(1, 8)) as watcher:
        with refused(wire.EINVAL):
            watcher.events()
        assert watcher.watch(*kinds, **names) > 0
        assert watcher.events() == []
        steps(client, tool)
        events = next_events(watcher, len(wanted))
    assert [row_of(event) for event in events] == wanted
    assert all(event.namespace == "ns" for event in events)
    assert all(event.cost_ns == 5 for event in events if event.bytes == 2)
    if not kinds and not names:
        times = [event.time_ns for event in events]
        assert times == sorted(times)


def test_eviction_has_the_cost_and_hits_of_its_entry(daemon: Daemon, tool: Tool) -> None:
    tool.watch(t.EVICTION)
    with Client(daemon.socket, "small", max_entries=1) as client:
        client.put(A, b"aaa", compute_ns=7)
        client.get(A)
        client.put(B, b"b")
        [event] = next_events(tool, 1)
    assert row_of(event) == (t.EVICTION, 0, A, 3, 1, None)
    assert event.cost_ns == 7


def test_slow_watcher_told_how_many_events_it_lost(tool: Tool, client: Client) -> None:
    size = tool.watch(t.MISS)
    batch = [key(i) for i in range(1000)]
    batches = 1 + size // (16 * len(batch))  # an event takes more bytes than its hash
    for _ in range(batches):
        client.get_many(batch)
    first, *rest = events = tool.events(20000)
    while len(rest) + first.number < batches * len(batch):
        events = tool.events(20000)
        assert events
        rest += events
    assert (first.kind, first.op, first.prompt, first.client) == (t.LOST, None, None, None)
    assert first.number > 0 and all(event.kind == t.MISS for event in rest)
    assert len(rest) + first.number == batches * len(batch)


# Settings


def test_settings_and_reload_follow_the_files(tmp_path: Path) -> None:
    file = tmp_path / "fcached.conf"
    file.write_text("max-bytes = 64M\nmax-value = 1M\n")
    with running(tmp_path, "--config", str(file), "--max-clients", "50") as daemon:
        with Tool(daemon.socket, versions=(1, 8)) as tool:

            def settings(*names: str) -> list[t.Setting]:
                return [each for each in tool.settings() if each.name in names]

            names = "max-bytes", "max-value", "max-clients", "lease-max"
            by_name = {each.name: each[1:4] for each in settings(*names)}
            assert by_name.pop("lease-max")[1:] == ("default", "")
            assert by_name == {
                "max-bytes": ("64M", f"{file}:1", ""),
                "max-value": ("1M", f"{file}:2", ""),
                "max-clients": ("50", "--max-clients", ""),
            }
            assert tool.reload() == (0, 0)
            file.write_text("max-bytes = 128M\nmax-value = 2M\n")
            assert tool.reload() == (1, 1)
            assert settings("max-bytes", "max-value") == [
                ("max-bytes", "128M", f"{file}:1", "", True),
                ("max-value", "1M", f"{file}:2", "2M", False),
            ]

            def is_set() -> bool:
                try:
                    return tool.set("max-bytes", "64M") == (2**27, 2**26)
                except wire.Refused as error:  # entries still move after the reload
                    assert error.code == wire.EREFUSED
                    return False

            wait_until(is_set, "max-bytes is set")
            assert settings("max-bytes") == [("max-bytes", "64M", "fcachectl set", "128M", True)]
            file.write_text("max-bytes = wrong\n")
            with pytest.raises(wire.Refused, match="max-bytes") as error:
                tool.reload()
            assert error.value.code == wire.EINVAL
            assert settings("max-value")[0].value == "1M"
