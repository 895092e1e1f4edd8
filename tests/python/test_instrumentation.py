"""BackendInstrumentation as the module that it replaces, whether it shares or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Daemon

from fcached.instrumentation import BackendInstrumentation, BackendStats, TraceWriter

pytestmark = pytest.mark.usefixtures("patient")
Make = Callable[..., BackendInstrumentation]


@pytest.fixture(params=["alone", "disabled", "away", "shared", "shared by messages", "verified"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Creates instances that share one contract: without a namespace, disabled, with a namespace
    but no daemon, with a daemon, without shared memory, and with verify=1."""
    settings: dict[str, Any] = {}
    if request.param != "alone":
        settings = {"namespace": "test", "socket": str(tmp_path / "nobody.sock")}
    if request.param == "disabled":
        monkeypatch.setenv("FCACHE_DISABLE", "1")
    if request.param == "shared by messages":
        monkeypatch.setenv("FCACHE_REGION", "0")
    if request.param == "verified":
        settings["verify"] = 1e-12  # practically never, but by the way of a client that verifies
    if request.param in ("shared", "shared by messages", "verified"):
        daemon: Daemon = request.getfixturevalue("daemon")
        settings["socket"] = daemon.socket
    made: list[BackendInstrumentation] = []

    def build(**more: Any) -> BackendInstrumentation:
        made.append(BackendInstrumentation(**settings, **more))
        return made[-1]

    yield build
    for inst in made:
        inst.close()


def count(inst: BackendInstrumentation) -> tuple[int, int, int]:
    return inst.stats.cache_hits, inst.stats.cache_misses, inst.stats.forward_passes


def batches(inst: BackendInstrumentation) -> tuple[int, int, int]:
    return inst.stats.batches_sent, inst.stats.batched_prompts, inst.stats.max_batch_size


