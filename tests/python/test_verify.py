"""``verify``: a share of the hits is computed again and compared."""

from __future__ import annotations

import logging
import random

import pytest
from client_help import Batches, Calls, never, open_client
from conftest import Daemon

import fcached


def test_verify_equal_hit_counted(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    with open_client(daemon, verify=1.0) as client:
        assert client.cached("op", "base", "p", 0, Calls([1.5])) == [1.5]
        compute = Calls([1.5])
        assert client.cached("op", "base", "p", 0, compute) is compute.value  # the computed object
        assert client.get("op", "base", "p") == [1.5]  # is not verified: there is nothing to run
        stats = client.stats()
        assert (stats.verified, stats.differing, compute.n) == (1, 0, 1)
        assert (stats.cache_hits, stats.cache_misses, stats.forward_passes) == (2, 1, 2)
        assert not caplog.records


@pytest.mark.parametrize(
    ("stored", "computed"),
    [(1.5, 1.25), (0.0, -0.0), (1, True), (1, 1.0), ([1], (1,)), (float("nan"), 0.0)],
)
def test_verify_difference_logged_with_digests(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, stored: object, computed: object
) -> None:
    with open_client(daemon, verify=1.0) as client, caplog.at_level(logging.WARNING, "fcached"):
        client.put("op", "base", "p", 3, stored)
        found = client.cached("op", "base", "p", 3, lambda: computed)
        assert found is computed
        assert (client.stats().verified, client.stats().differing) == (1, 1)
        (record,) = caplog.records
        text = record.getMessage()
        hashes = [fcached.prompt_hash(fcached.encode(value)) for value in (stored, computed)]
        assert record.name == "fcached" and record.levelno == logging.WARNING
        assert f"stored {hashes[0]}, computed {hashes[1]}" in text
        for part in ("op, view base, top_k 3", fcached.prompt_hash("p"), "namespace test"):
            assert part in text
        assert client.get("op", "base", "p", 3) == stored or stored != stored  # it stays stored


def test_verify_nan_equal(daemon: Daemon) -> None:
    with open_client(daemon, verify=1.0) as client:
        client.put("op", "base", "p", 0, float("nan"))
        client.cached("op", "base", "p", 0, lambda: float("nan"))
        assert (client.stats().verified, client.stats().differing) == (1, 0)


def test_verify_batch_uses_one_more_call(daemon: Daemon) -> None:
    batch = Batches()
    with open_client(daemon, verify=1.0) as client:
        client.put_many("op", "base", ["a", "c"], 0, [0, "other"])
        assert client.cached_batch("op", "base", ["a", "b", "c"], 0, batch) == [0, 10, 20]
        assert batch.asked == [[1], [0, 2]]
        stats = client.stats()
        assert (stats.verified, stats.differing) == (2, 1)
        assert (stats.batches_sent, stats.batched_prompts) == (1, 1)
        with pytest.raises(fcached.BatchError, match="returned 0 values for 3 misses"):
            client.cached_batch("op", "base", ["a", "b", "c"], 0, lambda _: [])


def test_verify_share_of_hits_drawn(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCACHE_VERIFY", "0.25")
    compute = Calls(1)
    n = 4000
    random.seed(5)
    state = random.getstate()
    with open_client(daemon) as client, open_client(daemon, verify=0.0) as never_verifies:
        client.put("op", "base", "p", 0, 1)
        for _ in range(n):
            client.cached("op", "base", "p", 0, compute)
            never_verifies.cached("op", "base", "p", 0, never)
        assert compute.n == client.stats().verified
        assert 0.2 < compute.n / n < 0.3  # 7 standard deviations to either side
    assert random.getstate() == state
    monkeypatch.setenv("FCACHE_VERIFY", "often")
    with pytest.raises(fcached.ArgumentError, match="FCACHE_VERIFY.*'often'"):
        open_client(daemon)


def test_verify_exception_of_compute_reaches_caller(daemon: Daemon) -> None:
    with open_client(daemon, verify=1.0) as client:
        client.put("op", "base", "p", 0, 1)
        with pytest.raises(ZeroDivisionError):
            client.cached("op", "base", "p", 0, lambda: 1 // 0)
        assert client.stats().verified == 0


def test_verify_unencodable_result_counted(daemon: Daemon) -> None:
    odd = object()
    with open_client(daemon, verify=1.0) as client:
        client.put("op", "base", "p", 0, 1)
        with pytest.warns(RuntimeWarning, match="no encoding"):
            assert client.cached("op", "base", "p", 0, lambda: odd) is odd
        stats = client.stats()
        assert (stats.verified, stats.unencodable) == (0, 1)
