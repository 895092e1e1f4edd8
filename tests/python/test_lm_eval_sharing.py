"""Calls of a model's methods by one worker and by several, on a daemon that is simulated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from lm_eval_fakes import Daemon, Hook, Model, Request, Worker

from fcached.errors import BatchError, EncodeError
from fcached.lm_eval import keys

METHODS: dict[str, Callable[[int], Request]] = {
    "loglikelihood": lambda n: Request((f"context {n // 4:05}", f" ending {n}")),
    "loglikelihood_rolling": lambda n: Request((f"text {n:05}",)),
    "generate_until": lambda n: Request((f"question {n:05}", {"until": ["\n"]})),
}


def requests_of(method: str, count: int, first: int = 0) -> list[Request]:
    return [METHODS[method](n) for n in range(first, first + count)]


def plain(method: str, requests: list[Request]) -> Any:
    return getattr(Model(), method)(requests)


def run(workers: Sequence[Worker], method: str, requests: list[Request]) -> list[Any]:
    """The workers' calls at the same time."""
    calls = [partial(worker.call, method, requests) for worker in workers]
    return workers[0].daemon.turns.run(calls)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("together", [False, True])
def test_workers_in_parallel_divide_requests(
    daemon: Daemon, method: str, workers: int, together: bool
) -> None:
    requests = requests_of(method, 100)
    all_of = [Worker(daemon, start=0.0 if together else n / workers) for n in range(workers)]
    results = run(all_of, method, requests)
    assert results == [plain(method, requests)] * workers
    passes = Counter(str(args) for worker in all_of for args in worker.model.passes)
    assert len(passes) == 100 and set(passes.values()) == {1}
    assert len(daemon.puts) == 100 and not daemon.leases
    # One worker would take 50 s, in batches of 2. At the end a wait is one piece at most.
    assert max(daemon.turns.ended.values()) <= 50 / workers + 3


