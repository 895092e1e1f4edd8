"""A computation's time is without that of calls nested in it: each moment is charged once, whichever way
the calls go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from client_help import open_client, put_bytes
from conftest import Daemon

import fcached
from fcached import ranks

SPEND_S = 0.02
DEPTH = 3
Call = Callable[[fcached.Client, str, Callable[[], Any]], Any]


def one(client: fcached.Client, prompt: str, compute: Callable[[], Any]) -> Any:
    return client.cached("op", "base", prompt, 0, compute)


def batch(client: fcached.Client, prompt: str, compute: Callable[[], Any]) -> Any:
    return client.cached_batch("op", "base", [prompt], 0, lambda misses: [compute()])[0]


def nest(client: fcached.Client, calls: list[Call]) -> Any:
    """Nests each call in the computation of the previous one. The innermost takes some time."""

    def spend() -> int:
        end = time.monotonic() + SPEND_S
        while time.monotonic() < end:
            pass
        return 0

    if not calls:
        return spend()
    return calls[0](client, f"p{len(calls)}", lambda: nest(client, calls[1:]))


def check(client: fcached.Client, calls: list[Call]) -> None:
    before_s, start = client.stats().scoring_wall_s, time.monotonic()
    assert nest(client, calls) == 0
    charged_s = client.stats().scoring_wall_s - before_s
    assert SPEND_S <= charged_s <= time.monotonic() - start


MIXES = [[one] * DEPTH, [batch] * DEPTH, [one, batch, one], [batch, one, batch]]


@pytest.mark.parametrize("calls", MIXES)
def test_nested_misses_time_counted_once(daemon: Daemon, calls: list[Call]) -> None:
    with open_client(daemon) as client:
        check(client, calls)


@pytest.mark.parametrize("calls", MIXES)
def test_nested_misses_unshared_time_counted_once(
    daemon: Daemon, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", ModuleType("torch.distributed"))
    monkeypatch.setattr(ranks.Watch, "__call__", lambda self: True)
    with fcached.Client("test", socket=daemon.socket) as client:
        check(client, calls)
        stats = client.stats()
        assert (stats.forward_passes, stats.leases_granted) == (DEPTH, 0)


@pytest.mark.parametrize("calls", MIXES)
@pytest.mark.parametrize("stored", [1, 2, 3])
def test_nested_verified_hits_time_counted_once(
    daemon: Daemon, calls: list[Call], stored: int
) -> None:
    """The innermost `stored` calls are hits that are computed again, the others misses."""
    with open_client(daemon, verify=1.0) as client:
        for i in range(1, stored + 1):
            client.put("op", "base", f"p{i}", 0, 0)
        check(client, calls)
        assert client.stats().verified == stored


@pytest.mark.parametrize("calls", MIXES)
@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_nested_undecodable_hits_time_counted_once(daemon: Daemon, calls: list[Call]) -> None:
    with open_client(daemon) as client:
        for i in range(1, DEPTH + 1):
            put_bytes(daemon, f"p{i}", b"\xc1 is no value")
        check(client, calls)
        assert client.stats().undecodable == DEPTH
