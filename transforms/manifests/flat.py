"""Messages of Arrow streams: FlatBuffers, read with bounds. The library would read what follows them, too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from transforms.bounds import MAX_FOOTER_BYTES

_CONTINUES = b"\xff\xff\xff\xff"
_BATCH = 3


class DamagedError(Exception):
    """What is there is no table, or none that is read. The text says why."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of FlatBuffers.

    Attributes:
      content: that it lies in.
      at: where.
    """

    content: bytes
    at: int

    def integer(self, number: int, size: int) -> int:
        """A field of so many bytes; 0 for one that is left out."""
        at = self._field(number)
        return _integer(self.content, at, size) if at else 0

    def table(self, number: int) -> Table | None:
        """A field that is a table; None for one that is left out."""
        at = self._field(number)
        return Table(self.content, at + _integer(self.content, at, 4)) if at else None

    def pairs(self, number: int) -> list[tuple[int, int]]:
        """A field that is a list of pairs of numbers of 64 bits."""
        at = self._field(number)
        if not at:
            return []
        at += _integer(self.content, at, 4)
        length = _integer(self.content, at, 4)
        if not 0 <= length <= len(self.content) // 16:
            raise DamagedError("a list that is longer than its message")
        starts = range(at + 4, at + 4 + 16 * length, 16)
        return [(_integer(self.content, start, 8), _integer(self.content, start + 8, 8)) for start in starts]

    def _field(self, number: int) -> int:
        facts = self.at - _integer(self.content, self.at, 4)
        place = 4 + 2 * number
        if place >= _integer(self.content, facts, 2):
            return 0
        offset = _integer(self.content, facts + place, 2)
        return self.at + offset if offset else 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream.

    Attributes:
      kind: of its header: 1 for a schema, 3 for a batch.
      header: which is a table.
      body, size: where what follows it lies.
      content: the message itself, as the library reads it.
    """

    kind: int
    header: Table
    body: int
    size: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A record batch.

    Attributes:
      num_rows: of all its columns.
      nodes: length and number of nulls of each column, each followed by its parts.
      buffers: offset and length of each buffer, likewise.
      body: where offsets count from.
    """

    num_rows: int
    nodes: list[tuple[int, int]]
    buffers: list[tuple[int, int]]
    body: int


def message(stream: BinaryIO, at: int) -> Message | None:
    """The message at a place of a file; None at the end of the stream.

    Raises:
      DamagedError: there is none.
    """
    end = stream.seek(0, os.SEEK_END)
    stream.seek(at)
    head = stream.read(8)
    length = int.from_bytes(head[4:], "little")
    if not head or (head[:4] == _CONTINUES and len(head) == 8 and not length):
        return None
    if head[:4] != _CONTINUES or length > MAX_FOOTER_BYTES:
        raise DamagedError("what follows is no message")
    content = stream.read(length)
    root = Table(content, _integer(content, 0, 4))
    header, body, size = root.table(2), at + 8 + length, root.integer(3, 8)
    if header is None or size < 0 or body + size > end:
        raise DamagedError("the file ends within a batch")
    return Message(root.integer(1, 1), header, body, size, head + content)


def batch(found: Message) -> Batch:
    """The batch of a message.

    Raises:
      DamagedError: it lies about itself, or is compressed.
    """
    if found.header.table(3) is not None:
        raise DamagedError("it is compressed; write it without compression, or as Parquet")
    rows, nodes, buffers = found.header.integer(0, 8), found.header.pairs(1), found.header.pairs(2)
    if any(start < 0 or size < 0 or start + size > found.size for start, size in buffers):
        raise DamagedError("a column lies outside of its batch")
    # Each row has a bit at least, of columns that are no nulls.
    if not 0 <= rows <= 8 * max(1, found.size):
        raise DamagedError("it tells of more rows than it holds")
    return Batch(rows, nodes, buffers, found.body)


def _integer(content: bytes, at: int, size: int) -> int:
    if not 0 <= at <= len(content) - size:
        raise DamagedError("a message leads out of itself")
    return int.from_bytes(content[at : at + size], "little", signed=size > 2)
