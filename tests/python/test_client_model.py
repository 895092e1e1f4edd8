"""Random operations of a client, against a plain model: a dictionary with an order of use."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import Any

import pytest
from client_help import open_client
from conftest import Daemon

from fcached import MISS

LIMIT = 12
N_PROMPTS = 20
OPS, VIEWS, TOP_KS = "ab", ["base", "ft"], [0, 5]
ALL_KEYS = [
    (op, view, f"p{n}", top_k)
    for op in OPS
    for view in VIEWS
    for n in range(N_PROMPTS)
    for top_k in TOP_KS
]


class Model:
    """One namespace: an LRU of at most LIMIT entries, and the counts of its client."""

    def __init__(self) -> None:
        self.entries: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.hits = self.misses = self.batches = 0
        self.removals = 0  # clears and deletes
        self.missed: dict[tuple[Any, ...], int] = {}  # lately, by a get: after so many removals
        self.removed: dict[tuple[Any, ...], int] = {}  # number of the key's latest removal

    def look_up(self, key: tuple[Any, ...]) -> Any:
        """A get of the client. The computation of a miss begins with it."""
        found = self.get(key)
        if found is MISS:
            self.missed[key] = self.removals
        return found

    def get(self, key: tuple[Any, ...]) -> Any:
        if key not in self.entries:
            return MISS
        self.hits += 1
        self.missed.pop(key, None)
        self.entries.move_to_end(key)
        return self.entries[key]

    def put_own(self, keys: list[tuple[Any, ...]], values: list[Any], keep: bool = False) -> bool:
        """A put of the client. It does not store a key that was removed since the first lookup."""
        missed = [self.missed[key] for key in keys if key in self.missed]
        stored = True
        for key, value in zip(keys, values):
            if missed and self.removed.get(key, 0) > min(missed):
                self.misses += 1
                stored = False
            else:
                stored = self.put(key, value, keep) and stored
        if stored:
            for key in keys:
                self.missed.pop(key, None)
        return stored

    def put(self, key: tuple[Any, ...], value: Any, keep_first: bool = False) -> bool:
        self.misses += 1
        if keep_first and key in self.entries:
            self.entries.move_to_end(key)
            return False
        self.entries[key] = value
        self.entries.move_to_end(key)
        while len(self.entries) > LIMIT:
            self.entries.popitem(last=False)
        return True

    def cached(self, key: tuple[Any, ...], value: Any) -> Any:
        found = self.get(key)
        if found is not MISS:
            return found
        self.put(key, value, keep_first=True)
        return value

    def cached_batch(self, keys: list[tuple[Any, ...]], values: list[Any]) -> list[Any]:
        found = [self.get(key) for key in keys]
        missed = [i for i, value in enumerate(found) if value is MISS]
        self.batches += bool(missed)
        for i in missed:
            found[i] = values[i]
            self.put(keys[i], values[i], keep_first=True)
        return found

    def delete(self, key: tuple[Any, ...]) -> bool:
        self.removals += 1
        self.removed[key] = self.removals
        return self.entries.pop(key, MISS) is not MISS

    def clear(self, view: str | None, op: str | None) -> int:
        def is_meant(key: tuple[Any, ...]) -> bool:
            return view in (None, key[1]) and op in (None, key[0])

        gone = [key for key in self.entries if is_meant(key)]
        self.removals += 1
        self.removed.update({key: self.removals for key in ALL_KEYS if is_meant(key)})
        for key in gone:
            del self.entries[key]
        return len(gone)


@pytest.mark.parametrize("seed", range(8))
def test_random_operations_match_model(daemon: Daemon, seed: int) -> None:
    rng, model = random.Random(seed), Model()

    def key() -> tuple[str, str, str, int]:
        return (rng.choice(OPS), rng.choice(VIEWS), prompt(), rng.choice(TOP_KS))

    def prompt() -> str:
        return f"p{rng.randrange(N_PROMPTS)}"

    def value() -> Any:
        return rng.choice([rng.random(), [rng.randrange(9)] * 3, "x" * rng.randrange(9), None])

    with open_client(daemon, max_entries=LIMIT) as client:
        for _ in range(1500):
            which, (op, view, one, top_k), new = rng.random(), key(), value()
            prompts = [prompt() for _ in range(rng.randrange(5))]
            values = [value() for _ in prompts]
            keys = [(op, view, p, top_k) for p in prompts]
            if which < 0.3:
                expected = model.look_up((op, view, one, top_k))
                assert client.get(op, view, one, top_k) == expected
            elif which < 0.5:
                keep = rng.random() < 0.5
                stored = model.put_own([(op, view, one, top_k)], [new], keep)
                assert client.put(op, view, one, top_k, new, keep_first=keep) is stored
            elif which < 0.75:
                expected = model.cached((op, view, one, top_k), new)
                assert client.cached(op, view, one, top_k, lambda new=new: new) == expected
            elif which < 0.85:
                many = model.cached_batch(keys, values)
                got = client.cached_batch(
                    op, view, prompts, top_k, lambda m, v=values: [v[i] for i in m]
                )
                assert got == many
            elif which < 0.93:
                many = [model.look_up(k) for k in keys]
                assert client.get_many(op, view, prompts, top_k) == many
            elif which < 0.96:
                stored = model.put_own(keys, values)
                assert client.put_many(op, view, prompts, top_k, values) is stored
            elif which < 0.98:
                assert client.delete(op, view, one, top_k) is model.delete((op, view, one, top_k))
            else:
                some_view, some_op = rng.choice([None, view]), rng.choice([None, op])
                assert client.clear(some_view, some_op) == model.clear(some_view, some_op)
        stats = client.stats()
        assert (stats.cache_hits, stats.cache_misses) == (model.hits, model.misses)
        assert stats.batches_sent == model.batches
        assert client.server_stats().namespaces["test"]["entries"] == len(model.entries)
