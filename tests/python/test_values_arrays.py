"""numpy's arrays and scalars of every dtype, shape and order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fcached._core import decode, encode
from fcached.errors import DecodeError, EncodeError
from values_support import DTYPES, element_bytes, read_independently, same, used_bytes

RECORDS = [
    [("a", "<i2"), ("b", ">f8")],
    [("a", "i1"), ("b", "f8", (2, 3)), ("c", "S3")],
    [("t", "M8[ns]"), ("inner", [("x", "f4"), ("y", [("z", "U2")])])],
    [(("a title", "named"), "i4"), ("x", "i8")],
    {"names": ["b", "a"], "formats": ["i4", "i2"], "offsets": [8, 1], "itemsize": 20},
    {"names": ["whole", "low"], "formats": ["<u4", "<u2"], "offsets": [0, 0]},
    [("é", "?")],
    [],
]


def came_back(array: Any) -> Any:
    back = decode(encode(array))
    assert same(back, array)
    assert back.flags.writeable and (back.flags.aligned or not back.itemsize)
    return back


@pytest.mark.parametrize("dtype", [*DTYPES, *RECORDS], ids=str)
@pytest.mark.parametrize("align", [False, True])
def test_array_of_every_dtype_round_trips(dtype: Any, align: bool) -> None:
    dtype = np.dtype(dtype, align=align and isinstance(dtype, list))
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3), (2, 1, 2)):
        size = int(np.prod(shape, dtype=int)) * dtype.itemsize
        array = np.zeros(shape, dtype)
        if size:
            array = np.ndarray(shape, dtype, bytearray(i % 2 for i in range(size)))
        if dtype.kind == "U":  # not every number is a character
            array = np.full(shape, "é\U0001f600", dtype)
        came_back(array)
        came_back(np.asfortranarray(array))
        if shape:
            came_back(array[..., ::2])
            came_back(array[::-1])
        if array.size and dtype.names != ():
            scalar = array.reshape(-1)[0]
            assert same(decode(encode(scalar)), scalar)


def test_array_orders_preserved() -> None:
    cube = np.arange(24).reshape(2, 3, 4)
    for array in (cube, cube.T, cube.transpose(1, 0, 2), cube[:, ::2], np.broadcast_to(1, (3, 2))):
        came_back(array)
    assert came_back(cube.T).flags.f_contiguous


PADDED = [
    np.dtype("g"),
    np.dtype("G"),
    np.dtype("g").newbyteorder(),
    np.dtype([("a", "i1"), ("b", "i4")], align=True),
    np.dtype([("n", [("a", "i1"), ("g", "g")], (2,)), ("c", "i2")], align=True),
    np.dtype({"names": ["b", "a"], "formats": ["i4", "i2"], "offsets": [8, 1], "itemsize": 20}),
    np.dtype({"names": ["g", "low"], "formats": ["g", "u2"], "offsets": [0, 12], "itemsize": 16}),
]


def with_padding(dtype: np.dtype[Any], padding: int) -> np.ndarray[Any, Any]:
    """Six elements with the same values, and `padding` in every byte that holds no value."""
    element = np.where(used_bytes(dtype), np.arange(dtype.itemsize) % 64, padding)
    return np.ndarray(6, dtype, np.tile(element.astype(np.uint8), 6))


@pytest.mark.parametrize("dtype", PADDED, ids=str)
def test_padding_of_array_encoded_as_zeros(dtype: np.dtype[Any]) -> None:
    clean = with_padding(dtype, 0)
    dirty = with_padding(dtype, 0xA5)
    for part in (slice(None), slice(None, None, 2), slice(0)):
        assert encode(dirty[part]) == encode(clean[part])
    padding = element_bytes(decode(encode(dirty)))[:, ~used_bytes(dtype)]
    assert padding.size > 0 or dtype.itemsize == used_bytes(dtype).sum()
    assert not padding.any()


@pytest.mark.parametrize("dtype", PADDED, ids=str)
def test_padding_of_scalar_encoded_as_zeros(dtype: np.dtype[Any]) -> None:
    dirty = with_padding(dtype, 0xA5)
    expected = encode(with_padding(dtype, 0)[0])
    for _ in range(50):
        freed = [b"\xa5" * dtype.itemsize for _ in range(100)]  # memory that a scalar may reuse
        del freed
        assert encode(dirty[0]) == expected


def test_padding_of_field_beside_objects_encoded_as_zeros() -> None:
    dtype = np.dtype([("o", "O"), ("g", "g"), ("r", [("a", "i1"), ("b", "i4")])], align=True)
    records = np.zeros(1, dtype)
    expected = encode(records)
    records["r"] = with_padding(dtype["r"], 0xA5)[:1]
    records["r"]["a"] = records["r"]["b"] = 0
    records["g"] = 0
    assert encode(records) == expected


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4", "<c8"])
def test_array_nan_bits_preserved(kind: str) -> None:
    raw = bytes([1, 0x7F, 0xF0, 0xFF, 0xFF, 0x7F, 0x80, 0x7F] * 4)
    array = np.frombuffer(raw, kind)
    assert came_back(array).tobytes() == raw
    for i in range(len(array)):  # a scalar of a signalling NaN is numpy's to keep or not
        assert same(decode(encode(array[i])), array[i])


def test_array_long_long_kept_apart_from_long() -> None:
    assert came_back(np.zeros(1, "q")).dtype.char == "q"
    assert type(decode(encode(np.longlong(1)))) is type(np.longlong(1))
    assert type(decode(encode(np.int64(1)))) is np.int64


def test_array_of_objects_round_trips() -> None:
    array = np.empty((2, 2), object)
    array[:] = [[None, {"a": (1,)}], [np.arange(2), "x"]]
    came_back(array)
    came_back(array.T)
    came_back(array[:, ::-1])
    came_back(np.empty((0, 3), object))
    came_back(np.empty(2, object))  # all None


def test_array_of_records_with_objects_round_trips() -> None:
    dtype = np.dtype([("o", "O"), ("i", "<i4"), ("s", "O", (2,)), ("n", [("p", "O")])], align=True)
    array = np.zeros((2, 2), dtype)
    array["o"] = [[1, "x"], [(2,), None]]
    array["i"] = 7
    back = decode(encode(array))
    assert same(back, array) and back.flags.writeable
    assert same(decode(encode(np.asfortranarray(array))), np.asfortranarray(array))
    assert same(decode(encode(array[0, 0])), array[0, 0])


def test_text_scalar_trailing_nul_preserved() -> None:
    for scalar in (
        np.str_("a\0"),
        np.bytes_(b"a\0"),
        np.str_(""),
        np.str_("\ud800"),
        np.bytes_(b""),
    ):
        assert same(decode(encode(scalar)), scalar)


def test_recarray_record_round_trips() -> None:
    array = np.zeros(2, np.dtype((np.record, [("a", "i4")])))
    assert type(decode(encode(array[0]))) is np.record
    assert came_back(array).dtype.type is np.record


def test_array_numpy_cannot_recreate_refused() -> None:
    with pytest.raises(EncodeError, match="of no length"):
        encode(np.zeros(2, [("a", "S0")])["a"])
    with pytest.raises(EncodeError, match="metadata"):
        encode(np.zeros(2, np.dtype("i4", metadata={"unit": "m"})))
    with pytest.raises(EncodeError, match=r"value\[0\].ravel\('K'\)\[1\]: .*builtins.set"):
        encode([np.array([1, {2}], object)])


@pytest.mark.skipif(
    not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="numpy 1"
)
def test_array_of_stringdtype_round_trips() -> None:
    string = getattr(np.dtypes, "StringDType")  # type: ignore[attr-defined]
    for dtype in (string(), string(coerce=False), string(na_object=None), string(na_object="")):
        array = np.array(["a", "", "é" * 100, "x"], dtype).reshape(2, 2)
        for layout in (array, np.asfortranarray(array), array[::-1], array[:0]):
            back = decode(encode(layout))
            assert back.dtype == layout.dtype and back.tolist() == layout.tolist()
            assert back.flags.writeable and (back.flags.aligned or not back.itemsize)
    missing = np.array(["a", np.nan], string(na_object=np.nan))
    back = decode(encode(missing))
    assert back[0] == "a" and np.isnan(back[1]) and np.isnan(back.dtype.na_object)


# ---- hostile -------------------------------------------------------------------


def _ext(kind: int, body: bytes) -> bytes:
    return b"\xc9" + len(body).to_bytes(4, "big") + bytes([kind]) + body


def _array(dtype: Any, shape: list[Any], data: Any, fortran: Any = False) -> bytes:
    return _ext(4, b"\x94" + b"".join(map(encode, (dtype, shape, fortran, data))))


@pytest.mark.parametrize(
    "dtype, shape, data",
    [
        ("<i8", [2], b"x" * 15),
        ("<i8", [2], b"x" * 17),
        ("<i8", [2**62, 2**62], b""),
        ("<i8", [2**64 - 1], b""),
        ("<i8", [2**61], b""),
        ("<i8", [-1], b""),
        ("<i8", ["1"], b""),
        ("<i8", [1] * 65, b"x" * 8),
        ("<i8", [1], [1]),
        ("|O", [1], b"x" * 8),
        ("|O", [2], [1]),
        ("|O", [2**40], []),
        ("i8", [1], b"x" * 8),
        ("<i9", [1], b"x" * 9),
        ("<i16", [1], b"x" * 16),
        (">i1", [1], b"x"),
        ("|u1 ", [1], b"x"),
        ("<i4,<i4", [1], b"x" * 8),
        ("(2,)<i4", [1], b"x" * 8),
        ("<U0", [2], b""),
        ("|S0", [2], b""),
        ("<U99999999999", [0], b""),
        ("<M8[foo]", [1], b"x" * 8),
        ("<M8[1000ns]", [1], b"x" * 7),
        ("<f4\0", [1], b"x" * 4),
        (7, [1], b"x"),
        (None, [1], b"x" * 8),
        ({}, [1], b""),
        ({"base": "<i8", "shape": [2]}, [1], b"x" * 16),
        ({"base": "<i8", "shape": [2**31 - 1, 2**31 - 1]}, [0], b""),
        (
            {"fields": [["a", "|O", 0]], "itemsize": 8, "aligned": False, "record": False},
            [1],
            b"x" * 8,
        ),
        (
            {"fields": [["a", "<i8", 4]], "itemsize": 8, "aligned": False, "record": False},
            [1],
            b"x" * 8,
        ),
        (
            {"fields": [["a", "<i8", -8]], "itemsize": 8, "aligned": False, "record": False},
            [1],
            b"x" * 8,
        ),
        (
            {"fields": [["a", "<i8", 1]], "itemsize": 9, "aligned": True, "record": False},
            [1],
            b"x" * 9,
        ),
        (
            {"fields": [[1, "<i8", 0]], "itemsize": 8, "aligned": False, "record": False},
            [1],
            b"x" * 8,
        ),
        (
            {"fields": [["a", "<i8", 0]] * 2, "itemsize": 8, "aligned": False, "record": False},
            [1],
            b"x" * 8,
        ),
        ({"fields": 1, "itemsize": 8, "aligned": False, "record": False}, [1], b"x" * 8),
        ({"fields": [], "itemsize": 2**40, "aligned": False, "record": False}, [0], b""),
        (
            {
                "fields": [["a", "|O", 0], ["b", "<i8", 0]],
                "itemsize": 8,
                "aligned": False,
                "record": False,
            },
            [1],
            [],
        ),
        (
            {"fields": [["a", "|O", 0]], "itemsize": 8, "aligned": False, "record": False},
            [2**50],
            [1],
        ),
        ({"string": True, "coerce": 1}, [1], ["a"]),
        ({"string": True, "coerce": True}, [1], [None]),
        ({"string": True, "coerce": True}, [2**40], ["a"]),
    ],
    ids=str,
)
def test_array_malformed_refused(dtype: Any, shape: Any, data: Any) -> None:
    with pytest.raises(DecodeError):
        decode(_array(dtype, shape, data))


def test_scalar_malformed_refused() -> None:
    for dtype, data in [
        ("<i8", b"x" * 7),
        ("<i8", 1),
        ("|O", [1]),
        ("|O", b"x" * 8),
        ("U", b"a"),
        ("S", "a"),
        ("U", 1),
        ("<U0", b""),
        ({"string": True, "coerce": True}, ["a"]),
        ({"base": "<i8", "shape": [1]}, b"x" * 8),
    ]:
        with pytest.raises(DecodeError):
            decode(_ext(5, b"\x92" + encode(dtype) + encode(data)))


def test_array_order_not_bool_refused() -> None:
    with pytest.raises(DecodeError, match="bool"):
        decode(_array("<i8", [1], b"x" * 8, fortran=1))


def test_array_read_independently() -> None:
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    assert same(read_independently(encode(array.T)), array.T)
