"""fcached.instrumentation beside the module that it replaces, over random lookups."""

from __future__ import annotations

import importlib.util
import inspect
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Daemon

import fcached.instrumentation

LOOKUPS = 1500


def original() -> ModuleType:
    """Loads dlm-sway's module by its path, because sys.modules may contain the replacement."""
    package = importlib.util.find_spec("dlm_sway")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "backends" / "_instrumentation.py"
    spec = importlib.util.spec_from_file_location("instrumentation_of_sway", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def value_of(op: str, view: str, prompt: str, top_k: int) -> Any:
    """The value that a model would return."""
    seed = random.Random(f"{op} {view} {prompt} {top_k}").randrange(1 << 30)
    if op == "logprob_of":
        return -seed / 7.0
    return {"ids": np.arange(seed % 5), "logprobs": np.array([seed], np.float32), "tail": None}


def lookups(inst: Any, seed: int) -> list[Any]:
    """Runs random calls, some of which fail, and returns all results. Equal seeds give equal
    calls."""
    draw = random.Random(seed)
    results = []
    for _ in range(LOOKUPS):
        key = (
            draw.choice(["next_token_dist", "logprob_of"]),
            draw.choice(["base", "ft", "null_7"]),
            f"prompt {draw.randrange(12)}",
            draw.choice([0, 8]),
        )
        fails = draw.random() < 0.05

        def compute() -> Any:
            if fails:
                raise ArithmeticError(str(key))
            return value_of(*key)

        if draw.random() < 0.02:
            inst.set_current_probe(draw.choice([None, "delta_kl", "leakage"]))
        try:
            results.append(inst.cached(*key, compute))
        except ArithmeticError as error:
            results.append(repr(error))
    return results


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return type(one) is type(other) and bool(one == other)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a trace without times and the form of the hash."""
    hashes: dict[str, int] = {}
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in found:
        line["prompt_hash"] = hashes.setdefault(line["prompt_hash"], len(hashes))
        assert line.pop("ts") > 0 and line.pop("wall_ms") >= 0
    return found


@pytest.mark.parametrize("mode", ["alone", "away", "shared"])
@pytest.mark.parametrize("seed", range(3))
def test_instrumentation_matches_original(
    tmp_path: Path, mode: str, seed: int, request: pytest.FixtureRequest
) -> None:
    settings: dict[str, Any] = {}
    if mode != "alone":
        settings = {"namespace": "n", "socket": str(tmp_path / "nobody.sock")}
    if mode == "shared":
        daemon: Daemon = request.getfixturevalue("daemon")
        settings["socket"] = daemon.socket
    runs = []
    # Where it shares, nothing is ever evicted: the original is given the room for that.
    size = 144 if mode == "shared" else 20
    for make, more, name in (
        (original().BackendInstrumentation, {}, "theirs"),
        (fcached.instrumentation.BackendInstrumentation, settings, "ours"),
    ):
        inst = make(cache_maxsize=size, trace_path=tmp_path / name, **more)
        results = lookups(inst, seed)
        inst.close()
        runs.append((results, inst.stats.to_dict(), lines(tmp_path / name)))
    theirs, ours = runs
    assert len(ours[0]) == len(theirs[0])
    assert all(same(mine, their) for mine, their in zip(ours[0], theirs[0]))
    figures = [figure for figure in theirs[1] if figure != "scoring_wall_s"]
    assert [ours[1][figure] for figure in figures] == [theirs[1][figure] for figure in figures]
    assert ours[2] == theirs[2]
    assert 0.05 < ours[1]["hit_rate"] < 0.95


@pytest.mark.parametrize("name", ["BackendStats", "ForwardCache", "TraceWriter", "_TraceEvent"])
def test_module_has_names_of_original(name: str) -> None:
    theirs, ours = getattr(original(), name), getattr(fcached.instrumentation, name)

    def shape(of: Callable[..., Any]) -> list[tuple[str, Any]]:
        found = inspect.signature(of).parameters.values()
        return [(parameter.name, parameter.default) for parameter in found]

    assert shape(ours)[: len(shape(theirs))] == shape(theirs)
    public = {part for part in vars(theirs) if not part.startswith("_")}
    assert public <= set(dir(ours))
