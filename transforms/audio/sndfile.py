"""Decoding in-process with libsndfile, in blocks, so that no header decides how much memory is allocated."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile

from transforms import reasons
from transforms.audio import chunks
from transforms.audio.format import Format
from transforms.audio.plain import Plain
from transforms.audio.streams import Remembering, Spliced
from transforms.audio.waveform import MAX_DECODED_BYTES, Samples, check_stream, too_large
from transforms.errors import ClipRejected
from transforms.workers import shortage

BLOCK_BYTES = 16 << 20
# A longer file is not copied, though a copy is read faster.
MAX_COPIED_BYTES = 16 << 20
_NO_MEMORY = 17  # SFE_MALLOC_FAILED


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out of libsndfile.

    Attributes:
      samples: float32 or int16, shape (num_samples, num_channels).
      sample_rate: Hz, of the source.
      subtype: libsndfile's name of the codec.
      declared: frames from the first decoded one to the end, as the header has it.
      at_end: whether the file ended before the wanted samples did.
      unread: bytes that libsndfile has left at the file's end.
    """

    samples: Samples
    sample_rate: int
    subtype: str
    declared: int
    at_end: bool
    unread: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that is sought, not read.

    Attributes:
      stream: seekable, of which decoding begins at its start.
      head: its first bytes, which have been read.
    """

    stream: BinaryIO
    head: bytes


def decode(source: bytes | Recording, form: Format, max_seconds: float, start_seconds: float = 0.0) -> Decoded | None:
    """Decodes at most `max_seconds`. Integers of up to 16 bits stay integers; all else becomes floats.

    Args:
      source: the whole file, or a recording.
      form: what it is.
      max_seconds: the longest output.
      start_seconds: where to begin, found by seeking.

    Returns:
      None for a codec that libsndfile does not read, and for chunks that lead nowhere: it follows them for ever.

    Raises:
      ClipRejected: damaged; too large; or TOO_SHORT for a file without samples, and for a start behind the end.
    """
    stream = _in_memory(source, form) if isinstance(source, bytes) else _sought(source, form)
    if stream is None:
        return None
    with _damage_refused(form, stream):
        try:
            file = soundfile.SoundFile(stream)
        except (soundfile.LibsndfileError, ValueError) as fault:
            _note_shortage(fault)
            stream.raise_fault()
            return None
        with file:
            check_stream(file.samplerate, file.channels)
            start = round(start_seconds * file.samplerate)
            if start and start >= file.frames:
                raise behind_end(start_seconds)
            if start:
                file.seek(start)
            wanted = round(max_seconds * file.samplerate)
            samples = _read_blocks(file, wanted, start)
            return Decoded(
                samples,
                file.samplerate,
                file.subtype,
                declared=file.frames - start,
                at_end=len(samples) < wanted,
                unread=_left(stream) if isinstance(source, bytes) else 0,
            )


def empty() -> ClipRejected:
    """The refusal of a recording without samples."""
    return ClipRejected(reasons.TOO_SHORT, "the recording is empty: it has no samples (0 s)")


def behind_end(start_seconds: float) -> ClipRejected:
    """The refusal of a segment that begins behind the recording's end."""
    return ClipRejected(reasons.TOO_SHORT, f"the clip's offset of {start_seconds:g} s is behind the recording's end")


def _read_blocks(file: soundfile.SoundFile, wanted: int, start: int) -> Samples:
    """At most `wanted` frames from `start` on, where the file stands."""
    dtype = "int16" if file.subtype in ("PCM_16", "PCM_S8", "PCM_U8") else "float32"
    frame_bytes = np.dtype(dtype).itemsize * file.channels
    # Of a file that it can seek in, soundfile reads no more than the header counts.
    wanted = min(wanted, file.frames - start) if file.seekable() else wanted
    samples = np.zeros((0, file.channels), dtype)
    while len(samples) < wanted:
        block = file.read(min(wanted - len(samples), BLOCK_BYTES // frame_bytes), dtype=dtype, always_2d=True)
        if not len(block):
            break
        samples = _joined(samples, block)
        if samples.nbytes > MAX_DECODED_BYTES:
            raise too_large(file.format.lower())
    return samples


def _joined(samples: Samples, block: Samples) -> Samples:
    """Both, one after the other, in the memory of the first, which grows: there is no second copy of all."""
    held = len(samples)
    if not held:
        return block
    samples.resize((held + len(block), samples.shape[1]), refcheck=False)
    samples[held:] = block
    return samples


def _in_memory(content: bytes, form: Format) -> _Memory | Remembering | None:
    """A file as libsndfile is given it."""
    plain = _plain(form, chunks.in_memory(content), len(content))
    if plain is None:
        return None
    header, start, end = plain
    alone = start == len(header) and end == len(content) and content.startswith(header)
    if not alone and end - start > MAX_COPIED_BYTES:
        return Remembering(Spliced(io.BytesIO(content), header, start, end))
    return _Memory(content if alone else header + content[start:end])


def _sought(recording: Recording, form: Format) -> Remembering | None:
    """As `_in_memory`, of a recording."""
    stream, head = recording.stream, recording.head
    num_bytes = stream.seek(0, io.SEEK_END)
    if form.start(head):  # behind tags
        return Remembering(stream)
    plain = _plain(form, chunks.in_stream(stream, head, num_bytes), num_bytes)
    return Remembering(Spliced(stream, *plain) if plain.header else stream) if plain is not None else None


def _plain(form: Format, read: chunks.Read, num_bytes: int) -> Plain | None:
    plain = form.plain(read, num_bytes) if form.plain is not None else Plain(b"", 0, num_bytes)
    if plain is not None and plain.start >= plain.end:
        raise empty()
    return plain


@contextmanager
def _damage_refused(form: Format, stream: _Memory | Remembering) -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as fault:
        _note_shortage(fault)
        stream.raise_fault()
        raise ClipRejected(reasons.DECODE_FAILED, f"the {form.name} contents are invalid (damaged)") from None
    stream.raise_fault()


def _note_shortage(fault: Exception) -> None:
    if isinstance(fault, soundfile.LibsndfileError) and fault.code == _NO_MEMORY:
        shortage.note()


def _left(stream: _Memory | Remembering) -> int:
    """Bytes behind the place where it stands."""
    at = stream.tell()  # not `getbuffer`, for which the whole would be copied
    return max(0, stream.seek(0, io.SEEK_END) - at)


class _Memory(io.BytesIO):
    """A file in memory, whose reads are C and have no faults."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # a damaged header led out of the file
            return -1

    def raise_fault(self) -> None:
        """Raises nothing."""
