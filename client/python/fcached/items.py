"""Reads sequences of prompts and of values from the caller. Values belong to prompts by position,
so an object without an order is refused."""

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
    """The number of items of ``given``. Raises TypeError if it has no positions or no order."""
    _check(given, what)
    if not hasattr(type(given), "__getitem__"):
        raise _refuse(given, what, "which has no positions: give list(...) of it")
    try:
        return len(given)
    except TypeError as error:
        raise _refuse(given, what, f"which has no length: {error}") from error


def at_positions(given: Any, size: int) -> list[Any]:
    """``given[0]`` to ``given[size - 1]``. Objects of pandas are indexed by position, not by label."""
    by_position = given.iloc if hasattr(type(given), "iloc") else given
    return [by_position[position] for position in range(size)]


def in_order(given: Any, what: str, most: int) -> list[Any]:
    """The items of ``given``, which may be an iterator. Reads at most ``most`` + 1 of them, so that
    an endless iterator is detected as too long. Raises TypeError if it has no order."""
    _check(given, what)
    kind = type(given)
    if hasattr(kind, "__getitem__") and hasattr(kind, "__len__"):
        return at_positions(given, min(len(given), most + 1))
    return list(itertools.islice(given, min(most, 2**62) + 1))
