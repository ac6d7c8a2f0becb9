"""Where the bytes of one clip come from."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

from transforms.errors import StorageError, UserError
from transforms.storage import Storage

# The cap bounds the memory of a few clips. A longer recording should be cut first.
MAX_AUDIO_BYTES = 512 << 20

# The file's contents, or the exception of reading them; None for a file that is read when it is decoded.
Ahead: TypeAlias = "Future[bytes | None]"


class Source(Protocol):
    """One recording. What it raises is what `Storage.read_audio` and `Storage.open_audio` raise."""

    @property
    def uri(self) -> str:
        """Absolute path or gs:// URI."""

    def read(self) -> bytes:
        """The whole file."""

    def open(self) -> BinaryIO:
        """The file, seekable, to read parts of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording as the storage has it.

    Attributes:
      uri: absolute path or gs:// URI.
      storage: reads it.
      ahead: its read, if that was begun before.
    """

    uri: str
    storage: Storage
    ahead: Ahead | None = None

    def read(self) -> bytes:
        """The whole file."""
        content = self.waiting()
        return self.storage.read_audio(self.uri, MAX_AUDIO_BYTES) if content is None else content

    def waiting(self) -> bytes | None:
        """What has been read ahead; None for a file that is read when it is decoded.

        Raises:
          ClipRejected, StorageError, UserError: as `read`.
        """
        return self.ahead.result() if self.ahead is not None else None

    def open_whole(self) -> BinaryIO:
        """The whole file, as `read` has it, to be read in parts."""
        return self.storage.open_whole_audio(self.uri, MAX_AUDIO_BYTES)

    def open(self) -> BinaryIO:
        """The file, seekable, to read parts of it."""
        return self.storage.open_audio(self.uri)

    def size(self) -> int:
        """Bytes of the file; 0 where that is not known before it is read."""
        content = self.waiting()
        if content is not None:
            return len(content)
        try:
            return self.storage.size(self.uri)
        except (OSError, StorageError, UserError):  # whoever reads it is told
            return 0
