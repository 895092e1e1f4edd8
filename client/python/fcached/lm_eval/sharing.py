"""Shares the answers of one call of a model's method: looks up all requests, leases and computes
the missing ones, and waits for those that other workers compute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import LEASED, MISS, items
from ..errors import BatchError
from ..fail_open import attempt
from . import keys, reports, schedule
from .progress import Progress, takes_disable_tqdm

if TYPE_CHECKING:
    from .. import Client

LOGGER = logging.getLogger("lm_eval.fcached")  # a child of the harness's logger
_LOOKUP = 4096
"""Keys of one lookup. Bounds the answers that are in memory twice."""

Method = Callable[..., Any]


@dataclass
class Counts:
    """The different requests of one call, by the origin of their answers."""

    found: int = 0
    computed: int = 0
    awaited: int = 0  # computed by other workers during the call
    private: int = 0  # computed here and not shared


class Sharing:
    """The state of a wrapped model, shared by its three methods. Thread-safe."""

    def __init__(
        self,
        lm: Any,
        client: Client,
        *,
        view: str = "lm",
        wait: float = 300.0,
        chunk: int | None = None,
        independent_ranks: bool = False,
        start: float | None = None,
    ) -> None:
        """wait: seconds for one answer that another worker computes. chunk: requests leased at
        once. None: some batches. start: this worker's start in the order of requests, 0 to 1. None:
        from its process id."""
        self.lm = lm
        self.client = client
        self.view = view
        self.wait = wait
        self.chunk = chunk
        self._independent_ranks = independent_ranks
        self._start = start
        self._inside = threading.local()
        self._warned: set[str] = set()

    def call(
        self, method: str, compute: Method, requests: Sequence[Any], *args: Any, **kw: Any
    ) -> Any:
        """Returns the result of ``compute(requests, *args, **kw)``. A nested call, as of a model
        that scores a text by its windows, is part of the outer one and passes through."""
        if getattr(self._inside, "method", None) or self._ranks_differ():
            return compute(requests, *args, **kw)
        if not isinstance(requests, Sequence):
            requests = list(requests)
        self._inside.method = method
        try:
            return _Call(self, method, compute, requests, args, kw).run()
        finally:
            self._inside.method = None

    def start(self) -> float:
        """This worker's start in the order. Computed for each call, because the process may have
        forked."""
        return schedule.start_of(schedule.this_worker()) if self._start is None else self._start

    def warn_once(self, topic: str, text: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            attempt(LOGGER.warning, "fcached: %s", text)

    def _ranks_differ(self) -> bool:
        """True if the model runs on several ranks. They meet in collective operations, so a hit on
        one of them would hang all."""
        ranks = getattr(self.lm, "world_size", 1)
        if self._independent_ranks or not isinstance(ranks, int) or ranks <= 1:
            return False
        self.warn_once(
            "ranks",
            f"sharing is off: the model runs on {ranks} ranks, which must all compute the same "
            "requests. If they need not, set independent_ranks=True",
        )
        return True


class _Call:
    def __init__(
        self,
        sharing: Sharing,
        method: str,
        compute: Method,
        requests: Sequence[Any],
        args: tuple[Any, ...],
        kw: dict[str, Any],
    ) -> None:
        self._sharing = sharing
        self._client = sharing.client
        self._method = method
        self._original = compute
        self._requests = requests
        self._args, self._kw = args, kw
        self._results: list[Any] = [None] * len(requests)
        self._copies: dict[bytes, list[int]] = {}  # key -> positions of the request in the call
        self._private: list[int] = []
        self._held: set[bytes] = set()  # leases of this call
        self._counts = Counts()
        self._batch = schedule.batch_of(sharing.lm)
        self._bar = Progress(0, "", False)
        for position, request in enumerate(requests):
            self._add_request(position, request.args)

    def _add_request(self, position: int, args: tuple[Any, ...]) -> None:
        if keys.sampled(self._method, args):
            self._private.append(position)
            return
        try:
            name = keys.key(args)
        except keys.Unkeyable as error:
            self._sharing.warn_once(
                f"key of {error}",
                f"{self._method}: requests with {error} in them are computed and not shared: they "
                "have no canonical bytes",
            )
            self._private.append(position)
            return
        self._copies.setdefault(name, []).append(position)

    def run(self) -> Any:
        if not self._copies:
            return self._call_unshared()
        missing = self._look_up()
        if len(missing) == len(self._copies) and not self._client.connected:
            return self._call_unshared()
        self._show_progress(len(missing))
        try:
            others = self._share(self._walk(self._ordered(missing), self._sharing.start()))
            self._compute_private()
            self._wait_for(others)
        finally:
            self._bar.close()
            self._give_up()
        self._log()
        return self._results

    def _call_unshared(self) -> Any:
        """Calls the model with all requests at once, so that it forms the same batches as without a
        cache."""
        return self._original(self._requests, *self._args, **self._kw)

    # ---- lookups and order ----

    def _look_up(self) -> list[bytes]:
        """Delivers the stored answers. Returns the keys of the missing ones."""
        missing, to_verify = [], []
        verifies = self._client.verify > 0
        for name, answer in self._get(list(self._copies), lease=False, record=not verifies):
            if answer is MISS:
                missing.append(name)
                continue
            self._counts.found += 1
            if verifies:
                to_verify.append(name)
            else:
                self._settle(name, answer)
        self._verify(to_verify)
        return missing

    def _verify(self, names: list[bytes]) -> None:
        """Looks stored answers up with ``cached_batch``, which verifies a share of them. A verified
        answer is the newly computed one."""
        for first in range(0, len(names), _LOOKUP):
            piece = names[first : first + _LOOKUP]
            requests = [self._requests[self._copies[name][0]] for name in piece]
            answers = self._client.cached_batch(
                self._method,
                self._sharing.view,
                piece,
                0,
                lambda indices: self._call_model([requests[index] for index in indices]),
            )
            for name, answer in zip(piece, answers):
                self._settle(name, answer)

    def _get(
        self, names: list[bytes], *, lease: bool, record: bool = True
    ) -> Iterable[tuple[bytes, Any]]:
        for first in range(0, len(names), _LOOKUP):
            piece = names[first : first + _LOOKUP]
            answers = self._client.get_many(
                self._method, self._sharing.view, piece, lease=lease, record=record
            )
            self._held.update(name for name, got in zip(piece, answers) if got is LEASED)
            yield from zip(piece, answers)

    def _settle(self, name: bytes, answer: Any) -> None:
        """Delivers a stored answer. An invalid one, which another program put under the same
        namespace, op and view, is computed here."""
        if keys.storable(self._method, answer):
            self._deliver(name, answer)
        else:
            self._private += self._copies[name]

    def _deliver(self, name: bytes, answer: Any) -> None:
        for position in self._copies[name]:
            self._results[position] = answer

    def _context(self, name: bytes) -> Any:
        """The context of a request. A model may need one pass for requests of the same context."""
        args = self._requests[self._copies[name][0]].args
        return args[0] if args and isinstance(args[0], str) else name

    def _ordered(self, names: list[bytes]) -> list[bytes]:
        """Sorts as models do, and alike in all workers: by the parameters, which a batch has in
        common, then the longest first, then by context."""

        def rank(name: bytes) -> tuple[bytes, int, Any, bytes]:
            args = self._requests[self._copies[name][0]].args
            text = args[0] if args and isinstance(args[0], str) else ""
            parameters = keys.key(args[1:2]) if self._method == keys.GENERATE else b""
            return parameters, -len(text), text, name

        return sorted(names, key=rank)

    def _walk(self, names: list[bytes], start: float = 0.0) -> schedule.Walk:
        return schedule.Walk(names, self._context, self._batch, start)

    # ---- shared work ----

    def _share(self, walk: schedule.Walk, leased: Sequence[bytes] = ()) -> list[bytes]:
        """Leases and computes the requests of ``walk`` piece by piece, after those that are
        ``leased`` already. Returns the keys that other workers compute."""
        others: list[bytes] = []
        mine = list(leased)
        while walk or mine:
            size = schedule.piece(len(walk), self._batch, self._sharing.chunk)
            while walk and len(mine) < size:
                for name, answer in self._get(walk.take(size - len(mine)), lease=True):
                    if answer is LEASED:
                        mine.append(name)
                    elif answer is MISS:
                        others.append(name)
                    else:
                        self._accept(name, answer)
            if others and not self._client.connected:
                # Without a daemon the rest is one call, with the model's own batches.
                self._compute(mine + others + walk.take(max(1, len(walk))))
                return []
            self._compute(mine)
            mine = []
        return others

    def _accept(self, name: bytes, answer: Any) -> None:
        self._counts.awaited += 1
        self._bar.advance(1)
        self._settle(name, answer)

    def _wait_for(self, others: list[bytes]) -> None:
        """Waits for other workers. Holds no lease, because the daemon lets no holder wait. Other
        workers put their answers by batch, so after one wait many may be stored."""
        while others:
            others = self._share(self._walk(others))
            if not others:
                break
            first, rest = others[0], others[1:]
            answer = self._client.get(
                self._method, self._sharing.view, first, wait=self._sharing.wait, lease=True
            )
            if answer is LEASED:  # its worker gave it up, maybe with others
                self._held.add(first)
                others = self._share(self._walk(rest), [first])
            elif answer is MISS:  # it took too long, or waiting is off
                size = schedule.piece(len(others), self._batch, self._sharing.chunk)
                self._compute(others[:size])
                others = others[size:]
            else:
                self._accept(first, answer)
                others = rest

    def _compute(self, names: list[bytes]) -> None:
        """Computes requests, and puts each answer when the model reports it, or else at the end."""
        if not names:
            return
        chosen = [self._requests[self._copies[name][0]] for name in names]
        finder = reports.ReportFinder(self._method, [(n, r.args) for n, r in zip(names, chosen)])
        put = _AnswerPuts(self, names)
        with reports.reporting(self._sharing.lm, finder, put.early):
            answers = self._call_model(chosen)
        for name, answer in zip(names, answers):
            put.final(name, answer)
            self._deliver(name, answer)
        self._give_up()  # leases whose answers may not be stored
        self._counts.computed += len(names)
        self._bar.advance(len(names))

    def _compute_private(self) -> None:
        if not self._private:
            return
        answers = self._call_model([self._requests[position] for position in self._private])
        for position, answer in zip(self._private, answers):
            self._results[position] = answer
        self._counts.private += len(self._private)
        self._private = []

    def _call_model(self, requests: list[Any]) -> list[Any]:
        name = f"{type(self._sharing.lm).__name__}.{self._method}"
        answers = self._original(requests, *self._args, **self._kw)
        count = items.count(answers, f"what {name} returns")
        if count != len(requests):
            raise BatchError(f"{name} returned {count} answers for {len(requests)} requests")
        return items.at_positions(answers, count)

    def storable(self, answer: Any) -> bool:
        return keys.storable(self._method, answer)

    def put(self, name: bytes, answer: Any, seconds: float, *, replace: bool = False) -> None:
        """Puts an answer. Ends its lease in all cases."""
        self._held.discard(name)
        view = self._sharing.view
        try:
            self._client.put(
                self._method,
                view,
                name,
                0,
                answer,
                compute_s=seconds,
                keep_first=not replace,
                record=not replace,
            )
        except Exception as error:
            attempt(self._client.give_up, self._method, view, name)
            self._sharing.warn_once(
                f"put of {type(error).__name__}",
                f"{self._method}: an answer is not shared: {error}",
            )

    def _give_up(self) -> None:
        """Gives up the leases without a put, so that waiting workers compute them at once."""
        held, self._held = list(self._held), set()
        if held:
            attempt(self._client.give_up_many, self._method, self._sharing.view, held)

    # ---- progress and log ----

    def _show_progress(self, missing: int) -> None:
        """Shows one bar for the call if the model's own bars can be disabled."""
        shown = not (self._args or self._kw.get("disable_tqdm")) and missing > 0
        if shown and takes_disable_tqdm(self._original):
            self._kw = {**self._kw, "disable_tqdm": True}
            self._bar = Progress(missing, f"Sharing {self._method} requests", True)

    def _log(self) -> None:
        counts = self._counts
        attempt(
            LOGGER.info,
            "fcached: %s: %d requests, %d different: %d found, %d computed here, %d by other "
            "workers; %d not shared",
            self._method,
            len(self._requests),
            len(self._copies),
            counts.found,
            counts.computed,
            counts.awaited,
            counts.private,
        )


