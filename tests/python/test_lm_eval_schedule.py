"""The order in which a worker leases requests, and the number at a time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fcached.lm_eval.schedule import Walk, batch_of, piece, start_of


def test_walk_from_start_yields_each_item_once() -> None:
    walk = Walk(list(range(100)), lambda item: item, batch=7, start=0.25)
    taken = []
    while walk:
        taken += walk.take(7)
        assert len(walk) == 100 - len(taken)
    assert taken == [*range(25, 100), *range(25)]
    assert walk.take(7) == []


def test_walk_keeps_group_together_if_batches_full() -> None:
    items = ["a1", "a2", "b1", "b2", "b3", "c1", "d1"]
    walk = Walk(items, lambda item: item[0], batch=1, start=0.25)
    assert walk.take(2) == ["b1", "b2", "b3"]
    assert walk.take(3) == ["c1", "d1", "a1", "a2"]
    walk = Walk(items, lambda item: item[0], batch=2, start=0.25)
    assert [walk.take(2) for _ in range(3)] == [["b1", "b2"], ["b3", "c1"], ["d1", "a1"]]


def test_walk_single_group_is_divided() -> None:
    walk = Walk(list(range(1000)), lambda item: "", batch=1)
    assert [len(walk.take(10)) for _ in range(3)] == [10, 10, 10]


def test_piece_is_whole_batches_and_shrinks() -> None:
    sizes = [piece(left, batch=8) for left in range(2000, -1, -1)]
    assert sizes[0] == 32 and sizes[-1] == 8 and sizes == sorted(sizes, reverse=True)
    assert all(size % 8 == 0 for size in sizes)
    assert piece(2000, batch=8, most=5) == 5 and piece(1, batch=1) == 1


@pytest.mark.parametrize(
    "model, batch",
    [
        ({"batch_size": 8}, 8),
        ({"batch_size": "8"}, 8),
        ({"batch_size": "auto", "max_batch_size": 16}, 16),
        ({"batch_size": "auto", "max_batch_size": None}, 64),
        ({"batch_size": 1, "_concurrent": 20}, 20),
        ({"batch_size": 0}, 64),
        ({}, 64),
    ],
)
def test_batch_of_model_attributes_read(model: dict[str, object], batch: int) -> None:
    assert batch_of(SimpleNamespace(**model)) == batch


@pytest.mark.parametrize("workers", range(2, 9))
def test_start_of_consecutive_workers_far_apart(workers: int) -> None:
    for first in range(0, 32768, 1009):
        starts = sorted(start_of(first + n) for n in range(workers))
        gaps = [b - a for a, b in zip(starts, [*starts[1:], starts[0] + 1])]
        assert min(gaps) > 1 / workers / 3
