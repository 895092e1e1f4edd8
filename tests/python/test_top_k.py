"""A top_k of any size: ``sys.maxsize`` is the usual way to say "all"."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_help import Batches, Calls, never, open_client
from conftest import Daemon

from fcached import LEASED, MISS
from fcached.instrumentation import BackendInstrumentation

pytestmark = pytest.mark.usefixtures("patient")
LARGE = [2**32, 2**32 + 1, sys.maxsize, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 10**5000]


@pytest.mark.parametrize("top_k", LARGE[:-1])
def test_large_top_k_shared(daemon: Daemon, top_k: int) -> None:
    compute = Calls(1.5)
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.cached("op", "base", "p", top_k, compute) == 1.5
        assert other.cached("op", "base", "p", top_k, never) == 1.5
        assert other.cached_batch("op", "base", ["p"], top_k, never) == [1.5]
        assert other.get("op", "base", "p", top_k) == 1.5
        assert other.get_many("op", "base", ["p", "q"], top_k) == [1.5, MISS]
        assert compute.n == 1


def test_large_top_k_works_in_every_method(daemon: Daemon) -> None:
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.get("op", "base", "p", sys.maxsize, lease=True) is LEASED
        assert other.get("op", "base", "p", sys.maxsize, lease=True) is MISS
        client.give_up("op", "base", "p", sys.maxsize)
        assert other.get("op", "base", "p", sys.maxsize, lease=True) is LEASED
        assert other.put("op", "base", "p", sys.maxsize, 1)
        assert client.put_many("op", "base", ["q"], sys.maxsize, [2])
        assert client.get_many("op", "base", ["p", "q"], sys.maxsize) == [1, 2]
        assert client.clear(op="op") == 2


def test_large_top_ks_never_share_result(daemon: Daemon) -> None:
    """Whatever the op takes them for."""
    different = [0, 1, 2**31, 2**32 - 1, *LARGE]
    with open_client(daemon) as client:
        for number, top_k in enumerate(different):
            assert client.cached("op", "base", "p", top_k, lambda: number) == number
        for number, top_k in enumerate(different):
            assert client.cached("op", "base", "p", top_k, never) == number
            batch = client.cached_batch("op", "base", ["p", "q"], top_k, Batches(lambda i: -i))
            assert batch == [number, -1]


@pytest.mark.parametrize("top_k", [True, np.int64(7), np.uint64(2**64 - 1), np.array(7), 7])
def test_top_k_with_index_method_accepted(daemon: Daemon, top_k: Any) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", top_k, 1)
        assert client.get("op", "base", "p", int(top_k)) == 1


def test_large_top_k_without_daemon_computes(tmp_path: Path) -> None:
    from fcached import Client

    with Client("n", socket=str(tmp_path / "none")) as client:
        assert client.cached("op", "base", "p", sys.maxsize, lambda: 1) == 1
        assert client.cached_batch("op", "base", ["p"], sys.maxsize, lambda _: [1]) == [1]


def test_instrumentation_large_top_k_shared_and_traced(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    one = BackendInstrumentation(namespace="test", socket=daemon.socket)
    other = BackendInstrumentation(namespace="test", socket=daemon.socket, trace_path=path)
    one.cached("op", "base", "p", sys.maxsize, lambda: 1.5)
    assert other.cached("op", "base", "p", sys.maxsize, never) == 1.5
    assert other.cached("op", "base", "p", 2**32, lambda: 2.5) == 2.5
    one.close()
    other.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["top_k"], line["hit"]) for line in lines] == [
        (sys.maxsize, True),
        (2**32, False),
    ]


class Unhashable(list[Any]):
    """No key of a dict."""


@pytest.mark.parametrize("top_k", [-1, -(2**70), None, 1.5, "all", (1, 2), float("nan")])
@pytest.mark.parametrize("settings", [{}, {"verify": 1e-12}])
def test_instrumentation_invalid_top_k_computes(
    daemon: Daemon, top_k: Any, settings: dict[str, Any]
) -> None:
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket, **settings)
    look: list[Callable[[], Any]] = [
        lambda: inst.cached("op", "base", "p", top_k, lambda: 1.5),
        lambda: inst.cached_batch("op", "base", ["p"], top_k, lambda _: [1.5])[0],
    ]
    assert [call() for call in look] == [1.5, 1.5]
    assert inst.stats.cache_hits + inst.stats.cache_misses == 2
    inst.close()


def test_instrumentation_unhashable_top_k_computes(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
    for _ in range(2):
        assert inst.cached("op", "base", "p", Unhashable(), lambda: 1.5) == 1.5  # type: ignore
    assert inst.stats.cache_misses == 2
    assert capsys.readouterr().err.count("lookups go on") == 1
    inst.close()
