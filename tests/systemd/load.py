"""Eight workers that use the cache while the daemon is replaced.

    load.py DIRECTORY

Each worker puts entries of its own and gets entries of all. Writes DIRECTORY/ready after the first round of each
worker, and continues until the file DIRECTORY/stop is there. Then each worker gets all entries of all workers once
more. Prints one line: `N calls, N failed, N lost, N wrong, N entries, N workers reconnected`. A call failed if it raised
an error or found no daemon. An entry is lost if its put was acknowledged and a later get missed it."""

from __future__ import annotations

import os
import random
import sys
import traceback
from multiprocessing import Barrier, Pool
from pathlib import Path
from typing import NamedTuple

import fcached

WORKERS = 8
ENTRIES = 400  # of each worker, before `ready`
MOST = 4000  # of each worker
NAMESPACE = "load"


class Counts(NamedTuple):
    calls: int
    failed: int
    lost: int
    wrong: int
    entries: int
    reconnected: int


def value_of(worker: int, number: int) -> bytes:
    """Differs for each entry in its length and in every byte range."""
    return f"{worker}/{number}:".encode() * (20 + number % 200)


class Worker:
    def __init__(self, number: int) -> None:
        self.number = number
        # The most that a call waits for a daemon that restarts is a second.
        self.cache = fcached.Client(NAMESPACE, client=f"load-{number}", deadline=1.0)
        self.calls = self.lost = self.wrong = self.errors = self.puts = 0

    def put(self) -> None:
        self.calls += 1
        value = value_of(self.number, self.puts)
        if not self.cache.put("load", "base", f"{self.number}/{self.puts}", 0, value):
            self.errors += 1
        self.puts += 1

    def get(self, worker: int, number: int) -> None:
        self.calls += 1
        value = self.cache.get("load", "base", f"{worker}/{number}")
        if value is None:
            self.lost += 1
        elif value != value_of(worker, number):
            self.wrong += 1

    def run(self, directory: Path) -> None:
        for _ in range(ENTRIES):
            self.put()
        BARRIER.wait()  # now the first entries of all workers are there
        (directory / "ready").touch()
        choose = random.Random(self.number)
        while not (directory / "stop").exists():
            for _ in range(50):
                self.get(choose.randrange(WORKERS), choose.randrange(ENTRIES))
                self.get(self.number, choose.randrange(self.puts))
            if self.puts < MOST:
                self.put()
        for worker in range(WORKERS):
            for number in range(self.puts if worker == self.number else ENTRIES):
                self.get(worker, number)

    def counts(self) -> Counts:
        stats = self.cache.stats()
        failed = self.errors + stats.degraded
        reconnected = int(stats.reconnects > 0)
        return Counts(self.calls, failed, self.lost, self.wrong, self.puts, reconnected)


def work(number: int, directory: Path) -> Counts:
    worker = Worker(number)
    try:
        worker.run(directory)
    except Exception:
        traceback.print_exc()
        worker.errors += 1
    return worker.counts()


def main() -> int:
    directory = Path(sys.argv[1])
    with Pool(WORKERS) as pool:
        results = pool.starmap(work, [(number, directory) for number in range(WORKERS)], 1)
    counts = Counts(*map(sum, zip(*results)))
    print(
        f"{counts.calls} calls, {counts.failed} failed, {counts.lost} lost, {counts.wrong} wrong, "
        f"{counts.entries} entries, {counts.reconnected} workers reconnected"
    )
    return int(counts.failed + counts.lost + counts.wrong > 0 or counts.reconnected < WORKERS)


BARRIER = Barrier(WORKERS)
if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    sys.exit(main())
