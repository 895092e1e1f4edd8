"""One client, many threads."""

from __future__ import annotations

import gc
import json
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client_help import never, open_client, waiters
from conftest import Daemon, wait_until

import fcached
from fcached import LEASED

N_THREADS = 16


def in_threads(run: Callable[[int], None], n: int = N_THREADS) -> None:
    """Runs ``run(i)`` in ``n`` threads at once. An exception in one fails the test."""
    barrier = threading.Barrier(n)

    def start(i: int) -> None:
        barrier.wait()
        run(i)

    with ThreadPoolExecutor(n) as pool:
        for future in [pool.submit(start, i) for i in range(n)]:
            future.result()


def connections(client: fcached.Client) -> int:
    return int(client.server_stats().daemon["clients"])


def test_threads_missing_together_compute_once(daemon: Daemon) -> None:
    computed: list[int] = []  # appending is atomic

    def compute(i: int) -> list[int]:
        computed.append(i)
        return [i] * 10

    def run(which: int) -> None:
        order = list(range(200))
        random.Random(which).shuffle(order)
        for i in order:
            assert client.cached("op", "base", f"p{i}", 0, lambda i=i: compute(i)) == [i] * 10

    with open_client(daemon) as client:
        in_threads(run)
        assert sorted(computed) == list(range(200))
        stats = client.stats()
        assert stats.cache_hits + stats.cache_misses == 200 * N_THREADS
        assert stats.cache_misses == stats.forward_passes == 200
        figures = client.server_stats().namespaces["test"]
        assert figures["cache_hits"] == stats.cache_hits
        assert figures["cache_misses"] == 200


def test_threads_batches_share_results(daemon: Daemon) -> None:
    prompts = [f"p{i}" for i in range(100)]
    computed: list[int] = []

    def compute(misses: list[int]) -> list[int]:
        computed.extend(misses)
        return misses

    def run(_: int) -> None:
        assert client.cached_batch("op", "base", prompts, 0, compute) == list(range(100))

    with open_client(daemon) as client:
        in_threads(run)
        assert sorted(computed) == list(range(100))


def test_threads_run_while_one_computes_or_waits(daemon: Daemon) -> None:
    computing, go_on = threading.Event(), threading.Event()

    def compute() -> str:
        computing.set()
        assert go_on.wait(30)
        return "done"

    with open_client(daemon) as client, ThreadPoolExecutor(2) as pool:
        owner = pool.submit(client.cached, "op", "base", "p", 0, compute)
        assert computing.wait(30)
        waiter = pool.submit(client.cached, "op", "base", "p", 0, never)
        wait_until(lambda: waiters(client) == 1, "the second waits")
        assert client.stats().leases_granted == 1  # also of those that are in a call
        go_on.set()
        assert owner.result() == waiter.result() == "done"


def test_thread_end_closes_connection(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert connections(client) == 1
        in_threads(lambda i: client.put("op", "base", f"{i}", 0, i), 4)  # type: ignore[arg-type,return-value]
        wait_until(lambda: connections(client) == 1, "the threads' connections end")
        stats = client.stats()
        assert stats.cache_misses == 4  # their counts stay
        in_threads(lambda i: client.get("op", "base", f"{i}"), 4)
        assert client.stats().cache_hits == 4


def test_close_ends_connections_of_all_threads(daemon: Daemon) -> None:
    client = open_client(daemon)
    with open_client(daemon) as other:
        used, end = threading.Barrier(5), threading.Event()

        def use() -> None:
            client.put("op", "base", "p", 0, 1)
            used.wait(30)
            assert end.wait(30)
            with pytest.raises(fcached.ArgumentError, match="closed"):
                client.get("op", "base", "p")

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        used.wait(30)
        assert connections(other) == 6
        client.close()
        wait_until(lambda: connections(other) == 1, "all its connections end")
        end.set()
        for thread in threads:
            thread.join()
        assert client.stats().cache_misses == 4


def test_close_during_wait_ends_after_call(daemon: Daemon) -> None:
    """The call ends normally, and then its connection closes."""
    client = open_client(daemon)
    with open_client(daemon) as other, ThreadPoolExecutor(1) as pool:
        assert other.get("op", "base", "p", lease=True) is LEASED
        waiting = pool.submit(client.cached, "op", "base", "p", 0, never)
        wait_until(lambda: waiters(other) == 1, "it waits")
        client.close()
        other.put("op", "base", "p", 0, "late")
        assert waiting.result() == "late"
        wait_until(lambda: connections(other) == 1, "its connections end")
        assert client.stats().coalesced_hits == 1


def test_client_unreferenced_closes_connections(daemon: Daemon) -> None:
    with open_client(daemon) as other:
        client = open_client(daemon)
        used, end = threading.Event(), threading.Event()

        def use(client: fcached.Client) -> None:
            client.get("op", "base", "p")
            del client
            used.set()
            assert end.wait(30)

        thread = threading.Thread(target=use, args=(client,))
        thread.start()
        assert used.wait(30)
        assert connections(other) == 3
        del client
        thread._args = ()  # type: ignore[attr-defined]  # else it refers to its arguments until it ends
        gc.collect()
        end.set()
        thread.join()
        wait_until(lambda: connections(other) == 1, "its connections end")


def test_set_probe_applies_to_all_threads(tmp_path: Path) -> None:
    """Also to threads that are connected already."""
    trace = tmp_path / "trace.jsonl"
    step = threading.Barrier(2)

    def use() -> None:
        client.cached("op", "base", "p", 0, lambda: 1)
        step.wait(30)
        step.wait(30)
        client.cached("op", "base", "p", 0, never)
        with pytest.raises(fcached.ArgumentError, match="probe"):
            client.set_probe("not\x01one")  # and the one before stays
        client.cached("op", "base", "p", 0, never)

    with Daemon(tmp_path, "--trace", str(trace)) as daemon, open_client(daemon) as client:
        with ThreadPoolExecutor(1) as pool:
            thread = pool.submit(use)
            step.wait(30)
            client.set_probe("delta_kl")
            step.wait(30)
            thread.result()
    probes = [json.loads(line)["probe"] for line in trace.read_text().splitlines()]
    assert probes == [None, "delta_kl", "delta_kl"]


def test_threads_repeated_leak_no_descriptors(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.get("op", "base", "p")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            thread = threading.Thread(target=client.get, args=("op", "base", "p"))
            thread.start()
            thread.join()
            with open_client(daemon):
                pass
        assert len(os.listdir("/proc/self/fd")) <= before
