"""The memory of a hit's arrays: views of the buffer that received the hit, which is the caller's."""

from __future__ import annotations

import dataclasses
import gc
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from client_help import never, open_client
from conftest import Daemon
from fcached._core import decode, encode
from fcached.errors import DecodeError
from values_support import DTYPES, SLOTS, random_array, read_independently, same

import fcached

SMALL_BYTES = 64 << 10  # the largest block that any of its arrays keeps alive


@fcached.register
@dataclasses.dataclass(frozen=True, **SLOTS)
class Two:
    """A value as that of a scoring backend."""

    ids: Any
    scores: Any
    size: int = 0
    tail: float | None = None


def get_many(client: fcached.Client) -> Any:
    return client.get_many("op", "base", ["p"])[0]


def cached_batch(client: fcached.Client) -> Any:
    return client.cached_batch("op", "base", ["p"], 0, lambda misses: [never()])[0]


HITS: dict[str, Callable[[fcached.Client], Any]] = {
    "get": lambda client: client.get("op", "base", "p"),
    "get_many": get_many,
    "cached": lambda client: client.cached("op", "base", "p", 0, never),
    "cached_batch": cached_batch,
    "_local": lambda client: client._local("op", "base", "p", 0),
}


def two(seed: int = 1, n: int = 256) -> Two:
    ids = np.random.default_rng(seed).permutation(n).astype(np.int64)
    return Two(ids, (ids / 7).astype(np.float32), 32_000, -3.0)


def arrays_of(value: Any) -> list[Any]:
    """All arrays in a value."""
    if isinstance(value, np.ndarray):
        return [value]
    if dataclasses.is_dataclass(value):
        return arrays_of([getattr(value, field.name) for field in dataclasses.fields(value)])
    if isinstance(value, dict):
        return arrays_of(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in arrays_of(part)]
    return []


def check_memory(value: Any) -> None:
    """Each array is aligned and writable, and no two share memory."""
    arrays = arrays_of(value)
    for array in arrays:
        assert array.flags.writeable
        assert array.flags.aligned or not array.itemsize
        assert array.ctypes.data % max(1, array.dtype.alignment) == 0 or not array.size
    for i, array in enumerate(arrays):
        for other in arrays[:i]:
            assert not np.shares_memory(array, other)


@pytest.mark.parametrize("region", [True, False])
@pytest.mark.parametrize("name", HITS)
def test_write_into_result_changes_no_other(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, name: str, region: bool
) -> None:
    if not region:
        monkeypatch.setenv("FCACHE_REGION", "0")
        if name == "_local":
            return  # it has no hits then
    hit = HITS[name]
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, two())
        one, other = hit(client), hit(client)
        check_memory([one, other])
        one.ids[:] = -1
        assert same(one.scores, two().scores) and same(other, two())
        other.scores[:] = 0
        assert same(other.ids, two().ids) and same(hit(client), two())
        assert (one.ids == -1).all() and same(one.scores, two().scores)


