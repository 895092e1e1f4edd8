"""scenes.py: what the commands of a page need before they run. Each scene is a context manager over a shell.

The name of a scene may be followed by words:

- ``exact``: the output must be that of the page, but for numbers, times, hashes and white space.
- ``fails``: each command fails. One whose output has an error of fcached or fcachectl fails without this word.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import tier_server  # noqa: E402

TIMEOUT_S = 30.0


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


class Shell:
    """A shell in a directory of its own, whose commands and background jobs end with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **os.environ,
            "HOME": str(directory),
            "FCACHE_SOCKET": str(directory / "fcached.sock"),
            "PATH": f"{Path(os.environ['FCACHED']).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        self._add_files()
        self.results = Path(tempfile.mkdtemp(dir=directory))
        self.n = 0
        self.process = subprocess.Popen(
            ["bash", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env=self.environment,
            start_new_session=True,
        )

    def _add_files(self) -> None:
        """The user's own files that pages name: programs, and the folder of a model."""
        for name in ("your_worker", "probe-all"):
            program = self.directory / name
            program.write_text("#!/bin/sh\nexec fcachectl ping --count 1\n")
            program.chmod(0o755)
        model = self.directory / "gpt2"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes(bytes(8))

    def run(self, command: str) -> tuple[int, list[str]]:
        """Runs a command. Returns its status, and the lines of its stdout and stderr together."""
        assert self.process.stdin is not None
        self.n += 1
        out, status = self.results / f"out{self.n}", self.results / f"status{self.n}"
        script = f"{{ {command}\n}} >{out} 2>&1 </dev/null; echo $? >{status}.new; mv {status}.new {status}\n"
        self.process.stdin.write(script.encode())
        self.process.stdin.flush()
        _wait_until(lambda: status.exists() or self.process.poll() is not None, command)
        return int(status.read_text()), out.read_text().splitlines()

    def close(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        finally:
            self.process.wait()


@contextmanager
def _process(shell: Shell, *command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=shell.environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ctl(shell: Shell, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [os.environ["FCACHECTL"], *words], capture_output=True, text=True, env=shell.environment
    )


def _start_daemon(stack: ExitStack, shell: Shell, *options: str) -> None:
    log = shell.directory / "log"
    log.mkdir(exist_ok=True)
    command = [os.environ["FCACHED"], "--socket", shell.environment["FCACHE_SOCKET"]]
    command += ["--trace-dir", str(log), "--state", str(shell.directory / "state"), *options]
    stack.enter_context(_process(shell, *command))
    _wait_until(lambda: _ctl(shell, "ping", "--count", "1").returncode == 0, "the daemon answers")


def _worker(stack: ExitStack, shell: Shell, role: str) -> None:
    process = stack.enter_context(_process(shell, sys.executable, str(HERE / "workers.py"), role))
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the worker {role} failed")


@contextmanager
def empty(directory: Path) -> Iterator[Shell]:
    """A daemon without entries."""
    with ExitStack() as stack:
        shell = Shell(directory)
        stack.callback(shell.close)
        _start_daemon(stack, shell)
        yield shell


@contextmanager
def none(directory: Path) -> Iterator[Shell]:
    """No daemon."""
    shell = Shell(directory)
    try:
        yield shell
    finally:
        shell.close()


@contextmanager
def workers(directory: Path) -> Iterator[Shell]:
    """A daemon with four workers: one has gone, one has results, one computes three, and one waits for one of these."""
    with empty(directory) as shell, ExitStack() as stack:
        with ExitStack() as gone:
            _worker(gone, shell, "first")
        for role in ("scorer", "owner", "waiter"):
            _worker(stack, shell, role)
        _wait_until(
            lambda: any(row["waits"] for row in json.loads(_ctl(shell, "leases", "--json").stdout)),
            "a worker waits",
        )
        yield shell


@contextmanager
def busy(directory: Path) -> Iterator[Shell]:
    """A daemon with a worker that puts an entry, and so evicts one, every 10 ms."""
    with empty(directory) as shell, ExitStack() as stack:
        _worker(stack, shell, "busy")
        yield shell


@contextmanager
def export(directory: Path) -> Iterator[Shell]:
    """A daemon with the namespaces of the sections on export and import."""
    with empty(directory) as shell, ExitStack() as stack:
        _worker(stack, shell, "exporter")
        yield shell


@contextmanager
def other(directory: Path) -> Iterator[Shell]:
    """The other machine: an empty daemon, with the files of the scene before. gpt2-r2 has another manifest there."""
    shutil.rmtree(directory / "state", ignore_errors=True)
    with empty(directory) as shell, ExitStack() as stack:
        _worker(stack, shell, "other")
        yield shell


@contextmanager
def tier(directory: Path) -> Iterator[Shell]:
    """A Valkey or Redis, which redis-cli finds without options."""
    program = tier_server.any_program()
    assert program is not None, "there is no redis-server: install the Debian package redis-tools"
    shell = Shell(directory)
    with ExitStack() as stack:
        stack.callback(shell.close)
        server = stack.enter_context(tier_server.running(program))
        cli = f'redis-cli() {{ command redis-cli -s {server.socket} "$@"; }}'
        assert shell.run(cli) == (0, [])
        yield shell


@contextmanager
def fleet(directory: Path) -> Iterator[Shell]:
    """A daemon of a fleet, with a worker that has put results, and its tier."""
    program = tier_server.any_program()
    assert program is not None, "there is no redis-server: install the Debian package redis-tools"
    shell = Shell(directory)
    with ExitStack() as stack:
        stack.callback(shell.close)
        server = stack.enter_context(tier_server.running(program, tcp=True))
        _start_daemon(stack, shell, "--tier", server.url)
        _worker(stack, shell, "scorer")
        _wait_until(
            lambda: json.loads(_ctl(shell, "tier", "--json").stdout)["queue"]["entries"] == 0,
            "the tier has the results",
        )
        yield shell


@contextmanager
def running(directory: Path) -> Iterator[Shell]:
    """A daemon at /tmp/s."""
    shell = Shell(directory)
    shell.environment["FCACHE_SOCKET"] = str(directory / "s")
    with ExitStack() as stack:
        stack.callback(shell.close)
        _start_daemon(stack, shell)
        yield shell


SCENES = {
    scene.__name__: scene
    for scene in (empty, none, workers, busy, export, other, running, tier, fleet)
}
