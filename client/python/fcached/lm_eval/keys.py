"""The keys of requests of lm-evaluation-harness, and the rules for sharing and storing them.

A request's key is the SHA-256 of its arguments in a canonical form. It does not depend on the
process, the order of a dict's keys, or an object's address. The digest (32 bytes) is the prompt in
the daemon's keys, because few-shot contexts are long and each key is looked up repeatedly.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .. import _core

LOGLIKELIHOOD = "loglikelihood"
ROLLING = "loglikelihood_rolling"
GENERATE = "generate_until"
METHODS = (LOGLIKELIHOOD, ROLLING, GENERATE)

# Identifies the canonical form. A change of the form must change it, so that old keys miss.
_SPELLING = b"fcached.lm_eval 1\n"
_EXIF_ORIENTATION = 0x0112


class Unkeyable(TypeError):
    """An argument contains an object without a canonical form."""


def key(args: Iterable[Any]) -> bytes:
    """Returns the 32 bytes of the key for these arguments (``Instance.args``).

    They may contain text (also lone surrogates), numbers, None, bytes, lists, dicts, numpy arrays
    and Pillow images. A tuple counts as a list. Raises Unkeyable for any other object, whose repr
    may contain an address.
    """
    try:
        spelled = json.dumps([_spell(arg) for arg in args], separators=(",", ":"))
    except Unkeyable:
        raise
    except Exception as error:  # such as a closed image
        raise Unkeyable(str(error) or repr(error)) from error
    return hashlib.sha256(_SPELLING + spelled.encode("ascii")).digest()


def _spell(value: Any) -> Any:
    """The canonical form, in types of JSON. An object with one member marks a type that JSON lacks,
    also a dict, so that no dict has the form of another type."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_spell(item) for item in value]
    if isinstance(value, Mapping):
        items = [[_spell(name), _spell(item)] for name, item in value.items()]
        return {"dict": sorted(items, key=lambda item: json.dumps(item[0]))}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": _digest(value)}
    # A process that has such a value has imported its module.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return {"array": _array(value)}
    images = sys.modules.get("PIL.Image")
    if images is not None and isinstance(value, images.Image):
        return {"image": _image(value)}
    raise Unkeyable(f"{type(value).__module__}.{type(value).__qualname__}")


def _digest(data: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _array(array: Any) -> list[Any]:
    if array.dtype.hasobject:
        raise Unkeyable(f"an array of dtype {array.dtype}")
    data = array.tobytes()
    if array.dtype.char in "gGV":  # may have padding, which is undefined: the encoder zeroes it
        data = _core.encode(sys.modules["numpy"].ascontiguousarray(array))
    return [array.dtype.str, list(array.shape), _digest(data)]


def _image(image: Any) -> list[Any]:
    """The pixels and the facts that image processors use, such as the orientation in Exif data."""
    pixels = image.tobytes()  # loads the image and its palette
    if image.palette is not None:
        pixels = image.convert("RGBA").tobytes()
    transparency = _spell(image.info.get("transparency"))
    orientation = _spell(image.getexif().get(_EXIF_ORIENTATION))
    return [image.mode, list(image.size), _digest(pixels), transparency, orientation]


def sampled(method: str, args: tuple[Any, ...]) -> bool:
    """True if the answer may be random. It is then never shared, or all workers would get the same
    draw."""
    if method != GENERATE:
        return False
    parameters = args[1] if len(args) > 1 else None
    if parameters is None or isinstance(parameters, (list, tuple)):
        return False  # only stop sequences
    return not isinstance(parameters, Mapping) or _draws(parameters)


def _draws(parameters: Mapping[Any, Any]) -> bool:
    if _is_set(parameters.get("do_sample")) or not _is_zero(parameters.get("temperature")):
        return True
    return any(_draws(item) for item in parameters.values() if isinstance(item, Mapping))


def _is_set(flag: Any) -> bool:
    """The truth of a setting from YAML or a command line, where False may be a word."""
    if isinstance(flag, str):
        return flag.strip().lower() not in ("", "0", "false", "no", "off", "none", "null")
    return bool(flag)


def _is_zero(temperature: Any) -> bool:
    """True for a temperature of 0. With ``do_sample=False`` some backends still sample if it is
    higher."""
    if temperature is None:
        return True
    try:
        return float(temperature) <= 0.0  # False for NaN
    except (TypeError, ValueError):
        return False


def storable(method: str, answer: Any) -> bool:
    """True if an answer is valid and may be stored.

    Backends return None or the empty text for a request that failed or ran out of tokens, NaN after
    an overflow, and minus infinity for a log-probability that they could not get. If stored, these
    would be served from then on.
    """
    if method == GENERATE:
        return isinstance(answer, str) and answer not in (
            "",
            os.environ.get("LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER", ""),
        )
    if method == LOGLIKELIHOOD:
        if not isinstance(answer, (tuple, list)) or len(answer) != 2 or answer[1] is None:
            return False
        answer = answer[0]
    try:
        return isinstance(answer, (float, int)) and math.isfinite(answer)
    except OverflowError:  # an int beyond the range of float
        return False
