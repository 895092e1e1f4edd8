"""Neighbours that take all that one user can have, and processes that stop or die."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

from neighbour import (
    LARGE,
    LARGE_BYTES,
    Neighbour,
    ask,
    close_all,
    end_with_parent,
)
from wire import GET, GET_MANY, LEASE, MAX_FRAME, Client, header, prompts, repeated


class TakesAll(Neighbour):
    name = "takes-all"
    sentence = "another user takes every connection, with the largest manifests, leases and waits"
    other_user = True
    CONNECTIONS = 2000

    def round(self) -> None:
        clients: list[Client] = []
        try:
            for i in range(self.CONNECTIONS):
                space = f"taken-{i}"
                taken = self.open(1, space=space, region=i % 2, manifest="m" * 16_384)
                if not taken:
                    break
                clients += taken
            for client in clients:
                keys = prompts(0, 500)
                client.call(GET_MANY, LEASE, "o", "v", 0, keys, None, 60_000)
            for client in clients[:16]:
                client.socket.setblocking(False)
                with suppress(BlockingIOError):
                    client.socket.send(header(MAX_FRAME) + b"\x9c" + bytes(300_000))
            time.sleep(2)
        finally:
            close_all(clients)


class Children(Neighbour):
    """Has children that are clients, and kills them."""

    CHILDREN = 6

    def child(self, number: int) -> None:
        raise NotImplementedError

    def _fork(self, number: int) -> int:
        pid = os.fork()
        if pid > 0:
            return pid
        try:
            end_with_parent()
            random.seed(os.getpid())
            self.child(number)
        except OSError:
            pass
        finally:
            os._exit(0)

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)  # a child of ours: at least a zombie is there
        for pid in pids:
            os.waitpid(pid, 0)


class Stopped(Children):
    name = "stopped"
    sentence = "clients stop (SIGSTOP) in a message, in a reply, with leases, with a ring"

    def round(self) -> None:
        pids = [self._fork(number) for number in range(self.CHILDREN)]
        try:
            time.sleep(4)
        finally:
            self._kill(pids)

    def child(self, number: int) -> None:
        client = Client(self.path, region=number % 2)
        self.note.add("clients")
        if number < 2:
            client.socket.setblocking(False)
            with suppress(BlockingIOError):
                client.socket.send(header(MAX_FRAME) + bytes(300_000 * number + 1))
        elif number < 4:
            self.has_value(client, LARGE, LARGE_BYTES)
            ask(client, LARGE, 5)
        else:
            client.call(GET_MANY, LEASE, "o", "v", 0, prompts(10**6, 4000), None, 60_000)
            client.send(GET, LEASE, "o", "v", 0, prompts(10**7, 1), None, 60_000, 60_000)
        os.kill(os.getpid(), signal.SIGSTOP)


class Killed(Children):
    name = "killed"
    sentence = "clients are killed (SIGKILL) while they put, get and take leases"

    def round(self) -> None:
        pids = [self._fork(number) for number in range(self.CHILDREN)]
        time.sleep(random.random() * 0.3)
        self._kill(pids)

    def child(self, number: int) -> None:
        client = Client(self.path, region=number % 2, space="killed")
        self.note.add("clients")
        while True:
            key = prompts(random.randrange(100), 1)
            client.put(key, bytes(random.choice((0, 100, 70_000, 3_000_000))))
            client.get(key)
            client.call(GET_MANY, LEASE, "o", "w", 0, prompts(number * 50, 200), None, 60_000)
            client.put_many(prompts(100, 100), repeated(bytes(1000), 100))
