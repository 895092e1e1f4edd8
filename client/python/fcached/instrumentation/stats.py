"""The counters of one backend."""

from __future__ import annotations

import sys
from dataclasses import dataclass

_SLOTS = {"slots": True} if sys.version_info >= (3, 10) else {}


@dataclass(**_SLOTS)
class BackendStats:
    """Counts of a backend's lookups."""

    cache_hits: int = 0
    cache_misses: int = 0
    forward_passes: int = 0
    scoring_wall_s: float = 0.0
    """Seconds in lookups that hit, and in computing misses."""
    batches_sent: int = 0
    """Calls of a batch's ``compute_misses``."""
    batched_prompts: int = 0
    """Misses passed to them."""
    max_batch_size: int = 0

    @property
    def total_lookups(self) -> int:
        """Hits and misses."""
        return self.cache_hits + self.cache_misses

    @property
    def hit_rate(self) -> float:
        """0 to 1. Without lookups, 0."""
        return self.cache_hits / self.total_lookups if self.total_lookups > 0 else 0.0

    @property
    def avg_batch_size(self) -> float:
        """Misses per batch. Without batches, 0."""
        return self.batched_prompts / self.batches_sent if self.batches_sent > 0 else 0.0

    def to_dict(self) -> dict[str, float | int]:
        """The nine statistics that reports show."""
        return {
            "cache_hits": self.cache_hits,
            "cache_misses": self.cache_misses,
            "forward_passes": self.forward_passes,
            "scoring_wall_s": self.scoring_wall_s,
            "hit_rate": self.hit_rate,
            "batches_sent": self.batches_sent,
            "batched_prompts": self.batched_prompts,
            "max_batch_size": self.max_batch_size,
            "avg_batch_size": self.avg_batch_size,
        }
