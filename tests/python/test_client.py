"""fcached.Client: get, put, cached and cached_batch."""

from __future__ import annotations

import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    Batches,
    Calls,
    never,
    open_client,
    put_bytes,
)
from conftest import Daemon

import fcached
from fcached import LEASED, MISS

# ---- get and put ----


def test_put_value_found_by_other_client(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "prompt", 5) is MISS
        assert client.put("op", "base", "prompt", 5, {"a": [1, 2.5]}) is True
        assert other.get("op", "base", "prompt", 5) == {"a": [1, 2.5]}
        assert other.get("op", "base", b"prompt", top_k=5) == {"a": [1, 2.5]}
        for key in [("o", "base", "prompt", 5), ("op", "ft", "prompt", 5), ("op", "base", "p", 5)]:
            assert other.get(*key) is MISS
        assert other.get("op", "base", "prompt") is MISS
        assert other.get(op="op", view="base", prompt="prompt", top_k=5) == {"a": [1, 2.5]}


def test_max_bytes_exceeded_evicts_own_namespace(daemon: Daemon) -> None:
    with open_client(daemon, max_bytes=20_000) as client, open_client(daemon) as other:
        for i in range(50):
            other.put("op", "base", f"p{i}", 0, b"x" * 1000)
        figures = client.server_stats().namespaces[client.namespace or ""]
        assert figures["max_bytes"] == 20_000
        assert 10_000 < figures["bytes"] <= 20_000
        assert figures["evictions_own_bytes"] == 50 - figures["entries"]
        assert client.get("op", "base", "p49") == b"x" * 1000
        assert client.get("op", "base", "p0") is MISS
        with pytest.raises(fcached.Error, match="max_bytes"):
            client.put("op", "base", "large", 0, b"x" * 20_000)
        copy = pickle.loads(pickle.dumps(client))
        assert copy.server_stats().namespaces[client.namespace or ""]["max_bytes"] == 20_000
        copy.close()


@pytest.mark.parametrize("wrong", [0, -1])
def test_max_bytes_not_positive_refused(daemon: Daemon, wrong: int) -> None:
    with pytest.raises(fcached.ArgumentError, match="max_bytes must be positive"):
        fcached.Client("n", socket=daemon.socket, max_bytes=wrong)
    with pytest.raises(TypeError):
        fcached.Client("n", socket=daemon.socket, max_bytes="1")  # type: ignore[arg-type]


