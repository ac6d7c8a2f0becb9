"""What of a file is sound: libsndfile is given this, so that nothing else in the file can lead it astray."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from transforms.audio.chunks import (
    CAF,
    RIFF,
    RIFX,
    STREAMED_FROM,
    UNKNOWN_FROM,
    W64,
    W64_DATA,
    Chunk,
    Chunked,
    Read,
    in_memory,
)

# Names of chunks are printable. Samples behind a header that a killed recorder left are not, for long.
_PRINTABLE = frozenset(range(32, 127))
# fmt: off
_METADATA = {
    b"LIST", b"id3 ", b"ID3 ", b"ID32", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"iXML", b"axml", b"cue ",
    b"smpl", b"inst", b"PEAK", b"fact", b"cart", b"_PMX", b"DISP", b"acid", b"data", b"afsp", b"MEXT", b"umid", b"RIFF",
}
# fmt: on
_TAIL_BYTES = 1 << 20
_MAX_DATA_BYTES = 0xFFFFFF00 - (1 << 16)
_MIN_FMT_BYTES, _MAX_FMT_BYTES = 14, 1 << 12
_MAX_FILLING_BYTES = 8
_AU_HEAD_BYTES = 24


class Plain(NamedTuple):
    """A header, and the bytes of the file that belong behind it; none where there are no samples."""

    header: bytes
    start: int
    end: int


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


def wav_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of a WAV the samples, behind a header for these and nothing else."""
    found = wav(read, num_bytes)
    if found is None:
        return None
    end = min(found.end, num_bytes)
    size = max(0, end - found.start)
    if size > _MAX_DATA_BYTES:  # more than a header of 32 bits can count
        return Plain(b"", 0, num_bytes)
    order = ">" if found.magic == b"RIFX" else "<"
    parts = [(b"fmt ", found.fmt)] + [(b"fact", found.fact)] * bool(found.fact)
    body = b"WAVE" + b"".join(
        name + struct.pack(f"{order}I", len(part)) + part + bytes(len(part) % 2) for name, part in parts
    )
    riff = found.magic + struct.pack(f"{order}I", len(body) + 8 + size)
    return Plain(riff + body + b"data" + struct.pack(f"{order}I", size), found.start, end)


def wav(read: Read, num_bytes: int) -> Wav | None:
    """What of a WAV of `num_bytes` is sound; None where the chunks do not say."""
    magic = read(0, 4)
    long_size, fmt, fact, data = None, b"", b"", None
    for chunk in _wav_kind(read).chunks(read):
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


def wav_parts(content: bytes) -> Iterator[int]:
    """Where the parts of a WAV end, the samples being the first; none where the header does not count them."""
    read = in_memory(content)
    found = wav(read, len(content))
    if found is not None and found.sized:
        yield from _wav_kind(read).parts(content, found.end)


def _wav_kind(read: Read) -> Chunked:
    return RIFX if read(0, 4) == b"RIFX" else RIFF


def _samples(read: Read, data: Chunk, num_bytes: int, long_size: int | None) -> tuple[Chunk, int | None]:
    """The chunk of the samples, and its end; None if the header was never finished, or is that of a stream."""
    size = data.size
    if size == 0xFFFFFFFF and long_size is not None:
        return data, data.start + long_size if long_size < UNKNOWN_FROM else None
    if size == 0:
        behind = _chunks_alone(_wav_kind(read), read, data.start, num_bytes)
        data = next((chunk for chunk in behind if chunk.name == b"data"), data)
        # Behind a recorder that was stopped before its first sample. One that was killed leaves samples here.
        known = bool(behind) or data.start == num_bytes
        return data, data.start + data.size if known else _metadata_at(read, data.start, num_bytes)
    known = size < STREAMED_FROM
    return data, data.start + size if known else _metadata_at(read, data.start, num_bytes)


def _metadata_at(read: Read, start: int, num_bytes: int) -> int | None:
    """Where metadata begin behind samples that nobody has counted; None where none do."""
    tail = max(start, num_bytes - _TAIL_BYTES)
    names = re.finditer(rb"LIST|id3 |ID3 |bext|iXML", read(tail, _TAIL_BYTES))
    candidates = (tail + found.start() for found in names)
    return next((at for at in candidates if _chunks_alone(_wav_kind(read), read, at, num_bytes)), None)


def _chunks_alone(kind: Chunked, read: Read, at: int, num_bytes: int) -> list[Chunk]:
    """The chunks from a place on, if sizes lead from one to the next up to the file's end; else, none.

    The last may be cut if it has a name of metadata, and zeros may follow.
    """
    found: list[Chunk] = []
    for chunk in kind.chunks(read, at):
        if not _PRINTABLE.issuperset(chunk.name[:4]):
            return [] if read(chunk.head, num_bytes).strip(b"\0") else found
        if not 0 <= chunk.size <= num_bytes + 1 - chunk.start and chunk.name not in _METADATA:
            return []
        found.append(chunk)
    return found


def aiff_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of an AIFF file what leads to its samples, and these."""
    return _plain(RIFX, b"SSND", 8, read, num_bytes)


def svx_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of an 8SVX file what leads to its samples, and these."""
    return _plain(RIFX, b"BODY", 0, read, num_bytes)


def caf_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of a CAF file what leads to its samples, and these."""
    return _plain(CAF, b"data", 4, read, num_bytes)


def w64_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of a Wave64 file what leads to its samples, and these."""
    return _plain(W64, W64_DATA, 0, read, num_bytes)


def au_plain(read: Read, num_bytes: int) -> Plain | None:
    """Of an AU file all; where nobody has counted the samples, a header that says so."""
    head = read(0, _AU_HEAD_BYTES)
    start = int.from_bytes(head[4:8], "big")
    if head[8:12] != bytes(4) or not _AU_HEAD_BYTES <= start < num_bytes:
        return Plain(b"", 0, num_bytes)
    return Plain(head[:8] + b"\xff" * 4 + read(12, start - 12), start, num_bytes)


def _plain(kind: Chunked, name: bytes, empty: int, read: Read, num_bytes: int) -> Plain | None:
    """The whole file, if its chunks lead to the samples, and from them to the end.

    Args:
      kind: of the container.
      name: of the chunk of the samples.
      empty: its size, if there are none.
      read: of the file.
      num_bytes: of the file.
    """
    found = None
    for chunk in kind.chunks(read):
        if chunk.name == name:
            if 0 <= chunk.size <= empty:
                return _uncounted(kind, chunk, read, num_bytes)
            found = chunk
        if not 0 <= chunk.size <= num_bytes - chunk.start:
            return Plain(b"", 0, num_bytes) if chunk.name == name else None
        if found and (chunk.start + chunk.size >= num_bytes - _MAX_FILLING_BYTES or not any(chunk.name)):
            break
    return Plain(b"", 0, num_bytes) if found else None


def _uncounted(kind: Chunked, chunk: Chunk, read: Read, num_bytes: int) -> Plain:
    """What stands in the place of samples that nobody has counted: metadata, or what a killed recorder left."""
    end = chunk.start + chunk.size
    if end >= num_bytes or _chunks_alone(kind, read, end + -end % kind.align, num_bytes):
        return Plain(b"", chunk.start, chunk.start)
    size = num_bytes - (chunk.head if kind.counts_head else chunk.start)
    counted = min(size, (1 << 8 * kind.size_bytes) - 1).to_bytes(kind.size_bytes, kind.order)
    return Plain(read(0, chunk.head) + chunk.name + counted, chunk.start, num_bytes)
