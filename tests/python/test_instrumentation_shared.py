"""BackendInstrumentation with a daemon: sharing, and daemons that stop, evict or clear."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Daemon, wait_until

import fcached
from fcached.instrumentation import _MISS, BackendInstrumentation, BackendStats, ForwardCache
from fcached.sway.instrumentation import BackendInstrumentation as SwayInstrumentation

pytestmark = pytest.mark.usefixtures("patient")
Make = Callable[..., BackendInstrumentation]


@pytest.fixture
def make(daemon: Daemon) -> Iterator[Make]:
    """Instances of one namespace, unless another is given."""
    made: list[BackendInstrumentation] = []

    def build(**settings: Any) -> BackendInstrumentation:
        made.append(
            BackendInstrumentation(**{"namespace": "n", "socket": daemon.socket, **settings})
        )
        return made[-1]

    yield build
    for inst in made:
        inst.close()


def count(inst: BackendInstrumentation) -> tuple[int, int, int]:
    return inst.stats.cache_hits, inst.stats.cache_misses, inst.stats.forward_passes


def never(*_: Any) -> Any:
    raise AssertionError("nothing should be computed")


def figures(daemon: Daemon) -> dict[str, Any]:
    """The daemon's, of the namespace."""
    with fcached.Client("looking-on", socket=daemon.socket) as client:
        return dict(client.server_stats().namespaces["n"])


def fill(inst: BackendInstrumentation, *prompts: str) -> None:
    for prompt in prompts:
        inst.cached("op", "base", prompt, 0, lambda: f"of {prompt}")


