"""What a scoring backend owns: a cache of forward passes, a trace, and counters.

Drop-ins for the classes of the same names in ``dlm_sway.backends._instrumentation``, and for the
other names that its callers import: the same signatures, errors, counters and trace lines, but for
the prompt's hash, which is here the one of fcached's keys. Without a namespace they are what they
replace, inside one process; with one, the forward passes are shared with every other worker of the
machine::

    inst = BackendInstrumentation(namespace=fcached.namespace_for(model="./base"))
    inst.set_current_probe("delta_kl")
    dist = inst.cached("next_token_dist", "base", prompt, 256, lambda: forward(prompt))
    inst.stats.to_dict()["hit_rate"]

A part may be replaced at any time: ``inst.stats = BackendStats()``, ``inst.trace = TraceWriter(p)``,
and ``inst.cache = ForwardCache(n)``, which says that the values are stale, the shared ones too.
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
