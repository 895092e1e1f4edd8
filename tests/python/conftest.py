"""Fixtures for the tests of the package: a daemon for each test."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fcached

TIMEOUT_S = 30.0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Waits until ``condition()`` holds. Fails the test after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(0.002)


class Daemon:
    """A daemon with a socket below ``directory``, which runs inside ``with``. ``start`` and ``stop`` may
    be called repeatedly."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.socket = str(directory / "fcached.sock")
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the daemon ended"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(self.socket) == 0

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        command = [os.environ["FCACHED"], "--socket", self.socket, *self.options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "the daemon answers")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(TIMEOUT_S)
            self.process = None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients without a deadline of their own wait 5 s, since a busy machine may need more than the default.
    The drop-ins make such clients."""
    monkeypatch.setitem(fcached.Client.__init__.__kwdefaults__, "deadline", 5.0)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, "--max-bytes", "64M", "--trace-dir", str(tmp_path)) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FCACHE_") and name != "FCACHE_BUILD":
            monkeypatch.delenv(name)
