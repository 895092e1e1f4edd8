"""fcached.sway with a backend: the results that its views share, and those that they never
share."""

from __future__ import annotations

import pydoc_data.topics
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Daemon
from tiny_model import TinyModel

import fcached.sway

fcached.sway.install()

from dlm_sway.backends import build, build_two_separate  # noqa: E402
from dlm_sway.core.model import ModelSpec  # noqa: E402
from dlm_sway.suite.spec import SuiteModels  # noqa: E402
from fcached.sway.backends import share  # noqa: E402
from fcached.sway.instrumentation import BackendInstrumentation  # noqa: E402

Backend = Any
Built = Callable[..., Backend]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def built(model: TinyModel, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Built]:
    """Builds backends of the tiny model that share through a daemon, by adapter."""
    monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
    made: list[Backend] = []

    def make(adapter: Path = model.adapters[0], **spec: Any) -> Backend:
        spec = {"kind": "hf", "base": str(model.base), "device": "cpu", **spec}
        made.append(build(ModelSpec(adapter=adapter, **spec)))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def dist(backend: Backend, view: str, prompt: str, *args: Any, **kwargs: Any) -> Any:
    with getattr(backend, view)(*args, **kwargs) as scored:
        return scored.next_token_dist(prompt, top_k=32)


def same(one: Any, other: Any) -> bool:
    return (
        one.token_ids.tobytes() == other.token_ids.tobytes()
        and one.logprobs.tobytes() == other.logprobs.tobytes()
        and (one.vocab_size, one.tail_logprob) == (other.vocab_size, other.tail_logprob)
    )


def counts(backend: Backend) -> tuple[int, int]:
    return backend._inst.stats.cache_hits, backend._inst.stats.forward_passes


def texts() -> list[str]:
    """Of 1 to some 250 tokens."""
    found = [text for _, text in sorted(pydoc_data.topics.topics.items())]
    return [text[: 3 * len(text) % 700 + 1] for text in found]


def test_base_view_with_disabled_adapter_bit_equal(model: TinyModel) -> None:
    """Why base passes may be shared between adapters: PEFT's disabled adapter leaves the very
    bits of the model without one, for logits of every position."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.base)
    bare = AutoModelForCausalLM.from_pretrained(model.base).eval()
    prompts = [ids for ids in (tokenizer(text).input_ids for text in texts()) if ids]
    assert len(prompts) > 60
    for adapter in model.adapters:
        loaded = AutoModelForCausalLM.from_pretrained(model.base)
        tuned = PeftModel.from_pretrained(loaded, adapter, is_trainable=False).eval()
        with torch.inference_mode():
            for ids in prompts:
                batch = torch.tensor([ids])
                expected = bare(batch).logits.numpy().tobytes()
                with tuned.disable_adapter():
                    assert tuned(batch).logits.numpy().tobytes() == expected
                assert tuned(batch).logits.numpy().tobytes() != expected


def test_adapters_share_base_passes_only(built: Built, model: TinyModel) -> None:
    one, other = (built(adapter) for adapter in model.adapters)
    base = dist(one, "as_base", "A list is")
    tuned = dist(one, "as_finetuned", "A list is")
    assert same(dist(other, "as_base", "A list is"), base)
    assert counts(other) == (1, 0)
    assert not same(dist(other, "as_finetuned", "A list is"), tuned)
    assert counts(other) == (1, 1)
    again = built(model.adapters[0])
    assert same(dist(again, "as_finetuned", "A list is"), tuned)
    assert counts(again) == (1, 0)


def test_dtype_different_shares_nothing(built: Built) -> None:
    dist(built(), "as_base", "A list is")
    half = built(dtype="bf16")
    dist(half, "as_base", "A list is")
    assert counts(half) == (0, 1)


def changed_adapter(directory: Path, model: TinyModel, **config: Any) -> Path:
    """One of a kind that changes its base."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings = {"r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **config}
    base = AutoModelForCausalLM.from_pretrained(model.base)
    get_peft_model(base, LoraConfig(**settings)).save_pretrained(directory)
    return directory


def test_adapter_changing_base_shares_no_base(
    built: Built, model: TinyModel, tmp_path: Path
) -> None:
    adapter = changed_adapter(tmp_path / "olora", model, init_lora_weights="olora")
    plain, changing = built(), built(adapter)
    one, other = (dist(backend, "as_base", "A list is") for backend in (plain, changing))
    assert counts(changing) == (0, 1)
    assert not same(one, other)  # so it would have been wrong to


