"""Many calls of each kind leave nothing behind: no reference, no memory."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_help import open_client
from conftest import Daemon

import fcached

N = 20_000
SLACK_BYTES = 4 << 20  # memory that allocators keep. A leak of one object for each call is more


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Fails(Exception):
    pass


def check(call: Callable[[], Any], n: int = N) -> None:
    """Runs the call once to fill caches, and then many times."""

    def run(times: int) -> None:
        for _ in range(times):
            try:
                call()
            except (Fails, ValueError, TypeError, RuntimeError):
                pass
        gc.collect()

    run(n // 10)
    blocks, resident = sys.getallocatedblocks(), resident_bytes()
    run(n)
    assert sys.getallocatedblocks() - blocks < n // 20
    assert resident_bytes() - resident < SLACK_BYTES


def fail(*_: Any) -> Any:
    raise Fails


CALLS: dict[str, Callable[[fcached.Client], Any]] = {
    "get, a hit": lambda c: c.get("op", "base", "stored", 0),
    "get, a miss": lambda c: c.get("op", "base", "none", 0, record=False),
    "get, by names": lambda c: c.get(op="op", view="base", prompt="stored", top_k=0),
    "get, wrong": lambda c: c.get("op", "base", "stored", -1),
    "get, of an undecodable": lambda c: fcached.decode(b"\xc1"),
    "put": lambda c: c.put("op", "base", "put", 0, ["some", "value"]),
    "put, unencodable": lambda c: c.put("op", "base", "put", 0, object()),
    "cached, a hit": lambda c: c.cached("op", "base", "stored", 0, fail),
    "cached, failing": lambda c: c.cached("op", "base", "none", 0, fail),
    "cached, unencodable": lambda c: c.cached("op", "base", "none", 0, object),
    "batch, hits": lambda c: c.cached_batch("op", "base", ["stored", "stored"], 0, fail),
    "batch, failing": lambda c: c.cached_batch("op", "base", ["stored", "none"], 0, fail),
    "batch, too few": lambda c: c.cached_batch("op", "base", ["none"], 0, lambda m: []),
    "batch, unencodable": lambda c: c.cached_batch(
        "op", "base", ["none", "stored"], 0, lambda m: [object() for _ in m]
    ),
    "get_many": lambda c: c.get_many("op", "base", ["stored", "none"], lease=True),
    "put_many": lambda c: c.put_many("op", "base", ["put", "put too"], 0, ["x", [1.5]]),
    "put_many, unencodable": lambda c: c.put_many("op", "base", ["a", "b"], 0, [1, object()]),
    "give_up": lambda c: c.give_up("op", "base", "none"),
    "give_up_many": lambda c: c.give_up_many("op", "base", ["none", "a"]),
    "set_probe": lambda c: c.set_probe("probe"),
    "clear": lambda c: c.clear("no such view"),
    "delete": lambda c: c.delete("op", "base", "none"),
    "_local": lambda c: c._local("op", "base", "stored", 0),
    "prompt_hash": lambda c: fcached.prompt_hash("prompt"),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_calls_repeated_leak_nothing(daemon: Daemon, name: str) -> None:
    call = CALLS[name]
    with open_client(daemon) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.put("op", "base", "stored", 0, {"a": [1.5, "text"]})
        check(lambda: call(client))


def test_computations_repeated_leak_nothing(daemon: Daemon) -> None:
    numbers = iter(range(10**9))
    with open_client(daemon, max_entries=10) as client:
        check(lambda: client.cached("op", "base", f"p{next(numbers)}", 0, lambda: [1.5]), N // 2)
        check(
            lambda: client.cached_batch(
                "op", "base", [f"p{next(numbers)}", "stored"], 0, lambda m: [[i] for i in m]
            ),
            N // 4,
        )


def test_verifications_repeated_leak_nothing(daemon: Daemon) -> None:
    with open_client(daemon, verify=1.0) as client:
        client.put("op", "base", "stored", 0, [1])
        check(lambda: client.cached("op", "base", "stored", 0, lambda: [1]))
        check(lambda: client.cached_batch("op", "base", ["stored"], 0, lambda m: [[1]]))


def test_statistics_repeated_leak_nothing(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        check(client.stats)
        check(client.server_stats, N // 20)


def test_clients_reopened_leak_nothing(daemon: Daemon) -> None:
    def use() -> None:
        with fcached.Client("test", socket=daemon.socket) as client:
            client.get("op", "base", "p")

    check(use, N // 20)


def test_arguments_keep_reference_counts(daemon: Daemon) -> None:
    op, view, prompt, value = "an op", "a view", "a prompt " * 50, [1.25]
    compute = lambda: value  # noqa: E731
    objects = (op, view, prompt, value, compute, fcached.MISS, fcached.LEASED, None, True, False)
    with open_client(daemon) as client:
        client.put(op, view, prompt, 0, value)
        client.cached(op, view, prompt, 0, compute)
        before = [sys.getrefcount(each) for each in objects]
        for _ in range(1000):
            client.cached(op, view, prompt, 0, compute)
            client.get(op, view, prompt)
            client.get(op, view, "none", lease=True)
            client.get_many(op, view, [prompt, "none"], lease=True)
            client.put(op, view, prompt, 0, value)
            client.cached_batch(op, view, [prompt], 0, fail)
            client.give_up(op, view, "none")
            client.give_up_many(op, view, [prompt, "none"])
            client.delete(op, view, prompt)
            client.clear(view, op)
            client.cached(op, view, prompt, 0, compute)
        after = [sys.getrefcount(each) for each in objects]
    assert all(abs(a - b) < 100 for a, b in zip(after, before)), (before, after)
