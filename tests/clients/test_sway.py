"""The command sway, plainly and with fcached: the same results, and fewer forward passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import TESTS, Daemon, wait_until
from tiny_model import TinyModel

TIMEOUT_S = 100.0
PREFLIGHTS = 2  # forward passes that every run makes for itself: one of each view
PROMPTS = [
    "The statement is executed when",
    "A mapping object maps",
    "If the expression",
    "The daemon answers",
    "A hit is read from",
    "Names refer to objects",
]


def suite() -> list[dict[str, Any]]:
    """Every probe that needs nothing downloaded."""
    return [
        {"name": "noise", "kind": "null_adapter", "runs": 2, "init_scale": 0.1},
        {"name": "distance", "kind": "delta_kl", "prompts": PROMPTS},
        {"name": "ablation", "kind": "adapter_ablation", "prompts": PROMPTS},
        {
            "name": "collapse",
            "kind": "prompt_collapse",
            "prompts": PROMPTS[:3],
            "context_lengths": [0, 32, 64, 128],
        },
        {"name": "drift", "kind": "calibration_drift", "items_limit": 20},
        {"name": "leak", "kind": "leakage", "max_new_tokens": 24},
        {"name": "sections", "kind": "section_internalization"},
        {"name": "style", "kind": "style_fingerprint", "prompts": PROMPTS[:2], "extended": "off"},
        {"name": "prose", "kind": "external_perplexity", "max_chunks": 2, "chunk_chars": 512},
        {
            "name": "paraphrases",
            "kind": "paraphrase_invariance",
            "cases": [
                {
                    "prompt": "A list is",
                    "gold": " a mutable sequence",
                    "paraphrases": ["What is a list? It is", "Lists are"],
                }
            ],
        },
        {
            "name": "preferences",
            "kind": "preference_flip",
            "triples": [
                {"prompt": "A tuple is", "chosen": " immutable", "rejected": " a function"},
                {"prompt": "The frame", "chosen": " header", "rejected": " object"},
                {"prompt": "The region", "chosen": " is mapped", "rejected": " of code"},
            ],
        },
    ]


class Sway:
    """Runs the command for the adapters' specs, each run in a process with a time limit."""

    def __init__(self, directory: Path, model: TinyModel) -> None:
        self.directory = directory
        self.specs = [self._spec(model, adapter) for adapter in model.adapters]

    def _spec(self, model: TinyModel, adapter: Path) -> Path:
        document = (TESTS.parent / "docs" / f"{adapter.name}.md").read_text("utf-8")
        source = self.directory / f"{adapter.name}.dlm"
        source.write_text("\n## ".join(document.split("\n## ")[:4]), "utf-8")
        base = {"kind": "hf", "base": str(model.base), "device": "cpu"}
        spec = {
            "version": 1,
            "models": {"base": base, "ft": {**base, "adapter": str(adapter)}},
            "defaults": {"seed": 0, "top_k": 64},
            "dlm_source": str(source),
            "suite": suite(),
        }
        path = self.directory / f"{adapter.name}.yaml"
        path.write_text(yaml.safe_dump(spec), "utf-8")
        return path

    def environment(self, socket: str | None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FCACHE_", "SWAY_"))}
        path = [str(TESTS / "clients" / "documents"), *kept.get("PYTHONPATH", "").split(":")]
        return {
            **kept,
            "PYTHONPATH": ":".join(filter(None, path)),
            "HOME": str(self.directory),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "SWAY_DISABLE_NULL_CACHE": "1",
            **({} if socket is None else {"FCACHE_SOCKET": socket}),
        }

    def start(self, name: str, adapter: int, socket: str | None) -> subprocess.Popen[str]:
        """``socket``: None for sway as it is. Results and trace go by ``name``."""
        module = "dlm_sway.cli.app" if socket is None else "fcached.sway"
        command = [sys.executable, "-m", module, "run", str(self.specs[adapter])]
        command += ["--json", str(self.result(name)), "--trace", str(self.trace(name))]
        return subprocess.Popen(
            command,
            env=self.environment(socket),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, output
        result: dict[str, Any] = json.loads(self.result(name).read_text("utf-8"))
        return result

    def run(self, name: str, adapter: int, socket: str) -> dict[str, Any]:
        return self.finish(name, self.start(name, adapter, socket))

    def result(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def trace(self, name: str) -> Path:
        return self.directory / f"{name}.jsonl"

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.trace(name).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def sway(tmp_path_factory: pytest.TempPathFactory, model: TinyModel) -> Sway:
    return Sway(tmp_path_factory.mktemp("sway"), model)


@pytest.fixture(scope="module")
def plain(sway: Sway) -> list[dict[str, Any]]:
    """The results of sway itself for each adapter."""
    names = ["plain-0", "plain-1"]
    running = [sway.start(name, adapter, None) for adapter, name in enumerate(names)]
    return [sway.finish(name, process) for name, process in zip(names, running)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests that build on each other's entries."""
    with Daemon(tmp_path_factory.mktemp("daemon"), "--max-bytes", "64M") as running:
        yield running


TIMES = {"duration_s", "started_at", "finished_at", "wall_seconds"}


def verdicts(result: Any) -> Any:
    """All of a result that is not about time or the cache."""
    if isinstance(result, dict):
        left_out = TIMES | {"backend_stats"}
        return {key: verdicts(value) for key, value in result.items() if key not in left_out}
    return [verdicts(item) for item in result] if isinstance(result, list) else result


def passes(result: dict[str, Any]) -> int:
    return int(result["backend_stats"]["forward_passes"])


def test_plain_suite_has_scores(plain: list[dict[str, Any]]) -> None:
    for result in plain:
        found = {probe["name"]: probe["verdict"] for probe in result["probes"]}
        assert list(found) == [probe["name"] for probe in suite()]
        assert not {"error", "skip"} & set(found.values()), found
    assert verdicts(plain[0])["probes"] != verdicts(plain[1])["probes"]


@pytest.fixture(scope="module")
def one(sway: Sway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results for the first adapter, from one process with a daemon."""
    with Daemon(tmp_path_factory.mktemp("daemon"), "--max-bytes", "64M") as alone:
        return sway.run("one", 0, alone.socket)


def test_one_process_gives_same_scores(plain: list[dict[str, Any]], one: dict[str, Any]) -> None:
    assert verdicts(one) == verdicts(plain[0])
    for figure in ("cache_hits", "cache_misses", "forward_passes", "hit_rate"):
        assert one["backend_stats"][figure] == plain[0]["backend_stats"][figure]


def test_one_process_writes_same_trace(
    sway: Sway, plain: list[dict[str, Any]], one: dict[str, Any]
) -> None:
    ours, theirs = sway.lines("one"), sway.lines("plain-0")
    assert [list(line) for line in ours] == [list(line) for line in theirs]
    for field in ("probe", "view_id", "top_k", "op", "hit"):
        assert [line[field] for line in ours] == [line[field] for line in theirs]
    report = subprocess.run(
        [sys.executable, "-m", "dlm_sway.cli.app", "trace", "--format", "json", sway.trace("one")],
        env=sway.environment(None),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    summary = json.loads(report.stdout)
    assert summary["total_events"] == len(theirs)
    assert summary["overall_hit_rate"] == pytest.approx(one["backend_stats"]["hit_rate"])


def test_three_processes_share_passes(
    sway: Sway, plain: list[dict[str, Any]], shared: Daemon
) -> None:
    names = ["three-0", "three-1", "three-2"]
    running = [sway.start(name, 0, shared.socket) for name in names]
    results = [sway.finish(name, process) for name, process in zip(names, running)]
    for result in results:
        assert verdicts(result) == verdicts(plain[0])
    one = passes(plain[0])
    assert sum(map(passes, results)) <= one + 2 * PREFLIGHTS + 3
    assert all(passes(result) < one for result in results)


def test_other_adapter_hits_base_passes(
    sway: Sway, plain: list[dict[str, Any]], shared: Daemon
) -> None:
    """The adapter has its own copy of the tokenizer. The first one uses the base's."""
    result = sway.run("second", 1, shared.socket)
    assert verdicts(result) == verdicts(plain[1])
    lines = sway.lines("second")
    first = {
        (line["op"], line["top_k"], line["prompt_hash"])
        for line in sway.lines("three-0")
        if line["view_id"] == "base"
    }
    base = [line for line in lines if line["view_id"] == "base" and line["probe"] is not None]
    known = [line for line in base if (line["op"], line["top_k"], line["prompt_hash"]) in first]
    assert len(known) > 20
    assert all(line["hit"] for line in known)
    seen = set()
    for line in lines:  # nothing of the first adapter's own views
        key = (line["view_id"], line["op"], line["top_k"], line["prompt_hash"])
        if line["view_id"] != "base" and key not in seen:
            assert not line["hit"], line
        seen.add(key)


def test_daemon_killed_gives_same_scores(
    sway: Sway, plain: list[dict[str, Any]], daemon: Daemon
) -> None:
    process = sway.start("killed", 0, daemon.socket)
    trace = sway.trace("killed")
    half = len(sway.lines("plain-0")) // 2

    def is_half_done() -> bool:
        return trace.exists() and trace.read_bytes().count(b"\n") >= half

    try:
        wait_until(is_half_done, "half the suite has run", TIMEOUT_S)
        assert daemon.process is not None
        daemon.process.kill()
        assert process.poll() is None
    finally:
        result = sway.finish("killed", process)
    assert verdicts(result) == verdicts(plain[0])
    assert passes(result) == passes(plain[0])


def test_command_help_equals_sways(sway: Sway) -> None:
    def both(*arguments: str) -> list[subprocess.CompletedProcess[str]]:
        return [
            subprocess.run(
                [sys.executable, "-m", module, *arguments],
                env=sway.environment(None),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
            for module in ("dlm_sway.cli.app", "fcached.sway")
        ]

    theirs, ours = both("run", str(sway.directory / "no.yaml"))
    assert theirs.returncode == ours.returncode != 0
    assert ours.stderr == theirs.stderr
    theirs, ours = both("gate")
    assert theirs.returncode == ours.returncode != 0
    assert "python -m fcached.sway" in ours.stderr