def never(*_: Any) -> Any:
    raise AssertionError("nothing should be computed")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class TestCached:
    def test_cached_twice_computes_once(self, make: Make) -> None:
        inst = make()
        assert inst.cached("next_token_dist", "base", "p", 32, lambda: [1.5]) == [1.5]
        assert inst.cached("next_token_dist", "base", "p", 32, never) == [1.5]
        assert count(inst) == (1, 1, 1)
        assert inst.stats.hit_rate == 0.5

    def test_cached_none_result_is_hit(self, make: Make) -> None:
        inst = make()
        assert inst.cached("op", "base", "p", 0, lambda: None) is None
        assert inst.cached("op", "base", "p", 0, never) is None

    @pytest.mark.parametrize(
        "other",
        [
            ("next_token_dist", "ft", "p", 8),
            ("logprob_of", "base", "p", 8),
            ("next_token_dist", "base", "p", 9),
            ("next_token_dist", "base", "p\0", 8),
        ],
        ids=["view", "op", "top_k", "prompt"],
    )
    def test_cached_keys_differing_in_one_part_kept_apart(
        self, make: Make, other: tuple[Any, ...]
    ) -> None:
        inst = make()
        inst.cached("next_token_dist", "base", "p", 8, lambda: "one")
        assert inst.cached(*other, lambda: "other") == "other"
        assert inst.cached("next_token_dist", "base", "p", 8, never) == "one"
        assert inst.cached(*other, never) == "other"

    def test_cached_miss_counts_compute_time(self, make: Make) -> None:
        inst = make()
        inst.cached("op", "base", "p", 0, lambda: sum(range(200_000)))
        computing = inst.stats.scoring_wall_s
        inst.cached("op", "base", "p", 0, never)
        assert 0.0 < computing < inst.stats.scoring_wall_s < computing + 0.25

    def test_cached_exception_leaves_no_count(self, make: Make, tmp_path: Path) -> None:
        inst = make(trace_path=tmp_path / "trace.jsonl")

        def fail() -> float:
            raise KeyError("no such token")

        for _ in range(2):
            with pytest.raises(KeyError, match="no such token"):
                inst.cached("op", "base", "p", 0, fail)
        assert inst.stats == BackendStats()
        assert lines(tmp_path / "trace.jsonl") == []
        assert inst.cached("op", "base", "p", 0, lambda: 2.5) == 2.5

    def test_cached_typeerror_of_compute_reaches_caller(self, make: Make) -> None:
        inst, calls = make(), []

        def fail() -> float:
            calls.append(1)
            raise ValueError("the tokenizer's")

        with pytest.raises(ValueError, match="the tokenizer's"):
            inst.cached("op", "base", "p", 0, fail)
        assert calls == [1]

    def test_cached_nested_lookup_counted(self, make: Make) -> None:
        inst = make()

        def outer() -> float:
            return 1.0 + inst.cached("op", "base", "inner", 0, lambda: 2.0)

        assert inst.cached("op", "base", "outer", 0, outer) == 3.0
        assert inst.cached("op", "base", "inner", 0, never) == 2.0
        assert count(inst) == (1, 2, 2)

    def test_stats_replaced_counts_restart(self, make: Make) -> None:
        inst = make()
        inst.cached("op", "base", "p", 0, lambda: 1.0)
        inst.stats = BackendStats()
        inst.cached("op", "base", "p", 0, never)
        assert count(inst) == (1, 0, 0)
        inst.stats.cache_hits = 0
        inst.cached("op", "base", "p", 0, never)
        assert count(inst) == (1, 0, 0)

    def test_cache_cleared_computes_again(self, make: Make) -> None:
        inst = make()
        inst.cached("op", "base", "p", 0, lambda: "old")
        inst.cache.clear()
        assert inst.cached("op", "base", "p", 0, lambda: "new") == "new"
        assert inst.cached("op", "base", "p", 0, never) == "new"

    def test_maxsize_not_positive_refused(self, make: Make) -> None:
        with pytest.raises(ValueError, match="^maxsize must be positive; got 0$"):
            make(cache_maxsize=0)

    @pytest.mark.parametrize(
        ("op", "view", "top_k"),
        [
            ("op", "", 0),
            ("op", "v" * 256, 0),
            ("op", "tab\t", 0),
            ("", "base", 0),
            ("op", "base", -1),
            ("op", "base", -(2**70)),
            ("op", "base", None),
            ("op", "base", 1.5),
            ("op", None, 0),
        ],
    )
    def test_key_refused_by_daemon_cached_in_process(
        self, make: Make, tmp_path: Path, op: str, view: Any, top_k: Any
    ) -> None:
        inst, value = make(trace_path=tmp_path / "trace.jsonl"), [1]
        assert inst.cached(op, view, "p", top_k, lambda: value) is value
        assert inst.cached(op, view, "p", top_k, never) is value
        assert inst.cached_batch(op, view, ["p"], top_k, never) == [value]
        assert count(inst) == (2, 1, 1)
        assert [line["top_k"] for line in lines(tmp_path / "trace.jsonl")] == [top_k] * 3

    @pytest.mark.parametrize(
        ("prompt", "error"), [(7, (TypeError, AttributeError)), ("\ud800", UnicodeError)]
    )
    def test_prompt_without_utf8_refused(
        self, make: Make, prompt: Any, error: type[Exception]
    ) -> None:
        inst = make()
        with pytest.raises(error):
            inst.cached("op", "base", prompt, 0, never)
        with pytest.raises(error):
            inst.cached_batch("op", "base", [prompt], 0, never)
        assert inst.stats == BackendStats()

    @pytest.mark.filterwarnings("ignore:not shared:RuntimeWarning")
    def test_unencodable_value_cached_in_process(self, make: Make) -> None:
        inst, value = make(), object()
        assert inst.cached("op", "base", "p", 0, lambda: value) is value
        assert inst.cached("op", "base", "p", 0, never) is value
        assert count(inst) == (1, 1, 1)


