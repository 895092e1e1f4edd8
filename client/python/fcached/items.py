"""Several things that a caller gives at once, such as prompts and their values. The caller knows
which is which by position, so only what has an order is taken, and in that order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, MappingView, Set
from typing import Any


def _refuse(given: object, what: str, because: str) -> TypeError:
    return TypeError(
        f"{what} must be a sequence such as a list, with one item for each, in their order; "
        f"got {type(given).__name__}, {because}"
    )


def _check(given: object, what: str) -> None:
    if isinstance(given, (str, bytes, bytearray, memoryview)):
        raise _refuse(given, what, "which is one text")
    if isinstance(given, Mapping):
        raise _refuse(given, what, "whose items are keys: give a list of the values")
    if isinstance(given, Set) and not isinstance(given, MappingView):
        raise _refuse(given, what, "which has no order")


def count(given: Any, what: str) -> int:
    """How many items ``given`` has, by ``len``. TypeError where it has no positions or no order."""
    _check(given, what)
    if not hasattr(type(given), "__getitem__"):
        raise _refuse(given, what, "which has no positions: give list(...) of it")
    try:
        return len(given)
    except TypeError as error:
        raise _refuse(given, what, f"which has no length: {error}") from error


def at_positions(given: Any, size: int) -> list[Any]:
    """``given[0]`` to ``given[size - 1]``. What pandas has is indexed by position, not by label."""
    by_position = given.iloc if hasattr(type(given), "iloc") else given
    return [by_position[position] for position in range(size)]


def in_order(given: Any, what: str, most: int) -> list[Any]:
    """The items of ``given``, which may also be an iterator: ``most`` and one more at most, so that
    its end is not needed to see that there are too many. TypeError where it has no order."""
    _check(given, what)
    kind = type(given)
    if hasattr(kind, "__getitem__") and hasattr(kind, "__len__"):
        return at_positions(given, min(len(given), most + 1))
    return list(itertools.islice(given, min(most, 2**62) + 1))
