"""A recording out of the file that holds it. A clip worker does it, for strangers make such files, too."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

from transforms import reasons, region
from transforms.audio.streams import Remembering
from transforms.dataset import cells
from transforms.dataset.sources import MAX_AUDIO_BYTES
from transforms.errors import ClipRejected
from transforms.storage.inside import Place

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 17


def opened(file: BinaryIO, place: Place) -> BinaryIO:
    """The recording at a place of an open file, seekable; closing it closes the file.

    Raises:
      ClipRejected: nothing is there, too much is there, or what holds it is damaged.
      StorageError: as reads of the file.
    """
    if not place.row:
        return io.BufferedReader(_Window(file, place), _BUFFER_BYTES)
    with file:
        heard = Remembering(file)
        with region.closed(heard.raise_fault):
            content = cells.read(cast(BinaryIO, heard), place.row, place.column)
    _refuse_size(len(content))
    return io.BytesIO(content)


def _refuse_size(size: int) -> None:
    if not size:
        raise ClipRejected(reasons.EMPTY_FILE, "the recording is empty: zero bytes")
    if size > MAX_AUDIO_BYTES:
        raise ClipRejected(reasons.FILE_TOO_LARGE, f"the recording is longer than {MAX_AUDIO_BYTES:,} bytes")


class _Window(io.RawIOBase):
    """A range of an open file as a file."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        super().__init__()
        self._file = file
        self._start, self._size, self._at = place.offset, place.size, 0
        _refuse_size(place.size)
        end = file.seek(0, os.SEEK_END)
        if place.offset + place.size > end:
            raise ClipRejected(
                reasons.TRUNCATED, f"the file that holds it ends at {end:,} bytes, before the recording does"
            )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError("a position before the beginning")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), max(0, self._size - self._at))
        self._file.seek(self._start + self._at)
        content = self._file.read(size)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
