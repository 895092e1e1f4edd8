"""Derives namespaces from the facts that a model's numbers depend on, so that no two models share
one.

    python -m fcached.namespaces MODEL [--adapter PATH] [--dtype float32] ...

prints the name, for ``export FCACHE_NAMESPACE=$(...)``.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError

if TYPE_CHECKING:
    from .digests import Digests

_MAX_MANIFEST_BYTES = 16 * 1024  # the daemon's limit
_MAX_PREFIX = 64
_MAX_TEXT = 256
# In the manifest for people, but not in the name: the origin of the files, not their content.
_INFORMATION = ("model_name", "adapter_name", "tokenizer_name", "commit")


class Namespace(str):
    """The name of a namespace, a str, with its ``manifest``: the text of a JSON object that maps
    names to strings and numbers, with sorted keys, at most 16 KiB."""

    manifest: str

    def __new__(cls, name: str, manifest: str = "{}") -> Namespace:
        size = len(manifest.encode())
        if size > _MAX_MANIFEST_BYTES:
            raise ArgumentError(
                f"the manifest of namespace {name!r} has {size} bytes; at most "
                f"{_MAX_MANIFEST_BYTES} can be stored: write long values to a file, and give its "
                "pathlib.Path"
            )
        self = super().__new__(cls, name)
        self.manifest = manifest
        return self

    def __reduce__(self) -> tuple[type[Namespace], tuple[str, str]]:
        return type(self), (str(self), self.manifest)


def _canonical(facts: object) -> str:
    """Equal facts give the same ASCII text."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _printable(text: str) -> str:
    """Escapes NUL and bytes that are not UTF-8, which strict JSON parsers refuse."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _path_of(what: str, given: object) -> str:
    """The argument as text. The TypeError for a loaded model names the path that it came from."""
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        if isinstance(path, str) and path and "\0" not in path:
            return path
        raise ArgumentError(f"{what}: {path!r} is not the name of a file, a directory or a hub id")
    for owner in (given, getattr(given, "config", None)):
        for attribute in ("name_or_path", "_name_or_path"):
            noted = getattr(owner, attribute, None)
            if isinstance(noted, str) and noted:
                raise TypeError(
                    f"{what} must be a path or a hub id, not a loaded {type(given).__name__}: "
                    f"give what it was loaded from, {what}={noted!r}"
                )
    raise TypeError(f"{what} must be a path or a hub id, not {type(given).__name__}")


def _digest_of_text(text: str) -> str:
    from . import _core

    return _core.prompt_hash(text)


def _fact(name: str, value: object, digests: Digests) -> str | int | float | None:
    """A value of ``more`` in the form for the manifest, or None to omit it."""
    from .model_files import ModelFiles

    if value is None:
        return None
    if isinstance(value, os.PathLike):
        path = _path_of(name, value)
        if not os.path.exists(path):
            raise ArgumentError(f"{name}: no file or directory {path!r}")
        return ModelFiles(name, path, every_file=True).digest(digests)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 1 << 53:  # exact in every JSON parser
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (str, int, float)):
        text = str(value)
    else:
        try:
            text = _canonical(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"{name} must be a str, a number, a bool, a list or dict of these, or a "
                f"pathlib.Path, whose content then counts; got {type(value).__name__} ({error})"
            ) from error
    if len(text) > _MAX_TEXT:
        return f"{len(text)} characters, {_digest_of_text(_canonical(text))}"
    return text


def _model_facts(
    model: object, revision: str | None, cache_dir: str | None, digests: Digests
) -> tuple[dict[str, str], str, str]:
    """The model's facts, its path, and its type from config.json (else "model")."""
    from .hub import locate
    from .model_files import ModelFiles

    name = _path_of("model", model)
    root = locate("model", name, revision, cache_dir)
    files = ModelFiles("model", root)
    if files.has("adapter_config.json"):
        base = files.config_value("adapter_config.json", "base_model_name_or_path")
        raise ArgumentError(
            f"model: {name} is an adapter: give its base, model={base or '...'!r}, and "
            f"adapter={name!r}"
        )
    files.require_weights()
    facts = {**files.digests(digests), "model_name": name}
    directory, commit = os.path.split(root)
    if os.path.basename(directory) == "snapshots":
        facts["commit"] = commit
    return facts, root, files.config_value("config.json", "model_type") or "model"


def _adapter_facts(adapter: object, cache_dir: str | None, digests: Digests) -> dict[str, str]:
    from .hub import locate
    from .model_files import ModelFiles

    name = _path_of("adapter", adapter)
    files = ModelFiles("adapter", locate("adapter", name, None, cache_dir))
    files.require_weights()
    return {"adapter": files.digest(digests), "adapter_name": name}


