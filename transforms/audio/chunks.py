"""Chunks of containers, read without decoding: where they begin and end, and how another file would begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from transforms.audio import tags
from transforms.audio.walk import steps

# `read(at, size)` gives the bytes there, fewer at the file's end: of a file in memory as of one that is sought.
Read = Callable[[int, int], bytes]

# Sizes that writers to a pipe leave in 32-bit headers, for "unknown".
STREAMED_FROM = 0x7FFF0000
# The same of 64 bits.
UNKNOWN_FROM = 1 << 62
# Files have a few; of a million empty ones, each would take its time.
MAX_CHUNKS = 1 << 16
# In front of what follows them.
_SEEN_ZEROS = 4


class Chunk(NamedTuple):
    """A chunk's name, where its head and its contents begin, and how long the contents are said to be."""

    name: bytes
    head: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Chunked:
    """How a container lays out its chunks.

    Attributes:
      first: where the first one begins.
      name_bytes: of a chunk's name, which stands first.
      size_bytes: of its size, behind the name.
      order: of the size.
      counts_head: whether the size is that of name and size, too.
      align: chunks begin at multiples of this.
    """

    first: int
    name_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    counts_head: bool = False
    align: int = 1

    def chunks(self, read: Read, first: int | None = None) -> Iterator[Chunk]:
        """Every chunk in its order, from a place on, to the first whose size is none, or to the end."""
        at, head_bytes = self.first if first is None else first, self.name_bytes + self.size_bytes
        for _ in range(MAX_CHUNKS):
            if len(head := read(at, head_bytes)) < head_bytes:
                return
            size = int.from_bytes(head[self.name_bytes :], self.order) - (head_bytes if self.counts_head else 0)
            yield Chunk(head[: self.name_bytes], at, at + head_bytes, size)
            if size < 0:
                return
            at += head_bytes + size + -size % self.align

    def parts(self, content: bytes, first: int | None = None) -> Iterator[int]:
        """Where the chunks of a file begin that are whole, from a place on, and at last where they end."""
        at = self.first if first is None else first
        at += -at % self.align
        yield at
        for chunk in self.chunks(in_memory(content), at):
            end = chunk.start + chunk.size
            if not 0 <= chunk.size < STREAMED_FROM or end > len(content):
                return
            if not chunk.size and not any(chunk.name):  # no chunk, but what fills the file up
                yield max(chunk.head, tags.zeros_end(content, chunk.head) - _SEEN_ZEROS)
                return
            yield end + -end % self.align


RIFF = Chunked(12, 4, 4, "little", align=2)
RIFX = Chunked(12, 4, 4, "big", align=2)
CAF = Chunked(8, 4, 8, "big")
_MP4_HEAD_BYTES = 8
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
W64 = Chunked(40, 16, 8, "little", counts_head=True, align=8)


def in_memory(content: bytes) -> Read:
    """Reads a file that is in memory."""
    return lambda at, size: content[at : at + size]


def in_stream(stream: BinaryIO, head: bytes, num_bytes: int) -> Read:
    """Reads a file of `num_bytes` that is sought, and whose first bytes have been read."""

    def read(at: int, size: int) -> bytes:
        if at + size <= len(head):
            return head[at : at + size]
        if at >= num_bytes:
            return b""
        stream.seek(at)
        return stream.read(size)

    return read


class Again(NamedTuple):
    """How another file of a format begins, certain enough to be looked for anywhere.

    Attributes:
      marks: of which any one will do: a pattern, and how many bytes of the beginning are before it. It begins with
        fixed bytes, without a choice of them, for then the search is ten times as fast.
    """

    marks: tuple[tuple[re.Pattern[bytes], int], ...]

    def __or__(self, other: Again) -> Again:
        return Again(self.marks + other.marks)

    def at(self, content: bytes, start: int) -> bool:
        """Whether a file begins exactly here."""
        return any(pattern.match(content, start + lead) for pattern, lead in self.marks)

    def search(self, content: bytes, start: int) -> int | None:
        """Where the first one begins from `start` on."""
        found = ((pattern.search(content, start + lead), lead) for pattern, lead in self.marks)
        return min((match.start() - lead for match, lead in found if match), default=None)


def again(pattern: bytes, lead: int = 0) -> Again:
    """How another file begins, as a regular expression over bytes."""
    return Again(((re.compile(pattern, re.DOTALL), lead),))


def mp4_boxes(content: bytes) -> Iterator[Chunk]:
    """The top-level boxes of an MP4 file (ISO 14496-12), to the first whose size is none."""
    at = 0
    for _ in steps():
        if len(head := content[at : at + 2 * _MP4_HEAD_BYTES]) < _MP4_HEAD_BYTES:
            return
        size, start = int.from_bytes(head[:4], "big"), at + _MP4_HEAD_BYTES
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), at + 2 * _MP4_HEAD_BYTES
        yield Chunk(head[4:8], at, start, at + size - start)
        if at + size < start:  # of which 0 means that the box goes on to the file's end
            return
        at += size


def mp4_parts(content: bytes) -> Iterator[int]:
    """Where the boxes of an MP4 file begin, and at last where they end."""
    at = 0
    for box in mp4_boxes(content):
        yield box.head
        if box.size < 0:
            return
        at = box.start + box.size
    yield at
