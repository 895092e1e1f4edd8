"""The counters of one backend."""

from __future__ import annotations

import sys
from dataclasses import dataclass

_SLOTS = {"slots": True} if sys.version_info >= (3, 10) else {}


@dataclass(**_SLOTS)
class BackendStats:
    """What a backend's lookups came to, since the start or since these were set to 0."""

    cache_hits: int = 0
    cache_misses: int = 0
    forward_passes: int = 0
    scoring_wall_s: float = 0.0
    """Seconds: of lookups that hit, and of computing what missed."""
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
        """0 to 1; 0 where nothing was looked up."""
        return self.cache_hits / self.total_lookups if self.total_lookups > 0 else 0.0

    @property
    def avg_batch_size(self) -> float:
        """0 where no batch was sent."""
        return self.batched_prompts / self.batches_sent if self.batches_sent > 0 else 0.0

    def to_dict(self) -> dict[str, float | int]:
        """The nine figures that reports show."""
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
