"""Helpers for the tests of values: a comparison of all bits and types, random values, and a reader
of the encoding that shares no code with the package."""

from __future__ import annotations

import dataclasses
import random
import struct
from typing import Any, cast

import msgpack
import numpy as np

SLOTS = {"slots": True} if hasattr(dataclasses, "KW_ONLY") else {}  # Python 3.10 and later


@dataclasses.dataclass(frozen=True, **SLOTS)
class Pair:
    """A dataclass that the tests register."""

    left: Any
    right: Any = None


def same_dtype(a: np.dtype[Any], b: np.dtype[Any]) -> bool:
    """`==` of dtypes takes long for long long and does not look at titles and alignment."""
    if a != b or a.char != b.char or a.type is not b.type or a.isalignedstruct != b.isalignedstruct:
        return False
    if a.byteorder != b.byteorder or a.itemsize != b.itemsize or a.names != b.names:
        return False
    if a.subdtype is not None:
        return same_dtype(a.base, b.base) and a.shape == b.shape
    if a.names is None:
        return True
    assert a.fields is not None and b.fields is not None
    return set(a.fields) == set(b.fields) and all(
        same_dtype(a.fields[n][0], b.fields[n][0]) and a.fields[n][1:] == b.fields[n][1:]
        for n in a.names
    )