def test_worker_started_later_computes_new_requests(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood", 30)
    Worker(daemon).call("loglikelihood", requests[:20])
    second = Worker(daemon)
    assert second.call("loglikelihood", requests) == plain("loglikelihood", requests)
    assert sorted(second.model.passes) == sorted(request.args for request in requests[20:])
    third = Worker(daemon)
    assert third.call("loglikelihood", requests) == plain("loglikelihood", requests)
    assert third.model.calls == [] and len(third.client.lookups) == 1


def test_call_interrupted_loses_one_batch(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood_rolling", 40)
    first = Worker(daemon)
    batches = iter(range(7))
    first.model.before_batch = lambda: _stop() if next(batches, None) is None else None
    with pytest.raises(KeyboardInterrupt):
        first.call("loglikelihood_rolling", requests)
    assert len(daemon.values) == 14 and not daemon.leases
    second = Worker(daemon)
    assert second.call("loglikelihood_rolling", requests) == plain(
        "loglikelihood_rolling", requests
    )
    assert len(second.model.passes) == 26


def _stop() -> None:
    raise KeyboardInterrupt


def test_worker_failing_gives_up_leases(daemon: Daemon) -> None:
    requests = requests_of("generate_until", 40)
    failing, working = Worker(daemon, start=0.0), Worker(daemon, start=0.5)
    batches = iter(range(3))

    def fail() -> None:
        if next(batches, None) is None:
            raise RuntimeError("out of memory")

    failing.model.before_batch = fail
    results = run((failing, working), "generate_until", requests)
    assert isinstance(results[0], RuntimeError) and str(results[0]) == "out of memory"
    assert results[1] == plain("generate_until", requests)
    assert len(failing.model.passes) + len(working.model.passes) == 40


def test_lease_never_ended_wait_bounded(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood_rolling", 10)
    holder = Worker(daemon).client
    holder.get_many(
        "loglikelihood_rolling", "lm", [keys.key(r.args) for r in requests[:4]], lease=True
    )
    worker = Worker(daemon, wait=0.0)
    assert worker.call("loglikelihood_rolling", requests) == plain(
        "loglikelihood_rolling", requests
    )
    assert len(worker.model.passes) == 10


def test_daemon_absent_model_gets_one_call(daemon: Daemon) -> None:
    daemon.up = False
    requests = requests_of("loglikelihood", 50)
    worker = Worker(daemon)
    assert worker.call("loglikelihood", requests) == plain("loglikelihood", requests)
    assert worker.model.calls == [[request.args for request in requests]]


def test_daemon_stopping_rest_is_one_call(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood", 99)
    worker = Worker(daemon)
    batches = iter(range(2))

    def goes() -> None:
        if next(batches, None) is None:
            daemon.up = False
            worker.model.before_batch = lambda: None

    worker.model.before_batch = goes
    assert worker.call("loglikelihood", requests) == plain("loglikelihood", requests)
    assert len(worker.model.passes) == 99 and len(worker.model.calls) == 2


def test_duplicate_requests_computed_once(daemon: Daemon) -> None:
    requests = requests_of("generate_until", 6)
    repeated = [request for request in requests for _ in range(3)]
    worker = Worker(daemon)
    assert worker.call("generate_until", repeated) == plain("generate_until", repeated)
    assert len(worker.model.passes) == 6 and len(daemon.puts) == 6


def test_sampled_requests_computed_each_and_not_stored(daemon: Daemon) -> None:
    drawn = Request(("once upon a time", {"do_sample": True, "temperature": 0.7}))
    worker = Worker(daemon)
    worker.call("generate_until", [drawn] * 4)
    assert worker.model.calls == [[drawn.args] * 4] and worker.client.lookups == []
    requests = [drawn, *requests_of("generate_until", 5), drawn]
    results = worker.call("generate_until", requests)
    assert results == plain("generate_until", requests)
    assert len(daemon.values) == 5 and worker.model.calls[-1] == [drawn.args] * 2


def test_unkeyable_requests_computed_and_logged_once(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Request(("context", {1, 2}))
    worker = Worker(daemon)
    for _ in range(2):
        requests = [odd, *requests_of("loglikelihood", 3)]
        assert worker.call("loglikelihood", requests) == plain("loglikelihood", requests)
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1 and "builtins.set" in warnings[0].getMessage()
    assert len(daemon.values) == 3 and worker.model.passes.count(odd.args) == 2


def test_invalid_answers_not_stored_and_leases_given_up(daemon: Daemon) -> None:
    class Failing(Model):
        def answer(self, method: str, args: tuple[Any, ...]) -> Any:
            return "" if args[0].endswith("3") else super().answer(method, args)

    requests = requests_of("generate_until", 20)
    workers = [Worker(daemon, start=n / 2) for n in range(2)]
    workers[0].model.__class__ = Failing
    results = run(workers, "generate_until", requests)
    assert "" not in daemon.values.values() and not daemon.leases
    assert results[1] == plain("generate_until", requests)
    assert results[0][3] in ("", results[1][3])


def test_stored_invalid_answer_computed(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood", 4)
    daemon.values[keys.key(requests[1].args)] = "another program's"
    worker = Worker(daemon)
    assert worker.call("loglikelihood", requests) == plain("loglikelihood", requests)


def test_cache_hook_called_and_restored(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood", 12)
    worker = Worker(daemon)
    hook: Hook = worker.model.cache_hook
    worker.call("loglikelihood", requests)
    assert worker.model.cache_hook is hook
    assert sorted(req for _, req, _ in hook.calls) == sorted(r.args for r in requests)


def test_ambiguous_reports_put_at_end(daemon: Daemon) -> None:
    """hf-multimodal reports the text without the images."""
    requests = [
        Request((f"<image> {n // 2}", {"until": []}, {"visual": [bytes([n])]})) for n in range(8)
    ]
    worker = Worker(daemon)
    assert worker.call("generate_until", requests) == plain("generate_until", requests)
    again = Worker(daemon)
    assert again.call("generate_until", requests) == plain("generate_until", requests)
    assert again.model.passes == [] and len(daemon.puts) == 8


def test_returned_answer_replaces_reported_one(daemon: Daemon) -> None:
    class Stripping(Model):
        def generate_until(self, requests: Any) -> list[Any]:
            return [answer.upper() for answer in super().generate_until(requests)]

    requests = requests_of("generate_until", 6)
    worker = Worker(daemon)
    worker.model.__class__ = Stripping
    expected = [answer.upper() for answer in plain("generate_until", requests)]
    assert worker.call("generate_until", requests) == expected
    assert Worker(daemon).call("generate_until", requests) == expected


def test_model_without_hook_answers_shared(daemon: Daemon) -> None:
    requests = requests_of("loglikelihood", 7)
    worker = Worker(daemon)
    hook, calls = worker.model.cache_hook, worker.model.calls

    def silent(given: Any) -> list[Any]:
        calls.append([request.args for request in given])
        return plain("loglikelihood", given)  # type: ignore[no-any-return]

    del worker.model.cache_hook
    assert worker.sharing.call("loglikelihood", silent, requests) == silent(requests)
    assert len(daemon.puts) == 7 and hook.calls == []


def test_arguments_changed_by_model_keep_keys(daemon: Daemon) -> None:
    class Popping(Model):
        def generate_until(self, requests: Any) -> list[Any]:
            answers = super().generate_until(requests)
            for request in requests:
                request.args[1].pop("until")
            return answers

    worker = Worker(daemon)
    worker.model.__class__ = Popping
    worker.call("generate_until", requests_of("generate_until", 20))
    again = Worker(daemon)
    again.call("generate_until", requests_of("generate_until", 20))
    assert again.model.passes == []


def test_nested_call_passes_through(daemon: Daemon) -> None:
    worker = Worker(daemon)

    def rolling(requests: list[Request]) -> list[float]:
        windows = [Request(("", request.args[0])) for request in requests]
        scores = worker.sharing.call("loglikelihood", worker.model.loglikelihood, windows)
        return [score for score, _ in scores]

    requests = requests_of("loglikelihood_rolling", 9)
    results = worker.sharing.call("loglikelihood_rolling", rolling, requests)
    assert [
        s for s, _ in plain("loglikelihood", [Request(("", r.args[0])) for r in requests])
    ] == results
    assert set(daemon.values) == {keys.key(request.args) for request in requests}


def test_several_ranks_unshared_unless_independent(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    requests = requests_of("loglikelihood", 12)
    worker = Worker(daemon)
    worker.model.world_size = 2  # type: ignore[attr-defined]
    for _ in range(2):
        worker.call("loglikelihood", requests)
    assert worker.model.calls == [[request.args for request in requests]] * 2
    assert worker.client.lookups == []
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "2 ranks" in caplog.text and "independent_ranks" in caplog.text
    independent = Worker(daemon, independent_ranks=True)
    independent.model.world_size = 2  # type: ignore[attr-defined]
    independent.call("loglikelihood", requests)
    assert len(daemon.values) == 12


def test_model_returning_too_few_answers_raises(daemon: Daemon) -> None:
    worker = Worker(daemon)
    with pytest.raises(BatchError, match="Model.loglikelihood returned 0 answers for 2 requests"):
        worker.sharing.call("loglikelihood", lambda given: [], requests_of("loglikelihood", 2))
    assert not daemon.leases


def test_unencodable_answer_returned(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(daemon)

    def refuse(*args: Any, **kw: Any) -> bool:
        raise EncodeError("no encoding")

    monkeypatch.setattr(worker.client, "put", refuse)
    requests = requests_of("loglikelihood", 6)
    assert worker.call("loglikelihood", requests) == plain("loglikelihood", requests)
    assert not daemon.leases and caplog.text.count("no encoding") == 1


def test_call_logs_one_summary_line(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lm_eval.fcached")
    requests = requests_of("loglikelihood", 10)
    Worker(daemon).call("loglikelihood", requests[:4])
    Worker(daemon).call("loglikelihood", [*requests, requests[0]])
    assert caplog.messages[-1] == (
        "fcached: loglikelihood: 11 requests, 10 different: 4 found, 6 computed here, 0 by other "
        "workers; 0 not shared"
    )
