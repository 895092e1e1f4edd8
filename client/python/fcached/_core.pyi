"""The extension in C. What is public stands in fcached; this is the contract behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, Final, Protocol, TypeVar, final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Prompt = str | bytes

class Items(Protocol[T_co]):
    """What is indexed from 0 to its length: a list, a tuple, an array."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T_co: ...

@final
class _Sentinel:
    """Falsy; its repr is its name; the same object after copy and pickle."""

MISS: Final[_Sentinel]
"""What a lookup returns that found nothing."""
LEASED: Final[_Sentinel]
"""What a lookup with ``lease=True`` returns for a miss that is now this worker's to compute."""

class Client:
    """One namespace, as one worker sees it. Any number of threads may use it: each has a handle of
    the C library (a connection) of its own. Calls nested in ``compute`` use the same one."""

    def __init__(
        self,
        namespace: str | None,
        *,
        socket: str | None,
        client: str | None,
        deadline_ms: int,
        lease_ms: int,
        wait_ms: int,  # -1: not at all; 0: as long as lease_ms
        max_entries: int | None,
        max_bytes: int | None,
        manifest: str | None,
        verify: float,  # 0.0 to 1.0
        ranks: Callable[[], bool] | None,  # asked per call once torch.distributed is imported:
        # True turns sharing off for good
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
        """`cached_batch`, which calls `found` before each call of `compute_misses` with the indices
        of the hits since the call before. What it raises costs nothing."""
    def set_probe(self, probe: str | None) -> None: ...
    def clear(self, view: str | None = None, op: str | None = None) -> int: ...
    def close(self) -> None: ...
    @property
    def connected(self) -> bool:
        """True while a connection of this client is up, any thread's; a False may turn True at any
        call."""
    @property
    def closed(self) -> bool: ...
    def _local(self, op: str, view: str, prompt: Prompt, top_k: int) -> Any:
        """What `get` finds without a message, in shared memory: the value, recorded as a hit, or
        MISS. Never waits."""
    def _counters(self) -> dict[str, int]:
        """struct fcache_counters summed over the threads' handles, and `unencodable`,
        `undecodable`, `verified`, `differing`."""
    def _server_stats(self) -> list[tuple[str | None, str, int | float | str]]:
        """(namespace or None, name, value), in the daemon's order."""
    # Called by C; fcached.Client has them.
    def _on_unencodable(self, op: str, error: Exception) -> None: ...
    def _on_undecodable(self, op: str, error: ValueError) -> None: ...
    def _on_differing(
        self, op: str, view: str, prompt_hash: str, top_k: int, stored: str, computed: str
    ) -> None:
        """`verify` found a hit that a new computation does not give: both encodings' XXH3-128."""

def encode(value: Any, /) -> bytes: ...
def decode(data: bytes, /) -> Any: ...
def prompt_hash(prompt: Prompt, /) -> str: ...
def file_digest(path: str | PathLike[str], /) -> str: ...
def _register(
    cls: type[Any],
    name: str,
    fields: tuple[str, ...] | None,
    encode: Callable[[Any], Any] | None,
    decode: Callable[[Any], Any] | None,
    /,
) -> None: ...
