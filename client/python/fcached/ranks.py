"""Detects several ranks of one program. They must not take different branches, and a rank that hits
takes another branch than one that misses. So sharing is off if torch.distributed runs with several
ranks, unless the caller declares them independent."""

from __future__ import annotations

import os
import sys
import warnings


def launched() -> bool:
    """True if a launcher such as torchrun has set an environment with several ranks. The program
    may not have initialized torch.distributed yet."""
    size = os.environ.get("WORLD_SIZE", "")
    if not size.isdecimal() or int(size) < 2 or "RANK" not in os.environ:
        return False
    return "TORCHELASTIC_RUN_ID" in os.environ or "MASTER_ADDR" in os.environ


def initialised_size() -> int:
    """The number of ranks of torch.distributed, or 0 if it is not imported or not initialized."""
    dist = sys.modules.get("torch.distributed")
    is_initialized = getattr(dist, "is_initialized", None)  # missing while it is being imported
    if is_initialized is None or not is_initialized():
        return 0
    size: int = dist.get_world_size()  # type: ignore[union-attr]
    return size


def several() -> bool:
    """True if torch.distributed, or before its initialization the launcher, has several ranks."""
    size = initialised_size()
    return size > 1 if size > 0 else launched()


class Watch:
    """``several()`` for each call of a client: it warns, and reads the launcher's environment only
    when it is created."""

    __slots__ = ("_launched",)

    def __init__(self) -> None:
        self._launched = launched()

    def __call__(self) -> bool:
        size = initialised_size()
        if size == 1 or (size == 0 and not self._launched):
            return False
        warnings.warn(
            "fcached: sharing is off: torch.distributed has several ranks, and a rank that finds a"
            " result where another computes it would leave the others waiting in collectives. If"
            " the ranks are independent, set independent_ranks=True or"
            " FCACHE_INDEPENDENT_RANKS=1",
            RuntimeWarning,
            stacklevel=2,
        )
        return True
