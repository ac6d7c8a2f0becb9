"""A stream as decoders read it: they take a fault for the file's end, so it is kept and raised afterwards."""

from __future__ import annotations

import errno
import io
from typing import BinaryIO, Protocol

from transforms.audio.walk import steps

# Films of hours have some hundred thousand; of millions of indices or fragments, decoders visit each.
MAX_SEEKS = 1 << 21


class Seekable(Protocol):
    """What native decoders need of a stream."""

    def read(self, size: int, /) -> bytes:
        """Some bytes; b"" at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """The place where it then stands."""

    def tell(self) -> int:
        """The place where it stands."""

    def fileno(self) -> int:
        """Its descriptor, if it has one; raises OSError else."""


class Spliced:
    """A header, and behind it the bytes of a stream from one place to another."""

    def __init__(self, stream: BinaryIO, header: bytes, start: int, end: int) -> None:
        self._header = header
        self._stream = stream
        self._start = start
        self._size = len(header) + max(0, end - start)
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Of the header, then of the stream."""
        wanted = min(size, self._size - self._at)
        begun = self._header[self._at : self._at + max(0, wanted)]
        behind = wanted - len(begun)
        if behind > 0:
            self._stream.seek(self._start + self._at + len(begun) - len(self._header))
            begun += self._stream.read(behind)
        self._at += len(begun)
        return begun

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """To a place in what is spliced."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """The place in what is spliced."""
        return self._at

    def fileno(self) -> int:
        """It has none: no other program can read it."""
        raise io.UnsupportedOperation("fileno")


class Remembering:
    """A stream, from its start on, that keeps its faults for `raise_fault`. libsndfile would also print them.

    Nor can a file lead a decoder from place to place without end: behind `MAX_SEEKS` it is ClipRejected.
    """

    def __init__(self, stream: Seekable) -> None:
        self._end = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream = stream
        self._fault: BaseException | None = None
        self._seeks = steps(MAX_SEEKS)

    def read(self, size: int = -1) -> bytes:
        """As the stream's own; b"" for a fault, and ever after."""
        if self._fault is not None:
            return b""
        try:
            # A damaged header asks for gigabytes, and files make room for as much as is asked, not for what there is.
            return self._stream.read(min(size, max(0, self._end - self._stream.tell())))
        except BaseException as fault:
            self._fault = fault
            return b""

    def readinto(self, buffer: bytearray) -> int:
        """As `read`, into a buffer."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As the stream's own; -1 for a fault, and ever after."""
        if self._fault is not None:
            return -1
        try:
            next(self._seeks)
            return self._stream.seek(offset, whence)
        except (ValueError, OverflowError):  # a damaged header led out of the file
            return -1
        except OSError as fault:
            if fault.errno != errno.EINVAL:  # further than files may be long
                self._fault = fault
            return -1
        except BaseException as fault:
            self._fault = fault
            return -1

    def tell(self) -> int:
        """As the stream's own."""
        return self._stream.tell()

    def fileno(self) -> int:
        """As the stream's own, of which others than this program can read what it stands for."""
        return self._stream.fileno()

    def raise_fault(self) -> None:
        """Raises what reading or seeking has raised."""
        if self._fault is not None:
            raise self._fault