def used_bytes(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Which bytes of an element hold its value: the others are padding, which numpy leaves undefined."""
    if dtype.subdtype is not None:
        return np.tile(used_bytes(dtype.base), int(np.prod(dtype.shape, dtype=int)))
    used = np.ones(dtype.itemsize, bool)
    if dtype.fields is not None:
        used[:] = False
        for kind, offset, *_ in dtype.fields.values():
            used[offset : offset + kind.itemsize] |= used_bytes(kind)
    elif dtype.char in "gG" and np.finfo("g").nmant == 63:
        number = np.arange(dtype.alignment) < 10
        number = number[::-1] if dtype.byteorder == ">" else number
        used = np.tile(number, dtype.itemsize // dtype.alignment)
    return used


def element_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bytes of each element, one row for each, in the order of `array`."""
    size = array.dtype.itemsize
    blocks = np.frombuffer(array.view(f"V{size}").tobytes("A"), np.uint8)
    return blocks.reshape(-1, size)


def _same_array(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    def fortran(array: np.ndarray[Any, Any]) -> bool:
        return array.flags.f_contiguous and not array.flags.c_contiguous

    if not same_dtype(a.dtype, b.dtype) or a.shape != b.shape or fortran(a) != fortran(b):
        return False
    if a.dtype.hasobject and a.dtype.names is not None:
        return all(_same_array(np.copy(a[n]), np.copy(b[n])) for n in a.dtype.names)
    if a.dtype.hasobject:
        return all(same(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist()))
    if a.dtype.itemsize == 0:
        return True
    used = used_bytes(a.dtype)
    return np.array_equal(element_bytes(a)[:, used], element_bytes(b)[:, used])


def same(a: Any, b: Any) -> bool:
    """Whether two values are alike in type, bits, order, dtype, and the order of dicts."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return _same_array(a, b)
    if isinstance(a, (np.str_, np.bytes_)):
        return bool(a == b)
    if isinstance(a, np.generic):
        if a.dtype.hasobject:
            left, right = cast(Any, a), cast(Any, b)
            return all(same(left[name], right[name]) for name in a.dtype.names or ())
        return _same_array(np.asarray(a), np.asarray(b))
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return bool(a == b)


def bits(number: int) -> float:
    """The float of these 64 bits."""
    return float(struct.unpack("<d", struct.pack("<Q", number))[0])


# ---- random values -------------------------------------------------------------

DTYPES = (
    "?,i1,u1,<i2,>i2,<u2,<i4,>u4,<i8,>i8,<u8,<f2,>f2,<f4,>f4,<f8,>f8,<c8,>c8,<c16,<U3,>U2,S4,V5,"
    "<M8[ns],<M8[25us],>M8[D],<m8[s],<m8,q,Q,g"
).split(",")


def random_dtype(random_: random.Random, depth: int = 0) -> Any:
    if depth > 2 or random_.random() < 0.8:
        return np.dtype(random_.choice(DTYPES))
    fields: list[Any] = []
    for i in range(random_.randint(1, 4)):
        kind = random_dtype(random_, depth + 1)
        inner = (random_.randint(1, 3),) * random_.randint(0, 2)
        name: Any = (f"title {i}", f"f{i}") if random_.random() < 0.2 else f"f{i}"
        fields.append((name, kind, inner) if inner else (name, kind))
    return np.dtype(fields, align=random_.random() < 0.5)


def random_array(random_: random.Random) -> np.ndarray[Any, Any]:
    dtype = random_dtype(random_)
    shape = tuple(random_.choice((0, 1, 2, 3)) for _ in range(random_.randint(0, 3)))
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    array = np.frombuffer(bytes(random_.choices(b"\0\1A", k=size)), np.uint8)
    array = np.ndarray(shape, dtype, buffer=array) if size else np.zeros(shape, dtype)
    if not shape:
        return array
    return random_.choice((array, np.asfortranarray(array), array[..., ::-1], array[::-2]))


def random_atom(random_: random.Random) -> Any:
    kind = random_.randint(0, 9)
    if kind == 0:
        return random_.choice((None, True, False, 0, 1, 0.0, -0.0, (), [], {}, "", b""))
    if kind in (1, 2):
        return random_.choice((1, -1)) * random_.getrandbits(
            random_.choice((6, 8, 16, 32, 63, 64, 65, 200))
        )
    if kind == 3:
        return bits(random_.getrandbits(64))
    if kind in (4, 5):
        length = random_.choice((1, 10, 40, 300))
        return "".join(
            chr(random_.choice((0, 65, 233, 0x20AC, 0x1F600, 0xD800))) for _ in range(length)
        )
    if kind == 6:
        return bytes(random_.choices(range(256), k=random_.choice((1, 40, 300))))
    if kind == 7:
        return np.zeros(1, random_dtype(random_))[0]
    return random_array(random_)


def random_key(random_: random.Random) -> Any:
    key = random_.choice(
        (None, True, random_.getrandbits(70), "k%d" % random_.getrandbits(9), b"b", 2.5)
    )
    return (key, "in a tuple") if random_.random() < 0.2 else key


def random_value(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randint(0, 9) if depth < 4 else 9
    n = random_.choice((0, 1, 3, 17))
    if kind == 0:
        return [random_value(random_, depth + 1) for _ in range(n)]
    if kind == 1:
        return tuple(random_value(random_, depth + 1) for _ in range(n))
    if kind == 2:
        return {random_key(random_): random_value(random_, depth + 1) for _ in range(n)}
    if kind == 3:
        return Pair(random_value(random_, depth + 1), random_value(random_, depth + 1))
    if kind == 4 and n:
        array = np.empty(n, object)
        for i in range(n):
            array[i] = random_value(random_, depth + 1)
        return array
    return random_atom(random_)


# ---- the other reader ----------------------------------------------------------


def _dtype(description: Any) -> Any:
    if isinstance(description, str):
        return np.dtype(description[:2] if description[1] in "qQ" else description)
    if "base" in description:
        return np.dtype((_dtype(description["base"]), tuple(description["shape"])))
    fields = description["fields"]
    parts: dict[str, Any] = {
        "names": [f[0] for f in fields],
        "formats": [_dtype(f[1]) for f in fields],
        "offsets": [f[2] for f in fields],
        "titles": [f[3] if len(f) > 3 else None for f in fields],
        "itemsize": description["itemsize"],
    }
    if not any(parts["titles"]):
        del parts["titles"]
    return np.dtype(parts, align=description["aligned"])


def _array(description: Any, shape: list[int], fortran: bool, data: Any) -> Any:
    dtype = _dtype(description)
    order: Any = "F" if fortran else "C"
    if isinstance(data, bytes):
        if not data:
            return np.zeros(shape, dtype, order)
        return np.ndarray(shape, dtype, bytearray(data), order=order)
    flat = np.empty(len(data), object)
    for i, element in enumerate(data):
        flat[i] = element
    return flat.reshape(shape, order=order)


def _unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, ext_hook=_ext, strict_map_key=False, raw=False)


def _ext(code: int, data: bytes) -> Any:
    if code == 1:
        return int.from_bytes(data, "big", signed=True)
    if code == 2:
        return data.decode("utf-8", "surrogatepass")
    content = _unpack(data)
    if code == 3:
        return tuple(content)
    if code == 4:
        return _array(*content)
    if code == 5:
        kind, raw = content
        if kind in ("U", "S"):
            return np.str_(raw) if kind == "U" else np.bytes_(raw)
        return (
            np.ndarray((), _dtype(kind), bytearray(raw))[()]
            if raw
            else np.zeros((), _dtype(kind))[()]
        )
    assert code == 6, code
    assert content[0].endswith("Pair"), content[0]
    return Pair(**content[1])


def read_independently(data: bytes) -> Any:
    """The value as python3-msgpack and docs/values.md have it."""
    return _unpack(data)
