"""A stream as decoders read it: they take a fault for the file's end, so it is kept and raised afterwards."""

from __future__ import annotations

import errno
from typing import BinaryIO


class Remembering:
    """A stream, from its start on, that keeps its faults for `raise_fault`. libsndfile would also print them."""

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        self._stream = stream
        self._fault: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """As the stream's own; b"" for a fault."""
        try:
            return self._stream.read(size)
        except BaseException as fault:
            self._fault = fault
            return b""

    def readinto(self, buffer: bytearray) -> int:
        """As `read`, into a buffer."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As the stream's own; -1 for a fault."""
        try:
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
