"""Several ranks of one program: they must not take different branches, and a rank that hits where
another misses does. So sharing is off where torch.distributed runs with more than one rank, unless
the caller says that its ranks are independent."""

from __future__ import annotations

import os
import sys
import warnings


def launched() -> bool:
    """Does the launcher's environment say that there are several ranks? As torchrun's does, before
    the program has initialised torch.distributed."""
    size = os.environ.get("WORLD_SIZE", "")
    if not size.isdecimal() or int(size) < 2 or "RANK" not in os.environ:
        return False
    return "TORCHELASTIC_RUN_ID" in os.environ or "MASTER_ADDR" in os.environ


def initialised_size() -> int:
    """The number of ranks of torch.distributed; 0 where it is not initialised, or not imported."""
    dist = sys.modules.get("torch.distributed")
    is_initialized = getattr(dist, "is_initialized", None)  # missing while it is being imported
    if is_initialized is None or not is_initialized():
        return 0
    size: int = dist.get_world_size()  # type: ignore[union-attr]
    return size


def several() -> bool:
    """Are there several ranks, as far as one can tell by now?"""
    size = initialised_size()
    return size > 1 if size > 0 else launched()


class Watch:
    """``several()``, cheap enough for each call of a client, and with one warning. The launcher's
    environment is looked at when it is made."""

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
            " the ranks are independent, say so: independent_ranks=True or"
            " FCACHE_INDEPENDENT_RANKS=1",
            RuntimeWarning,
            stacklevel=2,
        )
        return True