class TestCachedBatch:
    def test_batch_of_misses_computed_in_one_call(self, make: Make) -> None:
        inst, calls = make(), []

        def compute(misses: list[int]) -> list[str]:
            calls.append(misses)
            return [f"v{index}" for index in misses]

        assert inst.cached_batch("op", "base", ["a", "b", "c"], 8, compute) == ["v0", "v1", "v2"]
        assert calls == [[0, 1, 2]]
        assert (count(inst), batches(inst)) == ((0, 3, 3), (1, 3, 3))
        assert inst.cached_batch("op", "base", ["c", "a"], 8, never) == ["v2", "v0"]
        assert (count(inst), batches(inst)) == ((2, 3, 3), (1, 3, 3))

    def test_batch_with_hits_computes_misses_only(self, make: Make) -> None:
        inst, calls = make(), []
        inst.cached("op", "base", "b", 8, lambda: "single")

        def compute(misses: list[int]) -> tuple[str, ...]:
            calls.append(misses)
            return tuple(f"v{index}" for index in misses)

        values = inst.cached_batch("op", "base", ("a", "b", "c"), 8, compute)
        assert values == ["v0", "single", "v2"]
        assert calls == [[0, 2]]
        assert (count(inst), batches(inst)) == ((1, 3, 3), (1, 2, 2))
        assert inst.cached("op", "base", "c", 8, never) == "v2"

    def test_batch_keys_differing_in_one_part_kept_apart(self, make: Make) -> None:
        inst = make()
        inst.cached_batch("op", "base", ["p"], 8, lambda _: ["one"])
        for number, key in enumerate([("op", "ft", 8), ("po", "base", 8), ("op", "base", 9)]):
            op, view, top_k = key
            assert inst.cached_batch(op, view, ["p"], top_k, lambda _: [number]) == [number]

    def test_batch_sizes_largest_recorded(self, make: Make) -> None:
        inst = make()
        inst.cached_batch("op", "base", ["a", "b", "c"], 0, list)
        inst.cached_batch("op", "base", ["d", "e"], 0, list)
        assert batches(inst) == (2, 5, 3)
        assert inst.stats.avg_batch_size == 2.5

    def test_batch_empty_not_counted(self, make: Make) -> None:
        inst = make()
        assert inst.cached_batch("op", "base", [], 0, never) == []
        assert inst.stats == BackendStats()

    def test_batch_wrong_number_of_values_raises(self, make: Make, tmp_path: Path) -> None:
        inst = make(trace_path=tmp_path / "trace.jsonl")
        inst.cached("op", "base", "hit", 0, lambda: 1.0)
        text = "^batched compute returned 1 values for 2 misses — backend bug$"
        with pytest.raises(RuntimeError, match=text):
            inst.cached_batch("op", "base", ["a", "hit", "b"], 0, lambda _: [1.0])
        assert (count(inst), batches(inst)) == ((1, 1, 1), (0, 0, 0))
        assert [line["hit"] for line in lines(tmp_path / "trace.jsonl")] == [False, True]
        assert inst.cached_batch("op", "base", ["a", "b"], 0, list) == [0, 1]

    def test_batch_exception_reaches_caller_and_keeps_hits(self, make: Make) -> None:
        inst = make()
        inst.cached("op", "base", "hit", 0, lambda: 1.0)

        def fail(_: list[int]) -> list[float]:
            raise TypeError("the backend's")

        with pytest.raises(TypeError, match="the backend's"):
            inst.cached_batch("op", "base", ["hit", "a"], 0, fail)
        assert (count(inst), batches(inst)) == ((1, 1, 1), (0, 0, 0))

    def test_batch_duplicate_prompt_passed_twice(self, make: Make) -> None:
        inst, calls = make(), []

        def compute(misses: list[int]) -> list[float]:
            calls.append(misses)
            return [0.5 for _ in misses]

        assert inst.cached_batch("op", "base", ["a", "a"], 0, compute) == [0.5, 0.5]
        assert calls == [[0, 1]]
        assert (count(inst), batches(inst)) == ((0, 2, 2), (1, 2, 2))

    def test_batch_time_divided_evenly(self, make: Make, tmp_path: Path) -> None:
        inst = make(trace_path=tmp_path / "trace.jsonl")
        inst.cached_batch(
            "op", "base", list("abcd"), 0, lambda ms: [sum(range(50_000)) for _ in ms]
        )
        walls = [line["wall_ms"] for line in lines(tmp_path / "trace.jsonl")]
        assert len(set(walls)) == 1
        assert sum(walls) == pytest.approx(inst.stats.scoring_wall_s * 1000.0)

    @pytest.mark.filterwarnings("ignore:not shared:RuntimeWarning")
    def test_batch_unencodable_values_cached_in_process(self, make: Make) -> None:
        inst, values = make(), [object(), object()]
        assert inst.cached_batch("op", "base", ["a", "b"], 0, lambda _: values) == values
        assert inst.cached_batch("op", "base", ["b", "a"], 0, never) == values[::-1]


