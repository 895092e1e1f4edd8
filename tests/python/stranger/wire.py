"""Frames, and the types of the fields in them (protocol.md, "Frames" and "Bodies")."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

import msgpack

MAGIC = b"FCA1"
ERROR = 0x7F
REPLY = 0x40  # the reply to type T has type REPLY + T
ROOM = socket.CMSG_LEN(66 * 4)  # for the control message with all descriptors
CLOSE_ON_EXEC = socket.MSG_CMSG_CLOEXEC  # socket.recv_fds would not pass it on
BEFORE_WELCOME = 65536  # the largest body until the welcome says otherwise

EINVAL, ENOMEM, ENONAMESPACE, ENAME, ETOOBIG, EMAXENTRIES = 1, 2, 3, 4, 5, 6
EDENIED, EPROTOCOL, EREFUSED, EFRAME, ENOHELLO, EVERSION = 8, 10, 11, 12, 13, 14
EBUSY, ETRACE, ESHUTDOWN, ETIMEDOUT, EKILLED = 15, 16, 17, 18, 19


class Malformed(Exception):
    """The daemon sent a message that the page does not allow."""


class Closed(ConnectionError):
    """The daemon closed the connection."""


class Refused(Exception):
    """The daemon answered with an error. ``id`` is 0 where it answers no request."""

    def __init__(self, id: int, code: int, text: str) -> None:
        super().__init__(f"error {code}: {text}")
        self.id, self.code, self.text = id, code, text


def frame(type: int, id: int, fields: Sequence[object]) -> bytes:
    body: bytes = msgpack.packb([type, id, *fields])
    return MAGIC + struct.pack(">I", len(body)) + body


class Fields:
    """The fields of an array, read in their order. Elements behind the last one are skipped."""

    def __init__(self, values: object) -> None:
        self._rest = iter(self._array(values))

    def _array(self, value: object) -> list[object]:
        return value if isinstance(value, list) else self._wrong("an array", value)

    @staticmethod
    def _wrong(wanted: str, value: object) -> list[object]:
        raise Malformed(f"expected {wanted}, got {value!r:.80}")

    def any(self) -> object:
        for value in self._rest:
            return value
        raise Malformed("too few fields")

    def _integer(self, low: int, high: int) -> int:
        value = self.any()
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Malformed(f"expected an integer from {low} to {high}, got {value!r:.80}")
        return value

    def u32(self) -> int:
        return self._integer(0, 2**32 - 1)

    def u64(self) -> int:
        return self._integer(0, 2**64 - 1)

    def i64(self) -> int:
        return self._integer(-(2**63), 2**63 - 1)

    def boolean(self) -> bool:
        value = self.any()
        if not isinstance(value, bool):
            raise Malformed(f"expected a bool, got {value!r:.80}")
        return value

    def text(self) -> str:
        value = self.any()
        if not isinstance(value, str):
            raise Malformed(f"expected a str, got {value!r:.80}")
        return value

    def name(self) -> str:
        value = self.text()
        controls = any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in value)
        if controls or not 1 <= len(value.encode()) <= 255:
            raise Malformed(f"no name: {value!r:.80}")
        return value

    def manifest(self) -> str:
        value = self.text()
        if "\0" in value or not 1 <= len(value.encode()) <= 16384:
            raise Malformed(f"no manifest: {value!r:.80}")
        return value

    def binary(self, low: int = 0, high: int = 2**32 - 1) -> bytes:
        value = self.any()
        if not isinstance(value, bytes) or not low <= len(value) <= high:
            raise Malformed(f"expected a bin of {low} to {high} bytes, got {value!r:.80}")
        return value

    def hash(self) -> bytes:
        return self.binary(16, 16)

    def token(self) -> bytes:
        return self.binary(0, 64)

    def array(self) -> list[object]:
        return self._array(self.any())

    def figures(self) -> dict[str, object]:
        value = self.any()
        if not isinstance(value, dict):
            raise Malformed(f"expected a map, got {value!r:.80}")
        for name, figure in value.items():
            Fields([name]).name()
            if not isinstance(figure, (float, str)):
                Fields([figure]).u64()
        return value

    def nil(self) -> bool:
        """Takes the next field if it is nil. Otherwise it is still the next one."""
        value = self.any()
        if value is not None:
            self._rest = iter([value, *self._rest])
        return value is None


class Wire:
    """A connection. Replies may come in any order, so early ones are kept."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)
        self.max_frame = BEFORE_WELCOME
        self.descriptors: list[int] = []
        self.ended = False
        self._received = bytearray()
        self._id = 0
        self._kept: list[list[object]] = []

    def send(self, type: int, *fields: object) -> int:
        self._id += 1
        data = frame(type, self._id, fields)
        if len(data) - 8 > self.max_frame:
            raise ValueError(f"a body of {len(data) - 8} bytes: the limit is {self.max_frame}")
        self.send_bytes(data)
        return self._id

    def send_bytes(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reason may be waiting: the next receive says it

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            try:
                # Room for descriptors: the welcome has them, and the reply to ring.
                data, controls, flags, _ = self.socket.recvmsg(1 << 20, ROOM, CLOSE_ON_EXEC)
            except ConnectionResetError:
                data, controls, flags = b"", [], 0
            for level, kind, content in controls:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self.descriptors += struct.unpack(f"={len(content) // 4}i", content)
            if flags & socket.MSG_CTRUNC:
                self.drop_descriptors()
            if not data:
                self.ended = True
                raise Closed("the daemon closed the connection")
            self._received += data

    def drop_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def receive(self) -> list[object]:
        """The next body: ``[type, id, field, ...]``."""
        self._fill(8)
        magic, size = struct.unpack(">4sI", self._received[:8])
        if magic != MAGIC or not 1 <= size <= self.max_frame:
            raise Malformed(f"a frame that begins with {self._received[:8].hex()}")
        self._fill(8 + size)
        body = msgpack.unpackb(self._received[8 : 8 + size])
        del self._received[: 8 + size]
        head = Fields(body)
        head.u32(), head.u32()
        assert isinstance(body, list)
        return body

    def reply(self, id: int, type: int) -> Fields:
        """The fields of the next reply of ``type`` to the request ``id``."""
        body = next((kept for kept in self._kept if kept[1] == id), None)
        if body is not None:
            self._kept.remove(body)
        while body is None:
            body = self.receive()
            if body[1] != id and not (body[0] == ERROR and body[1] == 0):
                self._kept.append(body)
                body = None
        fields = Fields(body[2:])
        if body[0] == ERROR:
            assert isinstance(body[1], int)
            raise Refused(body[1], fields.u32(), fields.text())
        if body[0] != REPLY + type:
            raise Malformed(f"type {body[0]} in reply to {type}")
        return fields

    def call(self, type: int, *fields: object) -> Fields:
        return self.reply(self.send(type, *fields), type)

    def close(self) -> None:
        self.drop_descriptors()
        self.socket.close()
