"""A fake daemon with clients, a model and requests for the tests of fcached.lm_eval. It simulates
several workers in one process, event by event, without real time and always in the same order."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fcached import LEASED, MISS
from fcached.lm_eval.sharing import Sharing


class Turns:
    """Runs workers as if at the same time: only the worker that is least advanced in time runs.
    Each worker is a thread, so that any code may wait."""

    def __init__(self) -> None:
        self.ended: dict[int, float] = {}
        self._changed = threading.Condition()
        self._clock: dict[int, float] = {}
        self._waiting: dict[int, Callable[[], bool]] = {}
        self._turn: int | None = None

    def run(self, workers: Sequence[Callable[[], Any]]) -> list[Any]:
        """The result of each worker, or its exception. ``ended`` has the time in seconds."""
        results: list[Any] = [None] * len(workers)

        def thread(number: int) -> None:
            self._await_turn(number)
            try:
                results[number] = workers[number]()
            except Exception as error:
                results[number] = error
            self.ended[number] = self._clock.pop(number)
            self._pass_on()

        self._clock = {number: 0.0 for number in range(len(workers))}
        threads = [threading.Thread(target=thread, args=(n,)) for n in self._clock]
        for one in threads:
            one.start()
        self._pass_on()
        for one in threads:
            one.join()
        self._turn = None
        return results

    def spend(self, seconds: float) -> None:
        """The worker whose turn it is takes that long. Nothing outside of `run`."""
        number = self._turn
        if number is not None:
            self._clock[number] += seconds
            self._pass_on()
            self._await_turn(number)

    def wait(self, ready: Callable[[], bool]) -> None:
        """The worker whose turn it is goes on when another has made `ready` hold."""
        number = self._turn
        assert number is not None, "a wait that nobody can end"
        self._waiting[number] = ready
        self._pass_on()
        self._await_turn(number)

    def happened(self) -> None:
        """Something that others may wait for, at the time of the worker whose turn it is."""
        for number in [n for n, ready in self._waiting.items() if ready()]:
            del self._waiting[number]
            assert self._turn is not None
            self._clock[number] = max(self._clock[number], self._clock[self._turn])

    def _pass_on(self) -> None:
        with self._changed:
            able = [number for number in self._clock if number not in self._waiting]
            assert able or not self._clock, "everybody waits for somebody"
            if able:
                self._turn = min(able, key=lambda number: (self._clock[number], number))
            self._changed.notify_all()

    def _await_turn(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == number)


class Daemon:
    """Values and leases. ``puts`` has every put that it was sent."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.up = True
        self.values: dict[bytes, Any] = {}
        self.leases: dict[bytes, Client] = {}
        self.puts: list[tuple[bytes, Any]] = []


class Client:
    """The methods of fcached.Client that fcached.lm_eval uses."""

    verify = 0.0

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.lookups: list[list[bytes]] = []

    @property
    def connected(self) -> bool:
        return self._daemon.up

    def get_many(
        self,
        op: str,
        view: str,
        prompts: Sequence[bytes],
        top_k: int = 0,
        *,
        lease: bool = False,
        record: bool = True,
    ) -> list[Any]:
        self.lookups.append(list(prompts))
        return [self._get(prompt, lease) for prompt in prompts]

    def _get(self, prompt: bytes, lease: bool) -> Any:
        if not self._daemon.up:
            return MISS
        if prompt in self._daemon.values:
            return self._daemon.values[prompt]
        if lease and self._daemon.leases.setdefault(prompt, self) is self:
            return LEASED
        return MISS

    def get(
        self, op: str, view: str, prompt: bytes, top_k: int = 0, *, wait: float, lease: bool
    ) -> Any:
        daemon = self._daemon
        got = self._get(prompt, lease)
        if got is not MISS or wait == 0 or not daemon.up:
            return got
        assert self not in daemon.leases.values(), "who holds a lease is never made to wait"
        daemon.turns.wait(lambda: prompt in daemon.values or prompt not in daemon.leases)
        return self._get(prompt, lease)

    def put(
        self,
        op: str,
        view: str,
        prompt: bytes,
        top_k: int,
        value: Any,
        *,
        compute_s: float,
        keep_first: bool,
        record: bool = True,
    ) -> bool:
        if not self._daemon.up:
            return False
        self._daemon.puts.append((prompt, value))
        if not (keep_first and prompt in self._daemon.values):
            self._daemon.values[prompt] = value
        self._daemon.leases.pop(prompt, None)
        self._daemon.turns.happened()
        return True

    def give_up(self, op: str, view: str, prompt: bytes, top_k: int = 0) -> None:
        if self._daemon.leases.get(prompt) is self:
            del self._daemon.leases[prompt]
            self._daemon.turns.happened()

    def give_up_many(self, op: str, view: str, prompts: list[bytes], top_k: int = 0) -> None:
        for prompt in prompts:
            self.give_up(op, view, prompt, top_k)


@dataclass
class Request:
    """As lm_eval.api.instance.Instance is seen by a model."""

    args: tuple[Any, ...]


@dataclass
class Hook:
    """As lm_eval.api.model.CacheHook."""

    calls: list[tuple[str, Any, Any]] = field(default_factory=list)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        self.calls.append((attr, req, res))


class Model:
    """Sorts, batches and reports its answers as lm_eval's HFLM. A batch takes one second."""

    def __init__(self, daemon: Daemon | None = None, batch_size: int = 2) -> None:
        self.batch_size = batch_size
        self.cache_hook = Hook()
        self.calls: list[list[tuple[Any, ...]]] = []
        self.passes: list[tuple[Any, ...]] = []
        self.before_batch: Callable[[], None] = lambda: None
        self._turns = Turns() if daemon is None else daemon.turns

    def set_cache_hook(self, hook: Any) -> None:
        self.cache_hook = hook

    def answer(self, method: str, args: tuple[Any, ...]) -> Any:
        number = hashlib.sha256(repr((method, args)).encode("utf-8", "backslashreplace")).digest()[
            0
        ]
        if method == "generate_until":
            return f"answer {number}"
        return (-number / 8, number % 2 == 0) if method == "loglikelihood" else -number / 8

    def _compute(self, method: str, requests: Sequence[Request]) -> list[Any]:
        self.calls.append([request.args for request in requests])
        answers: dict[int, Any] = {}
        order = sorted(range(len(requests)), key=lambda i: -len(str(requests[i].args[0])))
        for first in range(0, len(order), self.batch_size):
            self.before_batch()
            self._turns.spend(1.0)
            for i in order[first : first + self.batch_size]:
                self.passes.append(requests[i].args)
                answers[i] = self.answer(method, requests[i].args)
                self.cache_hook.add_partial(method, requests[i].args[:2], answers[i])
        return [answers[i] for i in range(len(requests))]

    def loglikelihood(self, requests: Sequence[Request], disable_tqdm: bool = False) -> list[Any]:
        return self._compute("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> list[Any]:
        return self._compute("loglikelihood_rolling", requests)

    def generate_until(self, requests: Sequence[Request]) -> list[Any]:
        return self._compute("generate_until", requests)


class Worker:
    """A model with its own client."""

    def __init__(self, daemon: Daemon, batch_size: int = 2, **settings: Any) -> None:
        self.daemon = daemon
        self.model = Model(daemon, batch_size)
        self.client = Client(daemon)
        self.sharing = Sharing(self.model, self.client, **settings)  # type: ignore[arg-type]

    def call(self, method: str, requests: Sequence[Request]) -> Any:
        return self.sharing.call(method, getattr(self.model, method), requests)