class TestTrace:
    def test_trace_has_line_for_each_lookup(self, make: Make, tmp_path: Path) -> None:
        path = tmp_path / "directory" / "trace.jsonl"
        inst = make(trace_path=path)
        inst.cached("op", "base", "first", 0, lambda: 1.0)
        inst.set_current_probe("delta_kl")
        inst.cached("op", "base", "first", 0, never)
        inst.set_current_probe("bell\a")  # invalid in the daemon's trace, but valid in this one
        inst.cached_batch("op2", "ft", ["a", "b"], 16, list)
        inst.set_current_probe(None)
        inst.cached_batch("op2", "ft", ["b", "c", "a"], 16, lambda _: ["c"])
        inst.close()
        fields = ("probe", "op", "view_id", "top_k", "hit")
        assert [tuple(line[field] for field in fields) for line in lines(path)] == [
            (None, "op", "base", 0, False),
            ("delta_kl", "op", "base", 0, True),
            ("bell\a", "op2", "ft", 16, False),
            ("bell\a", "op2", "ft", 16, False),
            (None, "op2", "ft", 16, True),
            (None, "op2", "ft", 16, True),
            (None, "op2", "ft", 16, False),
        ]
        hashes = [line["prompt_hash"] for line in lines(path)]
        first, a, b, c = hashes[0], hashes[2], hashes[3], hashes[6]
        assert hashes == [first, first, a, b, b, a, c]
        assert {len(value) for value in hashes} == {32}
        walls_ms = sum(line["wall_ms"] for line in lines(path))
        assert walls_ms == pytest.approx(inst.stats.scoring_wall_s * 1000.0)

    def test_trace_set_later_records_lookups(self, make: Make, tmp_path: Path) -> None:
        inst = make()
        inst.cached("op", "base", "p", 0, lambda: 1.0)
        inst.trace = TraceWriter(tmp_path / "trace.jsonl")
        inst.cached("op", "base", "p", 0, never)
        inst.close()
        assert [line["hit"] for line in lines(tmp_path / "trace.jsonl")] == [True]

    def test_trace_of_own_class_gets_events(self, make: Make) -> None:
        class Kept:
            def __init__(self) -> None:
                self.events: list[Any] = []

            def write(self, event: Any) -> None:
                self.events.append(event)

            def close(self) -> None:
                self.events.append("closed")

        inst, kept = make(), Kept()
        inst.trace = kept  # type: ignore[assignment]
        inst.cached("op", "base", "p", 0, lambda: 1.0)
        inst.cached("op", "base", "p", 0, never)
        inst.close()
        assert [event.hit for event in kept.events[:2]] == [False, True]
        assert kept.events[2:] == ["closed"]

    def test_trace_off_writes_nothing(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = tmp_path / "elsewhere"
        directory.mkdir()
        monkeypatch.chdir(directory)
        inst = make()
        inst.cached("op", "base", "p", 0, lambda: 1.0)
        inst.cached("op", "base", "p", 0, never)
        inst.close()
        assert list(directory.iterdir()) == []


def test_instrumentation_closed_still_answers(make: Make, tmp_path: Path) -> None:
    inst = make(trace_path=tmp_path / "trace.jsonl")
    inst.cached("op", "base", "p", 0, lambda: 1.0)
    inst.close()
    inst.close()
    assert inst.cached("op", "base", "p", 0, never) == 1.0
    assert inst.cached_batch("op", "base", ["p", "q"], 0, lambda _: [2.0]) == [1.0, 2.0]
    assert len(lines(tmp_path / "trace.jsonl")) == 1
    assert count(inst) == (2, 2, 2)
