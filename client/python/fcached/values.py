"""Registers classes, and contains the rare and slow parts of the codec.

The codec is in C (``_core.encode``, ``_core.decode``), and docs/values.md describes the format. The
codec calls all functions here except :func:`register`. They import numpy only for arrays.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from . import _core
from .errors import ArgumentError, DecodeError

if TYPE_CHECKING:
    import numpy as np

C = TypeVar("C", bound="type[Any]")

_BUILTIN = (type(None), bool, int, float, str, bytes, list, tuple, dict)

# Classes that are registered at their first use. Only these constants are imported, never a name
# that was read from stored bytes.
_KNOWN = {
    f"{module}.{qualname}": (module, qualname)
    for module, qualname in (
        ("dlm_sway.core.scoring", "TokenDist"),
        ("dlm_sway.core.scoring", "RollingLogprob"),
    )
}


# ---- registering ---------------------------------------------------------------


@overload
def register(
    cls: C,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> C:
    ...


@overload
def register(
    cls: None = None,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[C], C]:
    ...


def register(
    cls: Any = None,
    *,
    name: str | None = None,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Any:
    """Gives the instances of ``cls`` an encoding and returns ``cls``. Also a decorator.

    For a dataclass, ``cls`` is enough: its fields are stored, and no other attributes. Decoding
    calls neither ``__init__`` nor ``__post_init__``. Any other class needs ``encode``, which
    returns a value that has an encoding, and its inverse ``decode``. Subclasses need a registration
    of their own.

    ``name`` identifies the class in stored values. Its default is ``module.qualname``. A class may
    be registered again, for example after its functions changed.

    Raises:
        ArgumentError: the name belongs to another class, or the class needs ``encode`` and
        ``decode``.
    """

    def add(cls: C) -> C:
        _register(cls, name, encode, decode)
        return cls

    return add if cls is None else add(cls)


def _register(
    cls: type[Any],
    name: str | None,
    encode: Callable[[Any], Any] | None,
    decode: Callable[[Any], Any] | None,
) -> None:
    if not isinstance(cls, type):
        raise ArgumentError(f"register takes a class, not {cls!r}")
    if _has_encoding(cls):
        raise ArgumentError(f"{cls!r} has an encoding already, and needs no other")
    if name is None:
        name = _name_of(cls)
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= 255:
        raise ArgumentError(f"a name is a str of 1 to 255 bytes, not {name!r}")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ArgumentError(f"a name is UTF-8, not {name!r}")
    if encode is None and decode is None:
        _core._register(cls, name, _fields_of(cls), None, None)
    elif callable(encode) and callable(decode):
        _core._register(cls, name, None, encode, decode)
    else:
        raise ArgumentError(f"{name}: encode and decode go together, and are functions")


def _name_of(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _has_encoding(cls: type[Any]) -> bool:
    if cls in _BUILTIN:
        return True
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    return cls is numpy.ndarray or (cls.__module__ == "numpy" and issubclass(cls, numpy.generic))


def _fields_of(cls: type[Any]) -> tuple[str, ...]:
    """The names of a dataclass's fields. Raises ArgumentError if they do not make up an
    instance."""
    functions = f"fcached.register({cls.__qualname__}, encode=..., decode=...)"
    if not dataclasses.is_dataclass(cls):
        raise ArgumentError(f"{_name_of(cls)} is not a dataclass: {functions}")
    # object.__new__ cannot create instances of classes with a C constructor (exceptions, list).
    made_in_c = any(
        not isinstance(base.__dict__.get("__new__", staticmethod(object)), staticmethod)
        for base in cls.__mro__
        if base is not object
    )
    if made_in_c or issubclass(cls, enum.Enum):
        raise ArgumentError(f"{_name_of(cls)} is more than its fields: {functions}")
    return tuple(field.name for field in dataclasses.fields(cls))


# ---- what C calls: classes -----------------------------------------------------


def _register_known_class(cls: type[Any]) -> bool:
    """Registers ``cls`` and returns True if it is one of ``_KNOWN``."""
    place = _KNOWN.get(_name_of(cls))
    if place is None:
        return False
    module, qualname = place
    if getattr(sys.modules.get(module), qualname, None) is not cls:
        return False
    register(cls)
    return True


def _register_known_name(name: str) -> bool:
    """Registers the class of that name and returns True if it is one of ``_KNOWN``. May import
    it."""
    place = _KNOWN.get(name)
    if place is None:
        return False
    module, qualname = place
    try:
        cls = getattr(importlib.import_module(module), qualname)
    except (ImportError, AttributeError) as error:
        package = module.partition(".")[0]
        raise DecodeError(
            f"a stored object is of {name}, and {package} cannot be imported in this process"
        ) from error
    register(cls)
    return True


def _advice(cls: type[Any]) -> str:
    """The error text for a value of ``cls``, with the call that registers it."""
    name = cls.__qualname__
    if dataclasses.is_dataclass(cls):
        how = f"fcached.register({name})"
    else:
        how = f"fcached.register({name}, encode=..., decode=...)"
    return f"{_name_of(cls)} has no encoding; register it once, before: {how}"


# ---- what C calls: numbers -----------------------------------------------------


def _int_to_bytes(value: int) -> bytes:
    bits = (value if value >= 0 else ~value).bit_length()
    return value.to_bytes(bits // 8 + 1, "big", signed=True)


def _int_from_bytes(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


# ---- what C calls: dtypes ------------------------------------------------------

_LONGLONG = {"q": "q8", "Q": "Q8"}  # numpy distinguishes C's long long from long
_TEXT = re.compile(
    r"[<>|](?:[biufcV][0-9]+|[SU][1-9][0-9]*|[qQ]8|O"
    r"|[mM]8(?:\[[0-9]*(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?)"
)
_N_BUILTIN = 24  # the numbers of numpy's own dtypes are below this


def _describe(dtype: np.dtype[Any]) -> str | dict[str, Any]:
    """A dtype as a text or a map: see docs/values.md.

    Raises:
        TypeError: the dtype is of another package, or has metadata.
    """
    if dtype.metadata:
        raise TypeError("a dtype with metadata has no encoding")
    if type(dtype).__name__ == "StringDType":
        return _describe_string(dtype)
    if dtype.num >= _N_BUILTIN:
        raise TypeError(f"the dtype {dtype} of {type(dtype).__module__} has no encoding")
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": _describe(base), "shape": list(shape)}
    if dtype.names is not None:
        return _describe_record(dtype)
    if dtype.char in _LONGLONG:
        return dtype.str[0] + _LONGLONG[dtype.char]
    if dtype.kind in "SU" and dtype.itemsize == 0:
        raise TypeError("numpy cannot make an array of strings of no length")
    return dtype.str


def _describe_string(dtype: np.dtype[Any]) -> dict[str, Any]:
    description: dict[str, Any] = {"string": True, "coerce": bool(getattr(dtype, "coerce"))}
    if hasattr(dtype, "na_object"):
        description["na"] = getattr(dtype, "na_object")
    return description


def _describe_record(dtype: np.dtype[Any]) -> dict[str, Any]:
    import numpy as np

    if dtype.type not in (np.void, np.record):
        raise TypeError(f"a dtype of the class {dtype.type!r} has no encoding")
    fields = []
    assert dtype.fields is not None and dtype.names is not None
    for name in dtype.names:
        kind, offset, *title = dtype.fields[name]
        fields.append([name, _describe(kind), offset, *title])
    return {
        "fields": fields,
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
        "record": dtype.type is np.record,
    }


def _mask(dtype: np.dtype[Any], long_double_bytes: int) -> bytes | None:
    """A mask of an element's bytes: ff for those that hold its value, 00 for padding.

    None if the dtype has no padding. The first ``long_double_bytes`` of a little-endian long double
    hold its value.
    """
    mask = _value_mask(dtype, long_double_bytes)
    return None if all(mask) else bytes(mask)


def _value_mask(dtype: np.dtype[Any], long_double_bytes: int) -> bytearray:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return _value_mask(base, long_double_bytes) * math.prod(shape)
    if dtype.names is not None:
        assert dtype.fields is not None
        mask = bytearray(dtype.itemsize)
        for name in dtype.names:
            kind, offset = dtype.fields[name][:2]
            for i, byte in enumerate(_value_mask(kind, long_double_bytes), offset):
                mask[i] |= byte  # fields may overlap
        return mask
    if dtype.char not in "gG":
        return bytearray(b"\xff" * dtype.itemsize)
    parts = 2 if dtype.char == "G" else 1
    number = bytearray(b"\xff" * long_double_bytes).ljust(dtype.itemsize // parts, b"\0")
    if dtype.str[0] == ">":
        number.reverse()
    return number * parts


def _dtype(description: object) -> np.dtype[Any]:
    """The dtype of a description, which is untrusted.

    Raises:
        Exception: it describes no dtype.
    """
    import numpy as np

    if isinstance(description, str):
        return _dtype_of_text(description)
    if not isinstance(description, dict):
        raise ValueError("neither a text nor a map")
    keys = set(description)
    if keys == {"base", "shape"}:
        return np.dtype((_dtype(description["base"]), _sizes(description["shape"])))
    if keys == {"fields", "itemsize", "aligned", "record"}:
        return _dtype_of_record(description)
    if keys in ({"string", "coerce"}, {"string", "coerce", "na"}):
        return _dtype_of_string(description)
    raise ValueError("a map of other keys")


def _dtype_of_text(text: str) -> np.dtype[Any]:
    import numpy as np

    if not _TEXT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a dtype")
    dtype = np.dtype(text[:2] if text[1] in _LONGLONG else text)
    if _describe(dtype) != text:
        raise ValueError(f"{text[:40]!r} is {dtype.str!r} to numpy")
    return dtype


def _dtype_of_string(description: dict[str, Any]) -> np.dtype[Any]:
    import numpy as np

    make = getattr(getattr(np, "dtypes", None), "StringDType", None)  # numpy 2 has it
    if make is None:
        raise ValueError("this numpy has no StringDType")
    settings = {"na_object": description["na"]} if "na" in description else {}
    dtype: np.dtype[Any] = make(coerce=_flag(description["coerce"]), **settings)
    return dtype


def _dtype_of_record(description: dict[str, Any]) -> np.dtype[Any]:
    import numpy as np

    names, formats, offsets, titles = [], [], [], []
    for name, kind, offset, *title in description["fields"]:
        if (
            not isinstance(name, str)
            or len(title) > 1
            or not all(isinstance(t, str) for t in title)
        ):
            raise ValueError("a field is not named by texts")
        names.append(name)
        formats.append(_dtype(kind))
        offsets.append(_size(offset))
        titles.append(title[0] if title else None)
    parts = {
        "names": names,
        "formats": formats,
        "offsets": offsets,
        "itemsize": _size(description["itemsize"]),
    }
    if any(title is not None for title in titles):
        parts["titles"] = titles
    dtype: np.dtype[Any] = np.dtype(parts, align=_flag(description["aligned"]))  # type: ignore
    return np.dtype((np.record, dtype)) if _flag(description["record"]) else dtype


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError("a size is not a number, or too large")
    return value


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise ValueError("a shape is not an array")
    return tuple(_size(value) for value in values)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a flag is not a bool")
    return value


# ---- what C calls: arrays that are not one block of memory ---------------------


def _order(array: np.ndarray[Any, Any]) -> Literal["C", "F"]:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _parts(array: np.ndarray[Any, Any]) -> list[Any]:
    """For an array of strings, its elements, with None for missing ones. For an array of records
    that hold objects, the arrays of its fields."""
    if array.dtype.names is not None:
        return [array[name] for name in array.dtype.names]
    elements: list[Any] = array.ravel(order=_order(array)).tolist()
    missing = getattr(array.dtype, "na_object", "")
    if isinstance(missing, str):  # a string stands in for missing elements
        return elements
    return [None if element is missing else element for element in elements]


def _assemble(
    dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, parts: object
) -> np.ndarray[Any, Any]:
    """The array whose ``_parts`` these are. ``parts`` is untrusted.

    Raises:
        Exception: they do not fit the dtype and shape.
    """
    import numpy as np

    if not isinstance(parts, list):
        raise ValueError("the parts are no array")
    order: Literal["C", "F"] = "F" if fortran else "C"
    if dtype.names is not None:
        _check_fields(dtype, shape, parts)
        records = np.zeros(shape, dtype, order=order)
        for name, part in zip(dtype.names, parts):
            records[name] = part
        return records
    count = 1
    for size in shape:
        count *= size
    if count != len(parts):
        raise ValueError("the array has not as many strings as its shape says")
    missing = getattr(dtype, "na_object", None)
    if not all(isinstance(part, str) or (part is None and _may_miss(dtype)) for part in parts):
        raise ValueError("an element is not a str")
    flat = np.empty(count, dtype)
    for i, part in enumerate(parts):
        flat[i] = missing if part is None else part
    array: np.ndarray[Any, Any] = flat.reshape(shape, order=order).copy(order="K")
    return array


def _may_miss(dtype: np.dtype[Any]) -> bool:
    return not isinstance(getattr(dtype, "na_object", ""), str)


def _check_fields(dtype: np.dtype[Any], shape: tuple[int, ...], parts: Iterable[Any]) -> None:
    """Refuses parts that numpy would convert or broadcast, before memory is allocated."""
    import numpy as np

    assert dtype.names is not None and dtype.fields is not None
    parts = list(parts)
    if len(parts) != len(dtype.names):
        raise ValueError("records have another number of fields")
    for name, part in zip(dtype.names, parts):
        kind = dtype.fields[name][0]
        base, inner = kind.subdtype if kind.subdtype is not None else (kind, ())
        if type(part) is not np.ndarray or part.dtype != base or part.shape != shape + inner:
            raise ValueError(f"the field {name[:40]!r} is not as its dtype says")
