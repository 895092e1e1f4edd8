"""Results as a model has them, batch by batch, before the call that computes them has returned.

Models of lm-evaluation-harness tell ``lm.cache_hook.add_partial(method, args, answer)`` of every
answer when its batch ends, for the harness's own cache. Listening there means that a run which is
killed loses one batch, and that others need not wait for more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import keys

Report = Callable[[bytes, Any], None]
"""Called with a request's key and its answer, once for each time the model tells of it."""

_TOLD_ARGS = 2
"""Models tell of a context and what follows it, and leave the images of a request out."""


class Told:
    """Finds the request that a model tells of, among those that it was given."""

    def __init__(self, method: str, requests: Sequence[tuple[bytes, tuple[Any, ...]]]) -> None:
        """``requests``: key and arguments of each. Keys are those of before the call: a model may
        change its arguments while it works."""
        self._method = method
        self._keys: dict[bytes, bytes | None] = {}
        for name, args in requests:
            told = name if len(args) <= _TOLD_ARGS else keys.key(args[:_TOLD_ARGS])
            # Two that differ in what is not told cannot be told apart.
            self._keys[told] = None if told in self._keys else name

    def find(self, method: Any, args: Any) -> bytes | None:
        """None for what is not of this call: the windows of a longer text, another's request."""
        if method != self._method or not isinstance(args, (tuple, list)):
            return None
        try:
            return self._keys.get(keys.key(args))
        except keys.Unkeyable:
            return None


class Hook:
    """Stands where the model's own hook was, which goes on hearing everything."""

    def __init__(self, previous: Any, told: Told, report: Report) -> None:
        self._previous = previous
        self._told = told
        self._report = report

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        self._previous.add_partial(attr, req, res)
        name = self._told.find(attr, req)
        if name is not None:
            self._report(name, res)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._previous, name)


@contextmanager
def listening(lm: Any, told: Told, report: Report) -> Iterator[None]:
    """While it lasts, what ``lm`` tells of goes to ``report`` too. Silent for a model without a
    hook. The hook that the user, or the harness's cache, has set is there again afterwards."""
    previous = getattr(lm, "cache_hook", None)
    if previous is None:
        yield
        return
    lm.set_cache_hook(Hook(previous, told, report))
    try:
        yield
    finally:
        lm.set_cache_hook(previous)