class _AnswerPuts:
    """Puts each answer of one call of the model once, as soon as it is known.

    The cost of an answer is the time since the last put. So the first answer of a batch has the
    cost of the whole pass, and the sum is right."""

    def __init__(self, call: _Call, names: Sequence[bytes]) -> None:
        self._call = call
        self._waiting = dict.fromkeys(names, True)
        self._early: dict[bytes, Any] = {}
        self._since = time.perf_counter()

    def _seconds(self) -> float:
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        return seconds

    def early(self, name: bytes, answer: Any) -> None:
        """Puts an answer that the model reports during its computation, from any thread."""
        attempt(self._early_one, name, answer)

    def final(self, name: bytes, answer: Any) -> None:
        """Puts an answer that the model returned. It replaces a different one that it reported."""
        attempt(self._final_one, name, answer)

    def _early_one(self, name: bytes, answer: Any) -> None:
        """Puts an answer once, even if the model reports it twice."""
        if self._call.storable(answer) and self._waiting.pop(name, False):
            self._early[name] = answer
            self._call.put(name, answer, self._seconds())

    def _final_one(self, name: bytes, answer: Any) -> None:
        storable = self._call.storable(answer)
        if self._waiting.pop(name, False):
            if storable:
                self._call.put(name, answer, self._seconds())
        elif storable and self._early[name] != answer:
            self._call.put(name, answer, 0.0, replace=True)
