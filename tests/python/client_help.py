"""Helpers for the tests of the client: clients of the test's daemon, and worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from conftest import TIMEOUT_S, Daemon, wait_until

import fcached

NAMESPACE = "test"


def open_client(daemon: Daemon, **settings: Any) -> fcached.Client:
    """Opens a client and waits until it is connected. On a busy machine the handshake may time
    out."""
    settings.setdefault("deadline", 5.0)
    client = fcached.Client(NAMESPACE, socket=daemon.socket, **settings)
    wait_until(lambda: connects(client), "the client connects")
    return client


def connects(client: fcached.Client) -> bool:
    """Looks a key up and returns whether this thread is connected."""
    client.get("connect", "base", "", record=False)
    return client.connected


def never() -> Any:
    """A computation that must not run."""
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
    """A compute_misses that records its arguments. ``value(i)`` is the value of prompt i."""

    def __init__(self, value: Callable[[int], Any] = lambda i: i * 10) -> None:
        self.value = value
        self.asked: list[list[int]] = []

    def __call__(self, misses: list[int]) -> list[Any]:
        self.asked.append(misses)
        return [self.value(i) for i in misses]


def start_worker(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts an interpreter that runs ``script``, with pipes as stdin, stdout and stderr."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_worker(script: str, *arguments: str) -> str:
    """Runs ``script`` in an interpreter and returns its output. Fails the test if it fails."""
    worker = start_worker(script, *arguments)
    try:
        out, err = worker.communicate(timeout=TIMEOUT_S)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0, err
    return out


class FakeDistributed(ModuleType):
    """A fake torch.distributed. Size 0: not initialized."""

    def __init__(self, size: int) -> None:
        super().__init__("torch.distributed")
        self.size = size

    def is_initialized(self) -> bool:
        return self.size > 0

    def get_world_size(self) -> int:
        assert self.size > 0
        return self.size


def fake_distributed(monkeypatch: pytest.MonkeyPatch, size: int) -> FakeDistributed:
    fake = FakeDistributed(size)
    monkeypatch.setitem(sys.modules, "torch.distributed", fake)
    return fake


def held_leases(client: fcached.Client) -> int:
    """The number of active leases of all workers."""
    return int(client.server_stats().daemon["leases"])


def waiters(client: fcached.Client) -> int:
    """The number of lookups that wait for a lease."""
    return int(client.server_stats().daemon["lease_waits"])


def put_bytes(daemon: Daemon, prompt: str, data: bytes) -> None:
    """Stores these bytes through the C library, as a client in another language would."""
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
