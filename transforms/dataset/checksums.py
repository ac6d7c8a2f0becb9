"""`checksums.json`: what a finished dataset is made of, so that a rerun can tell that nothing has changed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from transforms import records
from transforms.dataset.output import FORMAT_VERSION
from transforms.storage import Storage, uris

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True, slots=True)
class Checksums:
    """The files of a finished dataset, as `checksums.json` holds them.

    Attributes:
      format_version: of shards, sidecars and this file.
      sources_digest: over the contents and the places of all manifest rows.
      sha256: of every file but this one, hexadecimal, by its path below the folder. Files in `audio/`, which are named
        by their contents, are not among them.
    """

    format_version: int
    sources_digest: str
    sha256: dict[str, str]

    def dump(self) -> bytes:
        """The contents of `checksums.json`, sealed."""
        return records.pretty(records.sealed(asdict(self)))

    @staticmethod
    def load(content: bytes) -> Checksums:
        """The inverse of `dump`.

        Raises:
          ValueError: in one line, the field and the rule that it breaks.
        """
        return records.load(content, Checksums, FORMAT_VERSION, seal=True)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes files into a folder and notes the checksum of each.

    Attributes:
      folder: absolute folder or gs:// URI.
      storage: writes the files.
      sha256: of every file that was written or noted, hexadecimal, by its path below the folder.
    """

    folder: str
    storage: Storage
    sha256: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def write(self, uri: str) -> Iterator[BinaryIO]:
        """As `Storage.write`."""
        with self.storage.write(uri) as file:
            hashed = _Hashed(file)
            yield cast(BinaryIO, hashed)
        self.note(uri, hashed.sha256.hexdigest())

    def write_bytes(self, uri: str, content: bytes) -> None:
        """As `Storage.write_bytes`."""
        self.storage.write_bytes(uri, content)
        self.note(uri, hashlib.sha256(content).hexdigest())

    def note(self, uri: str, sha256: str) -> None:
        """Notes the checksum of a file that somebody else has written."""
        self.sha256[uris.below(self.folder, uri)] = sha256


class _Hashed(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        self.sha256.update(content)
        return self._file.write(content)


def of_file(uri: str, storage: Storage) -> str:
    """The sha256 of a file, hexadecimal; raises what `Storage.open_read` raises."""
    with storage.open_read(uri) as stream:
        return hashlib.file_digest(cast(io.BufferedIOBase, stream), "sha256").hexdigest()
