"""What the tests of the client share: clients on the test's daemon, and workers of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from conftest import TIMEOUT_S, Daemon, wait_until

import fcached

NAMESPACE = "test"


def open_client(daemon: Daemon, **settings: Any) -> fcached.Client:
    """Connected, though a busy machine may miss the deadline over the greeting itself."""
    settings.setdefault("deadline", 5.0)
    client = fcached.Client(NAMESPACE, socket=daemon.socket, **settings)
    wait_until(lambda: connects(client), "the client connects")
    return client


def connects(client: fcached.Client) -> bool:
    """Tries, and tells whether this thread's connection is up."""
    client.get("connect", "base", "", record=False)
    return client.connected


def never() -> Any:
    """A computation that must not be needed."""
    raise AssertionError("computed, though it should have been found")


class Calls:
    """A computation that counts its calls."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.n = 0

    def __call__(self) -> Any:
        self.n += 1
        return self.value


class Batches:
    """A compute_misses that records what it was asked for; ``value(i)`` is prompt i's."""

    def __init__(self, value: Callable[[int], Any] = lambda i: i * 10) -> None:
        self.value = value
        self.asked: list[list[int]] = []

    def __call__(self, misses: list[int]) -> list[Any]:
        self.asked.append(misses)
        return [self.value(i) for i in misses]


def start_worker(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Another interpreter, which runs ``script``; its stdin, stdout and stderr are pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_worker(script: str, *arguments: str) -> str:
    """Its output; the test fails where it fails."""
    worker = start_worker(script, *arguments)
    try:
        out, err = worker.communicate(timeout=TIMEOUT_S)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0, err
    return out


def held_leases(client: fcached.Client) -> int:
    """How many computations are under way, of all workers."""
    return int(client.server_stats().daemon["leases"])


def waiters(client: fcached.Client) -> int:
    """How many wait for them."""
    return int(client.server_stats().daemon["lease_waits"])
