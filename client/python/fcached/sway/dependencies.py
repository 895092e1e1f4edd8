"""The namespaces of one backend: what the numbers of each of its views depend on.

    kind    view    namespace of
    hf      base    model, tokenizer as loaded, dtype, device, versions
            others  the same, and the adapter
    mlx     base    model, versions
            others  the same, and the adapter
    api     all     dlm-sway's version: the keys' view has the model, the endpoint, the vocabulary
    custom  all     nobody knows: shared only where $FCACHE_NAMESPACE names it

``$FCACHE_NAMESPACE`` is one ingredient more, and what the names then begin with.
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
    """By view id; each is derived when it is first asked for, from files and from the loaded model,
    and raises what :func:`fcached.namespace_for` does. None where nobody can know."""
    if spec.kind == "hf":
        leaves_base_alone = functools.partial(_leaves_base_alone, backend)
        return _by_side(functools.partial(_hf, backend, spec), adapter, leaves_base_alone)
    if spec.kind == "mlx":  # it loads the base a second time, for its base view alone
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
    """``of(None)`` for the base view, where that does not depend on the adapter."""
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
    """The name is the user's word for what cannot be known here; builds are told apart."""
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
    """True where the model with its adapters disabled computes what the model without them does,
    bit for bit. Some adapters have the base's own biases in them, or change its weights as they are
    loaded (PiSSA, OLoRA, LoftQ, ...), or its layers: only LoRA is let through, with no setting
    beside its defaults but those that are known not to."""
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
    """What the tokenizer that was loaded does, wherever from: the folder of an adapter often has a
    copy of its base's. One without a state to tell counts by its files, where they are the
    adapter's: the base's count anyway."""
    from fcached import prompt_hash

    tokenizer = backend._tokenizer
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        folder = backend._adapter_path
        return {"tokenizer": folder} if (folder / "tokenizer_config.json").exists() else {}
    state = json.loads(fast.to_str())
    for left_over in ("padding", "truncation"):  # by the latest call
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
