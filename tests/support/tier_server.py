"""tier_server.py: a Valkey or Redis of a test's own, in a private directory: the twin of tier_server.h.

The server listens on a Unix socket, through which the test commands it, and on a free port of 127.0.0.1 if the test wants
one. It dies with the process that started it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Union

TIMEOUT_S = 30.0
START_TRIES = 5  # another process may take the port
CLUSTER_SIZE = 3
SLOTS = 16384
Reply = Union[str, int, None, list["Reply"], "TierError"]


class TierError(Exception):
    """An error that the server replied."""


def program(engine: str = "redis") -> str | None:
    """The program of the engine ("redis" or "valkey"), or None: $REDIS_SERVER or $VALKEY_SERVER, the one in
    $TIER_PROGRAMS (build/tier), or that of PATH."""
    built = Path(os.environ.get("TIER_PROGRAMS", "build/tier")) / f"{engine}-server"
    given = os.environ.get(f"{engine.upper()}_SERVER", "")
    if given:
        return given if os.access(given, os.X_OK) else None
    return str(built) if os.access(built, os.X_OK) else shutil.which(f"{engine}-server")


def any_program() -> str | None:
    return program("redis") or program("valkey")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.002)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _read(file) -> Reply:
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server closed the connection")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        return TierError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode("latin-1")
    if kind == b"*":
        return None if rest == "-1" else [_read(file) for _ in range(int(rest))]
    return rest


class TierServer:
    """One server. ``url`` is for --tier, ``password_file`` for --tier-password-file."""

    def __init__(
        self,
        directory: Path,
        server: str,
        options: Sequence[str] = (),
        tcp: bool = False,
        persistent: bool = False,
        cluster: bool = False,
        password: str | None = None,
        user: tuple[str, str] | None = None,
    ) -> None:
        """``options`` are the server's own, as on its command line. ``user`` is a name with its ACL rules, whose password
        is ``password``, which otherwise is the default user's."""
        self.directory, self.server, self.options = directory, server, list(options)
        self.persistent, self.password, self.user = persistent, password, user
        self.with_port, self.cluster = tcp or cluster, cluster
        self.port = self.bus_port = 0
        self.socket, self.log = directory / "t", directory / "log"
        self.password_file = directory / "password"
        if password is not None:
            self.password_file.touch(0o600)
            self.password_file.write_text(f"{password}\n")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        user = f"{self.user[0]}@" if self.user else ""
        if self.port:
            return f"redis://{user}127.0.0.1:{self.port}"
        return f"unix://{user}{self.socket}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server is not running"
        return self.process.pid

    def _arguments(self) -> list[str]:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        words += ["--dir", str(self.directory), "--save", "", "--daemonize", "no"]
        words += ["--appendonly", "yes" if self.persistent else "no"]
        if self.cluster:
            words += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]
            words += ["--cluster-node-timeout", "2000"]
        if self.user:
            words += ["--user", self.user[0], "on", f">{self.password}", *self.user[1].split()]
        elif self.password is not None:
            words += ["--requirepass", self.password]
        return words + self.options

    def _spawn(self) -> bool:
        """Returns whether the server answers. False: it has ended."""
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [self.server, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        self.process = process
        wait_until(lambda: process.poll() is not None or self._answers(), f"{self.server} answers")
        return process.poll() is None

    def _answers(self) -> bool:
        try:
            return "LOADING" not in str(self.command("PING"))
        except OSError:
            return False

    def start(self) -> None:
        for _ in range(START_TRIES):
            self.port = _free_port() if self.with_port else 0
            self.bus_port = _free_port() if self.cluster else 0
            if self._spawn():
                return
        raise RuntimeError(
            f"{self.server} ended instead of serving: {self.log.read_text()[-2000:]}"
        )

    def restart(self) -> None:
        """Starts it again in its directory, with the same port."""
        assert self.process is None, "stop or kill it first"
        if not self._spawn():
            raise RuntimeError(f"{self.server} ended: {self.log.read_text()[-2000:]}")

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # a test may have stopped it
        process.wait(TIMEOUT_S)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", "it stops")

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *words: str) -> Reply:
        """Sends a command by the Unix socket, as the default user. An error is returned as a TierError."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(str(self.socket))
            with sock.makefile("rwb") as file:
                batch = [["AUTH", self.password]] if self.password and not self.user else []
                reply: Reply = None
                for line in [*batch, list(words)]:
                    encoded = [word.encode() for word in line if word is not None]
                    file.write(b"*%d\r\n" % len(encoded))
                    file.write(b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
                    file.flush()
                    reply = _read(file)
                return reply

    def do(self, *words: str) -> Reply:
        """Sends a command, and raises its error."""
        reply = self.command(*words)
        if isinstance(reply, TierError):
            raise reply
        return reply


@contextmanager
def running(server: str, **options) -> Iterator[TierServer]:
    """A running server, whose options are those of TierServer. It and its directory are removed at the end."""
    # Not in $TMPDIR, which may be long: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fct-", dir="/tmp") as directory:
        tier = TierServer(Path(directory), server, **options)
        try:
            tier.start()
            yield tier
        finally:
            tier.stop()


@contextmanager
def cluster(server: str, **options) -> Iterator[list[TierServer]]:
    """A cluster of three that serves all slots. The first one's ``url`` is enough for --tier."""
    with ExitStack() as stack:
        tiers = [
            stack.enter_context(running(server, cluster=True, **options))
            for _ in range(CLUSTER_SIZE)
        ]
        for i, tier in enumerate(tiers):
            first, last = SLOTS * i // CLUSTER_SIZE, SLOTS * (i + 1) // CLUSTER_SIZE - 1
            tier.do("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            if i > 0:
                address = ("127.0.0.1", str(tiers[0].port), str(tiers[0].bus_port))
                tier.do("CLUSTER", "MEET", *address)
        needed = ("cluster_state:ok", f"cluster_slots_ok:{SLOTS}", "cluster_known_nodes:3")
        wait_until(
            lambda: all(
                text in str(tier.do("CLUSTER", "INFO")) for tier in tiers for text in needed
            ),
            "the cluster serves",
        )
        yield tiers
