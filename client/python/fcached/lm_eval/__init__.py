"""Shares the answers of models of lm-evaluation-harness between processes.

    import fcached.lm_eval, lm_eval
    from lm_eval.models.huggingface import HFLM

    lm = fcached.lm_eval.wrap(HFLM(pretrained="gpt2"))
    lm_eval.simple_evaluate(lm, tasks=["arc_easy"])

or, from the shell, ``python -m fcached.lm_eval --model hf ...`` with the arguments of ``lm-eval``.
Processes that run at the same time divide the requests among them. A later process, or one started
again after it was killed, computes only new requests. Each process returns all results.
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
    """The state that :func:`unwrap` restores."""

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
    """Makes ``loglikelihood``, ``loglikelihood_rolling`` and ``generate_until`` of a model share
    their answers. Returns the same object. Wrapping it again replaces the settings.

    namespace: a name or a :class:`fcached.Namespace`. None: $FCACHE_NAMESPACE, else derived from
        the model (:func:`fcached.lm_eval.identity.namespace_of`, which raises NamespaceError for
        an unknown model).
    view: the view in the keys. Their op is the method's name, and their ``top_k`` is 0.
    chunk: requests that are leased and computed at once. None: up to 4 batches, and fewer towards
        the end.
    lease: seconds that computing them may take before another worker takes over.
    wait: seconds to wait for an answer that another worker computes. None: as long as ``lease``.
        0: not at all.
    independent_ranks: if false, sharing is off for a model on several ranks (``lm.world_size``).
        None: $FCACHE_INDEPENDENT_RANKS=1.
    arguments: those that created the model. They count in a namespace derived from the model,
        because not all of them are visible in it.
    options: further arguments of :class:`fcached.Client`.

    Generation with ``do_sample`` or a temperature over 0, and arguments that have no canonical
    bytes, are never shared. None, the empty text and log-probabilities that are not finite are
    never stored. A request that occurs twice in a call is computed once. Without a daemon the model
    gets all requests in one call, as if it were not wrapped. An exception of the model gives up its
    leases and reaches the caller.
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
    """Opens the client. Derives the namespace from the model only if the client finds none."""
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
    """Replaces the methods of the object, not of its class, so that it stays an instance of LM."""
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
    """Reverts :func:`wrap` and closes its client. Returns the same object, wrapped or not."""
    wrapped = vars(lm).pop(_ATTRIBUTE, None)
    if isinstance(wrapped, _Wrapped):
        for name in METHODS:
            delattr(lm, name)
        for name, value in wrapped.replaced.items():
            setattr(lm, name, value)
        wrapped.client.close()
    return lm
