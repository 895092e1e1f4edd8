"""The reader of docs/region.md against a region that is made by hand, from the dump of that page."""

from __future__ import annotations

import fcntl
import os
import platform
import struct
from collections.abc import Callable, Iterator, Sequence

import pytest
from stranger import messages as m
from stranger import region
from stranger.client import hash_of
from stranger.region import Busy, Dead, Region, Unusable
from stranger.support import F_ADD_SEALS, blocks, dump

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="Python has no atomics")

NAMESPACE_ID = 0x1122334455667788
HELLO = m.Key("next_token_dist", "base", 50, hash_of(b"hello"))
D = region.digest(NAMESPACE_ID, HELLO)
BUCKETS, N_BUCKETS, SEGMENT = 0x100, 64, 0x10000
ARENA, SIZE = 0x10000, 0x10000 + SEGMENT + 0x3000  # an index, a whole segment, and another
FILES = (0, ARENA), (ARENA, ARENA + SEGMENT), (ARENA + SEGMENT, SIZE)
BUCKET = BUCKETS + 16 * region.bucket(D, N_BUCKETS)
AT = ARENA + SEGMENT - 0x60  # its value goes on in the second segment
[DUMP] = [dump(text) for name, text in blocks("region.md", "hex") if name == "entry"]


class Made:
    """A region of one entry. ``set`` overwrites a word of it."""

    def __init__(self, seals: int = region.F_SEAL_SHRINK | region.F_SEAL_GROW) -> None:
        self.descriptors = [os.memfd_create("region", os.MFD_ALLOW_SEALING) for _ in FILES]
        for descriptor, (start, end) in zip(self.descriptors, FILES):
            os.ftruncate(descriptor, end - start)
            fcntl.fcntl(descriptor, F_ADD_SEALS, seals)
        header = region.MAGIC, region.LAYOUT | 1024 << 32, SIZE, 5
        places = BUCKETS, N_BUCKETS, ARENA, SIZE - ARENA, SEGMENT, len(FILES) - 1
        self.write(0, struct.pack("=10Q", *header, *places))
        self.set(192, os.getpid())
        self.set(BUCKET, 8)
        self.set(BUCKET + 8, AT)
        self.write(AT, DUMP)

    def write(self, offset: int, data: bytes) -> None:
        for descriptor, (start, end) in zip(self.descriptors, FILES):
            part = data[max(start - offset, 0) : max(end - offset, 0)]
            os.pwrite(descriptor, part, max(offset - start, 0))

    def read(self, offset: int) -> bytes:
        """A word."""
        [number] = [i for i, (start, end) in enumerate(FILES) if start <= offset < end]
        return os.pread(self.descriptors[number], 8, offset - FILES[number][0])

    def set(self, offset: int, word: int) -> None:
        self.write(offset, struct.pack("=Q", word))

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)

    def open(
        self, boot_id: int = 5, kind: Callable[[Sequence[int], int], Region] = Region
    ) -> Region:
        return kind(self.descriptors, boot_id)


@pytest.fixture
def made() -> Iterator[Made]:
    result = Made()
    yield result
    result.close()


def result_of(made: Made) -> object:
    reader = made.open()
    try:
        hit = reader.look_up(NAMESPACE_ID, HELLO)
        return hit and hit.value
    except (Busy, Dead) as error:
        return type(error)
    finally:
        reader.close()


def test_entry_of_the_page_is_found(made: Made) -> None:
    reader = made.open()
    assert reader.look_up(NAMESPACE_ID, HELLO) == (b"the result", 12000000, 1 << 32 | 7, D)
    assert reader.look_up(NAMESPACE_ID + 1, HELLO) is None
    reader.close()


