"""Selects the files that a model's numbers depend on, and digests them in groups.

A file counts unless it is known not to matter. One too many changes the namespace and costs hits.
One too few would mix the results of two models. docs/python.md has the rules as a table.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat

from . import _core
from .digests import Digests
from .errors import ArgumentError

_IGNORED_DIRECTORIES = (
    *(".*", "__pycache__"),
    *("checkpoint-[0-9]*", "global_step[0-9]*", "runs", "logs", "wandb"),
)
_IGNORED_FILES = (
    *(".*", "*~", "*.swp", "*.tmp", "*.lock", "*.incomplete", "*.log", "*.pyc"),
    *("readme*", "license*", "licence*", "notice*", "copying*", "use_policy*", "changelog*"),
    *("*.md", "*.rst", "*.pdf", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.webp", "*.mp4"),
    *("optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "scaler.pt"),
    *("rng_state*.pth", "training_args.bin", "trainer_state.json", "events.out.tfevents.*"),
    *("all_results.json", "train_results.json", "eval_results.json"),
)
# The first matching group counts: tokenizer.model and tokenizer.bin are not weights.
_GROUPS = (
    (
        "tokenizer",
        (
            *("tokenizer*", "vocab*", "merges*", "special_tokens*", "added_tokens*"),
            *("chat_template*", "*.jinja", "*.tiktoken", "*.model", "spiece*", "sentencepiece*"),
        ),
    ),
    (
        "weights",
        (
            *("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.gguf", "*.ggml", "*.npz"),
            *("*.npy", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.pdparams"),
            *("*.distcp", "*.index.json"),
        ),
    ),
    ("code", ("*.py", "*.so", "*.cu", "*.cpp")),
    ("config", ("*.json", "*.yaml", "*.yml", "*.toml", "*.ini")),
)
# Keys under which a writer records a path or hub id that loaders of the file ignore.
_NOTED_PATHS = {
    "config.json": "_name_or_path",
    "tokenizer_config.json": "name_or_path",
    "adapter_config.json": "base_model_name_or_path",
}
_MAX_CONFIG_BYTES = 16 << 20
_MAX_FILES = 20_000
_SHARD = re.compile(r"(.*-)(\d{3,6})-of-(\d{3,6})(\.[\w.]+)")


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _group_of(name: str) -> str:
    lower = name.lower()
    return next((group for group, patterns in _GROUPS if _matches(lower, patterns)), "other")


def _walk(what: str, root: str, every_file: bool) -> dict[str, str]:
    """Maps the relative names of the files below ``root`` that count to their paths. Follows links."""
    found: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    directories = [""]
    while directories:
        relative = directories.pop()
        with os.scandir(os.path.join(root, relative)) as listing:
            for entry in listing:
                name = os.path.join(relative, entry.name)
                status = entry.stat()  # raises for a dangling link, after an interrupted download
                is_directory = stat.S_ISDIR(status.st_mode)
                ignored = _IGNORED_DIRECTORIES if is_directory else _IGNORED_FILES
                if not every_file and _matches(entry.name.lower(), ignored):
                    continue
                if stat.S_ISREG(status.st_mode):
                    found[name] = entry.path
                elif is_directory and (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))  # a link to a parent would recurse
                    # forever
                    directories.append(name)
                if len(found) > _MAX_FILES:
                    raise ArgumentError(
                        f"{what}: more than {_MAX_FILES} files in {root}: not a model's directory"
                    )
    return found


def _missing_shard(files: dict[str, str]) -> str | None:
    """The name of a missing part of ``x-00001-of-00003.y``, or None."""
    shards = [shard for shard in map(_SHARD.fullmatch, files) if shard]
    for stem, width, count, suffix in {(m[1], len(m[2]), m[3], m[4]) for m in shards}:
        for number in range(1, min(int(count), _MAX_FILES) + 1):
            part = f"{stem}{number:0{width}}-of-{count}{suffix}"
            if part not in files:
                return part
    return None


def _siblings(path: str) -> dict[str, str]:
    """A single file, or all parts of a split one. Names of parts begin at the number, because the
    text before it does not depend on the content."""
    directory, name = os.path.split(path)
    shard = _SHARD.fullmatch(name)
    if not shard:
        return {"": path}
    stem, number, count, suffix = shard.groups()
    numbers = range(1, min(int(count), _MAX_FILES) + 1)
    parts = (f"{i:0{len(number)}}-of-{count}{suffix}" for i in numbers)
    return {part: os.path.join(directory, stem + part) for part in parts}


def _read_config(path: str) -> dict[str, object] | None:
    """The object in a JSON file, or None if it contains something else."""
    try:
        with open(path, "rb") as file:
            loaded = json.loads(file.read(_MAX_CONFIG_BYTES))
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _config_digest(path: str) -> str:
    """The digest of a JSON object without the recorded path and independent of its formatting. For
    other content, the digest of the bytes."""
    config = _read_config(path)
    if config is None:
        return _core.file_digest(path)
    config.pop(_NOTED_PATHS[os.path.basename(path)], None)
    return _core.prompt_hash(json.dumps(config, sort_keys=True))


class ModelFiles:
    """The files of a model, an adapter or a tokenizer that count, or all with ``every_file``.

    The constructor raises an ArgumentError that names the argument ``what`` if ``root`` cannot be
    listed or lacks a part of a split file."""

    def __init__(self, what: str, root: str, *, every_file: bool = False) -> None:
        self.root = root
        self._what = what
        self._is_directory = os.path.isdir(root)
        try:
            self._files = _walk(what, root, every_file) if self._is_directory else _siblings(root)
        except OSError as error:
            raise self._unreadable(error) from error
        missing = None if every_file else _missing_shard(self._files)
        if missing is not None:
            raise ArgumentError(f"{what}: {root} has no {missing}: the download was cut short")

    def _unreadable(self, error: OSError) -> ArgumentError:
        return ArgumentError(f"{self._what}: {error.filename}: {error.strerror}")

    def _group(self, name: str) -> str:
        # A single file given as a model is its weights, whatever its name.
        return _group_of(os.path.basename(name)) if self._is_directory else "weights"

    def has(self, name: str) -> bool:
        """True if the top directory has a file of this name."""
        return name in self._files

    def require_weights(self) -> None:
        """Raises ArgumentError if there are none: the other files do not identify a model."""
        if not any(self._group(name) == "weights" for name in self._files):
            raise ArgumentError(
                f"{self._what}: {self.root} has no weights in it (such as *.safetensors): give the "
                "directory that has, and call this after the model has been downloaded"
            )

    def config_value(self, name: str, key: str) -> str | None:
        """The string ``key`` of the JSON file ``name`` in the top directory, or None."""
        try:
            config = _read_config(self._files[name]) if name in self._files else None
        except OSError as error:
            raise self._unreadable(error) from error
        value = (config or {}).get(key)
        return value if isinstance(value, str) else None

    def digests(self, digests: Digests) -> dict[str, str]:
        """A digest of each group that has files: "weights", "config", "tokenizer", "code", "other".
        Names relative to the directory count, but not its own path."""
        lines: dict[str, list[bytes]] = {}
        for name, path in sorted(self._files.items()):
            try:
                if os.path.basename(name) in _NOTED_PATHS:
                    digest = digests.of(path, "config", _config_digest)
                else:
                    digest = digests.of(path)
            except OSError as error:
                raise self._unreadable(error) from error
            line = os.fsencode(name) + b"\0" + digest.encode() + b"\n"
            lines.setdefault(self._group(name), []).append(line)
        return {group: _core.prompt_hash(b"".join(of)) for group, of in lines.items()}

    def digest(self, digests: Digests, without: str | None = None) -> str:
        """One digest of all groups, or of all except ``without``."""
        groups = self.digests(digests)
        groups.pop(without or "", None)
        return _core.prompt_hash(json.dumps(groups, sort_keys=True))
