"""Packed rows on this machine's disk while they are shuffled, so that memory does not grow with the manifest.

A runner in this process keeps all that it shuffles in memory, several times over. It is given where a block of rows is.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

from transforms.errors import StorageError

_PLACE = struct.Struct("<QQ")  # offset and length, before the file's name


class Spool:
    """Blocks of rows in files of one folder. Every writer has a file of its own."""

    def __init__(self, folder: str) -> None:
        """Opens no file yet.

        Args:
          folder: that all writers and readers see; "" to keep blocks where they are.
        """
        self._folder = folder
        self._name = b""
        self._end = 0
        self._files: dict[bytes, int] = {}

    def put(self, block: bytes) -> bytes:
        """Stores a block; returns what `get` takes for it.

        Raises:
          StorageError: the folder cannot be written.
        """
        if not self._folder or not block:
            return block
        try:
            if not self._name:
                file, path = tempfile.mkstemp(dir=self._folder, prefix="rows-")
                self._name = os.fsencode(Path(path).name)
                self._files[self._name] = file
            # A part may be written where the disk is full: the next call then says so.
            written = 0
            while written < len(block):
                written += os.pwrite(self._files[self._name], block[written:], self._end + written)
        except OSError as fault:
            raise StorageError(f"cannot write to the temporary folder {self._folder}: {fault.strerror}") from fault
        place = _PLACE.pack(self._end, len(block)) + self._name
        self._end += len(block)
        return place

    def get(self, place: bytes) -> bytes:
        """The block that `put` was given, in this process or in another one."""
        if not self._folder or not place:
            return place
        offset, length = _PLACE.unpack_from(place)
        name = place[_PLACE.size :]
        if name not in self._files:
            self._files[name] = os.open(os.path.join(os.fsencode(self._folder), name), os.O_RDONLY)  # noqa: PTH118
        return os.pread(self._files[name], length, offset)

    def close(self) -> None:
        """Closes the files; their folder's owner removes them."""
        for file in self._files.values():
            os.close(file)
        self._files, self._name, self._end = {}, b"", 0