def test_null_views_of_different_scale_kept_apart(built: Built) -> None:
    backend = built()
    given = [{}, {"init_scale": 0.05}, {"init_scale": 0.05, "rank_scale": 0.5}]
    given += [{"rank_scale": 0.501}, {"rank_scale": 0.499}]  # both are called null_3_rank0.50
    first = [dist(backend, "as_null_adapter", "A list is", 3, **more) for more in given]
    assert counts(backend) == (0, 5)
    other = built()
    second = [dist(other, "as_null_adapter", "A list is", seed=3, **more) for more in given]
    assert counts(other) == (5, 0)
    assert all(same(a, b) for a, b in zip(first, second))
    assert len({value.logprobs.tobytes() for value in first}) == 5


def test_scaled_views_rounding_alike_kept_apart(built: Built) -> None:
    backend = built()
    one = dist(backend, "as_scaled_adapter", "A list is", 0.501)
    other = dist(backend, "as_scaled_adapter", "A list is", 0.499)  # both are called scaled_0.50
    assert counts(backend) == (0, 2)
    assert not same(one, other)
    assert same(dist(backend, "as_scaled_adapter", "A list is", lam=0.501), one)
    assert counts(backend) == (1, 2)


def test_trace_and_stats_keep_view_ids(built: Built, tmp_path: Path) -> None:
    from dlm_sway.backends._instrumentation import TraceWriter

    backend = built()
    backend._inst.trace = TraceWriter(tmp_path / "trace.jsonl")
    dist(backend, "as_scaled_adapter", "A list is", 0.501)
    assert '"view_id": "scaled_0.50"' in (tmp_path / "trace.jsonl").read_text("utf-8")


def test_preflight_always_computes(built: Built) -> None:
    backend = built()
    for number in (1, 2):
        assert backend.preflight_finite_check() == (True, "")
        assert counts(backend) == (0, 2 * number)
    other = built()
    assert other.preflight_finite_check() == (True, "")
    assert counts(other) == (0, 2)
    prompt, top_k = other._PREFLIGHT_PROMPT, other._PREFLIGHT_TOP_K
    with other.as_base() as view:  # as sway itself has it, after its check
        view.next_token_dist(prompt, top_k=top_k)
    assert counts(other) == (1, 2)


def test_preflight_detects_broken_weights(built: Built, model: TinyModel) -> None:
    """Its passes are not put for others either: see the docstring of computing_always."""
    import torch

    backend = built()
    with torch.no_grad():
        for name, weights in backend._peft_model.named_parameters():
            if "lora_B" in name:
                weights.fill_(float("nan"))
    ok, reason = backend.preflight_finite_check()
    assert not ok
    assert "ft view produced" in reason
    sound = built()
    with sound.as_finetuned() as view:
        value = view.next_token_dist(sound._PREFLIGHT_PROMPT, top_k=sound._PREFLIGHT_TOP_K)
    assert np.isfinite(value.logprobs).all()


