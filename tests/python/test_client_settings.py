"""fcached.Client: settings, invalid arguments, closing and pickling; digests."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    Batches,
    Calls,
    never,
    open_client,
)
from conftest import Daemon

import fcached
from fcached import LEASED, MISS


def test_method_invalid_arguments_refused(daemon: Daemon) -> None:
    with open_client(daemon) as checked:
        client: Any = checked  # hides the types from mypy
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
def test_client_invalid_settings_refused(
    daemon: Daemon, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        fcached.Client(**{"namespace": "test", "socket": daemon.socket, **settings})


def test_client_without_namespace_refused(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fcached.NamespaceError, match="FCACHE_NAMESPACE"):
        fcached.Client(socket=daemon.socket)
    monkeypatch.setenv("FCACHE_NAMESPACE", "from-environment")
    with fcached.Client(socket=daemon.socket) as client:
        assert client.namespace == "from-environment"
        monkeypatch.setenv("FCACHE_NAMESPACE", "another")  # too late for this client's threads
        client.put("op", "base", "p", 0, 1)
        assert "from-environment" in client.server_stats().namespaces


def test_max_entries_exceeded_evicts_oldest(daemon: Daemon) -> None:
    with open_client(daemon, max_entries=2) as client:
        for prompt in "abc":
            client.put("op", "base", prompt, 0, prompt)
        assert client.get_many("op", "base", ["a", "b", "c"]) == [MISS, "b", "c"]


def test_client_disabled_computes_everything(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_client_closed_refuses_calls(daemon: Daemon) -> None:
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


def test_close_inside_compute_applies_after_call(daemon: Daemon) -> None:
    client = open_client(daemon)

    def compute() -> int:
        client.close()
        with pytest.raises(fcached.ArgumentError, match="closed"):
            client.get("op", "base", "p")
        return 5

    assert client.cached("op", "base", "p", 0, compute) == 5
    with open_client(daemon) as other:
        assert other.get("op", "base", "p") == 5


def test_client_initialized_twice_refused(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        with pytest.raises(RuntimeError, match="initialized once"):
            client.__init__("other", socket=daemon.socket)  # type: ignore[misc]
        unmade = fcached.Client.__new__(fcached.Client)
        with pytest.raises(fcached.ArgumentError, match="closed"):
            unmade.get("op", "base", "p")


def test_client_pickled_opens_same_namespace(daemon: Daemon) -> None:
    with open_client(daemon, wait=0.5, verify=0.0, client="me") as client:
        client.put("op", "base", "p", 0, 1)
        with pickle.loads(pickle.dumps(client)) as other, copy.copy(client) as third:
            assert other is not client and other.namespace == client.namespace
            assert other.get("op", "base", "p") == third.get("op", "base", "p") == 1
            assert other.stats().cache_misses == 0
            assert pickle.dumps(other) == pickle.dumps(client)


def test_sentinel_copied_is_same_object() -> None:
    for sentinel, name in ((MISS, "MISS"), (LEASED, "LEASED")):
        assert not sentinel and repr(sentinel) == name
        assert copy.copy(sentinel) is copy.deepcopy(sentinel) is sentinel
        assert pickle.loads(pickle.dumps(sentinel)) is sentinel


def test_digest_of_file_equals_digest_of_bytes(tmp_path: Path) -> None:
    assert fcached.prompt_hash("") == "99aa06d3014798d86001c324468d497f"
    assert fcached.prompt_hash("é\0") == fcached.prompt_hash("é\0".encode())
    path = tmp_path / "weights"
    for size in (0, 1, 240, 241, 1 << 20, (1 << 20) + 1, 3_000_000):
        data = os.urandom(size)
        path.write_bytes(data)
        assert fcached._core.file_digest(str(path)) == fcached.prompt_hash(data)
        assert fcached._core.file_digest(path) == fcached.prompt_hash(data)  # type: ignore[arg-type]


def test_file_digest_unreadable_file_raises(tmp_path: Path) -> None:
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as raised:
            fcached._core.file_digest(str(path))
        assert raised.value.filename == str(path)
