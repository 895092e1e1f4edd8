"""What a request of lm-evaluation-harness is called in the cache, and which of them are kept.

A request's key is the SHA-256 of its arguments in one canonical spelling, so that it does not
depend on the process, the order of a dict's keys, or an object's address. The daemon is given the
digest (32 bytes) for a prompt: few-shot contexts are long, and a run asks for each key repeatedly.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

LOGLIKELIHOOD = "loglikelihood"
ROLLING = "loglikelihood_rolling"
GENERATE = "generate_until"
METHODS = (LOGLIKELIHOOD, ROLLING, GENERATE)

# Changes with the spelling below: what was stored under another one is then not found.
_SPELLING = b"fcached.lm_eval 1\n"
_EXIF_ORIENTATION = 0x0112


class Unkeyable(TypeError):
    """An argument has a part that is not known to be its content alone, such as a live object."""


def key(args: Iterable[Any]) -> bytes:
    """The 32 bytes that name a request with these arguments (``Instance.args``).

    Text (lone surrogates too), numbers, None, bytes, lists, dicts, numpy arrays and Pillow images
    may be in them, nested as they like; a tuple is spelled as a list. Raises Unkeyable for
    anything else: its repr may name an address.
    """
    try:
        spelled = json.dumps([_spell(arg) for arg in args], separators=(",", ":"))
    except Unkeyable:
        raise
    except Exception as error:  # an image that is closed, an array whose memory is gone
        raise Unkeyable(str(error) or repr(error)) from error
    return hashlib.sha256(_SPELLING + spelled.encode("ascii")).digest()


def _spell(value: Any) -> Any:
    """As what JSON has. An object with one member is a type that it has not: no dict is spelled
    as itself, so none can pass for another type."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_spell(item) for item in value]
    if isinstance(value, Mapping):
        items = [[_spell(name), _spell(item)] for name, item in value.items()]
        return {"dict": sorted(items, key=lambda item: json.dumps(item[0]))}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": _digest(value)}
    # Who has such a value has imported its module: importing it here is never needed.
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
    return [array.dtype.str, list(array.shape), _digest(array.tobytes())]


def _image(image: Any) -> list[Any]:
    """Pixels, and what else a processor looks at: it may turn an image as its Exif data says."""
    pixels = image.tobytes()  # loads the image, and with it the palette
    if image.palette is not None:
        pixels = image.convert("RGBA").tobytes()
    transparency = _spell(image.info.get("transparency"))
    orientation = _spell(image.getexif().get(_EXIF_ORIENTATION))
    return [image.mode, list(image.size), _digest(pixels), transparency, orientation]


def sampled(method: str, args: tuple[Any, ...]) -> bool:
    """Whether the answer is drawn at random, or may be: it is then never shared, or all draws of
    all workers would be the same one."""
    if method != GENERATE:
        return False
    parameters = args[1] if len(args) > 1 else None
    if parameters is None or isinstance(parameters, (list, tuple)):
        return False  # the stop sequences alone
    return not isinstance(parameters, Mapping) or _draws(parameters)


def _draws(parameters: Mapping[Any, Any]) -> bool:
    if _is_set(parameters.get("do_sample")) or not _is_zero(parameters.get("temperature")):
        return True
    return any(_draws(item) for item in parameters.values() if isinstance(item, Mapping))


def _is_set(flag: Any) -> bool:
    """Settings come from YAML and from command lines: there False may be a word."""
    if isinstance(flag, str):
        return flag.strip().lower() not in ("", "0", "false", "no", "off", "none", "null")
    return bool(flag)


def _is_zero(temperature: Any) -> bool:
    """With ``do_sample=False`` some backends ignore a temperature and others draw all the same."""
    if temperature is None:
        return True
    try:
        return float(temperature) <= 0.0  # False for NaN
    except (TypeError, ValueError):
        return False


def storable(method: str, answer: Any) -> bool:
    """Whether an answer is one of the model's, and worth keeping.

    None and the empty text are what backends return where a request failed or ran out of tokens:
    kept, they would be served for good. The same goes for a log-probability that is not a finite
    number: NaN is an overflow, and backends use minus infinity for what they could not get.
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
    except OverflowError:  # an int that no float can be
        return False
