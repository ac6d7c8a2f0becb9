"""Messages over a socket, between a process and its workers: a kind, and up to three parts of bytes."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Sequence

MAX_PARTS = 3
# A worker gone wrong may claim any length; the longest line of an example is far shorter.
MAX_PART_BYTES = 1 << 30
_HEAD = struct.Struct(f"<B{MAX_PARTS}Q")


class Kind(enum.IntEnum):
    """What a message is."""

    READY = 1  # worker: begun
    TASK = 2  # its parent: work on this
    ASK = 3  # worker: I need this for it
    ANSWER = 4  # its parent: here it is
    REFUSAL = 5  # its parent: it cannot be had, because of the clip
    DONE = 6  # worker: the result
    FAULT = 7  # worker: an exception


def send(connection: socket.socket, kind: Kind, *parts: bytes) -> None:
    """Sends a message; raises OSError if nobody is there any more."""
    sizes = [*map(len, parts), *[0] * (MAX_PARTS - len(parts))]
    message = [_HEAD.pack(kind, *sizes), *parts]
    sent = connection.sendmsg(message)  # in one call, so that the other side wakes up once
    for part in message:  # each from where it was cut: joined, a recording would be in memory twice
        if sent < len(part):
            connection.sendall(memoryview(part)[sent:])
        sent = max(0, sent - len(part))


def receive(connection: socket.socket) -> tuple[Kind, Sequence[bytes]]:
    """The next message, with all its parts.

    Raises:
      EOFError: the other side has closed the connection, or died.
      ValueError: what came is no message.
    """
    kind, *sizes = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if max(sizes) > MAX_PART_BYTES:
        raise ValueError(f"a part of {max(sizes):,} bytes, over the limit of {MAX_PART_BYTES:,}")
    return Kind(kind), [_exactly(connection, size) if size else b"" for size in sizes]


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = connection.recv(size, socket.MSG_WAITALL)
    while len(received) < size:  # a signal may interrupt the wait
        more = connection.recv(size - len(received), socket.MSG_WAITALL)
        if not more:
            raise EOFError
        received += more
    return received
