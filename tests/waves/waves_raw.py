"""The requests of the waves as bytes, and a client that may leave replies unread. The protocol
itself is in tests/neighbours/wire.py."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path
from typing import Any, Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "neighbours"))

from wire import (  # noqa: E402, F401
    CLEAR,
    GET,
    LEASE,
    LIST,
    PUT,
    PUT_MANY,
    STATS,
    frame,
    repeated,
)
import wire  # noqa: E402

__all__ = ["CLEAR", "GET", "LEASE", "LIST", "PUT", "PUT_MANY", "STATS", "Client", "frame"]

TRACE = 10
FULL_NAME = "n" * 255


def prompt(i: int) -> bytes:
    return struct.pack(">QQ", i, i * 0x9E3779B97F4A7C15 & (1 << 64) - 1)


def get(i: int, op: str = "op", flags: int = 0, wait_ms: int = 0, view: str = "v") -> bytes:
    return frame(GET, 5, flags, op, view, 0, prompt(i), None, 600000 if flags else 0, wait_ms)


def put(i: int, value: bytes) -> bytes:
    return frame(PUT, 6, 0, "op", "v", 0, prompt(i), None, 0, 0, 1000, value)


def put_many(first: int, n: int, value: bytes) -> bytes:
    prompts = b"".join(prompt(first + i) for i in range(n))
    values = repeated(value, n)
    return frame(PUT_MANY, 7, 0, "op", "v", 0, prompts, None, 0, 0, 1000, 0, values)


class Client(wire.Client):
    """Its calls wait for their replies, `stuff` does not."""

    def __init__(self, path: str, space: str, region: int = 0, manifest: Optional[str] = None):
        super().__init__(path, space, FULL_NAME, region, manifest=manifest, timeout_s=30)

    def request(self, data: bytes) -> list[Any]:
        """Sends a frame and returns the reply: its type, its id and its fields."""
        self.socket.sendall(data)
        return self.receive()

    def stuff(self, data: bytes) -> int:
        """Sends the bytes that the socket takes at once; 0 if the daemon closed the connection."""
        try:
            return self.socket.send(data, socket.MSG_DONTWAIT)
        except OSError:
            return 0
