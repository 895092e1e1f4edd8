"""Sequences of prompts and values: they are read by position. Objects without an order are refused,
because their values could be stored for the wrong prompts."""

from __future__ import annotations

import array
import collections
import sys
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from client_help import open_client
from conftest import Daemon
from lm_eval_fakes import Request

import fcached
from fcached import MISS
from fcached.instrumentation import BackendInstrumentation
from fcached.lm_eval.sharing import Sharing


class Endless:
    """Has a length, and an item at any position."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[index % len(self.values)]


class Series:
    """As one of pandas whose rows were filtered and sorted: [] goes by label, iloc by position."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    @property
    def iloc(self) -> tuple[Any, ...]:
        return self.values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, label: int) -> Any:
        return self.values[len(self.values) - 1 - label]


class Reversed(list[Any]):
    """A list that is iterated from its end."""

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self) - 1, -1, -1)])


POSITIONS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: [a, b],
    lambda a, b: (a, b),
    lambda a, b: Endless(a, b),
    lambda a, b: Series(a, b),
    lambda a, b: Reversed([a, b]),
    lambda a, b: collections.deque([a, b]),
    lambda a, b: np.array([a, b]),
    lambda a, b: collections.UserList([a, b]),
]
NO_ORDER = [
    ({0: 7.0, 1: 8.0}, "keys"),
    (MappingProxyType({0: 7.0, 1: 8.0}), "keys"),
    (collections.UserDict({0: 7.0, 1: 8.0}), "keys"),
    ({7.0, 8.0}, "no order"),
    (frozenset({7.0, 8.0}), "no order"),
    ("ab", "one text"),
    (b"ab", "one text"),
    (bytearray(b"ab"), "one text"),
    (memoryview(b"ab"), "one text"),
]
NO_POSITIONS = [
    (iter([7.0, 8.0]), "no positions"),
    ((value for value in (7.0, 8.0)), "no positions"),
    ({0: 7.0, 1: 8.0}.values(), "no positions"),
    (np.array(7.0), "no length"),
    (5, "no positions"),
    (None, "no positions"),
]


def ids(cases: list[tuple[Any, str]]) -> list[str]:
    return [type(case[0]).__name__ for case in cases]


@pytest.fixture(params=["client", "drop-in", "drop-in alone", "harness", "ranks"])
def batch(request: pytest.FixtureRequest, daemon: Daemon) -> Callable[[Any], list[Any]]:
    """The result of a call for two prompts whose computation returns the argument."""

    def by_client(returned: Any) -> list[Any]:
        with open_client(daemon) as client:
            return client.cached_batch("op", "base", ["a", "b"], 0, lambda _: returned)

    def by_ranks(returned: Any) -> list[Any]:
        with open_client(daemon) as client:
            monkeypatch = request.getfixturevalue("monkeypatch")
            monkeypatch.setattr("fcached.ranks.Watch.__call__", lambda _: True)
            monkeypatch.setitem(sys.modules, "torch.distributed", object())
            return client.cached_batch("op", "base", ["a", "b"], 0, lambda _: returned)

    def by_drop_in(returned: Any, **settings: Any) -> list[Any]:
        inst = BackendInstrumentation(**settings)
        try:
            return inst.cached_batch("op", "base", ["a", "b"], 0, lambda _: returned)
        finally:
            inst.close()

    def by_harness(returned: Any) -> list[Any]:
        with open_client(daemon) as client:
            requests = [Request(("a",)), Request(("b",))]
            sharing = Sharing(object(), client, start=0.0)
            return list(sharing.call("loglikelihood_rolling", lambda _: returned, requests))

    shared = {"namespace": "test", "socket": daemon.socket}
    ways: dict[str, Callable[[Any], list[Any]]] = {
        "client": by_client,
        "ranks": by_ranks,
        "drop-in": lambda returned: by_drop_in(returned, **shared),
        "drop-in alone": by_drop_in,
        "harness": by_harness,
    }
    return ways[request.param]


@pytest.mark.parametrize("make", POSITIONS)
def test_values_indexed_by_position(
    batch: Callable[[Any], list[Any]], make: Callable[[Any, Any], Any]
) -> None:
    assert batch(make(7.0, 8.0)) == [7.0, 8.0]


@pytest.mark.parametrize(("returned", "text"), NO_ORDER, ids=ids(NO_ORDER))
def test_values_without_order_refused(
    batch: Callable[[Any], list[Any]], daemon: Daemon, returned: Any, text: str
) -> None:
    with pytest.raises(TypeError, match=f"must be a sequence.*in their order; got .*{text}"):
        batch(returned)
    with open_client(daemon) as client:
        assert client.server_stats().namespaces["test"]["entries"] == 0