def test_put_falsy_value_returned_with_its_type(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for value in (None, False, 0, "", b"", [], 0.0):
            client.put("op", "base", "p", 0, value)
            found = client.get("op", "base", "p")
            assert found == value and type(found) is type(value)


def test_get_result_changed_leaves_stored_value(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, [1])
        client.get("op", "base", "p").append(2)
        assert client.get("op", "base", "p") == [1]


def test_put_with_keep_first_keeps_stored_value(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert client.put("op", "base", "p", 0, 1, keep_first=True)
        assert client.put("op", "base", "p", 0, 2, keep_first=True) is False
        assert client.get("op", "base", "p") == 1
        assert client.put("op", "base", "p", 0, 3)
        assert client.get("op", "base", "p") == 3


def test_lookup_without_record_not_counted(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1, record=False)
        assert client.get("op", "base", "p", record=False) == 1
        assert client.get_many("op", "base", ["p", "q"], record=False) == [1, MISS]
        client.put_many("op", "base", ["q"], 0, [2], record=False)
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses, stats.forward_passes) == (0, 0, 0)
        assert client.get("op", "base", "p") == 1
        assert client.stats().cache_hits == 1


def test_put_compute_time_saved_by_hit(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1, compute_s=2.5)
        client.put_many("op", "base", ["q", "r"], 0, [1, 2], compute_s=3.0)
        assert client.stats().scoring_wall_s == pytest.approx(5.5)
        assert client.get("op", "base", "p") == 1
        assert client.server_stats().daemon["saved_wall_s"] == pytest.approx(2.5, abs=0.1)


def test_get_many_and_put_many_of_1000_prompts_round_trip(daemon: Daemon) -> None:
    prompts = [f"p{i}" for i in range(1000)]
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get_many("op", "base", prompts, 3) == [MISS] * 1000
        assert client.put_many("op", "base", prompts, 3, list(range(1000))) is True
        assert other.get_many("op", "base", ["none", *prompts], 3) == [MISS, *range(1000)]
        assert other.get_many("op", "base", iter(prompts[:2]), 3) == [0, 1]
        assert other.get_many("op", "base", []) == []
        assert other.put_many("op", "base", [], 0, []) is True


def test_lease_granted_to_one_client_only(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", lease=True) is LEASED
        assert other.get("op", "base", "p", lease=True) is MISS
        client.give_up("op", "base", "p")
        assert other.get("op", "base", "p", lease=True) is LEASED
        other.put("op", "base", "p", 0, 7)
        assert client.get("op", "base", "p", lease=True) == 7


def test_get_many_with_lease_grants_free_prompts(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        client.put("op", "base", "stored", 0, 1)
        assert client.get("op", "base", "taken", lease=True) is LEASED
        wanted = ["stored", "taken", "free", "free"]
        assert other.get_many("op", "base", wanted, lease=True) == [1, MISS, LEASED, MISS]
        other.put_many("op", "base", ["free"], 0, [2])
        assert client.get_many("op", "base", ["free"], lease=True) == [2]
        assert other.stats().leases_granted == 1


def test_give_up_many_releases_all_leases(daemon: Daemon) -> None:
    prompts = [f"p{i}" for i in range(100)]
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get_many("op", "base", prompts, lease=True) == [LEASED] * 100
        client.give_up_many("op", "base", prompts[1:])
        assert other.get_many("op", "base", prompts, lease=True) == [MISS] + [LEASED] * 99
        other.give_up_many("op", "base", iter(prompts))
        with pytest.raises(TypeError):
            other.give_up_many("op", "base", "p1")
        with pytest.raises(fcached.ArgumentError):
            other.give_up_many("", "base", ["p1"])


def test_put_unencodable_value_gives_up_lease(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", lease=True) is LEASED
        assert client.get_many("op", "base", ["q"], lease=True) == [LEASED]
        with pytest.raises(fcached.EncodeError, match="register"):
            client.put("op", "base", "p", 0, object())
        with pytest.raises(TypeError, match="register"):
            client.put_many("op", "base", ["q", "r"], 0, [object(), 1])
        assert other.get_many("op", "base", ["p", "q"], lease=True) == [LEASED, LEASED]
        assert other.get("op", "base", "r") is MISS


def test_put_over_max_value_raises_too_big(tmp_path: Path) -> None:
    options = ("--max-bytes", "16M", "--max-value", "1M")
    with Daemon(tmp_path, *options) as daemon, open_client(daemon) as client:
        with pytest.raises(fcached.TooBigError, match="--max-value") as raised:
            client.put("op", "base", "p", 0, bytes(2 << 20))
        assert raised.value.code == -5
        assert len(client.cached("op", "base", "q", 0, lambda: bytes(2 << 20))) == 2 << 20
        assert client.stats().too_big == 2
        assert client.get("op", "base", "q") is MISS


def test_local_lookup_never_sends_message(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, [1])
        assert client._local("op", "base", "p", 0) == [1]
        assert client._local("op", "base", "q", 0) is MISS
        assert client.stats().cache_hits == 1
        daemon.stop()
        started = time.monotonic()
        assert client._local("op", "base", "p", 0) is MISS
        assert time.monotonic() - started < 1.0
        assert client.stats().degraded == 0


def test_clear_by_view_and_op_removes_matching_entries(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for op in ("a", "b"):
            for view in ("base", "ft"):
                client.put(op, view, "p", 0, 1)
        assert client.clear("ft", "b") == 1
        assert client.clear(op="a") == 2
        assert client.clear() == 1
        assert client.clear() == 0


def test_local_clear_and_delete_without_tier_remove_alike(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for view in ("base", "ft"):
            client.put("op", view, "p", 0, 1)
        assert client.delete("op", "base", "p", local=True) is True
        assert client.delete("op", "base", "p", local=False) is False
        assert client.clear("base", local=True) == 0
        assert client.clear(local=True) == 1
        with pytest.raises(TypeError):
            client.clear(None, None, True)  # type: ignore[misc]


# ---- cached ----


def test_cached_second_call_hits(daemon: Daemon) -> None:
    compute = Calls([1.5])
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.cached("op", "base", "p", 0, compute) is compute.value
        assert client.cached("op", "base", "p", 0, compute) == [1.5]
        assert other.cached("op", "base", "p", top_k=0, compute=compute) == [1.5]
        assert compute.n == 1
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses, stats.forward_passes) == (1, 1, 1)
        assert stats.hit_rate == 0.5 and stats.region_hits == 1
        assert other.server_stats().namespaces["test"]["shared_hits"] == 0  # one process


class Stop(BaseException):
    """No Exception, as KeyboardInterrupt is none."""


@pytest.mark.parametrize("error", [ValueError("no"), Stop("no"), KeyboardInterrupt()])
def test_cached_exception_of_compute_reaches_caller(daemon: Daemon, error: BaseException) -> None:
    def fail(*_: Any) -> Any:
        raise error

    with open_client(daemon) as client, open_client(daemon) as other:
        with pytest.raises(type(error)) as raised:
            client.cached("op", "base", "p", 0, fail)
        assert raised.value is error
        with pytest.raises(type(error)) as raised:
            client.cached_batch("op", "base", ["q", "r"], 0, fail)
        assert raised.value is error
        stats = client.stats()
        assert (stats.cache_misses, stats.forward_passes, stats.batches_sent) == (0, 0, 0)
        assert other.get_many("op", "base", ["p", "q"], lease=True) == [LEASED, LEASED]


def test_cached_nested_calls_return_values(daemon: Daemon) -> None:
    def outer() -> list[Any]:
        inner = client.cached("op", "base", "inner", 0, lambda: [1])
        again = client.cached("op", "base", "inner", 0, never)
        batch = client.cached_batch("op", "base", ["x", "inner"], 0, Batches())
        client.put("op", "base", "put", 0, 5)
        own = client.cached("op", "base", "outer", 0, lambda: "nested in itself")
        return [inner, again, batch, client.get("op", "base", "put"), own]

    def outer_batch(misses: list[int]) -> list[Any]:
        return [client.cached("op", "base", f"nested{i}", 0, outer) for i in misses]

    with open_client(daemon) as client:
        expected = [[1], [1], [0, [1]], 5, "nested in itself"]
        assert client.cached("op", "base", "outer", 0, outer) == expected
        assert client.get("op", "base", "outer") == "nested in itself"  # the first that was put
        computed = client.cached_batch("op", "base", ["a", "b"], 0, outer_batch)
        assert [value[0] for value in computed] == [[1], [1]]


def test_cached_unencodable_result_returned_with_one_warning(daemon: Daemon) -> None:
    class Odd:
        pass

    values = [Odd(), Odd(), Odd()]
    with open_client(daemon) as client:
        with pytest.warns(RuntimeWarning, match="Odd has no encoding.*register"):
            assert client.cached("op", "base", "p", 0, lambda: values[0]) is values[0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert client.cached("op", "base", "p", 0, lambda: values[1]) is values[1]
            batch = Batches(lambda i: values[2] if i == 1 else i)
            assert client.cached_batch("op", "base", ["xyz", "y", "z"], 0, batch) == [
                0,
                values[2],
                2,
            ]
        stats = client.stats()
        assert stats.unencodable == 3
        assert (stats.cache_misses, stats.forward_passes, stats.batched_prompts) == (5, 5, 3)
        with open_client(daemon) as other:
            assert other.get_many("op", "base", ["p", "xyz", "y", "z"], lease=True) == [
                LEASED,
                0,
                LEASED,
                2,
            ]


def test_cached_undecodable_hit_replaced(daemon: Daemon) -> None:
    put_bytes(daemon, "p", b"\xc1 is no value")
    put_bytes(daemon, "q", b"\xc1 is no value")
    with open_client(daemon) as client:
        with pytest.raises(fcached.DecodeError):
            client.get("op", "base", "p")
        with pytest.warns(RuntimeWarning, match="cannot be read"):
            assert client.get_many("op", "base", ["p", "none"]) == [MISS, MISS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compute = Calls([1])
            assert client.cached("op", "base", "p", 0, compute) is compute.value
            batch = Batches()
            assert client.cached_batch("op", "base", ["p", "q", "r"], 0, batch) == [[1], 10, 20]
        assert batch.asked == [[2], [1]]
        assert client.stats().undecodable == 4
        assert client.get_many("op", "base", ["p", "q"]) == [[1], 10]


# ---- cached_batch ----


def test_cached_batch_partial_hits_computes_misses_only(daemon: Daemon) -> None:
    batch = Batches()
    with open_client(daemon) as client:
        client.put("op", "base", "b", 0, "found")
        prompts = ["a", "b", "c", "a"]
        assert client.cached_batch("op", "base", prompts, 0, batch) == [0, "found", 20, 30]
        assert batch.asked == [[0, 2, 3]]  # a duplicate is passed twice
        assert client.cached_batch("op", "base", prompts, 0, batch) == [0, "found", 20, 0]
        assert client.cached_batch("op", "base", [], 0, batch) == []
        assert len(batch.asked) == 1
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses) == (5, 4)  # a put is a miss too
        assert (stats.batches_sent, stats.batched_prompts, stats.max_batch_size) == (1, 3, 3)
        assert stats.avg_batch_size == 3.0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_cached_batch_wrong_number_of_values_raises(daemon: Daemon, n: int) -> None:
    text = f"batched compute returned {n} values for 2 misses"
    with open_client(daemon) as client, open_client(daemon) as other:
        with pytest.raises(fcached.BatchError, match=text) as raised:
            client.cached_batch("op", "base", ["a", "b"], 0, lambda _: [1] * n)
        assert raised.value.code == -7 and isinstance(raised.value, RuntimeError)
        assert client.stats().batches_sent == 0
        assert other.get("op", "base", "a", lease=True) is LEASED


def test_cached_batch_result_may_be_tuple(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert client.cached_batch("op", "base", ("a", "b"), 0, lambda _: (1, 2)) == [1, 2]
        with pytest.raises(TypeError):
            client.cached_batch("op", "base", ["c"], 0, lambda _: 5)  # type: ignore[arg-type,return-value]
