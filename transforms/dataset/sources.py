"""Where the bytes of one clip come from, and which version of them it was."""

from __future__ import annotations

import functools
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import BinaryIO, Protocol, TypeAlias

from transforms.errors import ClipRejected, StorageError, UserError
from transforms.storage import Status, Storage, Version, inside, uris
from transforms.storage.inside import Place

# The cap bounds the memory of a few clips. A longer recording should be cut first.
MAX_AUDIO_BYTES = 512 << 20
# Many clips are segments of one recording, and shards take theirs from many recordings.
_VERSIONS = 1 << 14

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
        """The whole recording."""

    def open(self) -> BinaryIO:
        """The recording, seekable, to read parts of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording as the storage has it, or the file that it is inside of.

    Attributes:
      uri: absolute path or gs:// URI of the recording.
      storage: reads it.
      ahead: its read, if that was begun before.
      versions: what was read of it, the last read last.
    """

    uri: str
    storage: Storage
    ahead: Ahead | None = None
    versions: list[Version | None] = field(default_factory=list, compare=False)

    @property
    def folders(self) -> tuple[str, ...] | None:
        """In which a file of this machine must lie: those of the storage."""
        return self.storage.folders

    @property
    def place(self) -> Place | None:
        """Where it is inside another file; None for a file of its own."""
        return inside.place_of(self.uri)

    @property
    def file(self) -> str:
        """The file that it is, or that it is inside of: what is opened, and has a version."""
        return inside.file_of(self.uri)

    def read(self) -> bytes:
        """The whole file."""
        content = self.waiting()
        content = self.storage.read_audio(self.file, MAX_AUDIO_BYTES) if content is None else content
        self.note(Version.of(content))
        return content

    def waiting(self) -> bytes | None:
        """What has been read ahead; None for a file that is read when it is decoded.

        Raises:
          ClipRejected, StorageError, UserError: as `read`.
        """
        return self.ahead.result() if self.ahead is not None else None

    def open_whole(self) -> BinaryIO:
        """The whole file, as `read` has it, to be read in parts."""
        stream = self.storage.open_whole_audio(self.file, MAX_AUDIO_BYTES)
        self.note(Version.of_file(stream))
        stream.seek(0)
        return stream

    def open(self) -> BinaryIO:
        """The file, seekable, to read parts of it."""
        stream = self.storage.open_audio(self.file)
        if uris.is_gcs(self.uri):
            self.note(_of_stream(stream))
        else:
            self.look()
        return stream

    def size(self) -> int:
        """Bytes of the recording; 0 where that is not known before it is read."""
        if self.place is not None:
            return self.place.size
        content = self.waiting()
        if content is not None:
            return len(content)
        try:
            return self.storage.size(self.uri)
        except (OSError, StorageError, UserError):  # whoever reads it is told
            return 0

    def note(self, version: Version | None) -> None:
        """Notes the version that was read."""
        self.versions.append(version)

    def look(self) -> None:
        """Notes the version of the whole file, of which parts are about to be read."""
        status = self.storage.status(self.file)
        self.note(None if status is None else version_of(self.file, status, self.storage))

    @property
    def version(self) -> Version | None:
        """The version that was read; None if nothing was, or it is not known."""
        return self.versions[-1] if self.versions else None


def _of_stream(stream: BinaryIO) -> Version:
    """Of an object in gs:// that has been opened: as the service tells it, or of what has been fetched."""
    told: Version | None = getattr(getattr(stream, "raw", None), "version", None)
    if told is not None:
        return told
    version = Version.of_file(stream)
    stream.seek(0)
    return version


def version_of(uri: str, status: Status | None, storage: Storage) -> Version | None:
    """The version of a whole file, which is read unless one of this status has been read before.

    Args:
      uri: absolute path or gs:// URI.
      status: of a local file, now; None for an object, which is read in any case.
      storage: reads it.

    Returns:
      None if the file cannot be read, or has another status after it.

    Raises:
      StorageError, UserError: as `Storage.open_audio`.
    """
    if status is None:
        return _read(uri, storage)
    # Threads that ask for one recording at the same moment must not all read it.
    with _LOCKS[status.inode % len(_LOCKS)]:
        return _read_once(uri, status, storage)


def forget() -> None:
    """Has every file read again."""
    _read_once.cache_clear()


_LOCKS = tuple(Lock() for _ in range(64))


@functools.lru_cache(maxsize=_VERSIONS)
def _read_once(path: str, status: Status, storage: Storage) -> Version | None:
    version = _read(path, storage)
    return version if storage.status(path) == status else None


def _read(uri: str, storage: Storage) -> Version | None:
    try:
        with storage.open_audio(uri) as stream:
            return Version.of_file(stream)
    except ClipRejected:
        return None