@pytest.mark.parametrize(("returned", "text"), NO_POSITIONS, ids=ids(NO_POSITIONS))
def test_values_without_positions_refused(
    batch: Callable[[Any], list[Any]], returned: Any, text: str
) -> None:
    with pytest.raises(TypeError, match=f"must be a sequence.*{text}"):
        batch(returned)


def test_values_raising_error_reaches_caller(batch: Callable[[Any], list[Any]]) -> None:
    class Odd(Endless):
        def __getitem__(self, index: int) -> Any:
            raise KeyError("no such column")

    with pytest.raises(KeyError, match="no such column"):
        batch(Odd(1, 2))


@pytest.mark.parametrize("n", [0, 1, 3, 10**9])
def test_values_wrong_length_refused_before_reading(
    batch: Callable[[Any], list[Any]], n: int
) -> None:
    with pytest.raises(RuntimeError, match=rf"returned {n} (values|answers) for 2 "):
        batch(range(n))


def test_verify_values_indexed_by_position(daemon: Daemon) -> None:
    with open_client(daemon, verify=1.0) as client:
        client.put_many("op", "base", ["a", "b"], 0, [7.0, 8.0])
        assert client.cached_batch("op", "base", ["c", "d"], 0, lambda m: [0] * len(m))
        found = client.cached_batch("op", "base", ["a", "b"], 0, lambda _: Endless(7.0, 8.0))
        assert found == [7.0, 8.0]
        with pytest.raises(TypeError, match="got dict"):
            client.cached_batch("op", "base", ["a", "b"], 0, lambda m: dict.fromkeys(m, 7.0))


# ---- put_many, and prompts ----


@pytest.mark.parametrize(
    "make", [*POSITIONS, lambda a, b: iter([a, b]), lambda a, b: {a: 0, b: 0}.keys()]
)
def test_put_many_values_stored_in_order(daemon: Daemon, make: Callable[[Any, Any], Any]) -> None:
    with open_client(daemon) as client:
        assert client.put_many("op", "base", ["a", "b"], 0, make(7.0, 8.0))
        assert client.get_many("op", "base", ["a", "b"]) == [7.0, 8.0]


@pytest.mark.parametrize(("values", "text"), NO_ORDER, ids=ids(NO_ORDER))
def test_put_many_values_without_order_refused(daemon: Daemon, values: Any, text: str) -> None:
    with open_client(daemon) as client:
        with pytest.raises(TypeError, match=f"^values must be a sequence.*{text}"):
            client.put_many("op", "base", ["a", "b"], 0, values)
        assert client.get_many("op", "base", ["a", "b"]) == [MISS, MISS]


def test_put_many_endless_iterator_refused(daemon: Daemon) -> None:
    class Unending:
        def __getitem__(self, index: int) -> int:
            return index

    with open_client(daemon) as client:
        with pytest.raises(fcached.ArgumentError, match="more than 2 values for 2 prompts"):
            client.put_many("op", "base", ["a", "b"], 0, Unending())


CALLS: dict[str, Callable[[fcached.Client, Any], Any]] = {
    "get_many": lambda client, prompts: client.get_many("op", "base", prompts),
    "put_many": lambda client, prompts: client.put_many("op", "base", prompts, 0, [1, 2]),
    "cached_batch": lambda client, prompts: client.cached_batch("op", "base", prompts, 0, list),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("prompts", "text"),
    [({"a": 1, "b": 2}, "keys"), ({"a", "b"}, "no order"), ("ab", "one text"), (b"ab", "one text")],
)
def test_prompts_without_order_refused(
    daemon: Daemon, call: Callable[[fcached.Client, Any], Any], prompts: Any, text: str
) -> None:
    with open_client(daemon) as client:
        with pytest.raises(TypeError, match=f"^prompts must be a sequence.*{text}"):
            call(client, prompts)


@pytest.mark.parametrize(
    "make", [*POSITIONS, lambda a, b: iter([a, b]), lambda a, b: {a: 0, b: 0}.keys()]
)
def test_prompts_read_in_order(daemon: Daemon, make: Callable[[Any, Any], Any]) -> None:
    with open_client(daemon) as client:
        client.put_many("op", "base", ["a", "b"], 0, [7, 8])
        assert client.get_many("op", "base", make("a", "b")) == [7, 8]


def test_values_of_numpy_array_stored(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        values = array.array("d", [7.0, 8.0])
        assert client.cached_batch("op", "base", ["a", "b"], 0, lambda _: values) == [7.0, 8.0]
