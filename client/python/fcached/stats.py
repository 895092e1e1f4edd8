"""The counters of a client, and the statistics of its daemon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Union

Figure = Union[int, float, str]
_NS = 1e-9


@dataclass(frozen=True)
class Stats:
    """The counters of one client in one process, summed over all threads. Times are in seconds."""

    cache_hits: int
    """Lookups that found a value."""
    cache_misses: int
    """Values that were computed or put after a miss."""
    forward_passes: int
    """Computations, including those of ``verify``."""
    scoring_wall_s: float
    """Time in lookups that hit and in computations."""
    batches_sent: int
    """Calls of ``compute_misses``, without those of ``verify``."""
    batched_prompts: int
    """Prompts passed to these calls."""
    max_batch_size: int
    """The most prompts in one of them."""
    degraded: int
    """Calls that found sharing off."""
    reconnects: int
    """Connections after the first one of each thread."""
    too_big: int
    """Values that exceed the daemon's largest value, and were not stored."""
    region_hits: int
    """Of ``cache_hits``, those that were read from shared memory."""
    unrecorded: int
    """Of ``region_hits``, those that could not be reported to the daemon."""
    leases_granted: int
    """Misses whose lease the daemon granted to this client."""
    coalesced_hits: int
    """Of ``cache_hits``, those that ended a wait for another worker's computation."""
    lease_wait_s: float
    """Time spent waiting for other workers, with or without a hit."""
    unencodable: int
    """Computed values that have no encoding: they were returned and not stored."""
    undecodable: int
    """Stored values that could not be decoded."""
    verified: int
    """Hits that were computed again and compared."""
    differing: int
    """Of ``verified``, those whose new encoding differs from the stored one."""

    @property
    def hit_rate(self) -> float:
        """Hits divided by lookups, 0 to 1. Without lookups, 0.0."""
        lookups = self.cache_hits + self.cache_misses
        return self.cache_hits / lookups if lookups else 0.0

    @property
    def avg_batch_size(self) -> float:
        """Prompts per call of ``compute_misses``. Without calls, 0.0."""
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
    """The daemon's statistics, listed in docs/counters.md. Counts and bytes are int. Seconds
    (names that end in ``_s``), rates (0 to 1) and averages are float. Texts are str."""

    daemon: dict[str, Figure]
    """Statistics of the whole daemon: ``{"pid": 7627, "cache_hits": 4, "uptime_s": 0.0125, ...}``.
    """
    namespaces: dict[str, dict[str, Figure]]
    """Statistics of each namespace, by name."""

    @classmethod
    def _of(cls, figures: Iterable[tuple[str | None, str, Figure]]) -> ServerStats:
        stats = cls({}, {})
        for namespace, name, value in figures:
            if namespace is None:
                stats.daemon[name] = value
            else:
                stats.namespaces.setdefault(namespace, {})[name] = value
        return stats