def test_pieces_are_put_together_in_their_order(made: Made) -> None:
    value = b"0123456789abcdefrest"
    value_sum = region.checksum(D, value)
    made.set(AT + 32, 50 | 20 << 32)
    made.set(AT + 40, 15 | 4 << 8 | 2 << 16 | value_sum << 32)
    table = AT + 64 + 24
    made.write(table, struct.pack("=4Q", ARENA + 0x400, 16, ARENA + 0x300, 4))
    made.write(ARENA + 0x400, value[:16])
    made.write(ARENA + 0x300, value[16:])
    assert result_of(made) == value
    made.set(table + 8, 7 << 32 | 16)  # the upper half is the daemon's own
    assert result_of(made) == value
    for offset, word in (table, ARENA + 0x408), (table, SIZE), (table + 8, 15), (table, 0):
        old = made.read(offset)
        made.set(offset, word)
        assert result_of(made) is Busy
        made.write(offset, old)
    assert result_of(made) == value


@pytest.mark.parametrize("wrong", [[0], [0, 1], [0, 2, 1], [1, 0, 2], [0, 1, 1], [0, 1, 2, 2]])
def test_other_files_rejected(made: Made, wrong: list[int]) -> None:
    with pytest.raises(Unusable):
        Region([made.descriptors[i] for i in wrong], 5)


@pytest.mark.parametrize(
    "offset, word, expected",
    [
        (BUCKET, 9, Busy),  # odd: a window is open
        (BUCKET + 8, 0, None),
        (BUCKET + 8, AT + 8, Busy),
        (BUCKET + 8, SIZE - 48, Busy),
        (BUCKET + 8, 2**63, Busy),
        (AT, AT, b"the result"),  # the chain beyond the entry does not matter
        (AT + 8, NAMESPACE_ID + 1, None),
        (AT + 32, 51 | 10 << 32, None),
        (AT + 32, 50 | 1025 << 32, Busy),  # over max_value
        (AT + 40, 0xEE02A24C0000040F, Busy),  # a wrong checksum
        (AT + 40, 0xEE02A24D0011040F, Busy),  # 17 pieces
        (192, 0, Dead),
        (192, 5 | region.OWNER_DIED, Dead),
        (192, 5 | 0x80000000, b"the result"),
        (128, 1, Dead),
    ],
)
def test_changed_word_has_its_result(made: Made, offset: int, word: int, expected: object) -> None:
    made.set(offset, word)
    assert result_of(made) == expected


def test_chain_with_circle_busy(made: Made) -> None:
    made.set(AT, AT)
    made.set(AT + 8, NAMESPACE_ID + 1)
    assert result_of(made) is Busy


@pytest.mark.parametrize("changes, expected", [(3, b"the result"), (4, Busy)])
def test_copy_under_changing_sequence_repeated(made: Made, changes: int, expected: object) -> None:
    left = changes

    class Disturbed(Region):
        def _copy(self, offset: int, n: int) -> bytes:
            nonlocal left
            copy = super()._copy(offset, n)
            if n == len(b"the result") and left:
                left -= 1
                made.set(BUCKET, 100 - 2 * left)
            return copy

    reader = made.open(kind=Disturbed)
    if expected is Busy:
        with pytest.raises(Busy):
            reader.look_up(NAMESPACE_ID, HELLO)
    else:
        hit = reader.look_up(NAMESPACE_ID, HELLO)
        assert hit is not None and hit.value == expected
    reader.close()


@pytest.mark.parametrize(
    "offset, word",
    [(0, 0), (8, 1), (16, SIZE + 8), (32, 240), (32, 264), (40, 0), (40, 2**32), (40, 4081)]
    + [(48, ARENA + 8), (56, SIZE), (56, 2**64 - ARENA), (56, 24)]
    + [(64, 0), (64, SEGMENT - 16), (64, 2 * SEGMENT), (72, 0), (72, 1), (72, 3), (72, 65)],
)
def test_header_invalid_region_rejected(made: Made, offset: int, word: int) -> None:
    made.open().close()
    made.set(offset, word)
    with pytest.raises(Unusable):
        made.open()


def test_region_of_another_boot_or_unsealed_rejected(made: Made) -> None:
    with pytest.raises(Unusable):
        made.open(boot_id=6)
    unsealed = Made(region.F_SEAL_GROW)
    with pytest.raises(Unusable):
        unsealed.open()
    unsealed.close()
