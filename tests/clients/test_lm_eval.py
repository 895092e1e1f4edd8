"""lm-evaluation-harness for real: a small model, local tasks, several processes, one daemon."""

from __future__ import annotations

import json
import os
import pydoc_data.topics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Daemon, wait_until

import fcached

WORKER = Path(__file__).with_name("lm_eval_worker.py")
TASKS = ("choices", "continued", "perplexity")
CHOICES, CONTINUED, TEXTS = 30, 16, 8
REQUESTS = 4 * CHOICES + CONTINUED + TEXTS
SECONDS = 0.06
"""Extra time of each batch, so that the time two processes save does not depend on the machine."""

TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
num_fewshot: 0
metadata:
  version: 1.0
"""
KINDS = {
    "choices": """
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
  - metric: acc_norm
""",
    "continued": """
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: 6
  do_sample: false
metric_list:
  - metric: exact_match
""",
    "perplexity": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: word_perplexity
  - metric: bits_per_byte
""",
}


def _documents() -> dict[str, list[dict[str, Any]]]:
    """Of Python's manual, which the model was trained on."""
    manual = "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    lines = [line.split() for line in manual.splitlines() if len(line.split()) > 8]
    halves = [(" ".join(line[:5]), " " + " ".join(line[5:])) for line in lines]
    choices = [
        {
            "text": halves[4 * n][0],
            "choices": [end for _, end in halves[4 * n : 4 * n + 4]],
            "answer": 0,
        }
        for n in range(CHOICES)
    ]
    continued = [{"text": text, "answer": end} for text, end in halves[-CONTINUED:]]
    texts = [{"text": "".join(sum(halves[n : n + 3], ()))} for n in range(200, 200 + TEXTS)]
    return {"choices": choices, "continued": continued, "perplexity": texts}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the harness's --include_path."""
    directory = tmp_path_factory.mktemp("tasks")
    for name, documents in _documents().items():
        data = directory / f"{name}.jsonl"
        data.write_text("".join(json.dumps(document) + "\n" for document in documents))
        task = TASK.format(name=name, data=data) + KINDS[name]
        (directory / f"{name}.yaml").write_text(task)
    return directory


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The harness uses no network, and writes only to directories of the test."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


class Evaluations:
    """Starts workers, all of them ready before one begins."""

    def __init__(self, model: Path, tasks: Path, environment: dict[str, str]) -> None:
        self._command = [sys.executable, str(WORKER), str(model), str(tasks)]
        self._environment = environment

    @contextmanager
    def started(self, socket: str | None, **settings: Any) -> Iterator[subprocess.Popen[str]]:
        given = {"seconds": 0.0, "batch_size": 1, "socket": socket, **settings}
        with subprocess.Popen(
            [*self._command, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *sockets: str | None, **settings: Any) -> list[dict[str, Any]]:
        with ExitStack() as stack:
            all_of = [stack.enter_context(self.started(each, **settings)) for each in sockets]
            begin(all_of)
            results = [result(process) for process in all_of]
        return results


def begin(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert _line(process, "ready").strip() == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_line(process, "{"))
    return found


def _line(process: subprocess.Popen[str], start: str) -> str:
    """The next line that begins so: models print this and that."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line
    raise AssertionError(f"the worker ended with status {process.wait()}")


@pytest.fixture(scope="module")
def evaluations(model: Any, tasks: Path, environment: dict[str, str]) -> Evaluations:
    return Evaluations(model.base, tasks, environment)


@pytest.fixture(scope="module")
def plain(evaluations: Evaluations) -> dict[str, Any]:
    """One process, nothing shared, a slow model."""
    return evaluations.run(None, seconds=SECONDS)[0]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["answers"] == other["answers"] and _numbers(one) == _numbers(other)


def _numbers(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each task's metrics."""
    return {
        task: {k: v for k, v in found["results"][task].items() if isinstance(v, (int, float))}
        for task in TASKS
    }


def kept(found: dict[str, Any]) -> int:
    """How many of a run's answers are stored: all but the empty ones, which each computes."""
    return REQUESTS - sum(answer == [[""]] for answer in found["answers"]["continued"].values())


def entries(daemon: Daemon) -> int:
    with fcached.Client("tiny-model", socket=daemon.socket) as client:
        return int(client.server_stats().daemon["entries"])


def test_processes_in_parallel_divide_requests(
    evaluations: Evaluations, plain: dict[str, Any], daemon: Daemon
) -> None:
    both = evaluations.run(daemon.socket, daemon.socket, seconds=SECONDS)
    assert same(both[0], plain) and same(both[1], plain)
    assert sum(found["batches"] for found in both) == kept(plain) + 2 * (REQUESTS - kept(plain))
    assert plain["batches"] == REQUESTS and entries(daemon) == kept(plain)
    assert max(found["seconds"] for found in both) <= 0.6 * plain["seconds"]


def test_run_killed_continues_when_restarted(
    evaluations: Evaluations, plain: dict[str, Any], daemon: Daemon
) -> None:
    with evaluations.started(daemon.socket, seconds=SECONDS) as process:
        begin([process])
        wait_until(lambda: entries(daemon) >= 30, "some requests are computed")
        process.kill()
        process.wait()
    before = entries(daemon)
    again = evaluations.run(daemon.socket)[0]
    assert same(again, plain)
    assert again["batches"] == plain["batches"] - before


def test_batches_in_parallel_match_plain_run(evaluations: Evaluations, daemon: Daemon) -> None:
    """Padding changes the last bits of log-probs, but not the reported scores."""
    alone, *both = evaluations.run(None, daemon.socket, daemon.socket, batch_size=8)
    for found in both:
        for task, numbers in _numbers(found).items():
            assert numbers == pytest.approx(_numbers(alone)[task], rel=1e-4)
    assert both[0]["answers"] == both[1]["answers"]
    assert entries(daemon) == kept(alone)


class Command:
    """A run of the command and its output."""

    def __init__(
        self, module: str, model: Path, tasks: Path, output: Path, environment: dict[str, str]
    ) -> None:
        arguments = ["--model", "hf", "--device", "cpu", "--batch_size", "1", "--log_samples"]
        arguments += ["--model_args", f"pretrained={model},dtype=float32"]
        arguments += ["--tasks", ",".join(TASKS), "--include_path", str(tasks)]
        self._output = output
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--output_path", str(output)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[dict[str, Any], str]:
        """Its results and its log."""
        _, log = self._process.communicate()
        assert self._process.returncode == 0, log
        (written,) = self._output.glob("**/results_*.json")
        found: dict[str, Any] = json.loads(written.read_text())["results"]
        return found, log


def test_command_shares_answers(
    model: Any, tasks: Path, environment: dict[str, str], daemon: Daemon, tmp_path: Path
) -> None:
    shared = {**environment, "FCACHE_SOCKET": daemon.socket}
    plain = Command("lm_eval", model.base, tasks, tmp_path / "plain", environment)
    first = Command("fcached.lm_eval", model.base, tasks, tmp_path / "first", shared)
    expected, _ = plain.end()
    assert first.end()[0] == expected
    again = Command("fcached.lm_eval", model.base, tasks, tmp_path / "again", shared)
    found, log = again.end()
    assert found == expected
    for method, count in (("loglikelihood", 4 * CHOICES), ("loglikelihood_rolling", TEXTS)):
        assert f"{method}: {count} requests, {count} different: {count} found, 0 computed" in log


def test_command_without_model_fails_as_harness(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "fcached.lm_eval", "ls", "--help"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0 and "ls" in ran.stdout
