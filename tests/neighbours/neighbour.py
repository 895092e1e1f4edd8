"""The base of all bad neighbours: each runs in a process and counts its actions."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import resource
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wire import GET, Client, frame, prompt

NOBODY = 65534
LARGE, MIDDLE, SMALL = prompt(1), prompt(2), prompt(3)  # keys of values that readers ask for
LARGE_BYTES, MIDDLE_BYTES, SMALL_BYTES = 15 << 20, 200_000, 8_000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """This process is killed when its parent ends, however that ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def set_priority(nice: int) -> None:
    """Where we may. A session may have a priority of its own (sched_autogroup)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError), open("/proc/self/autogroup", "w") as group:
        group.write(str(nice))


def raise_priority() -> None:
    """For the daemon and the workers, in a session of their own: other work on the machine is not
    to be measured."""
    os.setsid()
    set_priority(-10)


def lower_priority() -> None:
    """For the neighbours: the storm measures their load on the daemon, not on the processors."""
    os.setsid()
    set_priority(10)


class Note:
    """Numbers that a neighbour's process writes and the storm reads."""

    FIELDS = ("rounds", "clients", "cut", "refused")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * len(self.FIELDS))

    def add(self, field: str, n: int = 1) -> None:
        at = 8 * self.FIELDS.index(field)
        (value,) = struct.unpack_from("=Q", self._memory, at)
        struct.pack_into("=Q", self._memory, at, value + n)

    def read(self) -> dict[str, int]:
        return dict(zip(self.FIELDS, struct.unpack("=4Q", self._memory)))


class Neighbour:
    """One kind. `run` goes round and round until the process is killed; a connection that the
    daemon refuses, cuts or does not answer is noted, and another is opened."""

    name = ""
    sentence = ""
    other_user = False  # runs as another user, if this process may become one

    def __init__(self, path: str) -> None:
        self.path = path
        self.note = Note()
        self.pid = 0

    def round(self) -> None:
        raise NotImplementedError

    # ---- for the storm ----

    def start(self) -> None:
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid > 0:
            return
        try:
            self._begin()
            while True:
                self._once()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _begin(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the storm ends us
        lower_priority()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if self.other_user and os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        end_with_parent()
        random.seed(self.name)

    def _once(self) -> None:
        try:
            self.round()
            self.note.add("rounds")
        except OSError:  # also Closed, and a timeout
            self.note.add("cut")
            time.sleep(0.01)

    def end(self) -> bool:
        """False where it had ended before, which it must not."""
        if self.pid == 0:
            return True
        ended, _ = os.waitpid(self.pid, os.WNOHANG)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # with its children, also those that are stopped
        if ended == 0:
            os.waitpid(self.pid, 0)
        self.pid = 0
        return ended == 0

    # ---- for the kinds ----

    @contextmanager
    def client(self, **options: object) -> Iterator[Client]:
        client = Client(self.path, **options)  # type: ignore[arg-type]
        self.note.add("clients")
        try:
            yield client
        finally:
            client.close()

    def open(self, n: int, **options: object) -> list[Client]:
        """Up to n connections: fewer where the daemon refuses them."""
        clients: list[Client] = []
        for _ in range(n):
            try:
                clients.append(Client(self.path, **options))  # type: ignore[arg-type]
            except OSError:
                self.note.add("refused")
                break
        self.note.add("clients", len(clients))
        return clients

    def has_value(self, client: Client, prompt: bytes, size: int) -> None:
        """Puts the value, unless it is there."""
        if client.get(prompt)[1] is None:
            client.put(prompt, bytes(size))


def close_all(clients: list[Client]) -> None:
    for client in clients:
        client.close()


def cut_ones(clients: list[Client]) -> list[Client]:
    """The clients without a request to which the daemon has sent a message, or that it has closed."""
    poll = select.poll()
    by_fd = {client.socket.fileno(): client for client in clients}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poll.poll(0)]


def ask(client: Client, prompt: bytes, times: int) -> None:
    """Sends that many gets, as far as the socket has room for them at once."""
    client.socket.setblocking(False)
    with suppress(BlockingIOError):
        client.socket.send(frame(GET, 5, 0, "o", "v", 0, prompt, None, 0, 0) * times)
