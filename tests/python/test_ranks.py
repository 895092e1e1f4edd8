"""Several ranks of torch.distributed: sharing is off, unless they are independent."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import pytest
from client_help import Batches, Calls, fake_distributed, open_client
from conftest import Daemon

from fcached import MISS, ranks

LAUNCHER = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)
    for name in (*LAUNCHER, "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def test_several_ranks_turn_sharing_off_with_one_warning(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1)
        fake = fake_distributed(monkeypatch, 2)
        compute = Calls(2)
        with pytest.warns(RuntimeWarning, match="several ranks.*independent_ranks") as warned:
            for _ in range(2):
                assert client.cached("op", "base", "p", 0, compute) == 2
        assert len(warned) == 1 and warned[0].filename == __file__
        fake.size = 1
        batch = Batches()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert client.cached_batch("op", "base", ["p", "q"], 0, batch) == [0, 10]
            assert client.cached_batch("op", "base", [], 0, batch) == []
            assert client.get("op", "base", "p", lease=True) is MISS
            assert client.get_many("op", "base", ["p"], lease=True) == [MISS]
            assert client._local("op", "base", "p", 0) is MISS
            assert client.put("op", "base", "p", 0, 3) is False
            assert client.put_many("op", "base", ["p"], 0, [3]) is False
            client.give_up("op", "base", "p")
        assert batch.asked == [[0, 1]]
        stats = client.stats()
        assert (stats.cache_misses, stats.forward_passes, stats.batches_sent) == (5, 5, 1)
        with open_client(daemon) as other:
            assert other.get("op", "base", "p") == 1


def test_one_rank_shares(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LAUNCHER.items():
        monkeypatch.setenv(name, value)  # which has not come true
    fake_distributed(monkeypatch, 1)
    with warnings.catch_warnings(), open_client(daemon) as client:
        warnings.simplefilter("error")
        client.put("op", "base", "p", 0, 1)
        assert client.get("op", "base", "p") == 1


def test_launcher_environment_counts_before_initialization(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in LAUNCHER.items():
        monkeypatch.setenv(name, value)
    with open_client(daemon) as client:  # torch is not imported: nothing to get in the way of
        client.put("op", "base", "p", 0, 1)
        assert client.get("op", "base", "p") == 1
        fake_distributed(monkeypatch, 0)
        with pytest.warns(RuntimeWarning, match="several ranks"):
            assert client.get("op", "base", "p") is MISS


def test_independent_ranks_share(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_distributed(monkeypatch, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_client(daemon, independent_ranks=True) as client:
            client.put("op", "base", "p", 0, 1)
            assert client.get("op", "base", "p") == 1
        monkeypatch.setenv("FCACHE_INDEPENDENT_RANKS", "1")
        with open_client(daemon) as client:
            assert client.get("op", "base", "p") == 1
    with pytest.warns(RuntimeWarning), open_client_off(daemon) as client:
        assert client.get("op", "base", "p") is MISS


def open_client_off(daemon: Daemon):  # type: ignore[no-untyped-def]
    import fcached

    return fcached.Client("test", socket=daemon.socket, independent_ranks=False)


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"WORLD_SIZE": "2"}, False),
        ({"WORLD_SIZE": "2", "RANK": "0"}, False),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "host"}, True),
        ({"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "none"}, True),
        ({"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "host"}, False),
        ({"WORLD_SIZE": "two", "RANK": "0", "MASTER_ADDR": "host"}, False),
        ({"WORLD_SIZE": "", "RANK": "0", "MASTER_ADDR": "host"}, False),
    ],
)
def test_launched_reads_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], several: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ranks.launched() is ranks.several() is several


def test_torch_partially_imported_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", ModuleType("torch.distributed"))
    assert ranks.several() is False
