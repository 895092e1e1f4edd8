"""Helpers of the tests of this client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Daemon

from .client import Client, hash_of
from .messages import Key
from .wire import Refused

DOCS = Path(__file__).resolve().parents[3] / "docs"
F_ADD_SEALS = 1033


def key(number: int = 0, op: str = "logprob_of", view: str = "base", top_k: int = 0) -> Key:
    return Key(op, view, top_k, hash_of(b"prompt %d" % number))


@contextmanager
def running(directory: Path, *options: str) -> Iterator[Daemon]:
    """A daemon with ``options``, which need not be those of the fixture."""
    daemon = Daemon(directory, *options)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def refused(code: int) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == code, caught.value


def figure(client: Client, name: str) -> object:
    return client.stats().daemon[name]


def blocks(page: str, kind: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each block of ``kind`` in a page."""
    text = (DOCS / page).read_text()
    for match in re.finditer(rf"^```{kind} ?(\w*)\n(.*?)^```", text, re.M | re.S):
        yield match[1], match[2]


def dump(text: str) -> bytes:
    """The bytes of a dump: pairs of hex digits, and after two spaces their meaning."""
    return bytes.fromhex("".join(line[:49].split("  ")[0] for line in text.splitlines()))
