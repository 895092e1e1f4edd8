"""The keys of requests of lm-evaluation-harness, and the answers that are stored."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import types
from typing import Any

import numpy
import pytest

from fcached.lm_eval import keys
from fcached.lm_eval.keys import GENERATE, LOGLIKELIHOOD, ROLLING
from values_support import used_bytes


def test_key_of_different_arguments_differs() -> None:
    arguments: list[tuple[Any, ...]] = [
        ("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", None),
        (1,), (True,), (1.0,), ("1",), (0.0,), (-0.0,), (None,), ("",), (), ([],), ({},),
        ({"until": ["a", "b"]},), ({"until": ["b", "a"]},), ({1: "x"},), ({"1": "x"},),
        (b"x",), ("x",), ([["dict", []]],), ({"dict": []},), ({"bytes": "x"},),
        (math.inf,), (math.nan,), ("\ud800",), ("\\ud800",), ("\ufffd",),
        (numpy.arange(4),), (numpy.arange(4).reshape(2, 2),), (numpy.arange(4, dtype="i2"),),
        (numpy.arange(4, dtype=">i8"),),
    ]  # fmt: skip
    assert len({keys.key(args) for args in arguments}) == len(arguments)


def test_key_of_equal_arguments_equal() -> None:
    assert keys.key(("x", {"a": 1, "b": [2]})) == keys.key(["x", {"b": (2,), "a": 1}])
    assert keys.key((bytearray(b"x"),)) == keys.key((memoryview(b"x"),)) == keys.key((b"x",))
    array = numpy.arange(8)
    assert keys.key((array[::2],)) == keys.key((array[::2].copy(),))


@pytest.mark.parametrize("dtype", [[("a", "i1"), ("b", "i4")], "g"], ids=str)
def test_key_of_padded_array_depends_on_values_alone(dtype: Any) -> None:
    dtype = numpy.dtype(dtype, align=isinstance(dtype, list))
    value = numpy.ones(1, dtype)
    dirty = value.copy()
    dirty.view("u1")[~used_bytes(dtype)] = 0xA5
    assert keys.key((dirty,)) == keys.key((value,)) != keys.key((numpy.zeros(1, dtype),))


def test_key_in_other_process_equal() -> None:
    args = ("Äpfel \ud800", {"until": ["\n"], "max_gen_toks": 8, "temperature": 0.0})
    program = (
        "import json, sys; from fcached.lm_eval import key;"
        "print(key(json.loads(sys.argv[1])).hex())"
    )
    command = [sys.executable, "-c", program, json.dumps(args)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == keys.key(args).hex()


def test_key_of_unknown_object_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (object(), {1, 2}, numpy.array([object()]), circle, lambda: None):
        with pytest.raises(keys.Unkeyable):
            keys.key(("context", value))


class _Image:
    """The attributes of Pillow's Image that keys use."""

    def __init__(self, pixels: bytes, **others: Any) -> None:
        self.mode, self.size, self.pixels = "RGB", (2, 1), pixels
        self.palette: bytes | None = None
        self.info: dict[str, Any] = {}
        self.exif: dict[int, int] = {}
        self.__dict__.update(others)

    def tobytes(self) -> bytes:
        return self.pixels

    def convert(self, mode: str) -> _Image:
        assert mode == "RGBA" and self.palette is not None
        return _Image(self.palette + self.pixels)

    def getexif(self) -> dict[int, int]:
        return self.exif


def test_key_of_images_depends_on_visible_content(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("PIL.Image")
    module.Image = _Image  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PIL.Image", module)
    pixels = b"\1\2\3\4\5\6"
    images = [
        _Image(pixels), _Image(b"\1\2\3\4\5\7"), _Image(pixels, size=(1, 2)),
        _Image(pixels, mode="L"), _Image(pixels, info={"transparency": 0}),
        _Image(pixels, exif={0x0112: 6}), _Image(pixels, palette=b"a"), _Image(pixels, palette=b"b"),
    ]  # fmt: skip
    names = {keys.key(("<image>", {}, {"visual": [image]})) for image in images}
    assert len(names) == len(images)
    assert keys.key((_Image(pixels, info={"dpi": 72}),)) == keys.key((_Image(pixels),))


@pytest.mark.parametrize(
    "parameters",
    [
        {"do_sample": True},
        {"do_sample": "true"},
        {"do_sample": "True", "temperature": 0.0},
        {"temperature": 0.7},
        {"temperature": "0.7"},
        {"do_sample": False, "temperature": 0.7},
        {"temperature": math.nan},
        {"temperature": "hot"},
        {"extra_body": {"temperature": 1}},
        "temperature=0",
    ],
)
def test_sampled_generation_detected(parameters: Any) -> None:
    assert keys.sampled(GENERATE, ("context", parameters))
    assert not keys.sampled(LOGLIKELIHOOD, ("context", parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"until": ["\n"], "max_gen_toks": 8},
        {"do_sample": False, "temperature": 0.0, "top_p": 0.9},
        {"do_sample": "false", "temperature": "0.0"},
        {"temperature": None},
        ["\n"],
        None,
    ],
)
def test_greedy_generation_detected(parameters: Any) -> None:
    assert not keys.sampled(GENERATE, ("context", parameters))


def test_storable_invalid_answers_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys.storable(GENERATE, " ") and keys.storable(GENERATE, "no answer")
    monkeypatch.setenv("LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER", "no answer")
    for answer in (None, "", "no answer", 1.0):
        assert not keys.storable(GENERATE, answer)
    assert keys.storable(LOGLIKELIHOOD, (-1.5, False)) and keys.storable(LOGLIKELIHOOD, [0.0, True])
    nothing: Any
    for nothing in (None, -1.5, (-1.5,), (-1.5, None), (None, True), (math.nan, True)):
        assert not keys.storable(LOGLIKELIHOOD, nothing)
    assert keys.storable(ROLLING, -1.5) and keys.storable(ROLLING, 0)
    for nothing in (None, (-1.5, True), math.nan, -math.inf, "x", 10**400):
        assert not keys.storable(ROLLING, nothing)
