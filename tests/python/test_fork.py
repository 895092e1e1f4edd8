"""Forks, pools of processes, and the client of the parent in a child."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
from client_help import never, open_client
from conftest import Daemon

import fcached
from fcached import LEASED, MISS


def in_child(run: Callable[[], None]) -> None:
    """Runs a function in a forked child. Fails the test if it fails."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_child_uses_client_of_parent(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, "parent's")
        assert client.get("op", "base", "p") == "parent's"

        def run() -> None:
            stats = client.stats()
            assert (stats.cache_hits, stats.cache_misses) == (0, 0)
            assert client.get("op", "base", "p") == "parent's"
            assert client.cached("op", "base", "c", 0, lambda: "child's") == "child's"
            stats = client.stats()
            assert (stats.cache_hits, stats.cache_misses) == (1, 1)

        in_child(run)
        assert client.cached("op", "base", "c", 0, never) == "child's"
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses, stats.reconnects) == (2, 1, 0)


def test_fork_inside_compute_both_continue(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        parent = os.getpid()

        def compute() -> str:
            in_child(lambda: None)
            child = os.fork()
            if child == 0:
                return "child's"
            assert os.waitpid(child, 0)[1] == 0
            return "parent's"

        result = client.cached("op", "base", "p", 0, compute)
        if os.getpid() != parent:
            right = result == "child's" and client.get("op", "base", "q") is MISS
            os._exit(0 if right else 1)
        assert result == "parent's"
        assert client.get("op", "base", "p") == "child's"  # which was put first


def test_fork_leaves_lease_with_parent(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert client.get("op", "base", "p", lease=True) is LEASED

        def run() -> None:
            assert client.get("op", "base", "p", lease=True) is MISS

        in_child(run)
        assert client.put("op", "base", "p", 0, 1)


def test_fork_drops_handles_of_other_threads(daemon: Daemon) -> None:
    """They do not exist in the child: one was in a wait, one in a computation, one idle."""
    with open_client(daemon) as client, open_client(daemon) as other:
        assert other.get("op", "base", "waited for", lease=True) is LEASED
        computing, end = threading.Event(), threading.Event()

        def compute() -> int:
            computing.set()
            assert end.wait(30)
            return 1

        def idle() -> None:
            client.put("op", "base", "idle", 0, 1)
            assert end.wait(30)

        threads = [
            threading.Thread(target=idle),
            threading.Thread(target=client.cached, args=("op", "base", "computed", 0, compute)),
            threading.Thread(target=client.cached, args=("op", "base", "waited for", 0, never)),
        ]
        for thread in threads:
            thread.start()
        assert computing.wait(30)
        while int(other.server_stats().daemon["lease_waits"]) == 0:
            pass

        def run() -> None:
            assert client.stats().leases_granted == 0
            assert client.cached("op", "base", "child", 0, lambda: 5) == 5
            assert client.stats().leases_granted == 1
            client.close()
            with pytest.raises(fcached.ArgumentError):
                client.get("op", "base", "p")

        in_child(run)
        other.put("op", "base", "waited for", 0, "value")
        end.set()
        for thread in threads:
            thread.join()
        assert client.cached("op", "base", "child", 0, never) == 5
        assert client.get("op", "base", "computed") == 1
        assert client.stats().coalesced_hits == 1


def test_fork_from_thread_uses_client(daemon: Daemon) -> None:
    """The forking thread is the child's only one, and none that used the client."""
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1)
        failures: list[BaseException] = []

        def fork() -> None:
            try:
                in_child(lambda: use(client))
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        assert not failures
        assert client.get("op", "base", "p") == 1


def use(client: fcached.Client) -> None:
    assert client.get("op", "base", "p") == 1
    assert client.stats().cache_hits == 1


_inherited: fcached.Client | None = None


def _cached_inherited(i: int) -> int:
    assert _inherited is not None
    return int(_inherited.cached("op", "base", f"p{i % 20}", 0, lambda: i % 20))


def _cached_pickled(client: fcached.Client, i: int) -> int:
    return int(client.cached("op", "base", f"p{i % 20}", 0, lambda: i % 20))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool_shares_results(daemon: Daemon, method: str) -> None:
    context = multiprocessing.get_context(method)
    with open_client(daemon) as client:
        with ProcessPoolExecutor(3, mp_context=context) as pool:
            futures = [pool.submit(_cached_pickled, client, i) for i in range(60)]
            assert [future.result() for future in futures] == [i % 20 for i in range(60)]
        assert client.server_stats().namespaces["test"]["forward_passes"] == 20


def test_multiprocessing_fork_inherits_client(daemon: Daemon) -> None:
    global _inherited
    with open_client(daemon) as client:
        _inherited = client
        try:
            with multiprocessing.get_context("fork").Pool(3) as pool:
                assert pool.map(_cached_inherited, range(60)) == [i % 20 for i in range(60)]
        finally:
            _inherited = None
        assert client.server_stats().namespaces["test"]["forward_passes"] == 20
