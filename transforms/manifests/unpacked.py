"""Compressed manifests as streams, refused from where they are nothing but a bomb."""

from __future__ import annotations

import gzip
import io
import os
from typing import TYPE_CHECKING, BinaryIO

from transforms import bounds
from transforms.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 17


def unpacked(packed: BinaryIO, name: str) -> BinaryIO:
    """The contents of a gzip file; `name` is the manifest's, for messages.

    Reads raise `UserError` where the file has unpacked to more than `bounds.max_unpacked`.
    """
    most = bounds.max_unpacked(packed.seek(0, os.SEEK_END))
    packed.seek(0)
    # Without a mode, it would take that of the file, and an object of gs:// lies in one that was written.
    return io.BufferedReader(_Unpacked(gzip.GzipFile(fileobj=packed, mode="rb"), most, name), _BUFFER_BYTES)


def is_unpacked(stream: BinaryIO) -> bool:
    """Whether a stream comes from `unpacked`: to go back in it is to unpack it again."""
    return isinstance(stream, io.BufferedReader) and isinstance(stream.raw, _Unpacked)


class _Unpacked(io.RawIOBase):
    """A gzip file that counts what it gives."""

    def __init__(self, file: gzip.GzipFile, most: int, name: str) -> None:
        super().__init__()
        self._file = file
        self._most = most
        self._name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size = self._file.readinto(buffer)
        if self._file.tell() > self._most:
            fact = f"it unpacks to more than {self._most:,} bytes, over {bounds.MAX_EXPANSION} times what it packs"
            raise UserError(f"{self._name}: {fact}; if it is a list of recordings, unpack it first")
        return size
