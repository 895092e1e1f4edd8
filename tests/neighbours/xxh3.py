"""Keys that all have the same digest.

A key's digest is XXH3-64 of 20 bytes, its prompt's hash and its top_k, seeded by the digest of its
names, and that by the namespace's id, which a client with the region knows. For 17 to 32 bytes the
digest is made of two products. Where one factor of each is 0, the other has no effect: 4 bytes of
the prompt's hash are free then."""

from __future__ import annotations

import struct

MASK = 2**64 - 1
SECRET = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f")
PRIME64_2, PRIME64_3 = 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9


def digest_of_letter(letter: str, seed: int) -> int:
    """XXH3-64 of one byte."""
    byte = ord(letter)
    first, second = struct.unpack_from("<2I", SECRET)
    keyed = (byte << 16 | byte << 24 | byte | 1 << 8) ^ ((first ^ second) + seed & MASK)
    keyed = (keyed ^ keyed >> 33) * PRIME64_2 & MASK
    keyed = (keyed ^ keyed >> 29) * PRIME64_3 & MASK
    return keyed ^ keyed >> 32


def colliding(namespace_id: int, op: str, view: str, n: int) -> tuple[int, bytes]:
    """The top_k and the prompts' hashes of n such keys. `op` and `view` have one letter each."""
    seed = digest_of_letter(view, digest_of_letter(op, namespace_id))
    words = struct.unpack("<4Q", SECRET)
    first, last = words[0] + seed & MASK, words[3] - seed & MASK
    tail = struct.pack("<Q", last)  # the end of the prompt's hash, and top_k
    keys = [struct.pack("<QI", first, i) + tail[:4] for i in range(n)]
    return struct.unpack("<I", tail[4:])[0], b"".join(keys)
