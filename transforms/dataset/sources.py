"""Where the bytes of one clip come from."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

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

    @property
    def folders(self) -> tuple[str, ...] | None:
        """In which a file of this machine must lie, as `Storage` has them."""

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

    @property
    def folders(self) -> tuple[str, ...] | None:
        """In which a file of this machine must lie: those of the storage."""
        return self.storage.folders

    def read(self) -> bytes:
        """The whole file."""
        content = self.ahead.result() if self.ahead is not None else None
        return self.storage.read_audio(self.uri, MAX_AUDIO_BYTES) if content is None else content

    def open(self) -> BinaryIO:
        """The file, seekable, to read parts of it."""
        return self.storage.open_audio(self.uri)
