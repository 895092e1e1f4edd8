"""Several workers at once: leases, waits, and the ends of waits."""

from __future__ import annotations

import os
import signal
import threading
import time

from client_help import Batches, held_leases, never, open_client, start_worker, waiters
from conftest import TIMEOUT_S, Daemon, wait_until

import fcached
from fcached import LEASED, MISS

WAITER = """
    import fcached, sys
    client = fcached.Client("test", socket=sys.argv[1], deadline=5.0)
    print("ready", flush=True)
    sys.stdin.readline()
    def compute():
        print("computing", flush=True)
        sys.stdin.readline()
        return [1.5]
    print(client.cached("op", "base", "p", 0, compute), flush=True)
    print(client.stats().coalesced_hits, flush=True)
    """


def test_processes_missing_together_compute_once(daemon: Daemon) -> None:
    workers = [start_worker(WAITER, daemon.socket) for _ in range(2)]
    first, second = workers
    try:
        with open_client(daemon) as client:
            for worker in workers:
                assert worker.stdout is not None and worker.stdin is not None
                assert worker.stdout.readline() == "ready\n"
            assert first.stdin is not None and first.stdout is not None
            first.stdin.write("\n")
            first.stdin.flush()
            assert first.stdout.readline() == "computing\n"
            assert second.stdin is not None
            second.stdin.write("\n")
            second.stdin.flush()
            wait_until(lambda: waiters(client) == 1, "the second waits")
            assert client.get("op", "base", "p", lease=True) is MISS
        assert first.communicate("\n", TIMEOUT_S)[0] == "[1.5]\n0\n"
        assert second.communicate("", TIMEOUT_S)[0] == "[1.5]\n1\n"  # and never computed
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_worker_killed_during_compute_replaced_by_waiter(daemon: Daemon) -> None:
    worker = start_worker(WAITER, daemon.socket)
    try:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "ready\n"
        assert worker.stdout.readline() == "computing\n"
        with open_client(daemon) as client:
            killer = threading.Thread(target=_kill_when_waited_for, args=(daemon, worker.pid))
            killer.start()
            assert client.cached("op", "base", "p", 0, lambda: 2) == 2
            killer.join()
            assert client.stats().lease_wait_s > 0
    finally:
        worker.kill()
        worker.wait()


def _kill_when_waited_for(daemon: Daemon, pid: int) -> None:
    with open_client(daemon) as client:
        wait_until(lambda: waiters(client) == 1, "it is waited for")
    os.kill(pid, signal.SIGKILL)


def test_get_wait_ends_after_given_seconds(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", lease=True) is LEASED
        started = time.monotonic()
        assert other.get("op", "base", "p", wait=0.2) is MISS
        assert time.monotonic() - started >= 0.2
        answer = []
        waiting = threading.Thread(
            target=lambda: answer.append(other.get("op", "base", "p", wait=TIMEOUT_S))
        )
        waiting.start()
        wait_until(lambda: waiters(client) == 1, "it waits")  # this thread runs during the wait
        client.put("op", "base", "p", 0, "done")
        waiting.join()
        assert answer == ["done"]


def test_client_lease_and_wait_settings_bound_waits(daemon: Daemon) -> None:
    with open_client(daemon, lease=0.2) as client, open_client(daemon, wait=0) as hasty:
        assert client.get("op", "base", "p", lease=True) is LEASED
        assert hasty.cached("op", "base", "p", 0, lambda: "computed at once") == "computed at once"
        assert client.get("op", "base", "q", lease=True) is LEASED
        with open_client(daemon) as other:
            assert other.cached("op", "base", "q", 0, lambda: "taken over") == "taken over"
            assert other.stats().lease_wait_s > 0


def test_batches_of_two_workers_share_misses(daemon: Daemon) -> None:
    """Two threads with a client each: one computes, and the other waits."""
    prompts = [f"p{i}" for i in range(50)]
    batches = [Batches(), Batches()]
    results: list[list[int]] = [[], []]

    def run(which: int, client: fcached.Client) -> None:
        results[which] = client.cached_batch("op", "base", prompts, 0, batches[which])

    with open_client(daemon) as first, open_client(daemon) as second:
        threads = [threading.Thread(target=run, args=(i, c)) for i, c in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [[i * 10 for i in range(50)]] * 2
    assert sum(len(asked) for batch in batches for asked in batch.asked) == 50


INTERRUPTED = """
    import fcached, signal, sys, threading, time
    client = fcached.Client("test", socket=sys.argv[1], deadline=5.0)
    call = {
        "cached": lambda: client.cached("op", "base", "p", 0, lambda: 1),
        "batch": lambda: client.cached_batch("op", "base", ["p", "q"], 0, lambda m: m),
        "get": lambda: client.get("op", "base", "p", wait=600),
    }[sys.argv[2]]
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        call()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(client.get("op", "base", "other"), flush=True)
    print(client.connected, client.stats().degraded, flush=True)
    """


def test_interrupt_during_wait_raises(daemon: Daemon) -> None:
    for call in ("cached", "batch", "get"):
        with open_client(daemon) as client:
            worker = start_worker(INTERRUPTED, daemon.socket, call)
            try:
                # It is there before the lease: else it would be a helper, and not wait.
                assert worker.stdin is not None and worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
                assert client.get("op", "base", "p", lease=True) is LEASED
                worker.stdin.write("\n")
                worker.stdin.flush()
                wait_until(lambda: waiters(client) == 1, "it waits")
                sent = time.monotonic()
                worker.send_signal(signal.SIGINT)
                out, err = worker.communicate(timeout=TIMEOUT_S)
                assert time.monotonic() - sent < TIMEOUT_S / 2
                assert out.splitlines() == ["interrupted", "MISS", "True 0"], err
            finally:
                worker.kill()
                worker.wait()
            assert held_leases(client) == 1  # this one's own: the worker left none
            client.clear()


def test_signal_handler_during_wait_may_use_client(daemon: Daemon) -> None:
    """During a wait the handler has another connection, and the wait continues."""
    seen = []

    def handler(*_: object) -> None:
        seen.append(client.cached("op", "base", "from the handler", 0, lambda: "nested"))
        other.put("op", "base", "p", 0, "waited for")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with open_client(daemon) as client, open_client(daemon) as other:
            assert other.get("op", "base", "p", lease=True) is LEASED
            sender = threading.Thread(target=_signal_when_waiting, args=(daemon,))
            sender.start()
            assert client.cached("op", "base", "p", 0, never) == "waited for"
            sender.join()
            assert seen == ["nested"]
            assert client.cached("op", "base", "from the handler", 0, never) == "nested"
            assert client.stats().cache_misses == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


def _signal_when_waiting(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        wait_until(lambda: waiters(client) == 1, "it waits")
    os.kill(os.getpid(), signal.SIGUSR1)


def test_signal_handler_exception_ends_wait(daemon: Daemon) -> None:
    class Alarm(Exception):
        pass

    def handler(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with open_client(daemon) as client, open_client(daemon) as other:
            assert other.get("op", "base", "p", lease=True) is LEASED
            sender = threading.Thread(target=_signal_when_waiting, args=(daemon,))
            sender.start()
            try:
                client.cached("op", "base", "p", 0, never)
            except Alarm:
                pass
            else:
                raise AssertionError("the handler's exception was lost")
            finally:
                sender.join()
            assert client.cached("op", "base", "q", 0, lambda: 1) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
