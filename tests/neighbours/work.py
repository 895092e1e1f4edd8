"""Neighbours that give the daemon much to do, or much to keep."""

from __future__ import annotations

import mmap
import os
import random
import struct
import time

from neighbour import Neighbour, close_all
from wire import CLEAR, GET, GET_MANY, GIVE_UP, HELLO, LEASE, PING, frame, prompts, repeated
from xxh3 import colliding


class Clears(Neighbour):
    name = "clears"
    sentence = "1,000 clears at a time, whose clients have left; one in four of them finds entries"

    def round(self) -> None:
        with self.client(space="cleared") as client:
            client.put_many(prompts(0, 4000), repeated(b"", 4000))
        for i in range(1000):
            space, view = ("cleared", "v") if i % 4 == 0 else ("good", f"no-such-view-{i % 3}")
            hello = frame(HELLO, 1, 1, 4, "x", space, None, 0, None)
            with self.client(hello=False) as client:
                client.socket.sendall(hello + frame(CLEAR, 2, space, view, None))


class PutMany(Neighbour):
    name = "put-many"
    sentence = "one message puts 1,000,000 nils, the next one 200,000 empty values"

    def round(self) -> None:
        with self.client() as client:
            client.put_many(prompts(random.getrandbits(48), 1_000_000), repeated(None, 1_000_000))
            client.put_many(prompts(random.getrandbits(48), 200_000), repeated(b"", 200_000))


class Waves(Neighbour):
    name = "waves"
    sentence = "the cache is filled with values of one size after another, from 16 MiB to 0 B"
    BYTES = 300 << 20  # of each size, more than the cache holds

    def round(self) -> None:
        number = 0
        with self.client(space="waves", timeout_s=60) as client:
            for size in (16 << 20, 65_537, 1 << 20, 4096, 0, 300_000, 100):
                for _ in range(self.BYTES // (max(size, 300) * self._batch(size))):
                    n = self._batch(size)
                    client.put_many(prompts(number, n), repeated(bytes(size), n))
                    number += n

    @staticmethod
    def _batch(size: int) -> int:
        return max(1, min(4000, (1 << 20) // max(size, 1)))


class Colliding(Neighbour):
    name = "colliding"
    sentence = "20,000 keys with the same digest are put and looked up"
    KEYS = 20_000

    def round(self) -> None:
        with self.client(region=1, space="colliding", timeout_s=60) as client:
            seed = client.welcome[6] or random.getrandbits(64)
            top_k, keys = colliding(seed, "o", "v", self.KEYS)
            for at in range(0, len(keys), 16 * 500):
                part = keys[at : at + 16 * 500]
                client.put_many(part, repeated(b"x", len(part) // 16), top_k)
                client.call(GET_MANY, 0, "o", "v", top_k, part, None, 0)


class MaxEntries(Neighbour):
    name = "max-entries"
    sentence = "a namespace is filled with 100,000 entries and then allowed one, again and again"

    def round(self) -> None:
        with self.client(space="limited", max_entries=1_000_000) as client:
            for i in range(25):
                client.put_many(prompts(4000 * i, 4000), repeated(b"", 4000))
        with self.client(space="limited", max_entries=1):
            pass


class Leases(Neighbour):
    name = "leases"
    sentence = "8 clients take leases by the thousand, wait for each other's, and leave"

    def round(self) -> None:
        clients = self.open(8, space="leased")
        try:
            for i, client in enumerate(clients):
                keys = prompts(i * 4000, 4000)
                client.call(GET_MANY, LEASE, "o", "v", 0, keys, None, 60_000)
            for i, client in enumerate(clients[:4]):
                client.call(GIVE_UP, "o", "v", 0, prompts(i * 4000, 4000))
                for j in range(500):  # their replies are not read
                    key = prompts((i + 4) * 4000 + j, 1)
                    client.send(GET, 0, "o", "v", 0, key, None, 0, 30_000)
            time.sleep(random.random())
        finally:
            close_all(clients)


class IdleRegions(Neighbour):
    name = "idle-regions"
    sentence = "300 clients take the region and a ring, and do nothing"
    CLIENTS = 300

    def round(self) -> None:
        clients = self.open(self.CLIENTS, region=1, space="idle")
        self.note.add("refused", sum(not client.descriptors for client in clients))
        time.sleep(5)
        close_all(clients)


class BadRings(Neighbour):
    name = "bad-rings"
    sentence = "rings are filled with garbage, or say that they hold 2^64 - 1 records"

    def round(self) -> None:
        for i in range(20):
            with self.client(region=1) as client:
                if len(client.descriptors) < 2:
                    self.note.add("refused")
                    continue
                size = os.fstat(client.descriptors[1]).st_size
                with mmap.mmap(client.descriptors[1], size) as ring:
                    if i % 2 == 0:
                        ring[192:] = os.urandom(size - 192)
                    heads = (2**64 - 1, 1, size // 64, random.getrandbits(63))
                    ring[64:72] = struct.pack("=Q", heads[i % 4])
                    try:
                        client.call(PING)
                    except OSError:
                        self.note.add("cut")
