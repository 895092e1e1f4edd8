"""Derives the namespaces of one backend from the facts that the numbers of its views depend on.

    kind    view    namespace of
    hf      base    model, tokenizer as loaded, dtype, device, versions
            others  the same, and the adapter
    mlx     base    model, versions
            others  the same, and the adapter
    api     all     dlm-sway's version: the keys' view has the model, the endpoint, the vocabulary
    custom all unknown: shared only if $FCACHE_NAMESPACE is set

``$FCACHE_NAMESPACE`` is a further fact, and the prefix of the names.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcached import Namespace

NamespaceOf = Callable[[str], "Namespace"]


def label() -> str | None:
    return os.environ.get("FCACHE_NAMESPACE") or None


def namespaces(backend: Any, spec: Any, adapter: Any) -> NamespaceOf | None:
    """Returns a function from a view's id to its namespace, or None if the facts are unknown. Each
    namespace is derived at its first call, from files and the loaded model, with the exceptions of
    :func:`fcached.namespace_for`."""
    if spec.kind == "hf":
        leaves_base_alone = functools.partial(_leaves_base_alone, backend)
        return _by_side(functools.partial(_hf, backend, spec), adapter, leaves_base_alone)
    if spec.kind == "mlx":  # it loads the base a second time for its base view
        return _by_side(functools.partial(_mlx, spec), adapter, lambda: True)
    if spec.kind == "api":
        return _for_all(_api)
    if label() is not None:
        return _for_all(functools.partial(_custom, spec, adapter))
    return None


def _for_all(of: Callable[[], Namespace]) -> NamespaceOf:
    once = functools.lru_cache(None)(of)
    return lambda view_id: once()


def _by_side(
    of: Callable[[Any], Namespace], adapter: Any, leaves_base_alone: Callable[[], bool]
) -> NamespaceOf:
    """Uses ``of(None)`` for the base view if that does not depend on the adapter."""
    of_side = functools.lru_cache(None)(of)

    def namespace_of(view_id: str) -> Namespace:
        return of_side(None if view_id == "base" and leaves_base_alone() else adapter)

    return namespace_of


def _hf(backend: Any, spec: Any, adapter: Any) -> Namespace:
    from fcached import namespace_for

    hf: Any = importlib.import_module("dlm_sway.backends.hf")

    return namespace_for(
        spec.base,
        adapter=adapter,
        dtype=str(hf._resolve_dtype(spec.dtype, backend._device)),
        device=backend._device,
        label=label(),
        backend="dlm-sway hf",
        **_tokenizer(backend),
    )


def _mlx(spec: Any, adapter: Any) -> Namespace:
    from fcached import namespace_for

    return namespace_for(spec.base, adapter=adapter, label=label(), backend="dlm-sway mlx")


def _api() -> Namespace:
    return _named("api", {"backend": "dlm-sway api", "dlm-sway": version("dlm-sway")})


def _custom(spec: Any, adapter: Any) -> Namespace:
    """The user's label identifies an unknown backend. The spec distinguishes its builds."""
    facts = {**spec.model_dump(mode="json"), "adapter": str(adapter or ""), "backend": "custom"}
    return _named("custom", {name: str(fact) for name, fact in facts.items() if fact is not None})


def _named(kind: str, facts: dict[str, str]) -> Namespace:
    from fcached import Namespace, prompt_hash

    manifest = json.dumps({**facts, "label": label() or ""}, sort_keys=True)
    return Namespace(f"{label() or 'sway'}-{kind}-{prompt_hash(manifest)[:16]}", manifest)


_LEAVE_BASE_ALONE = {
    *("peft_type", "task_type", "inference_mode", "auto_mapping", "peft_version"),
    *("base_model_name_or_path", "revision", "r", "lora_alpha", "lora_dropout", "use_rslora"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("rank_pattern", "alpha_pattern", "fan_in_fan_out", "modules_to_save"),
}


def _leaves_base_alone(backend: Any) -> bool:
    """True if the model with disabled adapters computes the same bits as the base model. Some
    adapters contain biases of the base, or change its weights or layers when they are loaded
    (PiSSA, OLoRA, LoftQ, ...). So the function accepts only LoRA, and only settings that are known
    to be harmless."""
    for config in backend._peft_model.peft_config.values():
        if type(config).__name__ != "LoraConfig":
            return False
        default = type(config)()
        for field in dataclasses.fields(config):
            value, usual = getattr(config, field.name), getattr(default, field.name)
            harmless = field.name in _LEAVE_BASE_ALONE or not (value or usual)
            if not harmless and value != usual:
                return False
    return True


def _tokenizer(backend: Any) -> dict[str, Any]:
    """Facts of the loaded tokenizer from its state, because the directory of an adapter often has a
    copy of the base's. A tokenizer without a readable state counts by its files if they are the
    adapter's. The base's files always count."""
    from fcached import prompt_hash

    tokenizer = backend._tokenizer
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        directory = backend._adapter_path
        return {"tokenizer": directory} if (directory / "tokenizer_config.json").exists() else {}
    state = json.loads(fast.to_str())
    for left_over in ("padding", "truncation"):  # set by the latest call
        state.pop(left_over, None)
    return {
        "loaded_tokenizer": {
            "class": type(tokenizer).__name__,
            "special": prompt_hash(
                json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)
            ),
            "state": prompt_hash(json.dumps(state, sort_keys=True)),
        }
    }
