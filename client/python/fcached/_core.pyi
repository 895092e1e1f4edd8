"""The C extension. Use the names that fcached exports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, Final, Protocol, TypeVar, final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Prompt = str | bytes

class Items(Protocol[T_co]):
    """An object that is indexed from 0 to its length: a list, a tuple, an array."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T_co: ...

@final
class _Sentinel:
    """Falsy. Its repr is its name. Copy and pickle return the same object."""

MISS: Final[_Sentinel]
"""The result of a lookup that found no value."""
LEASED: Final[_Sentinel]
"""The result of a lookup with ``lease=True`` for a miss that this worker must compute."""

class Client:
    """A worker's access to one namespace. Each thread that uses it has its own handle of the C
    library, and so its own connection. Calls nested in ``compute`` use the same handle."""

    def __init__(
        self,
        namespace: str | None,
        *,
        socket: str | None,
        client: str | None,
        deadline_ms: int,
        lease_ms: int,
        wait_ms: int,  # -1: never; 0: as long as lease_ms
        max_entries: int | None,
        max_bytes: int | None,
        manifest: str | None,
        verify: float,  # 0.0 to 1.0
        ranks: Callable[[], bool] | None,  # called by each call once torch.distributed is imported:
        # True turns sharing off permanently
    ) -> None: ...
    def get(
        self,
        op: str,
        view: str,
        prompt: Prompt,
        top_k: int = 0,
        *,
        wait: float = 0.0,
        lease: bool = False,
        record: bool = True,
    ) -> Any: ...
    def put(
        self,
        op: str,
        view: str,
        prompt: Prompt,
        top_k: int,
        value: Any,
        *,
        compute_s: float = 0.0,
        keep_first: bool = False,
        record: bool = True,
    ) -> bool: ...
    def give_up(self, op: str, view: str, prompt: Prompt, top_k: int = 0) -> None: ...
    def give_up_many(
        self, op: str, view: str, prompts: Iterable[Prompt], top_k: int = 0
    ) -> None: ...
    def get_many(
        self,
        op: str,
        view: str,
        prompts: Iterable[Prompt],
        top_k: int = 0,
        *,
        lease: bool = False,
        record: bool = True,
    ) -> list[Any]: ...
    def put_many(
        self,
        op: str,
        view: str,
        prompts: Iterable[Prompt],
        top_k: int,
        values: Iterable[Any],
        *,
        compute_s: float = 0.0,
        keep_first: bool = False,
        record: bool = True,
    ) -> bool: ...
    def cached(
        self, op: str, view: str, prompt: Prompt, top_k: int, compute: Callable[[], T]
    ) -> T: ...
    def cached_batch(
        self,
        op: str,
        view: str,
        prompts: Iterable[Prompt],
        top_k: int,
        compute_misses: Callable[[list[int]], Items[T]],
    ) -> list[T]: ...
    def _cached_batch(
        self,
        op: str,
        view: str,
        prompts: Iterable[Prompt],
        top_k: int,
        compute_misses: Callable[[list[int]], Items[T]],
        found: Callable[[list[int]], object],
    ) -> list[T]:
        """`cached_batch`, which also calls `found` before each call of `compute_misses`, with the
        indices of the hits since its last call. Exceptions of `found` are ignored."""
    def set_probe(self, probe: str | None) -> None: ...
    def clear(
        self, view: str | None = None, op: str | None = None, *, local: bool = False
    ) -> int: ...
    def delete(
        self, op: str, view: str, prompt: Prompt, top_k: int = 0, *, local: bool = False
    ) -> bool: ...
    def close(self) -> None: ...
    @property
    def connected(self) -> bool:
        """True while a connection of any thread is up. May change at any call."""
    @property
    def closed(self) -> bool: ...
    def _local(self, op: str, view: str, prompt: Prompt, top_k: int) -> Any:
        """`get` from shared memory alone: returns the value and records a hit, or returns MISS.
        Never waits."""
    def _counters(self) -> dict[str, int]:
        """The fields of struct fcache_counters, summed over all threads, and `unencodable`,
        `undecodable`, `verified`, `differing`."""
    def _server_stats(self) -> list[tuple[str | None, str, int | float | str]]:
        """(namespace or None, name, value), in the daemon's order."""
    # Hooks that the extension calls. fcached.Client implements them.
    def _on_unencodable(self, op: str, error: Exception) -> None: ...
    def _on_undecodable(self, op: str, error: ValueError) -> None: ...
    def _on_differing(
        self, op: str, view: str, prompt_hash: str, top_k: int, stored: str, computed: str
    ) -> None:
        """A verified hit differs from its new computation. Gets the XXH3-128 of both encodings."""

class Instrumentation:
    """The hits of `fcached.instrumentation.BackendInstrumentation`."""

    _routes: Any  # a dict of Route
    stats: Any
    trace: Any
    def cached(
        self, op: str, view_id: str, prompt: str, top_k: int, compute: Callable[[], T]
    ) -> T: ...

def encode(value: Any, /) -> bytes: ...
def decode(data: bytes, /) -> Any: ...
def prompt_hash(prompt: Prompt, /) -> str: ...
def file_digest(path: str | PathLike[str], /) -> str: ...
def _doctor(socket: str | None, version: str, /) -> tuple[int, list[tuple[str, str, str, str]]]: ...
def _register(
    cls: type[Any],
    name: str,
    fields: tuple[str, ...] | None,
    encode: Callable[[Any], Any] | None,
    decode: Callable[[Any], Any] | None,
    /,
) -> None: ...
