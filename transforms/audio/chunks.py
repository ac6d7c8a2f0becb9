"""Chunks of containers, read without decoding: where they begin, and what of a WAV is sound."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, NamedTuple

# `read(at, size)` gives the bytes there, fewer at the file's end: of a file in memory as of one that is sought.
Read = Callable[[int, int], bytes]

# Sizes that writers to a pipe leave in 32-bit headers, for "unknown".
_STREAMED_FROM = 0x7FFF0000
# Names of chunks are printable. Samples behind a header that a killed recorder left are not, for long.
_PRINTABLE = frozenset(range(32, 127))
# fmt: off
_METADATA = {
    b"LIST", b"id3 ", b"ID3 ", b"ID32", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"iXML", b"axml", b"cue ",
    b"smpl", b"inst", b"PEAK", b"fact", b"cart", b"_PMX", b"DISP", b"acid", b"data", b"afsp", b"MEXT", b"umid", b"RIFF",
}
# fmt: on
_UNKNOWN_FROM = 1 << 62
_TAIL_BYTES = 1 << 20
_MAX_DATA_BYTES = 0xFFFFFF00 - (1 << 16)
_MIN_FMT_BYTES, _MAX_FMT_BYTES = 14, 1 << 12


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

    def chunks(self, read: Read) -> Iterator[Chunk]:
        """Every chunk in its order, to the first whose size is none, or to the end."""
        at, head_bytes = self.first, self.name_bytes + self.size_bytes
        while len(head := read(at, head_bytes)) == head_bytes:
            size = int.from_bytes(head[self.name_bytes :], self.order) - (head_bytes if self.counts_head else 0)
            yield Chunk(head[: self.name_bytes], at, at + head_bytes, size)
            if size < 0:
                return
            at += head_bytes + size + -size % self.align


_RIFF = Chunked(12, 4, 4, "little", align=2)
_RIFX = Chunked(12, 4, 4, "big", align=2)
_CAF = Chunked(8, 4, 8, "big")
_MP4_HEAD_BYTES = 8
_MAX_FILLING_BYTES = 8
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_W64 = Chunked(40, 16, 8, "little", counts_head=True, align=8)


def in_memory(content: bytes) -> Read:
    """Reads a file that is in memory."""
    return lambda at, size: content[at : at + size]


def in_stream(stream: BinaryIO, head: bytes) -> Read:
    """Reads a file that is sought, and whose first bytes have been read."""

    def read(at: int, size: int) -> bytes:
        if at + size <= len(head):
            return head[at : at + size]
        stream.seek(at)
        return stream.read(size)

    return read


@dataclass(frozen=True, slots=True)
class Wav:
    """What of a WAV is sound.

    Attributes:
      magic: RIFF, or RIFX where numbers are big-endian.
      fmt: contents of the `fmt ` chunk.
      fact: contents of the `fact` chunk; b"" without one.
      start: where the samples begin.
      end: where they end; behind the file's end if some are missing.
      sized: whether the header says where they end.
    """

    magic: bytes
    fmt: bytes
    fact: bytes
    start: int
    end: int
    sized: bool

    @property
    def fits(self) -> bool:
        """Whether a header of 32 bits can count the samples."""
        return self.end - self.start <= _MAX_DATA_BYTES

    def is_empty(self, num_bytes: int) -> bool:
        """Whether none of the samples are among the file's bytes."""
        return min(self.end, num_bytes) <= self.start

    def header(self, num_bytes: int) -> bytes:
        """A header for the samples that are there, with nothing that could lead a decoder astray."""
        order = ">" if self.magic == b"RIFX" else "<"
        size = min(self.end, num_bytes) - self.start
        chunks = [(b"fmt ", self.fmt)] + [(b"fact", self.fact)] * bool(self.fact)
        body = b"WAVE" + b"".join(
            name + struct.pack(f"{order}I", len(part)) + part + bytes(len(part) % 2) for name, part in chunks
        )
        riff = self.magic + struct.pack(f"{order}I", len(body) + 8 + size)
        return riff + body + b"data" + struct.pack(f"{order}I", size)


def wav(read: Read, num_bytes: int) -> Wav | None:
    """What of a WAV of `num_bytes` is sound; None where the chunks do not say."""
    magic = read(0, 4)
    long_size, fmt, fact, data = None, b"", b"", None
    for chunk in wav_chunks(read):
        if chunk.name == b"ds64":
            long_size = int.from_bytes(read(chunk.start + 8, 8), "little")
        elif chunk.name == b"fmt " and not fmt and chunk.size <= _MAX_FMT_BYTES:
            fmt = read(chunk.start, chunk.size)
        elif chunk.name == b"fact" and chunk.size <= _MAX_FMT_BYTES:
            fact = read(chunk.start, chunk.size)
        elif chunk.name == b"data" and data is None:
            data = chunk
        if fmt and data:
            break
    if data is None or len(fmt) < _MIN_FMT_BYTES:
        return None
    data, end = _samples(read, data, num_bytes, long_size if magic in (b"RF64", b"BW64") else None)
    family = b"RIFX" if magic == b"RIFX" else b"RIFF"
    return Wav(family, fmt, fact, data.start, num_bytes if end is None else end, end is not None)