def test_result_outlives_client_and_later_hits(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        kept = []
        for seed in range(50):  # of different sizes, so that buffers are used again and replaced
            n = 1 + seed * 37 % 400
            client.put("op", "base", f"p{seed}", 0, two(seed, n))
            kept.append((client.get("op", "base", f"p{seed}"), seed, n))
            if seed % 3 == 0:
                del kept[seed // 2]
        for value, seed, n in kept:
            assert same(value, two(seed, n))
    del client
    gc.collect()
    for value, seed, n in kept:
        assert same(value, two(seed, n))
    scores = kept[-1][0].scores
    expected = scores.copy()
    del kept, value
    two(), [bytes(3000) for _ in range(100)]
    assert same(scores, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_aligned_at_every_offset(daemon: Daemon, dtype: Any) -> None:
    """The name before an array moves its bytes in the encoding."""
    dtype = np.dtype(dtype)
    with open_client(daemon) as client:
        for shift in range(18):
            arrays = [
                np.ones(shape, dtype, order="F") if dtype.kind != "V" else np.zeros(shape, dtype)
                for shape in ((), (3,), (2, 0), (2, 3), (5, 1, 2))
            ]
            value = {"n" * shift: arrays, "more": arrays[1], "last": [b"x" * shift, arrays[3]]}
            client.put("op", "base", "p", 0, value)
            for result in (client.get("op", "base", "p"), decode(encode(value))):
                assert same(result, value)
                check_memory(result)


def test_random_arrays_keep_their_memory_apart(daemon: Daemon) -> None:
    generator = random.Random(17)
    with open_client(daemon) as client:
        for _ in range(150):
            arrays = [random_array(generator) for _ in range(generator.randrange(1, 5))]
            value = [arrays, Two(arrays[0], {"deep": (arrays[-1],)})]
            client.put("op", "base", "p", 0, value)
            result = client.get("op", "base", "p")
            assert same(result, value)
            check_memory([array for array in arrays_of(result) if not array.dtype.hasobject])


@pytest.mark.parametrize("n", [1, SMALL_BYTES // 8 - 100, SMALL_BYTES // 8 + 100, 200_000])
def test_values_of_all_sizes_round_trip(daemon: Daemon, n: int) -> None:
    with open_client(daemon) as client:
        for value in (two(3, n), [two(3, n), np.float32([1, 2]), two(4, 3)], two(3, n).ids):
            client.put("op", "base", "p", 0, value)
            for result in (client.get("op", "base", "p"), decode(encode(value))):
                assert same(result, value)
                check_memory(result)


def test_small_array_does_not_keep_large_value_alive(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        for value in ([np.zeros(200_000), np.ones(3)], [np.ones(3), np.zeros(200_000)]):
            client.put("op", "base", "p", 0, value)
            result = client.get("op", "base", "p")
            small = min(result, key=len)
            assert sys.getsizeof(small.base) < 1000 or small.flags.owndata
            client.put("op", "base", "q", 0, two())
            sizes = {sys.getsizeof(client.get("op", "base", "q").ids.base) for _ in range(3)}
            assert max(sizes) < 5000  # though the buffer of the hit before had 1.6 MB


def test_buffer_of_larger_hit_not_kept_by_small_result(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "bytes", 0, b"x" * 500_000)
        client.put("op", "base", "p", 0, two())
        for _ in range(3):
            assert len(client.get("op", "base", "bytes")) == 500_000
            result = client.get("op", "base", "p")
            assert same(result, two()) and sys.getsizeof(result.ids.base) < 5000


def test_result_made_read_only_can_be_made_writable(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, two())
        ids = client.get("op", "base", "p").ids
    ids.flags.writeable = False
    with pytest.raises(ValueError):
        ids[0] = 1
    ids.flags.writeable = True
    ids[0] = 1
    assert memoryview(ids).contiguous and not memoryview(ids).readonly


def test_undecodable_value_with_arrays_computed_again(daemon: Daemon) -> None:
    """The arrays before the part that is not valid have taken the buffer."""
    with open_client(daemon) as client, pytest.warns(RuntimeWarning, match="computed again"):
        client.put("op", "base", "p", 0, [two(), Unknown()])
        del fcached_names["Unknown"]
        assert client.cached("op", "base", "p", 0, lambda: [1]) == [1]
        assert client.cached("op", "base", "p", 0, never) == [1]
        client.put("op", "base", "q", 0, two())
        assert same(client.get("op", "base", "q"), two())


class Unknown:
    """Its decode function fails after the test deleted its name."""


fcached_names = {"Unknown": Unknown}
fcached.register(
    Unknown, name="Unknown", encode=lambda _: None, decode=lambda _: fcached_names["Unknown"]()
)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i8", "<f4", "|b1", "<c16"])
def test_known_head_with_changed_byte_read_as_new(dtype: str, order: Any) -> None:
    """A head that was decoded before is compared and not read. One changed byte makes another."""
    array = np.ones((3, 2), dtype, order=order)
    valid = encode([array, array])
    for at in range(len(valid)):
        for flip in (0x01, 0x02, 0x80, 0xFF):
            changed = bytearray(valid)
            changed[at] ^= flip
            assert same(decode(valid), [array, array])  # the heads are known now
            try:
                result = decode(bytes(changed))
            except DecodeError:
                continue
            assert same(result, read_independently(bytes(changed)))
    for end in range(len(valid)):
        assert same(decode(valid), [array, array])
        with pytest.raises(DecodeError):
            decode(valid[:end])


def test_known_head_without_its_data_refused() -> None:
    """A slot of the table of heads is found by the size of the content, among others. With a
    sanitizer this test also fails if data behind the content are read."""
    array = np.ones((3, 2))
    valid = encode(array)
    content = valid[6:]
    sizes = [size for size in range(len(content) + 400) if size != len(content)]
    for size in sizes:
        assert same(decode(valid), array)
        other = content[:size] + b"\0" * (size - len(content))
        with pytest.raises(DecodeError):
            decode(b"\xc9" + size.to_bytes(4, "big") + b"\x04" + other)
