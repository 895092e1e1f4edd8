"""Values round-trip bit for bit and with their types. Values without an encoding are refused."""

from __future__ import annotations

import collections
import dataclasses
import enum
import gc
import random
import subprocess
import sys
import tracemalloc
from typing import Any, NamedTuple

import numpy as np
import pytest
from fcached._core import decode, encode
from fcached.errors import ArgumentError, DecodeError, EncodeError, Error
from fcached.values import register
from values_support import Pair, bits, random_value, read_independently, same

register(Pair)

PLAIN = [
    None,
    True,
    False,
    *(sign * (1 << n) + d for sign in (1, -1) for n in range(0, 130) for d in (-1, 0, 1)),
    10**300,
    0.0,
    -0.0,
    float("inf"),
    5e-324,
    bits(0x7FF8000000000001),
    bits(0x7FF0000000000001),  # a signalling NaN
    bits(0xFFFFFFFFFFFFFFFF),
    "",
    "a" * 31,
    "a" * 32,
    "é" * 128,
    "\x00",
    "a" * 70000,
    "\ud800 alone",
    "\U0001f600",
    b"",
    b"\xff" * 255,
    b"x" * 256,
    b"x" * 65536,
    [],
    [1, [2, [3.0]]],
    list(range(16)),
    [None] * 65536,
    (),
    (1, (2,), [()]),
    {},
    {"b": 1, "a": 2},
    {1: "int", 2.5: "float", None: 0, b"x": 0, (1, ("a",)): {"deep": ()}, "s": []},
    {str(n): n for n in range(70000)},
    [1, True, 1.0, 0, False, 0.0, None],
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:30])
def test_plain_values_round_trip(value: Any) -> None:
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize("seed", range(200))
def test_random_values_round_trip_and_read_independently(seed: int) -> None:
    value = random_value(random.Random(seed))
    data = encode(value)
    assert same(decode(data), value)
    assert same(read_independently(data), value)


def test_equal_values_have_equal_encoding() -> None:
    value = [{"a": np.arange(4)}, ("x", 1.5)]
    assert encode(decode(encode(value))) == encode(value)


