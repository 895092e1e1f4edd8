"""A bare client of the protocol, and requests as bytes: what the waves send."""

import socket
import struct
from typing import Any

HELLO, GET, PUT, PUT_MANY, PING, STATS, CLEAR, LIST, TRACE = 1, 2, 3, 5, 6, 7, 8, 9, 10
LEASE = 4  # of a get's flags
HASH = 16
FULL_NAME = "n" * 255


def encode(value: Any) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xd9" + bytes([len(text)]) + text if len(text) < 256 else long_text(text)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(encode, value))


def long_text(text: bytes) -> bytes:
    return b"\xda" + struct.pack(">H", len(text)) + text


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The types that replies have."""
    code, at = data[at], at + 1
    sizes = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2}
    if code < 0x80:
        return code, at
    if 0xCC <= code <= 0xCF:
        width = 1 << (code - 0xCC)
        return int.from_bytes(data[at : at + width], "big"), at + width
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    if code == 0xCB:
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    if code < 0xC0:
        n = code & (31 if code >= 0xA0 else 15)
    else:
        n = int.from_bytes(data[at : at + sizes[code]], "big")
        at += sizes[code]
    if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
        return data[at : at + n].decode(errors="replace"), at + n
    if 0xC4 <= code <= 0xC6:
        return data[at : at + n], at + n
    items = []
    is_map = code < 0x90 or code in (0xDE, 0xDF)
    for _ in range(2 * n if is_map else n):
        item, at = decode(data, at)
        items.append(item)
    return dict(zip(items[::2], items[1::2])) if is_map else items, at


def frame(*fields: Any) -> bytes:
    body = encode(fields)
    return b"FCA1" + struct.pack(">I", len(body)) + body


def prompt(i: int) -> bytes:
    return struct.pack(">QQ", i, i * 0x9E3779B97F4A7C15 & (1 << 64) - 1)


def get(i: int, op: str = "op", flags: int = 0, wait_ms: int = 0, view: str = "v") -> bytes:
    return frame(GET, 5, flags, op, view, 0, prompt(i), None, 600000 if flags else 0, wait_ms)


def put(i: int, value: bytes) -> bytes:
    return frame(PUT, 6, 0, "op", "v", 0, prompt(i), None, 0, 0, 1000, value)


def put_many(first: int, n: int, value: bytes) -> bytes:
    prompts = b"".join(prompt(first + i) for i in range(n))
    return frame(PUT_MANY, 7, 0, "op", "v", 0, prompts, None, 0, 0, 1000, 0, [value] * n)


class Client:
    """Connected and welcomed; its calls wait, `stuff` does not."""

    def __init__(self, path: str, name_space: str, region: int = 0, manifest: str | None = None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.pending = b""
        self.welcome = self.call(
            frame(HELLO, 1, 1, 4, FULL_NAME, name_space, None, region, manifest)
        )

    def call(self, request: bytes) -> list[Any]:
        self.socket.sendall(request)
        return self.receive()

    def receive(self) -> list[Any]:
        while True:
            if len(self.pending) >= 8:
                size = 8 + struct.unpack(">I", self.pending[4:8])[0]
                if len(self.pending) >= size:
                    body, self.pending = self.pending[8:size], self.pending[size:]
                    return list(decode(body)[0])
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the daemon has closed the connection")
            self.pending += data

    def stuff(self, data: bytes) -> int:
        """Sends what goes at once; a connection that was cut takes nothing."""
        try:
            return self.socket.send(data, socket.MSG_DONTWAIT)
        except OSError:
            return 0

    def close(self) -> None:
        self.socket.close()
