"""The tools of `make storm-neighbours`: its bad neighbours send the intended messages."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import msgpack
import pytest
import xxhash

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "neighbours"))

from measurements import Comparison, Latencies, Phase  # noqa: E402
from wire import decode, encode, repeated  # noqa: E402
from xxh3 import colliding, digest_of_letter  # noqa: E402

VALUES = [
    None,
    True,
    False,
    0,
    127,
    128,
    2**64 - 1,
    -1,
    "",
    "\u00e9" * 300,
    b"",
    b"x" * 300,
    [1, [2]],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_messages_fields_are_msgpack(value):
    assert msgpack.unpackb(encode(value)) == value
    assert decode(msgpack.packb(value)) == (value, len(msgpack.packb(value)))


def test_replies_of_every_kind_parsed():
    reply = {"a": 1.5, "b" * 40: [{}, 70_000, -70_000, b"y" * 70_000], "c": [None] * 20}
    assert decode(msgpack.packb(reply))[0] == reply
    assert msgpack.unpackb(repeated(b"z", 1000)) == [b"z"] * 1000


def test_colliding_keys_share_digest():
    seed = 0x123456789ABCDEF1
    assert digest_of_letter("o", seed) == xxhash.xxh3_64_intdigest(b"o", seed)
    names = digest_of_letter("v", digest_of_letter("o", seed))
    top_k, keys = colliding(seed, "o", "v", 500)
    tails = {keys[at : at + 16] + struct.pack("<I", top_k) for at in range(0, len(keys), 16)}
    assert len(tails) == 500
    assert len({xxhash.xxh3_64_intdigest(tail, names) for tail in tails}) == 1


def test_percentiles_of_workers_merged():
    latencies = Latencies()
    latencies.add("10:98 max:10")
    latencies.add("20:1 5000:1 max:4990")
    assert [latencies.percentile_ns(p) for p in (50, 98, 99, 100)] == [10, 10, 20, 4990]


def phase(ns: int, calls: int) -> Phase:
    result = Phase()
    result.add([f"latency put 4 MB {ns}:{calls} max:{ns}", "count late 1", "fault late of put"])
    return result


def test_p99_over_twice_quiet_fails():
    floor, calls = Comparison.FLOOR_NS, Comparison.CALLS_MIN
    assert Comparison(phase(floor, calls), phase(2 * floor, calls)).slow() == []
    assert Comparison(phase(1, calls), phase(2 * floor, calls)).slow() == []
    assert Comparison(phase(2 * floor, calls), phase(4 * floor, calls)).slow() == []
    assert Comparison(phase(floor, calls), phase(2 * floor + 1, calls)).slow() == ["put 4 MB"]
    assert Comparison(phase(floor, calls - 1), phase(3 * floor, calls)).slow() == []
    assert phase(1, 1).counts["late"] == 1 and phase(1, 1).faults == ["late of put"]
