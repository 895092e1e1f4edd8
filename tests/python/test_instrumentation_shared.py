"""BackendInstrumentation with a daemon: who shares what with whom, and what a daemon's ways cost."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import Daemon, wait_until

import fcached
from fcached.instrumentation import BackendInstrumentation, BackendStats

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
    def test_what_one_computed_is_a_hit_for_another(self, make: Make) -> None:
        one, other = make(), make()
        value = np.arange(4, dtype=np.float32)
        one.cached("op", "base", "p", 8, lambda: value)
        found = other.cached("op", "base", "p", 8, never)
        assert found.tobytes() == value.tobytes()
        assert found is not value
        assert (count(one), count(other)) == ((0, 1, 1), (1, 0, 0))

    def test_namespaces_are_apart(self, make: Make) -> None:
        make().cached("op", "base", "p", 8, lambda: 1)
        assert make(namespace="m").cached("op", "base", "p", 8, lambda: 2) == 2

    def test_the_environment_may_name_it(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
        monkeypatch.setenv("FCACHE_NAMESPACE", "of-the-environment")
        one, other = BackendInstrumentation(), BackendInstrumentation()
        one.cached("op", "base", "p", 8, lambda: 1)
        assert other.cached("op", "base", "p", 8, never) == 1
        one.close()
        other.close()

    def test_without_a_name_nothing_is_shared(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
        BackendInstrumentation().cached("op", "base", "p", 8, lambda: 1)
        assert BackendInstrumentation().cached("op", "base", "p", 8, lambda: 2) == 2

    def test_disabled_nothing_is_shared(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        make().cached("op", "base", "p", 8, lambda: 1)
        monkeypatch.setenv("FCACHE_DISABLE", "1")
        assert make().cached("op", "base", "p", 8, lambda: 2) == 2

    def test_a_name_that_is_none_is_refused(self, make: Make) -> None:
        with pytest.raises(fcached.ArgumentError):
            make(namespace="tab\t")

    def test_a_batch_takes_what_others_have(self, make: Make) -> None:
        one, other = make(), make()
        one.cached_batch("op", "base", ["a", "b"], 0, lambda misses: [f"v{i}" for i in misses])
        calls: list[list[int]] = []

        def compute(misses: list[int]) -> list[str]:
            calls.append(misses)
            return ["new"]

        assert other.cached_batch("op", "base", ["b", "c", "a"], 0, compute) == ["v1", "new", "v0"]
        assert calls == [[1]]
        assert (count(other), other.stats.batches_sent) == ((2, 1, 1), 1)

    def test_the_in_process_limit_is_none_of_the_namespace(self, make: Make) -> None:
        one, other = make(cache_maxsize=2), make(cache_maxsize=2)
        for number in range(20):
            one.cached("op", "base", f"p{number}", 0, lambda: number)
        assert len(one.cache) == 2
        assert [other.cached("op", "base", f"p{n}", 0, never) for n in range(20)] == list(range(20))
        assert len(other.cache) == 0

    def test_a_wait_for_another_worker_is_a_hit(self, make: Make, daemon: Daemon) -> None:
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

    def test_the_daemon_counts_the_same(self, make: Make, daemon: Daemon) -> None:
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

    def test_a_share_of_hits_may_be_verified(self, make: Make) -> None:
        fill(make(), "a", "b")
        inst = make(verify=1.0)
        assert inst.cached("op", "base", "a", 0, lambda: "computed") == "computed"
        assert inst.cached_batch("op", "base", ["b"], 0, lambda _: ["anew"]) == ["anew"]
        assert inst._clients[0].stats().differing == 2
        assert inst.stats.forward_passes == 2  # that is what they were

    def test_threads_may_share_one(self, make: Make) -> None:
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

    def test_a_child_goes_on_with_it(self, make: Make) -> None:
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
    """Never worse than the module: what this process computed, it does not compute again."""

    def test_it_dies(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        fill(inst, "a", "b")
        daemon.stop()
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        assert inst.cached_batch("op", "base", ["b", "a"], 0, never) == ["of b", "of a"]
        fill(inst, "c")
        assert inst.cached("op", "base", "c", 0, never) == "of c"
        assert count(inst) == (4, 3, 3)

    def test_it_comes_back(self, make: Make, daemon: Daemon) -> None:
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

    def test_it_is_stopped_in_the_middle_of_a_computation(self, make: Make, daemon: Daemon) -> None:
        inst = make()

        def compute() -> str:
            daemon.stop()
            return "value"

        assert inst.cached("op", "base", "p", 0, compute) == "value"
        assert inst.cached("op", "base", "p", 0, never) == "value"
        assert count(inst) == (1, 1, 1)

    def test_it_evicts(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        with fcached.Client("n", socket=daemon.socket, max_entries=1):
            fill(inst, "a", "b", "c")
            assert figures(daemon)["entries"] == 1
            assert [inst.cached("op", "base", p, 0, never) for p in "abc"] == [
                "of a",
                "of b",
                "of c",
            ]

    def test_it_is_cleared_by_another(self, make: Make, daemon: Daemon) -> None:
        """Who clears may want the room; a process that knows its values to be stale says so. But
        what began before the clear does not come back to others."""
        inst, other = make(), make()
        fill(inst, "a")
        with fcached.Client("n", socket=daemon.socket) as client:
            assert client.clear() == 1
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"

    def test_a_value_is_too_big(self, make: Make) -> None:
        inst, value = make(), bytes(20 << 20)
        assert inst.cached("op", "base", "p", 0, lambda: value) is value
        assert inst.cached("op", "base", "p", 0, never) is value
        assert count(inst) == (1, 1, 1)

    @pytest.mark.filterwarnings("ignore:not shared:RuntimeWarning")
    def test_a_value_has_no_encoding(self, make: Make) -> None:
        inst, value = make(), object()
        assert inst.cached("op", "base", "p", 0, lambda: value) is value
        assert inst.cached("op", "base", "p", 0, never) is value
        assert make().cached("op", "base", "p", 0, lambda: 1) == 1

    @pytest.mark.filterwarnings("ignore:computed again:RuntimeWarning")
    def test_what_is_stored_cannot_be_read(self, make: Make) -> None:
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
    def test_clears_for_everybody(self, make: Make) -> None:
        one, other, apart = make(), make(), make(namespace="m")
        fill(one, "a")
        fill(apart, "a")
        one.cache.clear()
        assert len(one.cache) == 0
        assert other.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert one.cached("op", "base", "a", 0, never) == "new"
        assert apart.cached("op", "base", "a", 0, never) == "of a"

    def test_what_cannot_be_cleared_is_shared_no_longer(
        self, make: Make, daemon: Daemon, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A daemon that does not answer may still serve what it was not told to forget."""
        inst = make()
        fill(inst, "a")
        daemon.stop()
        inst.cache.clear()
        daemon.start()
        said = [line for line in capfd.readouterr().err.splitlines() if "could not be" in line]
        assert len(said) == 1
        assert inst.cached("op", "base", "a", 0, lambda: "new") == "new"
        assert inst.cached("op", "base", "a", 0, never) == "new"
        assert make().cached("op", "base", "a", 0, lambda: "other") == "other"


class TestClose:
    def test_ends_the_connection(self, make: Make, daemon: Daemon) -> None:
        inst = make()
        fill(inst, "a")
        client = inst._clients[0]
        assert client.connected
        inst.close()
        assert not client.connected

    def test_what_was_shared_stays(self, make: Make) -> None:
        inst = make()
        fill(inst, "a")
        inst.close()
        assert make().cached("op", "base", "a", 0, never) == "of a"
        assert inst.cached("op", "base", "a", 0, never) == "of a"
        inst.stats = BackendStats()
        fill(inst, "later")
        assert make().cached("op", "base", "later", 0, lambda: "other") == "other"
