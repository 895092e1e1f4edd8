"""The hits of an instrumentation, which C counts if its counters and trace are those of the package."""

from __future__ import annotations

import dataclasses
import gc
import json
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from client_help import never
from conftest import Daemon
from values_support import SLOTS

import fcached
from fcached.instrumentation import BackendInstrumentation, BackendStats, TraceWriter

KEY = ("op", "base", "p", 0)


@pytest.fixture
def inst(daemon: Daemon) -> Iterator[BackendInstrumentation]:
    """An instance whose key KEY is a hit."""
    made = BackendInstrumentation(namespace="n", socket=daemon.socket, deadline=5.0)
    made.cached(*KEY, lambda: 1.5)
    made.stats = BackendStats()
    yield made
    made.close()


class PlainStats:
    """Counters in a dict."""

    def __init__(self) -> None:
        self.cache_hits: Any = 0
        self.scoring_wall_s: Any = 0.0


@dataclasses.dataclass(**SLOTS)
class OtherStats:
    """Slots in another order, as a class of another package has them."""

    scoring_wall_s: float = 0.0
    name: str = ""
    cache_hits: int = 0


class Watched(BackendStats):
    """A subclass that sees each change."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "changes":
            self.changes.append(name)
        super().__setattr__(name, value)


class Subclass(BackendStats):
    """A subclass with a dict."""


@pytest.mark.parametrize("stats", [BackendStats, PlainStats, OtherStats, Watched, Subclass])
def test_hits_counted_in_any_object(inst: BackendInstrumentation, stats: Any) -> None:
    other, mine = BackendStats(), stats()
    inst.stats = mine
    for _ in range(300):  # beyond the ints that Python keeps
        assert inst.cached(*KEY, never) == 1.5
    assert mine.cache_hits == 300 and type(mine.cache_hits) is int
    assert 0 < mine.scoring_wall_s < 30 and type(mine.scoring_wall_s) is float
    inst.stats = other
    inst.cached(*KEY, never)
    assert (other.cache_hits, mine.cache_hits) == (1, 300)
    if stats is Watched:
        assert mine.changes.count("cache_hits") == 301
        assert mine.changes.count("scoring_wall_s") == 301


class Tens(int):
    """An int that counts in steps of ten."""

    def __add__(self, other: int) -> Any:
        return int(self) + 10 * other


@pytest.mark.parametrize(
    "hits, wall, expected",
    [
        (0, 0, (1, float)),
        (True, 0.0, (2, float)),
        (Tens(5), 0.0, (15, float)),
        (1.5, 0.0, (2.5, float)),
        (2**63 - 2, 0.0, (2**63 - 1, float)),
        (2**63 - 1, 0.0, (2**63, float)),
        (-5, 1e300, (-4, float)),
    ],
)
def test_counters_of_any_number_grow(
    inst: BackendInstrumentation, hits: Any, wall: Any, expected: Any
) -> None:
    inst.stats.cache_hits, inst.stats.scoring_wall_s = hits, wall
    assert inst.cached(*KEY, never) == 1.5
    assert (inst.stats.cache_hits, type(inst.stats.scoring_wall_s)) == expected


def test_class_of_stats_changed_between_hits_followed(inst: BackendInstrumentation) -> None:
    @dataclasses.dataclass(**SLOTS)
    class Stats:
        cache_hits: int = 0
        scoring_wall_s: float = 0.0

    inst.stats = Stats()  # type: ignore[assignment]
    inst.cached(*KEY, never)
    seen: list[int] = []
    slot = Stats.__dict__["cache_hits"]
    Stats.cache_hits = property(slot.__get__, lambda self, value: seen.append(value))  # type: ignore
    inst.cached(*KEY, never)
    assert (seen, inst.stats.cache_hits) == ([2], 1)


def test_missing_counter_logged_once(
    inst: BackendInstrumentation, capsys: pytest.CaptureFixture[str]
) -> None:
    del inst.stats.cache_hits
    assert [inst.cached(*KEY, never) for _ in range(3)] == [1.5] * 3
    assert capsys.readouterr().err.count("the stats of this backend failed") == 1


def test_missing_part_logged_once(
    inst: BackendInstrumentation, capsys: pytest.CaptureFixture[str]
) -> None:
    del inst.stats, inst.trace
    assert inst.cached(*KEY, never) == 1.5
    assert "the trace of this backend failed" in capsys.readouterr().err
    inst.stats, inst.trace = BackendStats(), TraceWriter(None)
    assert inst.cached(*KEY, never) == 1.5 and inst.stats.cache_hits == 1


def test_wall_time_contains_lookup(inst: BackendInstrumentation) -> None:
    started = time.perf_counter()
    for _ in range(500):
        inst.cached(*KEY, never)
    took = time.perf_counter() - started
    daemon_s = inst._clients[0].stats().scoring_wall_s
    assert daemon_s / 2 < inst.stats.scoring_wall_s < took


def test_trace_turned_on_and_off_between_hits(inst: BackendInstrumentation, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    inst.cached(*KEY, never)
    inst.trace = TraceWriter(path)
    inst.set_current_probe("probe")
    inst.cached(*KEY, never)
    inst.trace.close()
    inst.cached(*KEY, never)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["hit"], line["probe"], line["view_id"]) for line in lines] == [
        (True, "probe", "base")
    ]
    assert lines[0]["prompt_hash"] == fcached.prompt_hash("p")
    assert inst.stats.cache_hits == 3


def test_trace_of_other_class_gets_hits(inst: BackendInstrumentation) -> None:
    class Subclass(TraceWriter):
        def write(self, event: Any) -> None:
            events.append(event)

    events: list[Any] = []
    for trace in (Subclass(None), SimpleNamespace(write=events.append, close=lambda: None)):
        inst.trace = trace  # type: ignore[assignment]
        inst.cached(*KEY, never)
    assert [event.hit for event in events] == [True, True]


def test_arguments_by_name_and_wrong_ones(inst: BackendInstrumentation) -> None:
    assert inst.cached("op", "base", compute=never, top_k=0, prompt="p") == 1.5
    for wrong, text in [
        ({}, "needs argument 'compute'"),
        ({"compute": never, "more": 1}, "no argument 'more'"),
    ]:
        with pytest.raises(TypeError, match=text):
            inst.cached(*KEY, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        inst.cached("op", ["base"], "p", 0, never)  # type: ignore[arg-type]
    assert inst.stats.cache_hits == 1


def test_exception_of_compute_reaches_caller(inst: BackendInstrumentation) -> None:
    def fail() -> Any:
        raise KeyError("mine")

    for prompt in ("q", "q"):
        with pytest.raises(KeyError, match="mine"):
            inst.cached("op", "base", prompt, 0, fail)
    assert inst.stats == BackendStats()


def test_subclass_and_super_call(daemon: Daemon) -> None:
    class Counting(BackendInstrumentation):
        calls = 0

        def cached(self, *args: Any, **keywords: Any) -> Any:
            self.calls += 1
            return super().cached(*args, **keywords)

    inst = Counting(namespace="n", socket=daemon.socket, deadline=5.0)
    inst.cached(*KEY, lambda: 2.5)
    assert inst.cached(*KEY, never) == 2.5
    assert (inst.calls, inst.stats.cache_hits, inst.stats.cache_misses) == (2, 1, 1)
    inst.close()


def test_uninitialized_instance_raises() -> None:
    inst = BackendInstrumentation.__new__(BackendInstrumentation)
    with pytest.raises(AttributeError):
        inst.cached(*KEY, never)


def test_instance_in_circle_collected(daemon: Daemon) -> None:
    inst = BackendInstrumentation(namespace="n", socket=daemon.socket)
    inst.close()
    inst.stats.cache_hits = inst  # type: ignore[assignment]
    gone = weakref.ref(inst)
    del inst
    gc.collect()
    assert gone() is None


def test_threads_share_an_instance(inst: BackendInstrumentation) -> None:
    def hit() -> None:
        for _ in range(500):
            assert inst.cached(*KEY, never) == 1.5

    inst.cached(*KEY, never)
    threads = [threading.Thread(target=hit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1900 < inst.stats.cache_hits <= 2001  # Python counts the first one of a thread