def test_decoded_value_independent_of_bytes() -> None:
    data = bytearray(encode([b"abc", np.arange(3, dtype="u1")]))
    value = decode(data)
    data[:] = bytes(len(data))
    assert value[0] == b"abc" and value[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("of", [list, tuple, "dict", "array", "object"])
def test_nesting_limit_equal_for_encoder_and_decoder(of: Any) -> None:
    def wrap(value: Any) -> Any:
        if of == "dict":
            return {"k": value}
        if of == "array":
            array = np.empty((), object)
            array[()] = value
            return array
        return Pair(value) if of == "object" else of((value,))

    value: Any = 1
    for _ in range(100):
        value = wrap(value)
    assert same(decode(encode(value)), value)
    with pytest.raises(EncodeError, match="nests more than 100 deep"):
        encode(wrap(value))


def test_bytes_nested_too_deep_refused() -> None:
    assert decode(b"\x91" * 100 + b"\xc0")
    for depth in (101, 1_000_000):
        with pytest.raises(DecodeError, match="nests too deep"):
            decode(b"\x91" * depth + b"\xc0")


def test_value_containing_itself_refused() -> None:
    cycle: list[Any] = []
    cycle.append({"again": cycle})
    with pytest.raises(EncodeError, match="or contains itself"):
        encode(cycle)
    array = np.empty(1, object)
    array[0] = array
    with pytest.raises(EncodeError, match="or contains itself"):
        encode(array)


# ---- refused values ------------------------------------------------------------


class Point(NamedTuple):
    x: int


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


class MyFloat(np.float64):
    pass


class MyArray(np.ndarray):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    "value",
    [
        {1},
        1j,
        bytearray(b"x"),
        object(),
        int,
        collections.OrderedDict(a=1),
        Point(1),
        Colour.RED,
        Text("x"),
        MyFloat(1.0),
        np.zeros(2).view(MyArray),
        np.ma.masked_array([1, 2]),
        np.dtype("i4"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unknown_type_refused(value: Any) -> None:
    with pytest.raises(EncodeError, match=r"value\['a'\]\[1\]: .*fcached\.register\(") as caught:
        encode({"a": [0, value]})
    assert type(value).__qualname__ in str(caught.value)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, Error)


def test_error_text_has_path_of_value() -> None:
    bad = {1}
    array = np.array([0, bad], object)
    for value, where in [
        (bad, r"value: "),
        ((0, bad), r"value\[1\]: "),
        ({("a", 1): bad}, r"value\[<tuple>\]: "),
        ({1: 0, frozenset(): 0}, r"value\.keys\(\)\[1\]: "),
        ({b"k": bad}, r"value\[b'k'\]: "),
        ({10**5000: bad}, r"value\[<int>\]: "),
        ({"k" * 100: bad}, r"value\['k{39}\.\.\.\]: "),
        (array, r"value\.ravel\('K'\)\[1\]: "),
        (Pair(1, [bad]), r"value\.right\[0\]: "),
    ]:
        with pytest.raises(EncodeError, match=f"^{where}"):
            encode(value)


def test_container_changed_during_encoding_refused() -> None:
    held: list[Any] = []

    class Changing:
        pass

    def grow(_: Changing) -> int:
        held[0].append(0) if isinstance(held[0], list) else held[0].update(new=1)
        return 0

    register(Changing, encode=grow, decode=lambda _: Changing())
    for container in ([Changing(), 1], {"a": Changing(), "b": 1}):
        held[:] = [container]
        with pytest.raises(EncodeError, match="changed while it was encoded"):
            encode(container)


# ---- registered classes --------------------------------------------------------


@register
@dataclasses.dataclass
class Base:
    a: int
    made: list[int] = dataclasses.field(init=False, default_factory=list)


@register
@dataclasses.dataclass
class Derived(Base):
    b: float = 2.0

    def __post_init__(self) -> None:
        self.made.append(self.a)
        raise_if = self.b < 0
        assert not raise_if, "__post_init__ ran"


@register(name="tests.Frozen")
@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    y: Any = 0

    def __getattr__(self, name: str) -> Any:
        return "never asked"


def test_dataclass_decoded_without_running_its_code() -> None:
    value = Derived(1)
    value.b = -1.0  # __post_init__ would raise
    assert same(decode(encode([value, Base(3)])), [value, Base(3)])
    assert decode(encode(value)).made == [1]


def test_frozen_dataclass_with_dict_or_slots_round_trips() -> None:
    for value in (Frozen(np.arange(3), "y"), Pair("l", (1,)), Pair({Frozen(1): Pair(1)})):
        assert same(decode(encode(value)), value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        decode(encode(Pair(1))).left = 2


def test_dataclass_with_slots_in_base_round_trips() -> None:
    class Slotted:
        __slots__ = ("a",)

    @register
    @dataclasses.dataclass(init=False)
    class Both(Slotted):
        __slots__ = ("b",)
        a: int
        b: int

    value = Both()
    value.a, value.b = 1, 2
    back = decode(encode(value))
    assert type(back) is Both and (back.a, back.b) == (1, 2)


def test_dataclass_unset_field_named_in_error() -> None:
    value = Frozen.__new__(Frozen)
    object.__setattr__(value, "y", 1)
    with pytest.raises(EncodeError, match=r"value\[0\]\.x: the field is not set"):
        encode([value])


def test_dataclass_with_many_fields_round_trips() -> None:
    many = register(dataclasses.make_dataclass("Many", [f"f{i}" for i in range(40)]))
    assert same(decode(encode(many(*range(40)))), many(*range(40)))


def _written_by(*names: str) -> bytes:
    """An instance of a class of these fields, under a name that a later class may take."""
    size = len(names)
    body = b"\x92" + b"\xaaelsewhere." + bytes([0x80 + size])
    body += b"".join(bytes([0xA0 + len(n)]) + n.encode() + b"\x07" for n in names)
    return b"\xc7" + bytes([len(body)]) + b"\x06" + body


def test_dataclass_fields_differing_refused() -> None:
    @register(name="elsewhere.")
    @dataclasses.dataclass
    class Here:
        a: int
        b: int

    assert decode(_written_by("a", "b")) == decode(_written_by("b", "a")) == Here(7, 7)
    for names, text in [
        (("a",), "without the field 'b'"),
        ((), "without the field 'a'"),
        (("a", "b", "c"), "other fields"),
        (("a", "c"), "other fields"),
        (("a", "a"), "other fields"),
    ]:
        with pytest.raises(DecodeError, match=text):
            decode(_written_by(*names))


class Plain:
    def __init__(self, x: int) -> None:
        self.x = x


def test_class_with_functions_round_trips() -> None:
    assert (
        register(Plain, encode=lambda value: {"x": value.x}, decode=lambda d: Plain(d["x"]))
        is Plain
    )
    back = decode(encode([Plain(4)]))[0]
    assert type(back) is Plain and back.x == 4
    register(Plain, encode=lambda value: 1 / 0, decode=lambda d: d)
    with pytest.raises(EncodeError, match="value: the encode function of .*Plain failed") as caught:
        encode(Plain(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    register(Plain, encode=lambda value: {1}, decode=lambda d: d)
    with pytest.raises(
        EncodeError, match=r"value\[0\] \(the result of its encode function\): .*set"
    ):
        encode([Plain(1)])
    register(Plain, encode=lambda value: value.x, decode=lambda d: d)
    with pytest.raises(DecodeError, match="returned a int"):
        decode(encode(Plain(1)))
    register(Plain, encode=lambda value: value.x, decode=lambda d: 1 / 0)
    with pytest.raises(DecodeError, match="the decode function of .*Plain failed") as failed:
        decode(encode(Plain(1)))
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_subclass_registered_round_trips() -> None:
    register(set, encode=sorted, decode=set)
    register(Colour, encode=int, decode=Colour)
    register(Point, encode=list, decode=lambda fields: Point(*fields))
    try:
        for value in ({1, 2}, Colour.RED, Point(3)):
            assert same(decode(encode(value)), value)
    finally:  # the other tests take these for unregistered
        for cls in (set, Colour, Point):
            register(cls, encode=_refuse, decode=_refuse)


def _refuse(value: Any) -> Any:
    raise TypeError("fcached.register(...) was taken back")


def test_register_again_allowed_under_own_name_only() -> None:
    assert register(Pair) is Pair
    another = dataclasses.make_dataclass("Pair", ["left"])
    with pytest.raises(ArgumentError, match="belongs to .*Pair"):
        register(another, name=f"{Pair.__module__}.Pair")
    with pytest.raises(ArgumentError, match="registered already, under the name"):
        register(Pair, name="another")
    assert same(decode(encode(Pair(1))), Pair(1))


@pytest.mark.parametrize(
    "cls, options, text",
    [
        (int, {}, "has an encoding already"),
        (np.ndarray, {"encode": list, "decode": list}, "has an encoding already"),
        (np.float32, {"encode": list, "decode": list}, "has an encoding already"),
        (1, {}, "takes a class"),
        (object, {}, "not a dataclass"),
        (Text, {"encode": str}, "go together"),
        (Text, {"encode": 1, "decode": 1}, "go together"),
        (Text, {"encode": str, "decode": Text, "name": ""}, "a name is"),
        (Text, {"encode": str, "decode": Text, "name": "n" * 256}, "a name is"),
        (Text, {"encode": str, "decode": Text, "name": "\ud800"}, "a name is"),
        (dataclasses.make_dataclass("E", ["x"], bases=(Exception,)), {}, "more than its fields"),
        (dataclasses.make_dataclass("L", ["x"], bases=(list,)), {}, "more than its fields"),
    ],
)
def test_register_invalid_class_refused(cls: Any, options: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        register(cls, **options)


def test_decode_unregistered_class_named_in_error() -> None:
    data = _written_by().replace(b"elsewhere.", b"a.stranger")
    with pytest.raises(DecodeError, match="'a.stranger', which is not registered"):
        decode(data)
    with pytest.raises(DecodeError, match="looked up"):
        decode(data.replace(b"stran", b"\xff" * 5))


# ---- in processes of their own -------------------------------------------------


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numpy_imported_by_first_array_only() -> None:
    data = encode(np.arange(3))
    _run(
        "import sys; from fcached import _core, values\n"
        "_core.decode(_core.encode([1, 'a', {}])); assert 'numpy' not in sys.modules\n"
        f"assert _core.decode({data!r}).sum() == 3"
    )


def test_decode_array_without_numpy_raises() -> None:
    _run(
        "import sys; sys.modules['numpy'] = None; sys.modules['numpy.core'] = None\n"
        "from fcached import _core; from fcached.errors import DecodeError, EncodeError\n"
        f"data = {encode(np.arange(3))!r}\n"
        "try: _core.decode(data)\n"
        "except DecodeError as error: assert 'numpy cannot be imported' in str(error), error\n"
        "else: raise AssertionError\n"
        "try: _core.encode({1})\n"
        "except EncodeError: pass\n"
        "else: raise AssertionError"
    )


SWAY = """
import dataclasses, sys, types
import numpy as np
from fcached import _core
from fcached.errors import DecodeError, EncodeError

def stand_in():
    module = types.ModuleType("dlm_sway.core.scoring")
    for name, fields in [
        ("TokenDist", ["token_ids", "logprobs", "vocab_size", "tail_logprob"]),
        ("RollingLogprob", ["token_ids", "logprobs", "num_tokens", "total_logprob"]),
    ]:
        cls = dataclasses.make_dataclass(name, fields, frozen=True)
        cls.__module__ = module.__name__
        setattr(module, name, cls)
    return module

def put_in_place(module):
    for name in ("dlm_sway", "dlm_sway.core"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    sys.modules[module.__name__] = module
"""


def test_known_classes_registered_at_first_use() -> None:
    out = _run(
        SWAY + "module = stand_in(); put_in_place(module)\n"
        "value = module.TokenDist(np.arange(2), np.float32([-1, -2]), 9, None)\n"
        "print(_core.encode(value).hex())"
    )
    _run(
        SWAY + f"data = bytes.fromhex({out.strip()!r}); sys.modules['dlm_sway'] = None\n"
        "try: _core.decode(data)\n"
        "except DecodeError as error: assert 'dlm_sway cannot be imported' in str(error), error\n"
        "else: raise AssertionError\n"
        "module = stand_in(); put_in_place(module)\n"
        "value = _core.decode(data)\n"
        "assert type(value) is module.TokenDist and value.token_ids.tolist() == [0, 1]\n"
    )


def test_known_classes_of_installed_sway_round_trip() -> None:
    pytest.importorskip("dlm_sway")
    out = _run(
        "import numpy as np; from dlm_sway.core.scoring import RollingLogprob\n"
        "from fcached import _core\n"
        "value = RollingLogprob(np.arange(3), np.float32([-1, -2]), 3, -3.0)\n"
        "print(_core.encode(value).hex())"
    )
    _run(
        f"import sys; from fcached import _core; data = bytes.fromhex({out.strip()!r})\n"
        "assert 'dlm_sway' not in sys.modules\n"
        "value = _core.decode(data); from dlm_sway.core.scoring import RollingLogprob\n"
        "assert type(value) is RollingLogprob and value.mean_logprob == -1.5"
    )


def test_class_with_known_name_refused() -> None:
    _run(
        SWAY + "cls = stand_in().TokenDist\n"
        "try: _core.encode(cls(1, 2, 3, 4))\n"
        "except EncodeError as error: assert 'fcached.register(TokenDist)' in str(error), error\n"
        "else: raise AssertionError"
    )


# ---- memory --------------------------------------------------------------------


CALLS = 150  # in each of four rounds
SMALLEST_BYTES = 16  # of an object: a count of references and a type


def _loses_memory(call: Any) -> bool:
    """Detects a leak for each call. A leak grows in every round of calls, but free lists and
    caches, 6 KB in a first round, do not grow in all. So the round with the smallest growth
    decides: its noise is below half of the smallest object for each call."""
    spent = []
    tracemalloc.start()
    for _ in range(20):
        call()
    for _ in range(4):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(CALLS):
            call()
        gc.collect()
        spent.append(tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    return min(spent) > CALLS * SMALLEST_BYTES // 2


def test_leak_check_detects_one_object() -> None:
    kept: list[object] = [None for _ in range(5 * CALLS)]
    numbers = iter(range(len(kept)))

    def lose() -> None:
        kept[next(numbers)] = object()

    assert _loses_memory(lose)
    assert not _loses_memory(object)


def test_codec_repeated_leaks_nothing() -> None:
    values = [random_value(random.Random(seed)) for seed in range(300, 315)]
    values.append([Pair(np.arange(300), np.float32(1)), np.zeros(3, [("o", "O"), ("s", "S3")])])
    encoded = [encode(value) for value in values]
    refused: list[Any] = [
        [1, {2}],
        {"a": np.array([{1}], object)},
        Pair(1, {1}),
        {"a": Frozen.__new__(Frozen)},
    ]

    def work() -> None:
        for value, data in zip(values, encoded):
            encode(value)
            decode(data)
            for end in (len(data) // 3, len(data) - 1):
                with pytest.raises(DecodeError):
                    decode(data[:end])
        for value in refused:
            with pytest.raises(EncodeError):
                encode(value)

    held = [None, True, np.dtype("i8"), np.dtype("f4"), Pair, "token"]
    work()
    before = [sys.getrefcount(object_) for object_ in held]
    assert not _loses_memory(work)
    after = [sys.getrefcount(object_) for object_ in held]
    assert max(abs(a - b) for a, b in zip(after, before)) < 100


def test_hostile_head_allocates_no_more_than_bytes() -> None:
    n = 20_000
    head = b"\xdd" + n.to_bytes(4, "big")
    data = head * 90 + b"\xc0" * n  # each announces as many as only one can have
    tracemalloc.start()
    with pytest.raises(DecodeError):
        decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(data)
