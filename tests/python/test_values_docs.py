"""The vectors of docs/values.md: they hold, and this file, run as a program, writes them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fcached._core import decode, encode
from fcached.values import register
from values_support import read_independently, same

PAGE = Path(__file__).parents[2] / "docs" / "values.md"
MARK = "<!-- vectors: written by tests/python/test_values_docs.py -->\n"


@register(name="Pair")
@dataclasses.dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = None


EXPRESSIONS = """
None
True
0
-1
127
128
-33
2**64 - 1
2**64
-(2**63) - 1
1.0
-0.0
"é"
"\\ud800"
b"\\x00\\xff"
[1, "a"]
()
(1, True)
{"b": 1, 2: None}
np.arange(3, dtype="<i8")
np.array([[1, 2], [3, 4]], "<i2", order="F")
np.array(0.5, ">f4")
np.array(["a", None], object)
np.zeros(1, [("x", "<f4"), ("y", "u1", (2,))])
np.array(["2026-01-01"], "<M8[D]")
np.float32(1.0)
np.str_("a")
Pair(1, b"x")
""".strip().split(
    "\n"
)


def value_of(expression: str) -> Any:
    """Of one of our own expressions."""
    return eval(expression, {"np": np, "Pair": Pair})


def vectors() -> "list[tuple[str, str]]":
    table = PAGE.read_text(encoding="utf-8").partition(MARK)[2]
    return re.findall(r"^\| `(.+)` \| `([0-9a-f]+)` \|$", table, re.MULTILINE)


def test_page_lists_all_vectors() -> None:
    assert [expression for expression, _ in vectors()] == EXPRESSIONS


@pytest.mark.parametrize("expression, encoded", vectors())
def test_vector_encodes_and_decodes(expression: str, encoded: str) -> None:
    value = value_of(expression)
    assert encode(value).hex() == encoded
    assert same(decode(bytes.fromhex(encoded)), value)
    if not isinstance(value, Pair):  # the reader of the support file makes its own Pair
        assert same(read_independently(bytes.fromhex(encoded)), value)


if __name__ == "__main__":
    rows = "".join(f"| `{text}` | `{encode(value_of(text)).hex()}` |\n" for text in EXPRESSIONS)
    page = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{page[0]}{MARK}\n| value | bytes |\n|---|---|\n{rows}", encoding="utf-8")