def _tokenizer_facts(
    tokenizer: object, model_root: str, cache_dir: str | None, digests: Digests
) -> dict[str, str]:
    """The facts of a separate tokenizer, or {} for the model's own, whose files count already."""
    from .hub import locate
    from .model_files import ModelFiles

    name = _path_of("tokenizer", tokenizer)
    root = locate("tokenizer", name, None, cache_dir)
    if os.path.realpath(root) == os.path.realpath(model_root):
        return {}
    # Its directory may be that of another model, whose weights do not matter.
    digest = ModelFiles("tokenizer", root).digest(digests, without="weights")
    return {"other_tokenizer": digest, "tokenizer_name": name}


def _more_facts(
    more: Mapping[str, object], taken: Mapping[str, object], digests: Digests
) -> dict[str, str | int | float]:
    facts = {}
    for name, value in more.items():
        if name in taken or name in _INFORMATION:
            raise ArgumentError(f"{name!r} is reserved in the manifest: choose another name")
        fact = _fact(name, value, digests)
        if fact is not None:
            facts[name] = fact
    return facts


def _prefix(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip("-")[:_MAX_PREFIX] or "model"


def namespace_for(
    model: str | os.PathLike[str],
    *,
    adapter: str | os.PathLike[str] | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    dtype: Any = None,
    device: Any = None,
    libraries: Iterable[str] | None = None,
    label: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    **more: Any,
) -> Namespace:
    """Returns the namespace of a model's results, derived from the facts that they depend on.

    Equal files give equal names in any directory. Other content, another dtype, kind of device,
    library version or value of ``more`` gives another name.

    model: a directory, a single file (``.gguf``), or a hub id. A hub id is looked up in the local
        Hugging Face cache (``cache_dir``, else ``$HF_HOME`` and related variables) at ``revision``
        (default "main"). Nothing is downloaded. If loading the model may download a newer
        revision, load it first.
    adapter, tokenizer: as model. The tokenizer in the model's directory always counts.
    dtype: a name, or a dtype of torch or numpy. "fp32" is "float32". None omits the fact, which is
        right if all workers use the same.
    device: "cuda:1" counts as "cuda" and the GPU's name. None omits the name, but not the facts by
        which the program chooses a device.
    libraries: distributions whose versions count. None: the installed ones of
        ``fcached.machine.LIBRARIES``. No distribution is imported.
    label: the prefix of the name, by default the model's type.
    more: further facts as ``name=value``: str, int, float, bool, lists and dicts of them, or a
        pathlib.Path, whose content counts. None omits the fact.

    The first call reads all files. Later calls, in any process, read only files that changed
    (:mod:`fcached.digests`). Raises ArgumentError for missing or incomplete files, and TypeError
    for a loaded model. Thread-safe."""
    from .digests import Digests
    from .machine import device_facts, dtype_name, library_facts, variable_facts

    cache = None if cache_dir is None else os.fspath(cache_dir)
    facts: dict[str, str | int | float] = {}
    with Digests() as digests:
        of_model, root, kind = _model_facts(model, revision, cache, digests)
        facts.update(of_model)
        if adapter is not None:
            facts.update(_adapter_facts(adapter, cache, digests))
        if tokenizer is not None:
            facts.update(_tokenizer_facts(tokenizer, root, cache, digests))
        if dtype is not None:
            facts["dtype"] = dtype_name(dtype)
        facts.update(device_facts(device))
        facts.update(variable_facts())
        facts.update(library_facts(libraries))
        facts.update(_more_facts(more, facts, digests))
    facts = {name: _printable(v) if isinstance(v, str) else v for name, v in facts.items()}
    counted = {name: fact for name, fact in facts.items() if name not in _INFORMATION}
    digest = _digest_of_text(_canonical(counted))
    return Namespace(f"{_prefix(label or kind)}-{digest[:16]}", _canonical(facts))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns 0, or 1 after one line on stderr."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(
        prog="python -m fcached.namespaces",
        description="Print the namespace of a model's results.",
    )
    parser.add_argument("model", help="a directory, a file, or an id in the Hugging Face cache")
    for name in ("adapter", "tokenizer", "revision", "dtype", "device", "label", "cache-dir"):
        parser.add_argument(f"--{name}")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a further fact"
    )
    parser.add_argument(
        "--manifest", action="store_true", help="print the manifest instead of the name"
    )
    given = vars(parser.parse_args(arguments))
    more = {}
    for item in given.pop("set"):
        name, equals, value = item.partition("=")
        if not equals or not name:
            parser.error(f"--set takes NAME=VALUE, not {item!r}")
        more[name] = value
    shows_manifest = given.pop("manifest")
    try:
        namespace = namespace_for(given.pop("model"), **given, **more)
    except (ArgumentError, TypeError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(namespace.manifest if shows_manifest else namespace)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
