"""lm-evaluation-harness with its models' answers shared, by any number of processes.

    import fcached.lm_eval, lm_eval
    from lm_eval.models.huggingface import HFLM

    lm = fcached.lm_eval.wrap(HFLM(pretrained="gpt2"))
    lm_eval.simple_evaluate(lm, tasks=["arc_easy"])

or, for those who use the command, ``python -m fcached.lm_eval --model hf ...`` with the arguments
of ``lm-eval``. Processes that run together divide the requests among them; one that comes later,
or again after it was killed, computes only what is new. Each returns all results.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import NamespaceError
from ..fail_open import attempt
from .keys import METHODS, key
from .sharing import LOGGER, Method, Sharing

if TYPE_CHECKING:
    from .. import Client

__all__ = ["key", "unwrap", "wrap"]

LM = TypeVar("LM")
_ATTRIBUTE = "_fcached"
_LEASE_S = 300.0


@dataclass
class _Wrapped:
    """What :func:`unwrap` needs."""

    client: Client
    replaced: dict[str, Any] = field(default_factory=dict)  # attributes of the instance itself


def wrap(
    lm: LM,
    namespace: str | None = None,
    *,
    view: str = "lm",
    chunk: int | None = None,
    lease: float = _LEASE_S,
    wait: float | None = None,
    independent_ranks: bool | None = None,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> LM:
    """The same object, with ``loglikelihood``, ``loglikelihood_rolling`` and ``generate_until``
    sharing their answers. Wrapped again, it has the later settings.

    namespace: a name or a :class:`fcached.Namespace`; None: $FCACHE_NAMESPACE, else from the model
        (:func:`fcached.lm_eval.identity.namespace_of`; NamespaceError where that does not know it).
    view: the view in the keys; the op is the method's name, and ``top_k`` is 0.
    chunk: requests that are leased, and handed to the model, at once; None: up to 4 batches, fewer
        towards the end.
    lease: seconds that computing them may take before another worker takes over. wait: seconds to
        wait for an answer that another computes; None: as long as ``lease``, 0: not at all.
    independent_ranks: with more ranks than one (``lm.world_size``), sharing is off unless this is
        True; None: $FCACHE_INDEPENDENT_RANKS=1.
    arguments: those that the model was made from, if you have them: they enter a namespace that is
        made from the model, as not all of them can be seen in it.
    options: of :class:`fcached.Client`.

    Never shared: generation with ``do_sample`` or a temperature over 0; arguments that have no
    canonical bytes. Never stored: None, the empty text, log-probabilities that are not finite.
    Requests that stand twice in a call are computed once. Without a daemon the model gets all
    requests in one call, exactly as if it were not wrapped. An exception of the model gives its
    leases up and goes on to the caller.
    """
    unwrap(lm)
    if independent_ranks is None:
        independent_ranks = os.environ.get("FCACHE_INDEPENDENT_RANKS", "") not in ("", "0")
    options.update(lease=lease, wait=wait, independent_ranks=independent_ranks)
    client = _open(lm, namespace, arguments, options)
    sharing = Sharing(
        lm,
        client,
        view=view,
        wait=lease if wait is None else wait,
        chunk=chunk,
        independent_ranks=independent_ranks,
    )
    _replace_methods(lm, sharing, client)
    return lm


def _open(
    lm: Any, namespace: str | None, arguments: Mapping[str, Any] | None, options: dict[str, Any]
) -> Client:
    """The client knows where else a namespace may be named, and when none is needed."""
    from .. import Client

    try:
        return Client(namespace, **options)
    except NamespaceError:
        if namespace is not None:
            raise
    from .identity import namespace_of

    found = namespace_of(lm, arguments)
    attempt(LOGGER.info, "fcached: sharing in the namespace %s", found)
    return Client(found, **options)


def _replace_methods(lm: Any, sharing: Sharing, client: Client) -> None:
    """On the object alone: ``simple_evaluate`` asks for an LM, and so do its subclasses."""
    wrapped = _Wrapped(client)
    for name in METHODS:
        if name in vars(lm):
            wrapped.replaced[name] = vars(lm)[name]
        setattr(lm, name, _shared(name, getattr(lm, name), sharing))
    setattr(lm, _ATTRIBUTE, wrapped)


def _shared(name: str, original: Method, sharing: Sharing) -> Method:
    @functools.wraps(original)
    def method(requests: Any, *args: Any, **kw: Any) -> Any:
        return sharing.call(name, original, requests, *args, **kw)

    return method


def unwrap(lm: LM) -> LM:
    """Undoes :func:`wrap`, and closes its client. One that is not wrapped is returned as it is."""
    wrapped = vars(lm).pop(_ATTRIBUTE, None)
    if isinstance(wrapped, _Wrapped):
        for name in METHODS:
            delattr(lm, name)
        for name, value in wrapped.replaced.items():
            setattr(lm, name, value)
        wrapped.client.close()
    return lm
