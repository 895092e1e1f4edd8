"""What the tests of the client share: clients on the test's daemon, and workers of their own."""

from __future__ import annotations

import os
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


def put_bytes(daemon: Daemon, prompt: str, data: bytes) -> None:
    """What a client in another language may have stored: these very bytes."""
    import ctypes

    library = ctypes.CDLL(os.path.join(os.path.dirname(os.environ["FCACHED"]), "libfcache.so.0"))

    class Options(ctypes.Structure):
        _fields_ = [
            ("struct_size", ctypes.c_size_t),
            ("socket", ctypes.c_char_p),
            ("name_space", ctypes.c_char_p),
            ("client", ctypes.c_char_p),
            ("deadline_ms", ctypes.c_uint32),
            ("max_entries", ctypes.c_void_p),
            ("log", ctypes.c_void_p),
            ("log_arg", ctypes.c_void_p),
            ("lease_ms", ctypes.c_uint32),
            ("wait_ms", ctypes.c_uint32),
            ("manifest", ctypes.c_char_p),
            ("waiting", ctypes.c_void_p),
            ("waiting_arg", ctypes.c_void_p),
            ("max_bytes", ctypes.c_uint64),
        ]

    class Key(ctypes.Structure):
        _fields_ = [
            ("op", ctypes.c_char_p),
            ("view", ctypes.c_char_p),
            ("prompt", ctypes.c_uint8 * 16),
            ("top_k", ctypes.c_uint32),
        ]

    options = Options(
        struct_size=ctypes.sizeof(Options),
        socket=daemon.socket.encode(),
        name_space=b"test",
        deadline_ms=5000,
    )
    cache = ctypes.c_void_p()
    assert library.fcache_open(ctypes.byref(options), ctypes.byref(cache), None) == 0
    key = Key(b"op", b"base", (ctypes.c_uint8 * 16)(*bytes.fromhex(fcached.prompt_hash(prompt))), 0)
    size = ctypes.c_size_t(len(data))
    put = library.fcache_put(cache, ctypes.byref(key), data, size, ctypes.c_uint64(1), 0)
    library.fcache_close(cache)
    assert put == 0
