"""Where a model's files are: a path, or an id of the Hugging Face hub in its local cache.

Nothing is downloaded and ``huggingface_hub`` is not imported: the layout of the cache is public
(``models--ORG--NAME/refs/REVISION`` holds a commit, ``snapshots/COMMIT`` is a folder of links).
"""

from __future__ import annotations

import os
import re

from .errors import ArgumentError

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def _cache_folder() -> str:
    """As huggingface_hub finds it."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return os.path.expanduser(os.path.expandvars(os.environ[name]))
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache"), "huggingface"
    )
    return os.path.join(os.path.expanduser(os.path.expandvars(home)), "hub")


def _commit_of(repository: str, revision: str) -> str | None:
    """The commit that ``revision`` (a branch, a tag, a commit) stands for in the cache."""
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
    """The path of a file or folder that exists: ``name`` itself, or its snapshot in ``cache_dir``
    (None: the hub's default). ``what`` is the argument's name, for the text of the ArgumentError.
    """
    if os.path.exists(name):
        return os.path.abspath(name)
    if not _HUB_ID.fullmatch(name):
        raise ArgumentError(f"{what}: no file or folder {name!r}")
    cache = _cache_folder() if cache_dir is None else cache_dir
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
        "give its folder. For a model that has no files on this machine, name the namespace "
        "yourself: fcached.Client(namespace=...)"
    )