def test_two_models_in_one_suite_kept_apart(
    model: TinyModel, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both build their own backend, and each calls its view ft."""
    monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
    one, other = (
        ModelSpec(base=str(model.base), device="cpu", adapter=adapter) for adapter in model.adapters
    )
    pair = build_two_separate(SuiteModels(base=one, ft=other))
    values = [dist(side, "as_finetuned", "A list is") for side in (pair._base, pair._ft)]
    assert [counts(side) for side in (pair._base, pair._ft)] == [(0, 1), (0, 1)]
    assert not same(*values)
    pair.close()


def test_namespace_from_environment_is_further_fact(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist(built(), "as_base", "A list is")
    monkeypatch.setenv("FCACHE_NAMESPACE", "night-run")
    named = built()
    dist(named, "as_base", "A list is")
    assert counts(named) == (0, 1)
    assert all(client.namespace.startswith("night-run-") for client in named._inst._clients)


def test_sharing_disabled_nothing_shared(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    dist(built(), "as_base", "A list is")
    monkeypatch.setenv("FCACHE_DISABLE", "1")
    backend = built()
    for _ in range(2):
        dist(backend, "as_base", "A list is")
    assert counts(backend) == (1, 1)
    assert backend._inst._clients == []


def test_model_unknown_stays_in_process(
    built: Built, capfd: pytest.CaptureFixture[str], tmp_path: Path, model: TinyModel
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for file in model.adapters[0].iterdir():
        (adapter / file.name).write_bytes(file.read_bytes())
    backend = built(adapter)
    (adapter / "adapter_model.safetensors").unlink()  # loaded, and then gone
    for _ in range(2):
        dist(backend, "as_finetuned", "A list is")
    assert counts(backend) == (1, 1)
    logged = [line for line in capfd.readouterr().err.splitlines() if "fcached.sway" in line]
    assert len(logged) == 1
    assert "results stay in this process" in logged[0]
    assert "has no weights" in logged[0]


class Scored:
    """A view of a backend that is not sway's own."""

    id = "ft"

    def __init__(self, inst: BackendInstrumentation, value: float) -> None:
        self._inst, self._value = inst, value

    def logprob_of(self, prompt: str, completion: str) -> float:
        return self._inst.cached("logprob_of", self.id, prompt, 0, lambda: self._value)


class CustomBackend:
    """A backend of ``kind: custom``. Its number depends on a fact that fcached cannot know."""

    value = -1.0

    def __init__(self, base_spec: Any = None, adapter_path: Any = None) -> None:
        self._inst = BackendInstrumentation()

    @contextmanager
    def as_base(self) -> Iterator[Scored]:
        yield Scored(self._inst, self.value)

    as_finetuned = as_base

    def close(self) -> None:
        self._inst.close()


@pytest.fixture
def custom(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
    monkeypatch.setattr(CustomBackend, "value", -1.0)
    module = types.ModuleType("custom_backend_of_a_user")
    setattr(module, "CustomBackend", CustomBackend)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return ModelSpec(kind="custom", base="any", entry_point=f"{module.__name__}:CustomBackend")


def custom_value(spec: ModelSpec) -> float:
    backend = build(spec)
    with backend.as_base() as view:
        value = view.logprob_of("p", "c")
    backend.close()  # type: ignore[attr-defined]
    return float(value)


def test_custom_backend_shares_only_with_namespace(
    custom: ModelSpec, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert custom_value(custom) == -1.0
    monkeypatch.setattr(CustomBackend, "value", -2.0)
    assert custom_value(custom) == -2.0
    logged = capfd.readouterr().err
    assert logged.count("\n") == 2
    assert "CustomBackend stay in this process" in logged
    monkeypatch.setenv("FCACHE_NAMESPACE", "mine")
    assert custom_value(custom) == -2.0
    monkeypatch.setattr(CustomBackend, "value", -3.0)
    assert custom_value(custom) == -2.0
    assert capfd.readouterr().err == ""
    other = custom.model_copy(update={"base": "another"})
    assert custom_value(other) == -3.0


class Endpoint(CustomBackend):
    """The attributes of dlm-sway's ApiScoringBackend that share() uses. Its HTTP client may not be
    installed."""

    def __init__(self, url: str, vocab_size: int = 0) -> None:
        super().__init__()
        self.id, self._base_url, self._vocab_size = "api:small", url, vocab_size
        share(self, ModelSpec(kind="api", base="small", endpoint=url), None)

    def score(self, value: float) -> float:
        return self._inst.cached("logprob_of", self.id, "p", 0, lambda: value)


def test_endpoints_different_kept_apart(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCACHE_SOCKET", daemon.socket)
    host = "http://user:secret@localhost"
    assert Endpoint(f"{host}:8000").score(-1.0) == -1.0
    assert Endpoint(f"{host}:8000").score(-2.0) == -1.0
    assert Endpoint(f"{host}:8001").score(-3.0) == -3.0
    assert Endpoint(f"{host}:8000", vocab_size=7).score(-4.0) == -4.0
    backend = Endpoint(f"{host}:8000")
    assert "secret" not in backend._inst._find_route("api:small").view


def test_install_after_backend_import_refused() -> None:
    script = (
        "import dlm_sway.backends.dummy, fcached.sway\n"
        "try:\n    fcached.sway.install()\n"
        "except RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert "call fcached.sway.install() before" in done.stdout


def test_install_twice_changes_nothing() -> None:
    import dlm_sway.backends

    before = dlm_sway.backends.build
    fcached.sway.install()
    assert dlm_sway.backends.build is before
