"""Derives the namespace of a model of lm-evaluation-harness from the facts that its answers depend
on.

It refuses unknown classes, because a namespace that omits a fact mixes the results of two models.
It knows the classes of ``lm_eval.models.huggingface`` and ``hf_vlms``, loaded from files, and those
of ``openai_completions``, whose weights the server chooses. The batch size does not count
(docs/logprobs.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import NamespaceError
from ..namespaces import Namespace, namespace_for

_LOCAL = ("lm_eval.models.huggingface", "lm_eval.models.hf_vlms")
_REMOTE = ("lm_eval.models.openai_completions",)
_LOCAL_OPTIONS = (
    *("backend", "truncation", "max_length", "max_gen_toks", "add_bos_token"),
    *("custom_prefix_token_id", "think_end_token", "enable_thinking", "softmax_dtype"),
    *("mixed_precision_dtype", "max_images", "interleave", "rgb", "image_width", "image_height"),
    *("image_max_side", "image_token"),
)
_REMOTE_OPTIONS = (
    *("base_url", "model", "tokenizer_backend", "tokenized_requests", "add_bos_token"),
    *("custom_prefix_token_id", "max_length", "max_images", "think_end_token", "_truncate"),
    *("_max_gen_toks", "_seed", "_eos_string"),
)
# Arguments of a model that do not change its answers, are counted elsewhere, or are secret.
_NOT_COUNTED = (
    *("pretrained", "peft", "delta", "tokenizer", "device", "batch_size", "max_batch_size"),
    *("parallelize", "max_memory_per_gpu", "max_cpu_memory", "offload_folder", "trust_remote_code"),
    *("num_concurrent", "max_retries", "timeout", "header", "auth_token", "api_key"),
    *("verify_certificate", "ca_cert_path"),
)
_SAMPLE = 128  # elements at either end of a tensor


def namespace_of(lm: Any, arguments: Mapping[str, Any] | None = None) -> Namespace:
    """Returns the namespace. ``arguments``: those that created the model, because not all are
    visible in it. Raises NamespaceError for an unknown model."""
    module = type(lm).__module__
    counted = {n: str(v) for n, v in (arguments or {}).items() if n not in _NOT_COUNTED}
    if module in _LOCAL:
        return _local(lm, counted)
    if module in _REMOTE:
        return _remote(lm, counted)
    raise NamespaceError(
        f"what the answers of {module}.{type(lm).__qualname__} depend on is not known here: name a "
        "namespace, as wrap's argument or in $FCACHE_NAMESPACE, that is this model's alone"
    )


def _local(lm: Any, arguments: dict[str, str]) -> Namespace:
    if not isinstance(lm.pretrained, str):
        raise NamespaceError(
            "the model was not loaded from files by lm_eval, so its weights may be any: name a "
            "namespace, as wrap's argument or in $FCACHE_NAMESPACE, that is theirs alone"
        )
    model = lm.model
    return namespace_for(
        lm.pretrained,
        adapter=lm.peft or None,
        revision=lm.revision,
        dtype=model.dtype,
        device=lm.device,
        lm_class=_class_of(lm),
        delta=str(namespace_for(lm.delta, revision=lm.revision)) if lm.delta else None,
        loaded_weights=_weights(model),
        loaded_config=_config(model.config),
        generation_config=_config(getattr(model, "generation_config", None)),
        attention=getattr(model.config, "_attn_implementation", None),
        loaded_tokenizer=_tokenizer(lm.tokenizer),
        options=_options(lm, _LOCAL_OPTIONS),
        arguments=arguments or None,
    )


def _remote(lm: Any, arguments: dict[str, str]) -> Namespace:
    """The weights behind an address may change, which its users must know."""
    facts: dict[str, Any] = {"lm_class": _class_of(lm), **_options(lm, _REMOTE_OPTIONS)}
    if lm.tokenizer is not None:
        facts["tokenizer"] = _tokenizer(lm.tokenizer)
    manifest = _canonical({**facts, "arguments": arguments})
    return Namespace(f"api-{_digest(manifest)[:16]}", manifest)


def _class_of(lm: Any) -> str:
    return f"{type(lm).__module__}.{type(lm).__qualname__}"


def _options(lm: Any, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name.lstrip("_"): getattr(lm, name, None) for name in names}
    return {
        name: value if isinstance(value, (bool, int, float, str)) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _weights(model: Any) -> str:
    """The digest of both ends of each loaded tensor. It shows a chosen subdirectory, a merged
    adapter or quantized layers, which the digests of files do not."""
    digest = hashlib.sha256()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.device.type != "meta":  # on disk until it is used
            flat = tensor.detach().flatten()
            for part in (flat[:_SAMPLE], flat[-_SAMPLE:]):
                digest.update(repr(part.cpu().tolist()).encode())
    return digest.hexdigest()


def _config(config: Any) -> str | None:
    """The digest of the loaded config, with the caller's changes and without its origin."""
    if config is None:
        return None
    settings = json.loads(config.to_json_string(use_diff=False))
    for name in ("_name_or_path", "name_or_path", "transformers_version"):
        settings.pop(name, None)
    return _digest(_canonical(settings))


def _tokenizer(tokenizer: Any) -> str:
    """The digest of the tokenizer's present state, not of its files."""
    facts: dict[str, Any] = {"class": type(tokenizer).__qualname__}
    if getattr(tokenizer, "is_fast", False):
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        # Each call of the tokenizer sets these two.
        facts["state"] = {n: v for n, v in state.items() if n not in ("truncation", "padding")}
    elif hasattr(tokenizer, "get_vocab"):
        facts["vocabulary"] = tokenizer.get_vocab()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "add_bos_token", "add_eos_token"):
        facts[name] = getattr(tokenizer, name, None)
    return _digest(_canonical(facts))


def _canonical(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
