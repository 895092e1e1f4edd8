"""fcached.Client: each method, what it refuses, and the daemon that is not there."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    Batches,
    Calls,
    connects,
    never,
    open_client,
    put_bytes,
    run_worker,
    start_worker,
)
from conftest import TIMEOUT_S, Daemon, wait_until

import fcached
from fcached import LEASED, MISS

# ---- gets and puts ----


def test_put_is_found(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "prompt", 5) is MISS
        assert client.put("op", "base", "prompt", 5, {"a": [1, 2.5]}) is True
        assert other.get("op", "base", "prompt", 5) == {"a": [1, 2.5]}
        assert other.get("op", "base", b"prompt", top_k=5) == {"a": [1, 2.5]}
        for key in [("o", "base", "prompt", 5), ("op", "ft", "prompt", 5), ("op", "base", "p", 5)]:
            assert other.get(*key) is MISS
        assert other.get("op", "base", "prompt") is MISS
        assert other.get(op="op", view="base", prompt="prompt", top_k=5) == {"a": [1, 2.5]}


def test_max_bytes_limits_the_namespace_for_all(daemon: Daemon) -> None:
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
def test_max_bytes_must_be_positive(daemon: Daemon, wrong: int) -> None:
    with pytest.raises(fcached.ArgumentError, match="max_bytes must be positive"):
        fcached.Client("n", socket=daemon.socket, max_bytes=wrong)
    with pytest.raises(TypeError):
        fcached.Client("n", socket=daemon.socket, max_bytes="1")  # type: ignore[arg-type]


def test_none_and_false_are_values(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for value in (None, False, 0, "", b"", [], 0.0):
            client.put("op", "base", "p", 0, value)
            found = client.get("op", "base", "p")
            assert found == value and type(found) is type(value)


def test_value_is_the_callers_own(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, [1])
        client.get("op", "base", "p").append(2)
        assert client.get("op", "base", "p") == [1]


def test_keep_first(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert client.put("op", "base", "p", 0, 1, keep_first=True)
        assert client.put("op", "base", "p", 0, 2, keep_first=True) is False
        assert client.get("op", "base", "p") == 1
        assert client.put("op", "base", "p", 0, 3)
        assert client.get("op", "base", "p") == 3


def test_what_is_not_recorded_does_not_count(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1, record=False)
        assert client.get("op", "base", "p", record=False) == 1
        assert client.get_many("op", "base", ["p", "q"], record=False) == [1, MISS]
        client.put_many("op", "base", ["q"], 0, [2], record=False)
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses, stats.forward_passes) == (0, 0, 0)
        assert client.get("op", "base", "p") == 1
        assert client.stats().cache_hits == 1


def test_compute_time_is_what_a_hit_saves(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1, compute_s=2.5)
        client.put_many("op", "base", ["q", "r"], 0, [1, 2], compute_s=3.0)
        assert client.stats().scoring_wall_s == pytest.approx(5.5)
        assert client.get("op", "base", "p") == 1
        assert client.server_stats().daemon["saved_wall_s"] == pytest.approx(2.5, abs=0.1)


def test_many(daemon: Daemon) -> None:
    prompts = [f"p{i}" for i in range(1000)]
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get_many("op", "base", prompts, 3) == [MISS] * 1000
        assert client.put_many("op", "base", prompts, 3, list(range(1000))) is True
        assert other.get_many("op", "base", ["none", *prompts], 3) == [MISS, *range(1000)]
        assert other.get_many("op", "base", iter(prompts[:2]), 3) == [0, 1]
        assert other.get_many("op", "base", []) == []
        assert other.put_many("op", "base", [], 0, []) is True


def test_lease_is_one_workers(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", lease=True) is LEASED
        assert other.get("op", "base", "p", lease=True) is MISS
        client.give_up("op", "base", "p")
        assert other.get("op", "base", "p", lease=True) is LEASED
        other.put("op", "base", "p", 0, 7)
        assert client.get("op", "base", "p", lease=True) == 7


def test_many_leases(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        client.put("op", "base", "stored", 0, 1)
        assert client.get("op", "base", "taken", lease=True) is LEASED
        wanted = ["stored", "taken", "free", "free"]
        assert other.get_many("op", "base", wanted, lease=True) == [1, MISS, LEASED, MISS]
        other.put_many("op", "base", ["free"], 0, [2])
        assert client.get_many("op", "base", ["free"], lease=True) == [2]
        assert other.stats().leases_granted == 1


def test_many_leases_are_given_up_together(daemon: Daemon) -> None:
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


def test_put_that_cannot_be_encoded_gives_its_lease_up(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", lease=True) is LEASED
        assert client.get_many("op", "base", ["q"], lease=True) == [LEASED]
        with pytest.raises(fcached.EncodeError, match="register"):
            client.put("op", "base", "p", 0, object())
        with pytest.raises(TypeError, match="register"):
            client.put_many("op", "base", ["q", "r"], 0, [object(), 1])
        assert other.get_many("op", "base", ["p", "q"], lease=True) == [LEASED, LEASED]
        assert other.get("op", "base", "r") is MISS


def test_too_big(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--max-bytes", "16M", "--max-value", "1M")
    daemon.start()
    try:
        with open_client(daemon) as client:
            with pytest.raises(fcached.TooBigError, match="--max-value") as raised:
                client.put("op", "base", "p", 0, bytes(2 << 20))
            assert raised.value.code == -5
            assert len(client.cached("op", "base", "q", 0, lambda: bytes(2 << 20))) == 2 << 20
            assert client.stats().too_big == 2
            assert client.get("op", "base", "q") is MISS
    finally:
        daemon.stop()


def test_local_looks_in_shared_memory_only(daemon: Daemon) -> None:
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


def test_clear(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for op in ("a", "b"):
            for view in ("base", "ft"):
                client.put(op, view, "p", 0, 1)
        assert client.clear("ft", "b") == 1
        assert client.clear(op="a") == 2
        assert client.clear() == 1
        assert client.clear() == 0


# ---- cached ----


def test_cached_computes_once(daemon: Daemon) -> None:
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
def test_exception_of_compute_goes_through(daemon: Daemon, error: BaseException) -> None:
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


def test_calls_nest(daemon: Daemon) -> None:
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


def test_unencodable_is_returned_and_warned_of_once(daemon: Daemon) -> None:
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


def test_undecodable_is_replaced_by_cached(daemon: Daemon) -> None:
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


def test_batch(daemon: Daemon) -> None:
    batch = Batches()
    with open_client(daemon) as client:
        client.put("op", "base", "b", 0, "found")
        prompts = ["a", "b", "c", "a"]
        assert client.cached_batch("op", "base", prompts, 0, batch) == [0, "found", 20, 30]
        assert batch.asked == [[0, 2, 3]]  # what stands twice is passed twice
        assert client.cached_batch("op", "base", prompts, 0, batch) == [0, "found", 20, 0]
        assert client.cached_batch("op", "base", [], 0, batch) == []
        assert len(batch.asked) == 1
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses) == (5, 4)  # a put is a miss too
        assert (stats.batches_sent, stats.batched_prompts, stats.max_batch_size) == (1, 3, 3)
        assert stats.avg_batch_size == 3.0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_batch_of_another_length(daemon: Daemon, n: int) -> None:
    text = f"batched compute returned {n} values for 2 misses"
    with open_client(daemon) as client, open_client(daemon) as other:
        with pytest.raises(fcached.BatchError, match=text) as raised:
            client.cached_batch("op", "base", ["a", "b"], 0, lambda _: [1] * n)
        assert raised.value.code == -7 and isinstance(raised.value, RuntimeError)
        assert client.stats().batches_sent == 0
        assert other.get("op", "base", "a", lease=True) is LEASED


def test_batch_result_is_any_sequence(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        assert client.cached_batch("op", "base", ("a", "b"), 0, lambda _: (1, 2)) == [1, 2]
        with pytest.raises(TypeError):
            client.cached_batch("op", "base", ["c"], 0, lambda _: 5)  # type: ignore[arg-type,return-value]


# ---- settings, and what is refused ----


def test_arguments_are_checked(daemon: Daemon) -> None:
    with open_client(daemon) as checked:
        client: Any = checked  # past what a type checker says
        for wrong, error, text in [
            (lambda: client.get("", "v", "p"), fcached.ArgumentError, 'op "": a name must be'),
            (lambda: client.get("o", "v\n", "p"), fcached.ArgumentError, "view"),
            (lambda: client.get("o\0x", "v", "p"), fcached.ArgumentError, "NUL"),
            (lambda: client.get("o" * 256, "v", "p"), fcached.ArgumentError, "255"),
            (lambda: client.cached("o", "", "p", 0, never), fcached.ArgumentError, "view"),
            (lambda: client.get(b"o", "v", "p"), TypeError, "op must be a str, not bytes"),
            (lambda: client.get("o", "v", 7), TypeError, "a prompt must be a str or bytes"),
            (lambda: client.get("o", "v", "\ud800"), UnicodeEncodeError, "surrogates"),
            (lambda: client.get("o", "v", "p", -1), fcached.ArgumentError, "top_k .* got -1"),
            (lambda: client.get("o", "v", "p", -(2**70)), fcached.ArgumentError, "0 or more"),
            (lambda: client.get("o", "v", "p", 1.0), TypeError, "top_k must be an int, not float"),
            (lambda: client.get("o", "v", "p", None), TypeError, "top_k must be an int"),
            (lambda: client.get("o", "v", "p", wait=-1), fcached.ArgumentError, "wait .* got -1"),
            (lambda: client.get("o", "v", "p", wait="1"), TypeError, "wait .* seconds, not str"),
            (
                lambda: client.put("o", "v", "p", 0, 1, compute_s=float("nan")),
                fcached.ArgumentError,
                "compute_s",
            ),
            (lambda: client.get("o", "v"), TypeError, "needs argument 'prompt'"),
            (lambda: client.get("o", "v", "p", 0, 1), TypeError, "4 arguments without a name"),
            (lambda: client.get("o", "v", "p", prompt="q"), TypeError, "twice"),
            (lambda: client.get("o", "v", "p", nope=1), TypeError, "no argument 'nope'"),
            (lambda: client.get_many("o", "v", "abc"), TypeError, "got str, which is one text"),
            (lambda: client.get_many("o", "v", 5), TypeError, "iterable"),
            (lambda: client.get_many("o", "v", ["a", 5]), TypeError, "a prompt must be"),
            (
                lambda: client.put_many("o", "v", ["a", "b"], 0, [1]),
                fcached.ArgumentError,
                "1 values for 2 prompts",
            ),
            (lambda: client.cached("o", "v", "p", 0, 5), TypeError, "not callable"),
            (lambda: client.set_probe("a\tb"), fcached.ArgumentError, "probe"),
            (lambda: client.set_probe(5), TypeError, "probe must be a str"),
        ]:
            with pytest.raises(error, match=text):
                wrong()
        assert client.get("o", "v", "p", wait=10**12, lease=True) is LEASED


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"namespace": "a\nb"}, fcached.ArgumentError, "namespace"),
        ({"namespace": ""}, fcached.ArgumentError, "namespace"),
        ({"namespace": 5}, TypeError, "namespace must be a str"),
        ({"client": "x" * 300}, fcached.ArgumentError, "client name"),
        ({"deadline": 0}, fcached.ArgumentError, "deadline must be more than 0"),
        ({"deadline": -1}, fcached.ArgumentError, "deadline"),
        ({"deadline": "1"}, TypeError, "deadline must be a number of seconds, not str"),
        ({"lease": float("nan")}, fcached.ArgumentError, "lease"),
        ({"wait": -0.5}, fcached.ArgumentError, "wait"),
        ({"max_entries": 0}, fcached.ArgumentError, "max_entries must be positive; got 0"),
        ({"max_entries": 1.5}, TypeError, ""),
        ({"verify": 1.1}, fcached.ArgumentError, "verify .* 0 to 1; got 1.1"),
        ({"verify": float("nan")}, fcached.ArgumentError, "verify"),
        ({"verify": "x"}, TypeError, "verify"),
    ],
)
def test_settings_are_checked(
    daemon: Daemon, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        fcached.Client(**{"namespace": "test", "socket": daemon.socket, **settings})


def test_namespace_is_needed(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fcached.NamespaceError, match="FCACHE_NAMESPACE"):
        fcached.Client(socket=daemon.socket)
    monkeypatch.setenv("FCACHE_NAMESPACE", "from-environment")
    with fcached.Client(socket=daemon.socket) as client:
        assert client.namespace == "from-environment"
        monkeypatch.setenv("FCACHE_NAMESPACE", "another")  # too late for this client's threads
        client.put("op", "base", "p", 0, 1)
        assert "from-environment" in client.server_stats().namespaces


def test_limit_of_entries(daemon: Daemon) -> None:
    with open_client(daemon, max_entries=2) as client:
        for prompt in "abc":
            client.put("op", "base", prompt, 0, prompt)
        assert client.get_many("op", "base", ["a", "b", "c"]) == [MISS, "b", "c"]


def test_disabled(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCACHE_DISABLE", "1")
    compute = Calls(1)
    with fcached.Client(socket=daemon.socket) as client:
        for _ in range(2):
            assert client.cached("op", "base", "p", 0, compute) == 1
        assert client.put("op", "base", "p", 0, 1) is False
        assert client.get("op", "base", "p", lease=True) is MISS
        assert client.cached_batch("op", "base", ["p", "q"], 0, Batches()) == [0, 10]
        assert compute.n == 2 and not client.connected
        stats = client.stats()
        assert (stats.cache_misses, stats.forward_passes, stats.degraded) == (5, 5, 0)


def test_closed(daemon: Daemon) -> None:
    client = open_client(daemon)
    client.put("op", "base", "p", 0, 1)
    with client as same:
        assert same is client
    client.close()
    assert client.closed and not client.connected and "closed" in repr(client)
    for call in (
        lambda: client.get("op", "base", "p"),
        lambda: client.cached("op", "base", "p", 0, never),
        lambda: client.cached_batch("op", "base", [], 0, never),
        lambda: client.set_probe("x"),
        client.clear,
        client.server_stats,
    ):
        with pytest.raises(fcached.ArgumentError, match="client is closed"):
            call()
    assert client.stats().cache_misses == 1


def test_close_in_compute_takes_effect_after_it(daemon: Daemon) -> None:
    client = open_client(daemon)

    def compute() -> int:
        client.close()
        with pytest.raises(fcached.ArgumentError, match="closed"):
            client.get("op", "base", "p")
        return 5

    assert client.cached("op", "base", "p", 0, compute) == 5
    with open_client(daemon) as other:
        assert other.get("op", "base", "p") == 5


def test_made_once(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        with pytest.raises(RuntimeError, match="initialized once"):
            client.__init__("other", socket=daemon.socket)  # type: ignore[misc]
        unmade = fcached.Client.__new__(fcached.Client)
        with pytest.raises(fcached.ArgumentError, match="closed"):
            unmade.get("op", "base", "p")


def test_pickles_as_its_settings(daemon: Daemon) -> None:
    with open_client(daemon, wait=0.5, verify=0.0, client="me") as client:
        client.put("op", "base", "p", 0, 1)
        with pickle.loads(pickle.dumps(client)) as other, copy.copy(client) as third:
            assert other is not client and other.namespace == client.namespace
            assert other.get("op", "base", "p") == third.get("op", "base", "p") == 1
            assert other.stats().cache_misses == 0
            assert pickle.dumps(other) == pickle.dumps(client)


def test_sentinels() -> None:
    for sentinel, name in ((MISS, "MISS"), (LEASED, "LEASED")):
        assert not sentinel and repr(sentinel) == name
        assert copy.copy(sentinel) is copy.deepcopy(sentinel) is sentinel
        assert pickle.loads(pickle.dumps(sentinel)) is sentinel


def test_probe_stands_in_the_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    daemon = Daemon(tmp_path, "--trace", str(trace))
    daemon.start()
    try:
        with open_client(daemon) as client:
            client.set_probe("delta_kl")
            client.put("op", "base", "p", 0, 1)
            client.set_probe(None)
            client.get("op", "base", "p")
    finally:
        daemon.stop()
    lines = trace.read_text().splitlines()
    assert len(lines) == 2
    assert '"probe":"delta_kl"' in lines[0].replace(" ", "")
    assert '"probe":null' in lines[1].replace(" ", "")


def test_trace_is_ascii_as_json_dumps_writes_it(tmp_path: Path) -> None:
    """One line for every reader: of lines (U+2028 ends one for str.splitlines), of any locale."""
    names = ["a\u2028b", "\u2029", "\u00a0x", "caf\u00e9", "\U0001f600", "\uffff", 'q"\\']
    trace = tmp_path / "trace.jsonl"
    daemon = Daemon(tmp_path, "--trace", str(trace))
    daemon.start()
    try:
        for name in names:
            with fcached.Client(name, socket=daemon.socket, client=name, deadline=5.0) as client:
                wait_until(lambda client=client: connects(client), "the client connects")
                client.set_probe(name)
                client.put(name, name, "p", 0, 1)
    finally:
        daemon.stop()
    lines = trace.read_text(encoding="ascii").splitlines()
    assert len(lines) == len(names)
    for name, line in zip(names, lines):
        text = json.dumps(name)
        for field in ("probe", "view_id", "op", "namespace", "client"):
            assert f'"{field}": {text}' in line


# ---- hashes ----


def test_hashes(tmp_path: Path) -> None:
    assert fcached.prompt_hash("") == "99aa06d3014798d86001c324468d497f"
    assert fcached.prompt_hash("é\0") == fcached.prompt_hash("é\0".encode())
    path = tmp_path / "weights"
    for size in (0, 1, 240, 241, 1 << 20, (1 << 20) + 1, 3_000_000):
        data = os.urandom(size)
        path.write_bytes(data)
        assert fcached._core.file_digest(str(path)) == fcached.prompt_hash(data)
        assert fcached._core.file_digest(path) == fcached.prompt_hash(data)  # type: ignore[arg-type]


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as raised:
            fcached._core.file_digest(str(path))
        assert raised.value.filename == str(path)


# ---- daemons that come and go ----


def test_no_daemon_computes(tmp_path: Path) -> None:
    run_worker(
        """
        import fcached, sys, threading
        client = fcached.Client("ns", socket=sys.argv[1])
        assert client.cached("op", "base", "p", 0, lambda: 1) == 1
        assert client.cached_batch("op", "base", ["p"], 0, lambda m: [2]) == [2]
        assert client.get("op", "base", "p") is fcached.MISS
        assert client.put("op", "base", "p", 0, 1) is False
        assert not client.connected and client.stats().degraded > 0
        threads = [
            threading.Thread(target=client.get, args=("op", "base", "p")) for _ in range(4)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        for call in (client.server_stats, client.clear):
            try:
                call()
            except fcached.UnavailableError as error:
                assert isinstance(error, ConnectionError) and error.code == -9
            else:
                raise SystemExit("no daemon, and no error")
        """,
        str(tmp_path / "none.sock"),
    )


def test_sharing_is_off_is_said_once(tmp_path: Path) -> None:
    script = """
        import fcached, sys, threading
        client = fcached.Client("ns", socket=sys.argv[1])
        def use():
            client.get("op", "base", "p")
        threads = [threading.Thread(target=use) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """
    worker = start_worker(script, str(tmp_path / "none.sock"))
    _, said = worker.communicate(timeout=TIMEOUT_S)
    assert worker.returncode == 0
    assert said.count("\n") == 1
    assert said.startswith("fcache: sharing is off: no daemon at")


def test_stopped_daemon_costs_one_deadline(daemon: Daemon) -> None:
    with open_client(daemon, deadline=0.5) as client:
        client.put("op", "base", "p", 0, 1)
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            assert client.cached("op", "base", "q", 0, lambda: 2) == 2
            assert client.cached("op", "base", "q", 0, lambda: 3) == 3
            assert client.cached("op", "base", "p", 0, never) == 1  # its entries stay readable
            assert time.monotonic() - started < 5.0
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        wait_until(lambda: connects(client), "it connects again")
        assert client.cached("op", "base", "p", 0, never) == 1


def test_restarted_daemon_is_found(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1)
        daemon.stop()
        assert client.cached("op", "base", "p", 0, lambda: 2) == 2
        daemon.start()
        wait_until(lambda: connects(client), "it connects again")
        assert client.get("op", "base", "p") is MISS
        assert client.cached("op", "base", "p", 0, lambda: 3) == 3
        assert client.cached("op", "base", "p", 0, never) == 3
        assert client.stats().reconnects >= 1
