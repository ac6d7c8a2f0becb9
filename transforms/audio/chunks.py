"""Chunks of containers, read without decoding: where they begin, and how another file would."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

# `read(at, size)` gives the bytes there, fewer at the file's end: of a file in memory as of one that is sought.
Read = Callable[[int, int], bytes]

# Sizes that writers to a pipe leave in 32-bit headers, for "unknown".
STREAMED_FROM = 0x7FFF0000


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
        while len(head := read(at, head_bytes)) == head_bytes:
            size = int.from_bytes(head[self.name_bytes :], self.order) - (head_bytes if self.counts_head else 0)
            yield Chunk(head[: self.name_bytes], at, at + head_bytes, size)
            if size < 0:
                return
            at += head_bytes + size + -size % self.align


RIFF = Chunked(12, 4, 4, "little", align=2)
RIFX = Chunked(12, 4, 4, "big", align=2)
CAF = Chunked(8, 4, 8, "big")
_MP4_HEAD_BYTES = 8
_OGG_HEAD_BYTES = 27
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


# Where the parts of a file begin, and at last where they end.
Parts = Callable[[Read, int], Iterator[int]]


def form_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of an AIFF or 8SVX file."""
    return steps(RIFX.chunks(read), 2, num_bytes, 12)


def caf_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of a CAF file."""
    return steps(CAF.chunks(read), 1, num_bytes, 8)


def w64_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of a Wave64 file."""
    return steps(W64.chunks(read), 8, num_bytes, 40)


def steps(chunks: Iterator[Chunk], align: int, num_bytes: int, at: int) -> Iterator[int]:
    """Where these chunks end that lie within the file, the first beginning at `at`."""
    yield at + -at % align
    for chunk in chunks:
        at = chunk.start + chunk.size
        if not 0 <= chunk.size < STREAMED_FROM or at > num_bytes:
            return
        yield at + -at % align


def ogg_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """Where the pages of an Ogg file end that follow one another (RFC 3533)."""
    at = 0
    while (head := read(at, _OGG_HEAD_BYTES)).startswith(b"OggS") and len(head) == _OGG_HEAD_BYTES:
        at += _OGG_HEAD_BYTES + head[-1] + sum(read(at + _OGG_HEAD_BYTES, head[-1]))
    yield min(at, num_bytes)


def mp4_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The top-level boxes of an MP4 file (ISO 14496-12)."""
    at = 0
    while at < num_bytes:
        yield at
        head = read(at, 2 * _MP4_HEAD_BYTES)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if len(head) < _MP4_HEAD_BYTES or size < _MP4_HEAD_BYTES:
            return
        at += size
    yield at