def wav_chunks(read: Read, first: int = 12) -> Iterator[Chunk]:
    """The chunks of a RIFF, RIFX or RF64 file from `first` on."""
    return replace(_RIFX if read(0, 4) == b"RIFX" else _RIFF, first=first).chunks(read)


def _samples(read: Read, data: Chunk, num_bytes: int, long_size: int | None) -> tuple[Chunk, int | None]:
    """The chunk of the samples, and its end; None if the header was never finished, or is that of a stream."""
    size = data.size
    if size == 0xFFFFFFFF and long_size is not None:
        return data, data.start + long_size if long_size < _UNKNOWN_FROM else None
    if size == 0:
        behind = _chunks_alone(read, data.start, num_bytes)
        data = next((chunk for chunk in behind if chunk.name == b"data"), data)
        # Behind a recorder that was stopped before its first sample. One that was killed leaves samples here.
        known = bool(behind) or data.start == num_bytes
        return data, data.start + data.size if known else _metadata_at(read, data.start, num_bytes)
    known = size < _STREAMED_FROM
    return data, data.start + size if known else _metadata_at(read, data.start, num_bytes)


def _metadata_at(read: Read, start: int, num_bytes: int) -> int | None:
    """Where metadata begin behind samples that nobody has counted; None where none do."""
    tail = max(start, num_bytes - _TAIL_BYTES)
    names = re.finditer(rb"LIST|id3 |ID3 |bext|iXML", read(tail, _TAIL_BYTES))
    candidates = (tail + found.start() for found in names)
    return next((at for at in candidates if _chunks_alone(read, at, num_bytes)), None)


def _chunks_alone(read: Read, at: int, num_bytes: int) -> list[Chunk]:
    """The chunks from a place on, if sizes lead from one to the next up to the file's end; else, none.

    The last may be cut if it has a name of metadata, and zeros may follow.
    """
    found: list[Chunk] = []
    for chunk in wav_chunks(read, at):
        if not _PRINTABLE.issuperset(chunk.name):
            return [] if read(chunk.head, num_bytes).strip(b"\0") else found
        if chunk.start + chunk.size > num_bytes and chunk.name not in _METADATA:
            return []
        found.append(chunk)
    return found


class Again(NamedTuple):
    """How another file of a format begins, certain enough to be looked for anywhere.

    Attributes:
      pattern: begins with fixed bytes, so that the search is fast.
      lead: bytes of the beginning before these.
    """

    pattern: re.Pattern[bytes]
    lead: int = 0

    def at(self, content: bytes, start: int) -> bool:
        """Whether a file begins exactly here."""
        return self.pattern.match(content, start + self.lead) is not None

    def search(self, content: bytes, start: int) -> int | None:
        """Where one begins from `start` on."""
        found = self.pattern.search(content, start + self.lead)
        return found.start() - self.lead if found else None


def again(pattern: bytes, lead: int = 0) -> Again:
    """How another file begins, as a regular expression over bytes."""
    return Again(re.compile(pattern, re.DOTALL), lead)


# Where the parts of a file begin, and at last where they end.
Parts = Callable[[Read, int], Iterator[int]]


def wav_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of a WAV, the samples being one even where the header does not count them."""
    found = wav(read, num_bytes)
    if found is None:
        return
    if found.sized:
        yield from _steps(wav_chunks(read, found.end + found.end % 2), 2, num_bytes, found.end)


def form_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of an AIFF or 8SVX file."""
    return _steps(_RIFX.chunks(read), 2, num_bytes, 12)


def caf_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of a CAF file."""
    return _steps(_CAF.chunks(read), 1, num_bytes, 8)


def w64_parts(read: Read, num_bytes: int) -> Iterator[int]:
    """The parts of a Wave64 file."""
    return _steps(_W64.chunks(read), 8, num_bytes, 40)


def _steps(chunks: Iterator[Chunk], align: int, num_bytes: int, at: int) -> Iterator[int]:
    yield at + -at % align
    for chunk in chunks:
        at = chunk.start + chunk.size
        if not 0 <= chunk.size < _STREAMED_FROM or at > num_bytes:
            return
        yield at + -at % align


def form_leads(read: Read, num_bytes: int) -> bool:
    """Whether the chunks of an AIFF or 8SVX file lead to its samples, and from them on."""
    return _lead(_RIFX.chunks(read), num_bytes, (b"SSND", b"BODY"))


def caf_leads(read: Read, num_bytes: int) -> bool:
    """Whether the chunks of a CAF file lead to its samples, and from them on."""
    return _lead(_CAF.chunks(read), num_bytes, (b"data",))


def w64_leads(read: Read, num_bytes: int) -> bool:
    """Whether the chunks of a Wave64 file lead to its samples, and from them on."""
    return _lead(_W64.chunks(read), num_bytes, (W64_DATA,))


def _lead(chunks: Iterator[Chunk], num_bytes: int, samples: tuple[bytes, ...]) -> bool:
    found = False
    for chunk in chunks:
        found = found or chunk.name in samples
        if not 0 <= chunk.size <= num_bytes - chunk.start:
            return chunk.name in samples
        if found and chunk.start + chunk.size >= num_bytes - _MAX_FILLING_BYTES:
            return True
    return found


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
