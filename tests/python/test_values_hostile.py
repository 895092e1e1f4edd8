"""Invalid bytes raise DecodeError, and never crash or raise another error."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from fcached._core import decode, encode
from fcached.errors import DecodeError
from fcached.values import register
from values_support import Pair, random_value

register(Pair)

SEEDS = 150
MUTATIONS = 200  # of each


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",  # no value begins so
        b"\xc0\xc0",  # two values
        b"\xa2a",
        b"\xa1\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdf\x80\x00\x00\x00",
        b"\xc9\xff\xff\xff\xff\x03",
        b"\x92\x01",
        b"\x82\x01\x01\x01\x02",  # a key twice
        b"\x81\x90\x01",  # a list is no key
        b"\x81\xc7\x02\x03\x91\x90\x01",  # nor a tuple that holds one
        b"\xcb\x00",
        b"\xd6\xff\x00\x00\x00\x00",  # msgpack's time stamp
        b"\xd4\x00\x00",
        b"\xd4\x07\x00",  # no type of ours
        b"\xc7\x00\x03",  # a tuple of nothing
        b"\xc7\x02\x03\x90\x00",  # longer than its content
        b"\xc7\x01\x03\x91\x01",  # shorter
        b"\xc7\x02\x02\xff\xff",
        b"\xc7\x01\x06\x92",
        b"\xc7\x03\x06\x93\xa0\x80",
        b"\xc7\x04\x06\x92\x01\x80\x00",
    ],
    ids=bytes.hex,
)
def test_bytes_invalid_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


def test_longer_forms_decoded() -> None:
    assert decode(b"\xcf" + bytes(7) + b"\x05") == 5
    assert decode(b"\xd3" + b"\xff" * 8) == -1
    assert decode(b"\xca\x3f\x80\x00\x00") == 1.0 and decode(b"\xdd\x00\x00\x00\x01\x01") == [1]
    assert decode(b"\xd4\x03\x90") == () and decode(b"\xd9\x01a") == "a"


@pytest.mark.parametrize("argument", ["text", 1, None])
def test_decode_argument_not_bytes_refused(argument: Any) -> None:
    with pytest.raises(TypeError):
        decode(argument)


def _mutated(random_: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 5))):
        at = random_.randrange(len(changed) + 1)
        kind = random_.randrange(5)
        if kind == 0:
            del changed[at:]
        elif kind == 1:
            del changed[at : at + random_.randint(1, 4)]
        elif kind == 2:
            changed[at:at] = bytes(random_.choices(range(256), k=random_.randint(1, 4)))
        elif kind == 3 and at < len(changed):
            changed[at] ^= 1 << random_.randrange(8)
        elif at < len(changed):
            changed[at] = random_.choice(
                (0, 0x7F, 0x80, 0xC0, 0xC6, 0xC9, 0xDD, 0xFF, random_.randrange(256))
            )
    return bytes(changed)


def _small(seed: int) -> Any:
    """Values whose heads are a good part of their bytes."""
    random_ = random.Random(seed)
    value = [random_value(random_, 3) for _ in range(3)]
    records = np.zeros(2, [(("t", "a"), "i4"), ("b", [("o", "O")], (2,))])
    return (value, Pair(records, np.float32([1.5])), {"k": np.datetime64(3, "25us")})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_bytes_mutated_decode_or_raise(seed: int) -> None:
    random_ = random.Random(seed)
    data = encode(_small(seed))
    for _ in range(MUTATIONS):
        bad = _mutated(random_, data)
        try:
            value = decode(bad)
        except DecodeError:
            continue
        repr(type(value))


def test_bytes_truncated_refused() -> None:
    data = encode([_small(1), _small(2)])
    for end in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:end])
