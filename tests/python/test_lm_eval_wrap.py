"""fcached.lm_eval.wrap with a real daemon and a fake model."""

from __future__ import annotations

import inspect
import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Daemon
from lm_eval_fakes import Model, Request

import fcached
from fcached.lm_eval import command, identity, unwrap, wrap

REQUESTS = [Request((f"context {n // 4}", f" ending {n}")) for n in range(40)]
GENERATIONS = [Request((f"question {n}", {"until": ["\n"]})) for n in range(10)]
TEXTS = [Request((f"text {n}",)) for n in range(10)]


@pytest.fixture
def model(daemon: Daemon) -> Iterator[Model]:
    yield (shared := wrap(Model(), "a-model", socket=daemon.socket))
    unwrap(shared)


def entries(daemon: Daemon) -> int:
    with fcached.Client("another", socket=daemon.socket) as client:
        return int(client.server_stats().daemon["entries"])


def test_wrap_answers_keep_types(daemon: Daemon, model: Model) -> None:
    again = wrap(Model(), "a-model", socket=daemon.socket)
    for requests, method in (
        (REQUESTS, "loglikelihood"),
        (TEXTS, "loglikelihood_rolling"),
        (GENERATIONS, "generate_until"),
    ):
        expected = getattr(Model(), method)(requests)
        for shared in (model, again):
            answers = getattr(shared, method)(requests=requests)
            assert answers == expected
            assert [type(answer) for answer in answers] == [type(answer) for answer in expected]
    assert len(model.passes) == 60 and again.passes == []
    assert entries(daemon) == 60
    answer = again.loglikelihood(REQUESTS)[0]
    assert (type(answer[0]), type(answer[1])) == (float, bool)


def test_wrap_returns_same_object_and_unwrap_restores(daemon: Daemon) -> None:
    model = Model()
    bare = vars(model).copy()
    assert wrap(model, "a-model", socket=daemon.socket) is model
    assert inspect.signature(model.loglikelihood) == inspect.signature(Model().loglikelihood)
    assert unwrap(unwrap(model)) is model
    assert vars(model) == bare
    model.loglikelihood(REQUESTS)
    assert entries(daemon) == 0


def test_wrap_twice_uses_later_settings(daemon: Daemon) -> None:
    model = Model()
    for namespace in ("first", "first", "second"):
        wrap(model, namespace, socket=daemon.socket)
        model.loglikelihood_rolling(TEXTS)
    assert len(model.passes) == 20 and entries(daemon) == 20
    unwrap(model)
    assert "loglikelihood_rolling" not in vars(model)


def test_wrap_view_is_part_of_key(daemon: Daemon, model: Model) -> None:
    model.loglikelihood(REQUESTS)
    wrap(model, "a-model", view="merged", socket=daemon.socket).loglikelihood(REQUESTS)
    assert len(model.passes) == 80


class Drifting(Model):
    """Answers a little otherwise than the others, as with other kernels."""

    def answer(self, method: str, args: tuple[Any, ...]) -> Any:
        logprob, greedy = super().answer(method, args)
        return logprob + 0.5, greedy


