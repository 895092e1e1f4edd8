"""One call of a model's method, with its answers shared: what is known is looked up, what is not
is computed by whoever leases it first, and what others compute is waited for."""

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

LOGGER = logging.getLogger("lm_eval.fcached")  # where the harness's own settings reach it
_LOOKUP = 4096
"""Keys of one lookup: what bounds the answers that are in memory twice."""

Method = Callable[..., Any]


@dataclass
class Counts:
    """Of one call, in different requests."""

    found: int = 0
    computed: int = 0
    awaited: int = 0  # others had computed them by the time that they were asked for again
    private: int = 0  # computed here, and not offered to others


class Sharing:
    """What the three methods of one model have in common. Any thread may call them."""

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
        """wait: seconds, for one answer that another worker computes. chunk: requests leased at
        once; None: some batches. start: where in the order of requests this worker begins, 0 to 1;
        None: by its process id."""
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
        """What ``compute(requests, *args, **kw)`` returns. A call from within one, as of a model
        that scores a text by its windows, goes straight through: it belongs to the outer one."""
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
        """Asked for at each call: a process may have been forked since."""
        return schedule.start_of(schedule.this_worker()) if self._start is None else self._start

    def warn_once(self, topic: str, text: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            attempt(LOGGER.warning, "fcached: %s", text)

    def _ranks_differ(self) -> bool:
        """Ranks of one run meet in collective operations: a hit on one of them would hang all."""
        ranks = getattr(self.lm, "world_size", 1)
        if self._independent_ranks or not isinstance(ranks, int) or ranks <= 1:
            return False
        self.warn_once(
            "ranks",
            f"sharing is off: the model runs on {ranks} ranks, which must all compute the same "
            "requests; independent_ranks=True says that they need not",
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
        self._copies: dict[bytes, list[int]] = {}  # key to positions: one answer serves all
        self._private: list[int] = []
        self._held: set[bytes] = set()  # leases of ours that nothing has ended yet
        self._counts = Counts()
        self._batch = schedule.batch_of(sharing.lm)
        self._bar = Progress(0, "", False)
        for position, request in enumerate(requests):
            self._sort_out(position, request.args)

    def _sort_out(self, position: int, args: tuple[Any, ...]) -> None:
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
            return self._plain()
        missing = self._look_up()
        if len(missing) == len(self._copies) and not self._client.connected:
            return self._plain()
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

    def _plain(self) -> Any:
        """Nothing is shared: the model gets all requests in one call, as without a cache, and so
        makes the same batches of them."""
        return self._original(self._requests, *self._args, **self._kw)

    # What is known, and in which order to ask for the rest

    def _look_up(self) -> list[bytes]:
        """Settles what is known; returns the keys of the rest."""
        missing, doubted = [], []
        verifies = self._client.verify > 0
        for name, answer in self._ask(list(self._copies), lease=False, record=not verifies):
            if answer is MISS:
                missing.append(name)
                continue
            self._counts.found += 1
            if verifies:
                doubted.append(name)
            else:
                self._settle(name, answer)
        self._verify(doubted)
        return missing

    def _verify(self, names: list[bytes]) -> None:
        """Settles what is known by the client's own lookup, which computes a share of it again,
        compares, counts and logs; what was computed is then the answer."""
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

    def _ask(
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
        """An answer that another worker put. What no model answers is another program's, which has
        the namespace, the op and the view in common with us: it is computed here."""
        if keys.storable(self._method, answer):
            self._deliver(name, answer)
        else:
            self._private += self._copies[name]

    def _deliver(self, name: bytes, answer: Any) -> None:
        for position in self._copies[name]:
            self._results[position] = answer

    def _context(self, name: bytes) -> Any:
        """Requests of one context may need one pass of the model."""
        args = self._requests[self._copies[name][0]].args
        return args[0] if args and isinstance(args[0], str) else name

    def _ordered(self, names: list[bytes]) -> list[bytes]:
        """As models sort, and alike in all workers, whatever else each of them was asked: by the
        parameters, which a batch has in common; the longest first; those of one context together.
        """

        def rank(name: bytes) -> tuple[bytes, int, Any, bytes]:
            args = self._requests[self._copies[name][0]].args
            text = args[0] if args and isinstance(args[0], str) else ""
            parameters = keys.key(args[1:2]) if self._method == keys.GENERATE else b""
            return parameters, -len(text), text, name

        return sorted(names, key=rank)

    def _walk(self, names: list[bytes], start: float = 0.0) -> schedule.Walk:
        return schedule.Walk(names, self._context, self._batch, start)

    # Work that is shared

    def _share(self, walk: schedule.Walk, leased: Sequence[bytes] = ()) -> list[bytes]:
        """Leases and computes what it can of ``walk``, piece by piece, beginning with what is
        ``leased`` already; returns what others compute."""
        others: list[bytes] = []
        mine = list(leased)
        while walk or mine:
            size = schedule.piece(len(walk), self._batch, self._sharing.chunk)
            while walk and len(mine) < size:
                for name, answer in self._ask(walk.take(size - len(mine)), lease=True):
                    if answer is LEASED:
                        mine.append(name)
                    elif answer is MISS:
                        others.append(name)
                    else:
                        self._take_over(name, answer)
            if others and not self._client.connected:
                # Nobody is there to lease from: the rest is one call, with the model's own batches.
                self._compute(mine + others + walk.take(max(1, len(walk))))
                return []
            self._compute(mine)
            mine = []
        return others

    def _take_over(self, name: bytes, answer: Any) -> None:
        self._counts.awaited += 1
        self._bar.advance(1)
        self._settle(name, answer)

    def _wait_for(self, others: list[bytes]) -> None:
        """Nothing is leased by us here, as who holds a lease is never made to wait. Others put
        their answers a batch at a time, so that after one wait many may be there."""
        while others:
            others = self._share(self._walk(others))
            if not others:
                break
            first, rest = others[0], others[1:]
            answer = self._client.get(
                self._method, self._sharing.view, first, wait=self._sharing.wait, lease=True
            )
            if answer is LEASED:  # given up; it may be that all of that worker's are
                self._held.add(first)
                others = self._share(self._walk(rest), [first])
            elif answer is MISS:  # it took too long, or we are not to wait
                size = schedule.piece(len(others), self._batch, self._sharing.chunk)
                self._compute(others[:size])
                others = others[size:]
            else:
                self._take_over(first, answer)
                others = rest

    def _compute(self, names: list[bytes]) -> None:
        """Computes, and puts each answer when the model tells of it, or else at the end."""
        if not names:
            return
        chosen = [self._requests[self._copies[name][0]] for name in names]
        told = reports.Told(self._method, [(n, r.args) for n, r in zip(names, chosen)])
        put = _Puts(self, names)
        with reports.listening(self._sharing.lm, told, put.early):
            answers = self._call_model(chosen)
        for name, answer in zip(names, answers):
            put.final(name, answer)
            self._deliver(name, answer)
        self._give_up()  # of what had no answer to be kept: who waits for it is not to wait longer
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

    def worth(self, answer: Any) -> bool:
        return keys.storable(self._method, answer)

    def put(self, name: bytes, answer: Any, seconds: float, *, replace: bool = False) -> None:
        """Offers an answer to the others. It ends the lease, also where it cannot be stored."""
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
        """Of what was leased and has come to nothing: who waits for it computes it at once."""
        held, self._held = list(self._held), set()
        if held:
            attempt(self._client.give_up_many, self._method, self._sharing.view, held)

    # What is seen of it

    def _show_progress(self, missing: int) -> None:
        """One bar instead of one a piece, where the model's can be switched off."""
        shown = not (self._args or self._kw.get("disable_tqdm")) and missing > 0
        if shown and takes_disable_tqdm(self._original):
            self._kw = {**self._kw, "disable_tqdm": True}
            self._bar = Progress(missing, f"Sharing {self._method} requests", True)

    def _log(self) -> None:
        counts = self._counts
        attempt(
            LOGGER.info,
            "fcached: %s: %d requests, %d different: %d found, %d computed here, %d by others "
            "meanwhile; %d not shared",
            self._method,
            len(self._requests),
            len(self._copies),
            counts.found,
            counts.computed,
            counts.awaited,
            counts.private,
        )


class _Puts:
    """Of the answers of one call of the model: each is put once, as soon as it is known.

    The time since the last put is what an answer is said to have cost. So the first of a batch
    bears the pass of all, and the sum is right."""

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
        """What the model tells of, from whatever thread, in the middle of its computation."""
        attempt(self._early_one, name, answer)

    def final(self, name: bytes, answer: Any) -> None:
        """What the model returned, which is what counts where it told of something else."""
        attempt(self._final_one, name, answer)

    def _early_one(self, name: bytes, answer: Any) -> None:
        """Told again, as of a request that stands twice, it is put once."""
        if self._call.worth(answer) and self._waiting.pop(name, False):
            self._early[name] = answer
            self._call.put(name, answer, self._seconds())

    def _final_one(self, name: bytes, answer: Any) -> None:
        worth = self._call.worth(answer)
        if self._waiting.pop(name, False):
            if worth:
                self._call.put(name, answer, self._seconds())
        elif worth and self._early[name] != answer:
            self._call.put(name, answer, 0.0, replace=True)
