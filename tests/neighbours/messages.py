"""Neighbours whose messages are unfinished, slow or many."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress

from neighbour import (
    LARGE,
    LARGE_BYTES,
    MIDDLE,
    MIDDLE_BYTES,
    SMALL,
    SMALL_BYTES,
    Neighbour,
    ask,
    close_all,
    cut_ones,
)
from wire import (
    CLIENTS,
    HELLO,
    LEASES,
    LIST,
    MAX_FRAME,
    NAMESPACES,
    PING,
    STATS,
    Client,
    frame,
    header,
)


class Frames(Neighbour):
    name = "frames"
    sentence = "large frames are begun and not finished, and begun again when they are cut"
    CLIENTS = 8

    def round(self) -> None:
        clients = self.open(self.CLIENTS)
        for i, client in enumerate(clients):
            client.socket.setblocking(False)
            with suppress(BlockingIOError):
                client.socket.send(header(MAX_FRAME) + b"\x9c" + bytes((0, 300_000)[i % 2]))
        end = time.monotonic() + 2
        while clients and time.monotonic() < end:
            cut = cut_ones(clients)
            self.note.add("cut", len(cut))
            close_all(cut)
            clients = [client for client in clients if client not in cut]
            time.sleep(0.02)
        close_all(clients)


class Readers(Neighbour):
    """Clients that read their replies in steps, with a pause after each."""

    CLIENTS = 3
    STEP_BYTES, PAUSE_S = 1_900_000, 6.0
    ROUND_S = 15.0

    def round(self) -> None:
        with self.client() as client:
            self.has_value(client, LARGE, LARGE_BYTES)
            self.has_value(client, MIDDLE, MIDDLE_BYTES)
        clients = self.open(self.CLIENTS)
        for i, client in enumerate(clients):
            ask(client, MIDDLE if i % 4 == 3 else LARGE, 40)
        end = time.monotonic() + self.ROUND_S
        while clients and time.monotonic() < end:
            clients = [client for client in clients if self._step(client)]
            time.sleep(self.PAUSE_S)
        close_all(clients)

    def _step(self, client: Client) -> bool:
        left = self.STEP_BYTES
        try:
            while left > 0:
                data = client.socket.recv(left)
                if not data:
                    break
                left -= len(data)
            else:
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.note.add("cut")
        client.close()
        return False


class SlowReaders(Readers):
    name = "slow-readers"
    sentence = "values of 15 MiB are asked for and read in steps, with 6 s between them"


class SteadyReaders(Readers):
    name = "steady-readers"
    sentence = "16 clients read values of 15 MiB slowly, but all the time"
    CLIENTS = 16
    STEP_BYTES, PAUSE_S = 65_536, 0.1


class SmallMessages(Neighbour):
    name = "small-messages"
    sentence = "200 clients each with an unfinished frame of 64 KiB or with replies not read"
    CLIENTS = 200

    def round(self) -> None:
        with self.client() as client:
            self.has_value(client, SMALL, SMALL_BYTES)
        clients = self.open(self.CLIENTS)
        for i, client in enumerate(clients):
            client.socket.setblocking(False)
            with suppress(OSError):
                if i % 2 == 0:
                    client.socket.send(header(65_520) + b"\x9c" + bytes(65_500))
                else:
                    ask(client, SMALL, 600)
        time.sleep(12)  # holds the memory past the stall timeout, and reads nothing
        self.note.add("cut", len([c for c in cut_ones(clients) if self._is_cut(c)]))
        close_all(clients)

    @staticmethod
    def _is_cut(client: Client) -> bool:
        try:
            while client.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True


class Dribble(Neighbour):
    name = "dribble"
    sentence = "50 clients send their messages at a byte a second"
    CLIENTS = 50

    def round(self) -> None:
        clients = self.open(self.CLIENTS)
        data = header(60_000) + os.urandom(60_000)
        for at in range(15):
            for client in list(clients):
                try:
                    client.socket.send(data[at : at + 1])
                except OSError:
                    self.note.add("cut")
                    clients.remove(client)
                    client.close()
            time.sleep(1)
        close_all(clients)


class Hellos(Neighbour):
    name = "hellos"
    sentence = "connections are opened and closed all the time, with and without a hello"

    def round(self) -> None:
        for i in range(50):
            with self.client(hello=False) as client:
                if i % 3 > 0:
                    hello = 1, 4, "x", "bad", None, i % 2, None
                    client.socket.sendall(frame(HELLO, 1, *hello) + frame(PING, 2) * (i % 5))
                if i % 7 == 0:
                    client.socket.sendall(os.urandom(random.randrange(1, 100)))


class Tools(Neighbour):
    name = "tools"
    sentence = "4 clients ask for statistics and listings all the time"

    def round(self) -> None:
        clients = self.open(4, space=None)
        try:
            for _ in range(50):
                for client in clients:
                    client.send(STATS, None)
                    client.send(LIST, None, None, None, 1000, b"")
                    for type in (CLIENTS, LEASES, NAMESPACES):
                        client.send(type, None, 1000, b"")
                for client in clients:
                    for _ in range(5):
                        client.receive()
        finally:
            close_all(clients)