def test_wrap_verify_recomputes_hits(
    daemon: Daemon, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stored = model.loglikelihood(REQUESTS)
    again = wrap(Model(), "a-model", socket=daemon.socket, verify=1.0)
    assert again.loglikelihood(REQUESTS) == stored
    assert len(again.passes) == len(REQUESTS) and not caplog.records
    monkeypatch.setenv("FCACHE_VERIFY", "1")
    drifting = wrap(Drifting(), "a-model", socket=daemon.socket)
    assert drifting.loglikelihood(REQUESTS) == Drifting().loglikelihood(REQUESTS) != stored
    assert sum("verify" in record.getMessage() for record in caplog.records) == len(REQUESTS)
    monkeypatch.delenv("FCACHE_VERIFY")
    assert wrap(Model(), "a-model", socket=daemon.socket).loglikelihood(REQUESTS) == stored


def test_wrap_without_daemon_changes_nothing(tmp_path: Any) -> None:
    model = wrap(Model(), "a-model", socket=str(tmp_path / "none.sock"))
    assert model.loglikelihood(REQUESTS) == Model().loglikelihood(REQUESTS)
    assert model.calls == [[request.args for request in REQUESTS]]


def test_wrap_daemon_stopping_returns_answers(daemon: Daemon, model: Model) -> None:
    batches = iter(range(3))

    def stop() -> None:
        if next(batches, None) is None:
            daemon.stop()

    model.before_batch = stop
    assert model.loglikelihood(REQUESTS) == Model().loglikelihood(REQUESTS)
    assert len(model.passes) == 40


def test_wrap_unknown_model_needs_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fcached.NamespaceError, match="lm_eval_fakes.Model .*FCACHE_NAMESPACE"):
        wrap(Model())
    monkeypatch.setenv("FCACHE_DISABLE", "1")
    model = wrap(Model())
    assert model.loglikelihood(REQUESTS) == Model().loglikelihood(REQUESTS)


class RemoteModel(Model):
    """The attributes of lm_eval's API models that identity uses."""

    base_url, model, _max_gen_toks, max_length = "http://127.0.0.1:8000/v1", "llama", 256, 2047
    tokenizer: Any = None


def test_namespace_of_api_model_depends_on_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemoteModel, "__module__", "lm_eval.models.openai_completions")
    names = [identity.namespace_of(RemoteModel())]
    for attribute, value in (
        ("base_url", "http://127.0.0.1:8001/v1"),
        ("model", "llama-chat"),
        ("_max_gen_toks", 128),
    ):
        other = RemoteModel()
        setattr(other, attribute, value)
        names.append(identity.namespace_of(other))
    names.append(identity.namespace_of(RemoteModel(), {"header": "{}", "extra": "x"}))
    assert len(set(names)) == 5
    same = {"auth_token": "secret", "num_concurrent": "8", "batch_size": 4}
    namespace = identity.namespace_of(RemoteModel(), same)
    assert namespace == names[0] and "secret" not in namespace.manifest


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Fakes the modules of lm_eval that the command uses. The list contains the created models."""
    made: list[Any] = []

    class Named(Model):
        @classmethod
        def create_from_arg_string(cls, arg_string: str, config: Any = None) -> Any:
            return cls()

        @classmethod
        def create_from_arg_obj(cls, arg_dict: Any, config: Any = None) -> Any:
            return cls()

    def module(name: str, **members: Any) -> types.ModuleType:
        found = types.ModuleType(name)
        vars(found).update(members)
        monkeypatch.setitem(sys.modules, name, found)
        return found

    registry = module("lm_eval.api.registry", get_model=lambda name: Named)

    def cli_evaluate() -> None:
        maker = registry.get_model("named")
        made.append(maker.create_from_arg_string("pretrained=x", {"batch_size": 1}))
        made.append(maker.create_from_arg_obj({"pretrained": "x"}, {"batch_size": 1}))

    module("lm_eval")
    module("lm_eval.api")
    module("lm_eval.utils", simple_parse_args_string=lambda text: {"pretrained": text})
    module("lm_eval.__main__", cli_evaluate=cli_evaluate)
    return made


def test_command_wraps_created_models(
    daemon: Daemon, harness: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
    monkeypatch.setenv("FCACHE_NAMESPACE", "a-model")
    command.main()
    for model in harness:
        model.loglikelihood(REQUESTS)
    assert [len(model.passes) for model in harness] == [40, 0]


def test_command_without_namespace_runs_unshared(
    harness: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    command.main()
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert "sharing is off: what the answers of" in caplog.messages[0]
    assert all("loglikelihood" not in vars(model) for model in harness)


def test_command_without_harness_names_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(sys)["modules"], "lm_eval", None)
    with pytest.raises(SystemExit, match="pip install lm-eval"):
        command.main()
