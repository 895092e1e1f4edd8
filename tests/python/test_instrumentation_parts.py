"""The drop-ins one by one: the in-process cache, the counters, the trace."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from fcached.instrumentation import _MISS, BackendStats, ForwardCache, TraceWriter
from fcached.instrumentation import _prompt_hash, _TraceEvent

FIELDS = ["ts", "probe", "view_id", "prompt_hash", "top_k", "op", "wall_ms", "hit"]


def event(probe: str | None = "delta_kl", hit: bool = False) -> _TraceEvent:
    return _TraceEvent(
        ts=1.5,
        probe=probe,
        view_id="base",
        prompt_hash="00ff",
        top_k=32,
        op="next_token_dist",
        wall_ms=0.75,
        hit=hit,
    )


class TestForwardCache:
    def test_get_returns_stored_object(self) -> None:
        cache, value = ForwardCache(maxsize=4), [1.0]
        cache.put(("op", "base", "00", 8), value)
        assert cache.get(("op", "base", "00", 8)) is value

    @pytest.mark.parametrize("value", [None, 0, False, "", [], {}])
    def test_get_falsy_value_is_hit(self, value: object) -> None:
        cache = ForwardCache()
        cache.put(("k",), value)
        assert cache.get(("k",)) is value

    def test_get_missing_key_returns_sentinel(self) -> None:
        assert ForwardCache().get(("k",)) is _MISS

    def test_put_over_maxsize_evicts_least_recently_used(self) -> None:
        cache = ForwardCache(maxsize=2)
        for name in "abc":
            cache.put((name,), name)
        assert [cache.get((name,)) for name in "abc"] == [_MISS, "b", "c"]
        assert len(cache) == 2

    def test_get_promotes_entry(self) -> None:
        cache = ForwardCache(maxsize=2)
        cache.put(("a",), 1)
        cache.put(("b",), 2)
        cache.get(("a",))
        cache.put(("c",), 3)
        assert [cache.get((name,)) for name in "abc"] == [1, _MISS, 3]

    def test_put_existing_key_replaces_and_promotes(self) -> None:
        cache = ForwardCache(maxsize=2)
        cache.put(("a",), 1)
        cache.put(("b",), 2)
        cache.put(("a",), 10)
        cache.put(("c",), 3)
        assert [cache.get((name,)) for name in "abc"] == [10, _MISS, 3]

    @pytest.mark.parametrize("maxsize", [0, -3])
    def test_maxsize_not_positive_refused(self, maxsize: int) -> None:
        with pytest.raises(ValueError, match=f"^maxsize must be positive; got {maxsize}$"):
            ForwardCache(maxsize)

    def test_maxsize_default_is_256(self) -> None:
        cache = ForwardCache()
        for number in range(300):
            cache.put((number,), number)
        assert len(cache) == 256
        assert cache.get((44,)) == 44
        assert cache.get((43,)) is _MISS

    def test_clear_removes_all(self) -> None:
        cache = ForwardCache(maxsize=4)
        cache.put(("a",), 1)
        cache.clear()
        assert len(cache) == 0
        assert cache.get(("a",)) is _MISS

    def test_cache_used_by_threads_stays_consistent(self) -> None:
        cache = ForwardCache(maxsize=16)
        failures: list[BaseException] = []

        def work(own: int) -> None:
            try:
                for step in range(2000):
                    key = (step * own % 23,)
                    cache.put(key, key)
                    assert cache.get(key) in (key, _MISS)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(own,)) for own in (3, 5, 7, 11)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(cache) == 16


class TestBackendStats:
    def test_stats_initial_rates_are_zero(self) -> None:
        stats = BackendStats()
        assert set(stats.to_dict().values()) == {0}
        assert (stats.total_lookups, stats.hit_rate, stats.avg_batch_size) == (0, 0.0, 0.0)

    def test_stats_to_dict_has_nine_items(self) -> None:
        stats = BackendStats(3, 9, 7, 1.5, batches_sent=2, batched_prompts=5, max_batch_size=4)
        assert stats.total_lookups == 12
        assert stats.to_dict() == {
            "cache_hits": 3,
            "cache_misses": 9,
            "forward_passes": 7,
            "scoring_wall_s": 1.5,
            "hit_rate": 0.25,
            "batches_sent": 2,
            "batched_prompts": 5,
            "max_batch_size": 4,
            "avg_batch_size": 2.5,
        }
        assert list(stats.to_dict())[:5] == [
            "cache_hits",
            "cache_misses",
            "forward_passes",
            "scoring_wall_s",
            "hit_rate",
        ]

    def test_stats_unknown_attribute_refused(self) -> None:
        with pytest.raises(AttributeError):
            BackendStats().cache_hit = 1  # type: ignore[attr-defined]


class TestTraceWriter:
    def test_writer_off_writes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        writer = TraceWriter(None)
        writer.write(event())
        writer.close()
        assert list(tmp_path.iterdir()) == []

    def test_writer_flushes_each_line(self, tmp_path: Path) -> None:
        writer = TraceWriter(tmp_path / "trace.jsonl")
        writer.write(event())
        writer.write(event(probe=None, hit=True))
        lines = (tmp_path / "trace.jsonl").read_text("utf-8").splitlines()
        writer.close()
        assert lines[0] == (
            '{"ts": 1.5, "probe": "delta_kl", "view_id": "base", "prompt_hash": "00ff", '
            '"top_k": 32, "op": "next_token_dist", "wall_ms": 0.75, "hit": false}'
        )
        second = json.loads(lines[1])
        assert list(second) == FIELDS
        assert (second["probe"], second["hit"], len(lines)) == (None, True, 2)

    def test_writer_creates_parent_directories(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "trace.jsonl"
        TraceWriter(path).close()
        assert path.read_bytes() == b""

    def test_writer_appends_to_existing_file(self, tmp_path: Path) -> None:
        path = tmp_path / "trace.jsonl"
        for _ in range(2):
            writer = TraceWriter(path)
            writer.write(event())
            writer.close()
        assert len(path.read_text("utf-8").splitlines()) == 2

    def test_writer_closed_is_off(self, tmp_path: Path) -> None:
        path = tmp_path / "trace.jsonl"
        writer = TraceWriter(path)
        writer.close()
        writer.close()
        writer.write(event())
        assert path.read_bytes() == b""


def test_prompt_hash_equals_hash_in_keys() -> None:
    assert _prompt_hash("") == "99aa06d3014798d86001c324468d497f"
    assert _prompt_hash("a\0b") == _prompt_hash(b"a\0b")  # type: ignore[arg-type]
    assert _prompt_hash("a\0b") != _prompt_hash("a")