class TestSharing:
    def test_result_of_one_instance_hit_by_another(self, make: Make) -> None:
        one, other = make(), make()
        value = np.arange(4, dtype=np.float32)
        one.cached("op", "base", "p", 8, lambda: value)
        found = other.cached("op", "base", "p", 8, never)
        assert found.tobytes() == value.tobytes()
        assert found is not value
        assert (count(one), count(other)) == ((0, 1, 1), (1, 0, 0))

    def test_namespaces_kept_apart(self, make: Make) -> None:
        make().cached("op", "base", "p", 8, lambda: 1)
        assert make(namespace="m").cached("op", "base", "p", 8, lambda: 2) == 2

    def test_namespace_from_environment_shared(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
        monkeypatch.setenv("FCACHE_NAMESPACE", "of-the-environment")
        one, other = BackendInstrumentation(), BackendInstrumentation()
        one.cached("op", "base", "p", 8, lambda: 1)
        assert other.cached("op", "base", "p", 8, never) == 1
        one.close()
        other.close()

    def test_namespace_missing_nothing_shared(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
        BackendInstrumentation().cached("op", "base", "p", 8, lambda: 1)
        assert BackendInstrumentation().cached("op", "base", "p", 8, lambda: 2) == 2

    def test_sharing_disabled_nothing_shared(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make().cached("op", "base", "p", 8, lambda: 1)
        monkeypatch.setenv("FCACHE_DISABLE", "1")
        assert make().cached("op", "base", "p", 8, lambda: 2) == 2

    def test_namespace_invalid_refused(self, make: Make) -> None:
        with pytest.raises(fcached.ArgumentError):
            make(namespace="tab\t")

    def test_batch_finds_results_of_others(self, make: Make) -> None:
        one, other = make(), make()
        one.cached_batch("op", "base", ["a", "b"], 0, lambda misses: [f"v{i}" for i in misses])
        calls: list[list[int]] = []

        def compute(misses: list[int]) -> list[str]:
            calls.append(misses)
            return ["new"]

        assert other.cached_batch("op", "base", ["b", "c", "a"], 0, compute) == ["v1", "new", "v0"]
        assert calls == [[1]]
        assert (count(other), other.stats.batches_sent) == ((2, 1, 1), 1)

    def test_cache_maxsize_leaves_namespace_unlimited(self, make: Make) -> None:
        one, other = make(cache_maxsize=2), make(cache_maxsize=2)
        for number in range(20):
            one.cached("op", "base", f"p{number}", 0, lambda: number)
        assert len(one.cache) == 2
        assert [other.cached("op", "base", f"p{n}", 0, never) for n in range(20)] == list(range(20))
        assert len(other.cache) == 0

    def test_lookup_waiting_for_other_worker_is_hit(self, make: Make, daemon: Daemon) -> None:
        one, other = make(), make()
        computing, may_end = threading.Event(), threading.Event()

        def compute() -> str:
            computing.set()
            assert may_end.wait(30)
            return "slow"

        owner = threading.Thread(target=one.cached, args=("op", "base", "p", 0, compute))
        owner.start()
        assert computing.wait(30)
        found: list[str] = []
        waiter = threading.Thread(
            target=lambda: found.append(other.cached("op", "base", "p", 0, never))
        )
        waiter.start()
        with fcached.Client("looking-on", socket=daemon.socket) as watching:
            wait_until(lambda: watching.server_stats().daemon["lease_waits"] == 1, "it waits")
        may_end.set()
        owner.join()
        waiter.join()
        assert found == ["slow"]
        assert (count(one), count(other)) == ((0, 1, 1), (1, 0, 0))
        assert other.stats.scoring_wall_s > 0.0

    def test_daemon_counters_equal_instance_counters(self, make: Make, daemon: Daemon) -> None:
        one, other = make(), make()
        fill(one, "a", "b")
        fill(other, "b", "a", "c")
        one.cached_batch("op", "base", ["c", "d", "e"], 0, list)
        seen = figures(daemon)
        stats = [one.stats, other.stats]
        assert seen["cache_hits"] == sum(of.cache_hits for of in stats) == 3
        assert seen["cache_misses"] == sum(of.cache_misses for of in stats) == 5
        assert seen["forward_passes"] == sum(of.forward_passes for of in stats) == 5
        assert (seen["batches_sent"], seen["batched_prompts"]) == (1, 2)

    def test_verify_recomputes_hits(self, make: Make) -> None:
        fill(make(), "a", "b")
        inst = make(verify=1.0)
        assert inst.cached("op", "base", "a", 0, lambda: "computed") == "computed"
        assert inst.cached_batch("op", "base", ["b"], 0, lambda _: ["anew"]) == ["anew"]
        assert inst._clients[0].stats().differing == 2
        assert inst.stats.forward_passes == 2  # as they were

    def test_threads_share_one_instance(self, make: Make) -> None:
        inst, failures = make(), []

        def work() -> None:
            try:
                for step in range(300):
                    prompt = f"p{step % 40}"
                    value = inst.cached("op", "base", prompt, 0, lambda: f"of {prompt}")
                    assert value == f"of {prompt}"
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures

    def test_child_process_uses_instance_of_parent(self, make: Make) -> None:
        inst = make()
        fill(inst, "a")

        def child(answers: Any) -> None:
            answers.put(inst.cached("op", "base", "a", 0, never))
            answers.put(inst.cached("op", "base", "b", 0, lambda: os.getpid()))

        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        process = context.Process(target=child, args=(answers,))
        process.start()
        assert answers.get(timeout=30) == "of a"
        assert answers.get(timeout=30) == process.pid
        process.join(30)
        assert process.exitcode == 0
        assert inst.cached("op", "base", "b", 0, never) == process.pid


class TestTheDaemonsWays:
    """Never worse than the original: a process does not compute its own results again."""

    def test_daemon_killed_results_from_own_cache(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        fill(inst, "a", "b")
        daemon.stop()
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        assert inst.cached_batch("op", "base", ["b", "a"], 0, never) == ["of b", "of a"]
        fill(inst, "c")
        assert inst.cached("op", "base", "c", 0, never) == "of c"
        assert count(inst) == (4, 3, 3)

    def test_daemon_restarted_shares_again(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        fill(inst, "a")
        daemon.stop()
        fill(inst, "a")
        daemon.start()
        news = map("z{}".format, itertools.count())

        def is_found_again() -> bool:
            fill(inst, next(news))
            return inst._clients[0].connected

        wait_until(is_found_again, "a miss finds it")
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        fill(inst, "b")
        assert make().cached("op", "base", "b", 0, never) == "of b"

    def test_daemon_stopped_during_compute_returns_value(self, make: Make, daemon: Daemon) -> None:
        inst = make()

        def compute() -> str:
            daemon.stop()
            return "value"

        assert inst.cached("op", "base", "p", 0, compute) == "value"
        assert inst.cached("op", "base", "p", 0, never) == "value"
        assert count(inst) == (1, 1, 1)

    def test_entry_evicted_found_in_own_cache(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        with fcached.Client("n", socket=daemon.socket, max_entries=1):
            fill(inst, "a", "b", "c")
            assert figures(daemon)["entries"] == 1
            assert [inst.cached("op", "base", p, 0, never) for p in "abc"] == [
                "of a",
                "of b",
                "of c",
            ]

    def test_namespace_cleared_by_other_found_in_own_cache(
        self, make: Make, daemon: Daemon
    ) -> None:
        """Another worker may clear to free memory, so this process keeps its own results. But
        values whose computation began before the clear are not shared again."""
        inst, other = make(), make()
        fill(inst, "a")
        with fcached.Client("n", socket=daemon.socket) as client:
            assert client.clear() == 1
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"

    def test_value_too_big_found_in_own_cache(self, make: Make) -> None:
        inst, value = make(), bytes(20 << 20)
        assert inst.cached("op", "base", "p", 0, lambda: value) is value
        assert inst.cached("op", "base", "p", 0, never) is value
        assert count(inst) == (1, 1, 1)

    @pytest.mark.filterwarnings("ignore:not shared:RuntimeWarning")
    def test_value_unencodable_found_in_own_cache(self, make: Make) -> None:
        inst, value = make(), object()
        assert inst.cached("op", "base", "p", 0, lambda: value) is value
        assert inst.cached("op", "base", "p", 0, never) is value
        assert make().cached("op", "base", "p", 0, lambda: 1) == 1

    @pytest.mark.filterwarnings("ignore:computed again:RuntimeWarning")
    def test_stored_value_undecodable_computed(self, make: Make) -> None:
        class Gone:
            """Of a class whose values another version put."""

        fcached.register(Gone, name="test.Gone", encode=lambda _: 1, decode=fail_to_decode)
        for prompt in ("p", "q"):
            make().cached("op", "base", prompt, 0, Gone)
        fill(make(), "sound")
        inst = make()
        assert inst.cached("op", "base", "p", 0, lambda: "computed") == "computed"
        assert inst.cached("op", "base", "p", 0, never) == "computed"
        values = inst.cached_batch("op", "base", ["q", "sound"], 0, lambda misses: misses)
        assert values == [0, "of sound"]


def fail_to_decode(_: Any) -> Any:
    raise fcached.DecodeError("of another version")


class TestClear:
    def test_clear_removes_results_for_all(self, make: Make) -> None:
        one, other, apart = make(), make(), make(namespace="m")
        fill(one, "a")
        fill(apart, "a")
        one.cache.clear()
        assert len(one.cache) == 0
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert one.cached("op", "base", "a", 0, never) == "new"
        assert apart.cached("op", "base", "a", 0, never) == "of a"

    def test_clear_denied_stops_sharing(
        self, make: Make, daemon: Daemon, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A daemon that does not answer may still serve entries that should have been cleared."""
        inst = make()
        fill(inst, "a")
        daemon.stop()
        inst.cache.clear()
        daemon.start()
        logged = [line for line in capfd.readouterr().err.splitlines() if "could not be" in line]
        assert len(logged) == 1
        assert inst.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert inst.cached("op", "base", "a", 0, never) == "new"
        assert make().cached("op", "base", "a", 0, lambda: "other") == "other"


class Slotted:
    """A cache of a program, whose methods cannot be replaced."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self.entries.get(key, _MISS)

    def put(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def clear(self) -> None:
        self.entries.clear()


class Own(Slotted):
    """One whose methods can be: it has no __slots__."""


class Renamed(ForwardCache):
    """A cache with its own way to clear."""

    def clear(self, *, quietly: bool = False) -> str:  # type: ignore[override]
        with self._lock:
            self._entries.clear()
        return "cleared"


class TestReplaceTheCache:
    """To replace it says that its values are stale, as to clear it does."""

    @pytest.mark.parametrize("kind", [lambda: ForwardCache(8), Own, Slotted, Renamed])
    def test_cache_replaced_old_results_not_served(
        self, make: Make, kind: Callable[[], Any]
    ) -> None:
        inst, other = make(), make()
        fill(inst, "a", "b")
        inst.cache = kind()
        assert inst.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert inst.cached_batch("op", "base", ["b"], 0, lambda _: ["new b"]) == ["new b"]
        assert other.cached("op", "base", "b", 0, lambda: "new b") == "new b"
        assert inst.cached("op", "base", "a", 0, never) == "new"

    @pytest.mark.parametrize("kind", [lambda: ForwardCache(8), Own, Slotted, Renamed])
    def test_new_cache_clear_removes_shared_results(
        self, make: Make, kind: Callable[[], Any]
    ) -> None:
        inst, other = make(), make()
        inst.cache = cache = kind()
        assert inst.cache is cache
        fill(inst, "a")
        cache.clear()
        assert inst.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert inst.cached("op", "base", "a", 0, never) == "new"
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"

    def test_new_cache_clear_keeps_arguments_and_result(self, make: Make) -> None:
        inst = make()
        inst.cache = Renamed()
        assert inst.cache.clear(quietly=True) == "cleared"  # type: ignore

    def test_new_cache_clear_failing_still_clears_shared(self, make: Make) -> None:
        class Failing(Own):
            def clear(self) -> None:
                raise OSError("no such disk")

        inst = make()
        inst.cache = Failing()  # type: ignore[assignment]
        fill(inst, "a")
        with pytest.raises(OSError, match="no such disk"):
            inst.cache.clear()
        assert make().cached("op", "base", "a", 0, lambda: "new") == "new"

    def test_old_cache_clear_leaves_shared_results(self, make: Make) -> None:
        inst, other = make(), make()
        old = inst.cache
        inst.cache = ForwardCache(8)
        fill(inst, "a")
        old.clear()
        assert other.cached("op", "base", "a", 0, never) == "of a"
        inst.cache = old
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"
        old.clear()
        assert make().cached("op", "base", "a", 0, lambda: "newer") == "newer"

    def test_same_cache_assigned_changes_nothing(self, make: Make) -> None:
        inst, other = make(), make()
        fill(inst, "a")
        inst.cache = inst.cache
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        assert other.cached("op", "base", "a", 0, never) == "of a"

    def test_cache_of_two_instances_clears_both(self, make: Make) -> None:
        one, other = make(), make(namespace="m")
        one.cache = other.cache = cache = ForwardCache(8)
        fill(one, "a")
        fill(other, "b")
        cache.clear()
        for inst, prompt in ((one, "a"), (other, "b")):
            assert inst.cached("op", "base", prompt, 0, lambda: "new") == "new"

    def test_new_cache_does_not_keep_instance_alive(self, make: Make, daemon: Daemon) -> None:
        cache = ForwardCache(8)
        inst = BackendInstrumentation(namespace="n", socket=daemon.socket)
        inst.cache = cache
        gone = weakref.ref(inst)
        del inst
        gc.collect()
        assert gone() is None
        cache.clear()

    def test_cache_replaced_without_daemon_stops_sharing(
        self, make: Make, daemon: Daemon, capfd: pytest.CaptureFixture[str]
    ) -> None:
        inst = make()
        fill(inst, "a")
        daemon.stop()
        inst.cache = ForwardCache(8)
        daemon.start()
        assert "could not be cleared" in capfd.readouterr().err
        assert inst.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert make().cached("op", "base", "a", 0, lambda: "other") == "other"

    def test_new_cache_with_slots_stops_sharing(
        self, make: Make, capfd: pytest.CaptureFixture[str]
    ) -> None:
        inst = make()
        inst.cache = Slotted()  # type: ignore[assignment]
        assert "Slotted does not report when it is cleared" in capfd.readouterr().err
        fill(inst, "a")
        assert make().cached("op", "base", "a", 0, lambda: "other") == "other"

    def test_sway_instance_cache_replaced_clears_shared(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
        inst = SwayInstrumentation()
        inst.share_by(lambda view: fcached.Namespace(f"n-{view}"))
        for view in ("base", "ft"):
            inst.cached("op", view, "a", 0, lambda: "old")
        inst.cache = ForwardCache(8)
        for view in ("base", "ft"):
            assert inst.cached("op", view, "a", 0, lambda: "new") == "new"
        inst.cache.clear()
        for view in ("base", "ft"):
            assert inst.cached("op", view, "a", 0, lambda: "newer") == "newer"
        inst.close()


@pytest.mark.parametrize("region", ["1", "0"], ids=["shared memory", "messages"])
class TestHitsBeforeAFailure:
    """Hits stay counted if compute_misses fails, at any time."""

    @pytest.fixture
    def late(self, make: Make, daemon: Daemon, region: str, monkeypatch: pytest.MonkeyPatch) -> Any:
        """An instance. Another worker puts `late.values` between the two lookups of a batch, and
        `late.events` is the trace."""
        monkeypatch.setenv("FCACHE_REGION", region)
        inst = make()
        events: list[Any] = []
        values: dict[str, Any] = {}
        inst.trace = SimpleNamespace(  # type: ignore[assignment]
            write=events.append, close=lambda: None
        )
        client = fcached.Client("n", socket=daemon.socket, deadline=5.0)
        get = inst.cache.get

        def get_and_put(key: Any) -> Any:
            while values:
                prompt, value = values.popitem()
                client.put("op", "base", prompt, 0, value)
            return get(key)

        setattr(inst.cache, "get", get_and_put)
        client.get("op", "base", "connect")
        yield SimpleNamespace(inst=inst, events=events, client=client, values=values)
        client.close()

    def test_late_hit_counted_when_compute_fails(self, late: Any) -> None:
        late.values["hit"] = "of another"
        with pytest.raises(ZeroDivisionError):
            late.inst.cached_batch("op", "base", ["a", "hit", "b"], 0, lambda _: [1 // 0])
        assert count(late.inst) == (1, 0, 0)
        (event,) = late.events
        assert event.hit and event.prompt_hash == fcached.prompt_hash("hit")
        assert event.wall_ms == pytest.approx(late.inst.stats.scoring_wall_s * 1000.0)
        assert late.inst.stats.scoring_wall_s > 0.0

    def test_late_hit_traced_before_misses(self, late: Any) -> None:
        late.values["hit"] = "of another"
        values = late.inst.cached_batch("op", "base", ["a", "hit", "b"], 0, list)
        assert values == [0, "of another", 2]
        assert [event.hit for event in late.events] == [True, False, False]
        assert count(late.inst) == (1, 2, 2)
        walls_ms = sum(event.wall_ms for event in late.events)
        assert walls_ms == pytest.approx(late.inst.stats.scoring_wall_s * 1000.0)

    def test_hit_after_wait_counted_when_later_call_fails(self, late: Any) -> None:
        late.client.get_many("op", "base", ["waited", "given up"], lease=True)
        asked: list[list[int]] = []

        def compute(misses: list[int]) -> list[str]:
            asked.append(misses)
            if len(asked) == 2:
                raise ZeroDivisionError
            late.client.put("op", "base", "waited", 0, "of another")
            late.client.give_up("op", "base", "given up")
            return ["mine"]

        with pytest.raises(ZeroDivisionError):
            late.inst.cached_batch("op", "base", ["waited", "given up", "mine"], 0, compute)
        assert asked == [[2], [1]]
        assert count(late.inst) == (1, 1, 1)
        assert [event.hit for event in late.events] == [False, True]

    def test_undecodable_late_hit_not_counted(self, late: Any) -> None:
        fcached.register(Gone, name="test.Late", encode=lambda _: 1, decode=fail_to_decode)
        late.values["unreadable"] = Gone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ZeroDivisionError):
                late.inst.cached_batch("op", "base", ["a", "unreadable"], 0, lambda _: [1 // 0])
        assert count(late.inst) == (0, 0, 0)


class Gone:
    """Of a class whose values another version put."""


class TestClose:
    def test_close_ends_connection(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        fill(inst, "a")
        client = inst._clients[0]
        assert client.connected
        inst.close()
        assert not client.connected

    def test_close_keeps_shared_results(self, make: Make) -> None:
        inst = make()
        fill(inst, "a")
        inst.close()
        assert make().cached("op", "base", "a", 0, never) == "of a"
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        inst.stats = BackendStats()
        fill(inst, "later")
        assert make().cached("op", "base", "later", 0, lambda: "other") == "other"
