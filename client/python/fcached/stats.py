"""What a client did, and what its daemon tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Union

Figure = Union[int, float, str]
_NS = 1e-9


@dataclass(frozen=True)
class Stats:
    """One client's counts in one process, all its threads together. Times in seconds."""

    cache_hits: int
    """Lookups that found a value."""
    cache_misses: int
    """Values that were computed, or put, after a lookup found none."""
    forward_passes: int
    """Computations, those of ``verify`` included."""
    scoring_wall_s: float
    """Spent in lookups that hit, and in computations."""
    batches_sent: int
    """Calls of ``compute_misses``, those of ``verify`` not included."""
    batched_prompts: int
    """Prompts passed to these calls."""
    max_batch_size: int
    """The most prompts in one of them."""
    degraded: int
    """Calls that found sharing off."""
    reconnects: int
    """Connections after the first, each thread's own."""
    too_big: int
    """Values that were not stored: larger than the daemon takes."""
    region_hits: int
    """Of ``cache_hits``, those that were read from shared memory."""
    unrecorded: int
    """Of these, the ones that the daemon could not be told of."""
    leases_granted: int
    """Misses that were given to this client to compute."""
    coalesced_hits: int
    """Of ``cache_hits``, those that ended a wait for another worker's computation."""
    lease_wait_s: float
    """Waited for other workers, whatever came of it."""
    unencodable: int
    """Computed values that were returned, but not stored: they have no encoding."""
    undecodable: int
    """Stored values that could not be read here."""
    verified: int
    """Hits that were computed again and compared."""
    differing: int
    """Of ``verified``, those whose computation gave other bytes than were stored."""

    @property
    def hit_rate(self) -> float:
        """Hits of all lookups, 0 to 1; 0.0 where there were none."""
        lookups = self.cache_hits + self.cache_misses
        return self.cache_hits / lookups if lookups else 0.0

    @property
    def avg_batch_size(self) -> float:
        """Prompts per call of ``compute_misses``; 0.0 where there was none."""
        return self.batched_prompts / self.batches_sent if self.batches_sent else 0.0

    @classmethod
    def _of(cls, counters: Mapping[str, int]) -> Stats:
        counts = dict(counters)
        return cls(
            scoring_wall_s=counts.pop("scoring_wall_ns") * _NS,
            lease_wait_s=counts.pop("lease_wait_ns") * _NS,
            **counts,
        )


@dataclass(frozen=True)
class ServerStats:
    """The daemon's figures, as docs/operations.md has them: counts and bytes are int; seconds (names
    that end in ``_s``), rates (0 to 1) and averages float; texts str."""

    daemon: dict[str, Figure]
    """Of the whole daemon: ``{"pid": 7627, "cache_hits": 4, "uptime_s": 0.0125, ...}``."""
    namespaces: dict[str, dict[str, Figure]]
    """Of each namespace, by its name."""

    @classmethod
    def _of(cls, figures: Iterable[tuple[str | None, str, Figure]]) -> ServerStats:
        stats = cls({}, {})
        for namespace, name, value in figures:
            if namespace is None:
                stats.daemon[name] = value
            else:
                stats.namespaces.setdefault(namespace, {})[name] = value
        return stats
