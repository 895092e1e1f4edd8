"""The vectors and dumps of docs/protocol.md and docs/region.md, against the client that was written from them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Optional

import msgpack
import pytest
from conftest import TIMEOUT_S, Daemon
from stranger import messages as m
from stranger import region, ring, wire
from stranger.client import hash_of
from stranger.support import blocks, dump
from stranger.wire import Fields, frame

DUMPS = {name: dump(text) for name, text in blocks("protocol.md", "hex")}
BOOT = 0x0123456789ABCDEF
HELLO = m.Key("next_token_dist", "base", 50, hash_of(b"hello"))
MANIFEST = '{"model": "gpt2"}'


def of(*prompts: bytes) -> m.Key:
    return HELLO._replace(prompt=b"".join(map(hash_of, prompts)))


def hello(
    versions: tuple[int, int], max_entries: Optional[int], layout: int, manifest: Optional[str]
) -> list[object]:
    return m.hello(versions, "worker-1", "gpt2-r1", max_entries, layout, manifest)


REQUESTS: dict[str, tuple[int, int, Sequence[object]]] = {
    "hello": (m.HELLO, 0, hello((1, 1), 100000, 0, None)),
    "hello_manifest": (m.HELLO, 0, hello((1, 4), None, 0, MANIFEST)),
    "hello_region": (m.HELLO, 1, hello((1, 5), None, 2, None)),
    "get": (m.GET, 1, m.get(1, 0, HELLO, "ablation", 0, 0)),
    "get_lease": (m.GET, 4, m.get(3, m.LEASE, HELLO, "ablation", 60000, 30000)),
    "get_many": (m.GET_MANY, 2, m.get_many(3, m.LEASE, of(b"hello", b"a", b""), None, 60000)),
    "put": (m.PUT, 2, m.put(2, HELLO, "ablation", BOOT, 2, 12000000, b"the result")),
    "put_many": (
        m.PUT_MANY,
        3,
        m.put_many(2, of(b"a", b""), None, BOOT, 2, 24000000, 2, [b"A", None]),
    ),
    "give_up": (m.GIVE_UP, 5, HELLO),
    "namespaces": (m.NAMESPACES, 6, [None, 500, b""]),
    "list": (m.LIST, 4, ["gpt2-r1", None, None, 100, b"", 0, 0]),
    "clear": (m.CLEAR, 5, ["gpt2-r1", "base", None, False]),
    "ping": (m.PING, 6, []),
    "ring": (m.RING, 2, [2, 32768]),
}

SERVER = "fcached 0.1.0"
LIMITS = (16777216, 17825792)
ENTRY = ("gpt2-r1", *HELLO[:2], HELLO.prompt, 50, 10, 240, 12000000, 10000000, 1)
REPLIES: dict[str, tuple[int, int, Callable[[Fields], object], object]] = {
    "welcome": (0x41, 0, m.welcome, m.Welcome(1, SERVER, BOOT, 2, *LIMITS)),
    "welcome_region": (
        0x41,
        1,
        m.welcome,
        m.Welcome(5, SERVER, BOOT, 2, *LIMITS, 0x1122334455667788, 7),
    ),
    "miss": (0x42, 1, lambda f: m.got(f, 1), m.Got(2, None)),
    "hit": (0x42, 3, lambda f: m.got(f, 3), m.Got(2, b"the result")),
    "granted": (0x42, 4, lambda f: m.got(f, 3), m.Got(2, None, m.GRANTED)),
    "taken": (0x42, 4, lambda f: m.got(f, 3), m.Got(2, None, m.TAKEN)),
    "none": (0x42, 4, lambda f: m.got(f, 3), m.Got(2, None, m.NONE)),
    "stored": (0x43, 2, m.outcome, m.STORED),
    "get_many_reply": (
        0x44,
        2,
        lambda f: m.part(f, 3, m.LEASE),
        m.Part(2, 0, True, [b"the result", None, None], b"\1\2"),
    ),
    "put_many_reply": (0x45, 3, m.counts, m.Counts(1, 0, 0, 1)),
    "cleared": (0x48, 5, Fields.u64, 1),
    "list_reply": (0x49, 4, lambda f: m.page(f, m.entry), (b"", [m.Entry(*ENTRY)])),
    "pong": (0x46, 6, lambda f: None, None),
    "ring_reply": (0x50, 2, m.another_ring, True),
    "given_up": (0x4C, 5, Fields.u32, 1),
    "namespaces_reply": (
        0x4F,
        6,
        lambda f: m.page(f, m.namespace),
        (b"", [m.Namespace("gpt2-r1", MANIFEST, 1, 240, 1, 1, 1, 10000000)]),
    ),
    "error": (
        0x7F,
        1,
        lambda f: (f.u32(), f.text()),
        (wire.EMAXENTRIES, "max_entries must be positive; got 0"),
    ),
}


def test_dumps_of_the_page_are_all_known() -> None:
    assert set(DUMPS) == set(REQUESTS) | set(REPLIES)


@pytest.mark.parametrize("name", REQUESTS)
def test_request_has_the_bytes_of_the_page(name: str) -> None:
    assert frame(*REQUESTS[name]).hex(" ") == DUMPS[name].hex(" ")


@pytest.mark.parametrize("name", REPLIES)
def test_reply_of_the_page_is_understood(name: str) -> None:
    type, id, parse, expected = REPLIES[name]
    data = DUMPS[name]
    assert data[:8] == wire.MAGIC + (len(data) - 8).to_bytes(4, "big")
    body = msgpack.unpackb(data[8:])
    assert body[:2] == [type, id]
    assert parse(Fields(body[2:])) == expected
    assert parse(Fields([*body[2:], "from a later version"])) == expected
    if len(body) > 2:
        with pytest.raises(wire.Malformed):
            parse(Fields(body[2:-1]))


def lines(page: str, kind: str) -> list[list[str]]:
    [(_, text)] = blocks(page, kind)
    return [line.split("  ") for line in text.splitlines()]


def test_hash_vectors_are_those_of_the_page() -> None:
    vectors = lines("protocol.md", "vectors")
    assert len(vectors) == 6
    for prompt, expected in vectors:
        assert hash_of(bytes.fromhex(prompt)).hex() == expected


def test_digest_vectors_are_those_of_the_page() -> None:
    vectors = lines("region.md", "digests")
    assert len(vectors) == 7
    for namespace_id, op, view, top_k, prompt, expected, n_buckets, number in vectors:
        key = m.Key(op, view, int(top_k), bytes.fromhex(prompt))
        d = region.digest(int(namespace_id, 16), key)
        assert (f"{d:016x}", region.bucket(d, int(n_buckets))) == (expected, int(number))


def test_code_of_the_digest_agrees_with_the_client() -> None:
    [(_, code)] = blocks("region.md", "python digest")
    names: dict[str, Callable[..., int]] = {}
    exec(code, names)
    fields = (HELLO.op.encode(), HELLO.view.encode(), HELLO.top_k, HELLO.prompt)
    assert names["digest"](7, *fields) == region.digest(7, HELLO)


def test_checksum_vectors_are_those_of_the_page() -> None:
    vectors = lines("region.md", "checksums")
    assert len(vectors) == 7
    for d, value, expected in vectors:
        byte, count = value.split("*")
        assert f"{region.checksum(int(d, 16), bytes.fromhex(byte) * int(count)):08x}" == expected


def test_records_of_the_ring_have_the_bytes_of_the_page() -> None:
    [text] = [text for name, text in blocks("region.md", "hex") if name == "ring"]
    d = region.digest(0x1122334455667788, HELLO)
    hit = region.Hit(b"the result", 12000000, 1 << 32 | 7, d)
    records = ring.context_record(0, HELLO.op, HELLO.view, "ablation")
    records += ring.hit_record(0, HELLO, hit, 0, 5000000000, 1200)
    assert records.hex(" ") == dump(text).hex(" ")


def test_program_of_the_page_computes_once(daemon: Daemon) -> None:
    [program] = [text for _, text in blocks("protocol.md", "python") if "class Cache" in text]
    environment = {**os.environ, "FCACHE_SOCKET": daemon.socket}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (result.stdout, result.stderr) == ("computing\nb'HELLO'\nb'HELLO'\n", "")
