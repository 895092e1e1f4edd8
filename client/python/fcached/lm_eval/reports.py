"""Answers that a model reports batch by batch, before the call that computes them returns.

Models of lm-evaluation-harness call ``lm.cache_hook.add_partial(method, args, answer)`` for every
answer when its batch ends, for the harness's own cache. A hook there stores the answers of each
batch at once, so a killed run loses one batch, and other workers wait for one batch at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import keys

Report = Callable[[bytes, Any], None]
"""Called with the key and the answer of a request, each time the model reports it."""

_REPORTED_ARGS = 2
"""Models report a context and its continuation, but not the images of a request."""


class ReportFinder:
    """Finds the request for an answer that the model reports."""

    def __init__(self, method: str, requests: Sequence[tuple[bytes, tuple[Any, ...]]]) -> None:
        """``requests``: the key and the arguments of each, before the call: a model may change its
        arguments."""
        self._method = method
        self._keys: dict[bytes, bytes | None] = {}
        for name, args in requests:
            reported = name if len(args) <= _REPORTED_ARGS else keys.key(args[:_REPORTED_ARGS])
            # None: two requests have the same reported arguments.
            self._keys[reported] = None if reported in self._keys else name

    def find(self, method: Any, args: Any) -> bytes | None:
        """The key of the request, or None if the report is of another call, such as for the windows
        of a longer text."""
        if method != self._method or not isinstance(args, (tuple, list)):
            return None
        try:
            return self._keys.get(keys.key(args))
        except keys.Unkeyable:
            return None


class Hook:
    """Replaces the model's hook, and forwards all calls to it."""

    def __init__(self, previous: Any, finder: ReportFinder, report: Report) -> None:
        self._previous = previous
        self._finder = finder
        self._report = report

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        self._previous.add_partial(attr, req, res)
        name = self._finder.find(attr, req)
        if name is not None:
            self._report(name, res)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._previous, name)


@contextmanager
def reporting(lm: Any, finder: ReportFinder, report: Report) -> Iterator[None]:
    """Passes the answers that ``lm`` reports to ``report`` in this context. Does nothing for a
    model without a hook. Restores the previous hook at exit."""
    previous = getattr(lm, "cache_hook", None)
    if previous is None:
        yield
        return
    lm.set_cache_hook(Hook(previous, finder, report))
    try:
        yield
    finally:
        lm.set_cache_hook(previous)
