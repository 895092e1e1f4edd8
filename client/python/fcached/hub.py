"""Finds the files of a model: by path, or by a Hugging Face hub id in the local cache.

Downloads nothing and does not import ``huggingface_hub``. The layout of the cache is public:
``models--ORG--NAME/refs/REVISION`` contains a commit, and ``snapshots/COMMIT`` is a directory of
links.
"""

from __future__ import annotations

import os
import re

from .errors import ArgumentError

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def _cache_directory() -> str:
    """The directory that huggingface_hub would use."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return os.path.expanduser(os.path.expandvars(os.environ[name]))
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface"
    )
    return os.path.join(os.path.expanduser(os.path.expandvars(home)), "hub")


def _commit_of(repository: str, revision: str) -> str | None:
    """The commit of ``revision`` (a branch, a tag or a commit) in the cache, or None."""
    if _COMMIT.fullmatch(revision):
        return revision
    if ".." in revision.split("/"):
        return None
    try:
        with open(os.path.join(repository, "refs", revision), encoding="ascii") as file:
            commit = file.read(64).strip()
    except (OSError, ValueError):
        return None
    return commit if _COMMIT.fullmatch(commit) else None


def locate(what: str, name: str, revision: str | None, cache_dir: str | None) -> str:
    """The path of an existing file or directory: ``name`` itself, or its snapshot in ``cache_dir``
    (None: the hub's default). Raises an ArgumentError that names the argument ``what``.
    """
    if os.path.exists(name):
        return os.path.abspath(name)
    if not _HUB_ID.fullmatch(name):
        raise ArgumentError(f"{what}: no file or directory {name!r}")
    cache = _cache_directory() if cache_dir is None else cache_dir
    repository = os.path.join(cache, "models--" + name.replace("/", "--"))
    revision = "main" if revision is None else revision
    commit = _commit_of(repository, revision)
    if commit is not None:
        snapshot = os.path.join(repository, "snapshots", commit)
        if os.path.isdir(snapshot):
            return snapshot
    raise ArgumentError(
        f"{what}: {name!r} is neither a path nor, at revision {revision!r}, in the Hugging Face "
        f"cache {cache}; nothing is downloaded here: call this after the model has been loaded, or "
        "give its directory. For a model that has no files on this machine, name the namespace "
        "yourself: fcached.Client(namespace=...)"
    )
