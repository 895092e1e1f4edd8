"""A raw client of the protocol, for messages that break it too. docs/protocol.md explains the bytes."""

from __future__ import annotations

import array
import hashlib
import os
import socket
import struct
from collections.abc import Sequence
from typing import Optional, Union

LAYOUT = 2  # of the region
HELLO, GET, PUT, GET_MANY, PUT_MANY, PING, STATS, CLEAR, LIST = range(1, 10)
GIVE_UP, LEASES, CLIENTS, NAMESPACES = range(0x0C, 0x10)
ERROR = 0x7F
LEASE = 4  # a flag of get and get_many
MAX_FRAME = 17 << 20  # of a daemon with the default --max-value
VERSION = 4
SPACE = "bad"

Field = Union[None, bool, int, str, bytes, "Encoded", Sequence["Field"]]


class Encoded(bytes):
    """A field that is msgpack already."""


class Closed(ConnectionError):
    """The daemon closed the connection, or refused it."""


def encode(value: Field) -> bytes:
    if isinstance(value, Encoded):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", True: b"\xc3", False: b"\xc2"}[value]
    if isinstance(value, int):
        if value < 0:
            return struct.pack(">bq", -45, value)
        return bytes([value]) if value < 128 else struct.pack(">BQ", 0xCF, value)
    if isinstance(value, str):
        text = value.encode()
        return struct.pack(">BH", 0xDA, len(text)) + text
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xC6, len(value)) + value
    return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(encode, value))


def repeated(field: Field, n: int) -> Encoded:
    """An array of the same field, n times."""
    return Encoded(struct.pack(">BI", 0xDD, n) + encode(field) * n)


def header(size: int) -> bytes:
    return b"FCA1" + struct.pack(">I", size)


def frame(type: int, id: int, *fields: Field) -> bytes:
    body = encode([type, id, *fields])
    return header(len(body)) + body


NUMBERS = {
    **{0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"},
    **{0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"},
}
SIZES = {  # formats of the length of a string, bytes, an array or a map
    **{0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"},
    **{0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"},
}


def decode(data: bytes, at: int = 0) -> tuple[object, int]:
    """The value at that offset, and the offset behind it."""
    code, at = data[at], at + 1
    if code < 0x80:
        return code, at
    if code >= 0xE0:
        return code - 0x100, at
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    if code in NUMBERS:
        size = struct.calcsize(NUMBERS[code])
        return struct.unpack_from(NUMBERS[code], data, at)[0], at + size
    if code in SIZES:
        (n,) = struct.unpack_from(SIZES[code], data, at)
        at += struct.calcsize(SIZES[code])
    else:
        n = code & 0x1F if 0xA0 <= code < 0xC0 else code & 0x0F
    if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
        return data[at : at + n].decode("utf-8", "replace"), at + n
    if 0xC4 <= code <= 0xC6:
        return data[at : at + n], at + n
    if code < 0x90 or code >= 0xDE:
        pairs, at = _sequence(data, at, 2 * n)
        return dict(zip(pairs[::2], pairs[1::2])), at
    return _sequence(data, at, n)


def _sequence(data: bytes, at: int, n: int) -> tuple[list, int]:
    items = []
    for _ in range(n):
        item, at = decode(data, at)
        items.append(item)
    return items, at


def prompt(number: int) -> bytes:
    return hashlib.md5(b"%d" % number).digest()


def prompts(first: int, n: int) -> bytes:
    """Those of n keys, made faster than by hashing."""
    return b"".join(struct.pack(">QQ", 0xBAD, number) for number in range(first, first + n))


class Client:
    """One connection. Raises OSError (Closed is one) where the daemon refuses it or closes it."""

    def __init__(
        self,
        path: str,
        space: Optional[str] = SPACE,
        name: str = "neighbour",
        region: int = 0,
        max_entries: Optional[int] = None,
        manifest: Optional[str] = None,
        hello: bool = True,
        timeout_s: float = 20,
    ) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.descriptors: list[int] = []
        self._id = 0
        self._received = bytearray()
        try:
            self.socket.settimeout(timeout_s)
            self.socket.connect(path)
            fields = 1, VERSION, name, space, max_entries, LAYOUT if region else 0, manifest
            self.welcome = self.call(HELLO, *fields) if hello else []
        except OSError:
            self.close()
            raise

    def send(self, type: int, *fields: Field) -> int:
        self._id += 1
        self.socket.sendall(frame(type, self._id, *fields))
        return self._id

    def receive(self) -> list:
        """The next reply: its type, its id and its fields."""
        self._fill(8)
        size = 8 + int.from_bytes(self._received[4:8], "big")
        self._fill(size)
        reply, _ = decode(bytes(self._received[8:size]))
        del self._received[:size]
        assert isinstance(reply, list)
        return reply

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            data, controls, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(66 * 4))
            for _, _, content in controls:
                fds = array.array("i")
                fds.frombytes(content[: len(content) // 4 * 4])
                self.descriptors += fds[:1] + fds[1:][-1:]  # the index of the region, and the ring
                for segment in fds[1:-1]:
                    os.close(segment)
            if not data:
                raise Closed("the daemon closed the connection")
            self._received += data

    def call(self, type: int, *fields: Field) -> list:
        """The fields of the reply. A refused hello is Closed; other errors are replies too."""
        self.send(type, *fields)
        reply = self.receive()
        if reply[0] == ERROR and type == HELLO:
            raise Closed(f"refused: {reply[3]}")
        return reply[2:]

    def get(self, prompt: bytes) -> list:
        return self.call(GET, 0, "o", "v", 0, prompt, None, 0, 0)

    def put(self, prompt: bytes, value: bytes) -> list:
        return self.call(PUT, 0, "o", "v", 0, prompt, None, 0, 0, 0, value)

    def put_many(self, prompts: bytes, values: Field, top_k: int = 0) -> list:
        return self.call(PUT_MANY, 0, "o", "v", top_k, prompts, None, 0, 0, 0, 0, values)

    def stats(self) -> dict:
        return self.call(STATS, None)[0]

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
        self.socket.close()
