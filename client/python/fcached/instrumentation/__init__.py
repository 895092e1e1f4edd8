"""The parts of a scoring backend: a cache of forward passes, a trace, and counters.

They replace the classes of the same names in ``dlm_sway.backends._instrumentation``, with the same
signatures, errors, counters and trace lines. Only the prompt's hash differs: it is that of
fcached's keys. Without a namespace they cache inside one process, as the originals. With a
namespace, all workers of the machine share the forward passes::

    inst = BackendInstrumentation(namespace=fcached.namespace_for(model="./base"))
    inst.set_current_probe("delta_kl")
    dist = inst.cached("next_token_dist", "base", prompt, 256, lambda: forward(prompt))
    inst.stats.to_dict()["hit_rate"]

Each part may be replaced at any time: ``inst.stats = BackendStats()``, ``inst.trace =
TraceWriter(p)``, and ``inst.cache = ForwardCache(n)``, which also clears the shared values.
"""

from __future__ import annotations

from fcached._core import prompt_hash as _prompt_hash
from fcached.instrumentation.backend import BackendInstrumentation
from fcached.instrumentation.cache import _MISS, ForwardCache
from fcached.instrumentation.stats import BackendStats
from fcached.instrumentation.trace import TraceWriter, _TraceEvent

__all__ = [
    "_MISS",
    "BackendInstrumentation",
    "BackendStats",
    "ForwardCache",
    "TraceWriter",
    "_TraceEvent",
    "_prompt_hash",
]
