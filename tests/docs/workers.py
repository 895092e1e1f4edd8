"""workers.py ROLE: a worker of the scenes. Prints ``ready`` when it has done its part, and then keeps its connection until
its stdin ends. The socket is $FCACHE_SOCKET."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable

import fcached

LLAMA = "llama-8b@3f2c1"
MANIFEST = {
    "model": "meta-llama/Llama-3.1-8B",
    "revision": "3f2c1",
    "dtype": "float16",
    "transformers": "4.46.3",
}


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.read()


def fill(client: fcached.Client, n: int) -> None:
    for index in range(n):
        client.cached("logprob_of", "base", f"prompt {index}", 0, lambda: 0.5)


def first() -> None:
    """A namespace that another worker has left."""
    fill(fcached.Client(namespace="gpt2-base", client="score-0"), 3)
    ready()


def scorer() -> None:
    client = fcached.Client(namespace=LLAMA, client="score-1", manifest=json.dumps(MANIFEST))
    fill(client, 400)
    fill(client, 400)
    ready()


def busy() -> None:
    """A namespace of three entries, in which each new one evicts another, until the end."""
    client = fcached.Client(namespace="gpt2-lora", client="score-4", max_entries=3)
    fill(client, 4)
    print("ready", flush=True)
    for index in itertools.count(4):
        client.cached("logprob_of", "base", f"prompt {index}", 0, lambda: 0.5)
        time.sleep(0.01)


def exporter() -> None:
    """A namespace to export."""
    fill(fcached.Client(namespace="gpt2-r1", manifest='{"model": "gpt2"}'), 1200)
    ready()


def other() -> None:
    """A namespace whose manifest differs."""
    fill(fcached.Client(namespace="gpt2-r2", manifest='{"model": "gpt2-medium"}'), 1)
    ready()


def owner() -> None:
    """Three leases, until the end."""
    client = fcached.Client(namespace=LLAMA, client="score-2")

    def compute(prompts: list[int]) -> list[float]:
        ready()
        return [0.5 for _ in prompts]

    client.cached_batch("logprob_of", "ft", ["slow prompt", "b", "c"], 0, compute)


def waiter() -> None:
    """A wait for the owner's lease. Nothing reports that it has begun, so the scene looks for it."""
    client = fcached.Client(namespace=LLAMA, client="score-3")
    threading.Thread(target=ready, daemon=True).start()
    client.cached("logprob_of", "ft", "slow prompt", 0, lambda: 0.5)


ROLES: dict[str, Callable[[], None]] = {
    role.__name__: role for role in (first, scorer, busy, exporter, other, owner, waiter)
}

if __name__ == "__main__":
    ROLES[sys.argv[1]]()
