"""What a backend of the storage can do, and the records that all backends share."""

from __future__ import annotations

import base64
import builtins  # a record has a field of the name `bytes`
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, Protocol

import google_crc32c

from transforms.errors import OvertakenError

_Crc32c: Any = google_crc32c.Checksum  # which says nothing of its types


# What an account needs in a bucket, to read files and to write them.
READS = ("storage.objects.get", "storage.objects.list")
WRITES = ("storage.objects.create", "storage.objects.delete")
READER, WRITER = "roles/storage.objectViewer", "roles/storage.objectUser"


@dataclass(frozen=True, slots=True)
class Access:
    """What an account is told of a bucket.

    Attributes:
      missing: permissions of `READS` and `WRITES` that the account lacks.
      location: "US-CENTRAL1", "EU", …; None if the account may not look at the bucket itself.
      project_number: of the bucket's project; None likewise.
      readers: members of the roles that let them read objects; None if the account may not read who has which role.
    """

    missing: tuple[str, ...]
    location: str | None
    project_number: str | None
    readers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Guard:
    """Whose a folder is. A guarded write or deletion takes effect only while that is so.

    On disk, a file that is being written, or is about to be removed, passes through a name that has its owner in it.
    Whoever takes the folder over writes the file of `uri`, and then removes all such names of other owners
    (`Backend.sweep`). A renaming that comes too late finds nothing to rename, or no place to put it: no clock and no
    lock decides that. In gs://, what has changed since it was looked at stays as it is, by a precondition.

    Attributes:
      uri: of the file that says whose the folder is.
      generation: of that file, as `Storage.generation` tells it.
      owner: names the owner: 16 hexadecimal digits.
      lost: what is said when the folder is somebody else's.
    """

    uri: str
    generation: str
    owner: str
    lost: str

    def confirm(self, generation: Callable[[str], str]) -> None:
        """Looks whether the folder is still the owner's.

        Raises:
          OvertakenError: it is not.
        """
        if generation(self.uri) != self.generation:
            raise OvertakenError(self.lost)


class Backend(Protocol):
    """One kind of storage. `transforms.storage.Storage` documents what each call promises and raises."""

    def open_read(self, uri: str, /) -> BinaryIO:
        """The whole file, seekable, whatever its length."""

    def read_at_most(self, uri: str, num_bytes: int, /) -> bytes:
        """The file's contents; `num_bytes` zeros instead if it has that many or more."""

    def open_range(self, uri: str, /) -> BinaryIO:
        """The file, seekable; only what is read need be fetched."""

    def read_part(self, uri: str, offset: int, size: int, /) -> Part:
        """So many bytes of a file; fewer if it ends before."""

    def write(self, uri: str, guard: Guard | None, /) -> AbstractContextManager[BinaryIO]:
        """A file that appears under its name when the block ends."""

    def write_once(self, uri: str, content: bytes, mime_type: str, look_first: bool, guard: Guard | None, /) -> None:
        """Writes a file that is named by its contents, unless it exists already."""

    def create(self, uri: str, content: bytes, /) -> bool:
        """Writes a file whose name nobody has taken; whether it was written."""

    def age(self, uri: str, /) -> float:
        """Seconds since the file was written, by the storage's own clock, or FileNotFoundError."""

    def size(self, uri: str, /) -> int:
        """The file's length in bytes, or FileNotFoundError."""

    def identity(self, uri: str, /) -> str:
        """What differs when the file was written again or replaced, or FileNotFoundError."""

    def is_folder(self, uri: str, /) -> bool:
        """Whether this is a folder."""

    def list_files(self, folder: str, /) -> list[str]:
        """Every file below `folder`, at any depth, sorted."""

    def names(self, folder: str, /) -> list[str]:
        """The names of what is right below `folder`, sorted."""

    def match(self, pattern: str, /) -> list[str]:
        """The files that a glob matches, sorted."""

    def delete(self, uri: str, /) -> None:
        """Removes a file; no error when there is none."""

    def remove(self, folder: str, uris: Sequence[str], guard: Guard, /) -> None:
        """Removes files of a folder; no error when one is not there."""

    def generation(self, uri: str, /) -> str:
        """Another text for each time that the file is written; "" if there is none."""

    def renew(self, uri: str, generation: str, /) -> bool:
        """Has whoever looked at a file before find it changed; False if it is not of this generation."""

    def sweep(self, folder: str, guard: Guard | None, /) -> None:
        """Removes what dead processes, and other owners than the guard's, have left half-written below `folder`."""

    def version(self, uri: str, /) -> Version | None:
        """Of the file's contents, if they need not be fetched for it; None if they must. Or FileNotFoundError."""

    def status(self, uri: str, places: dict[str, str], /) -> Status | None:
        """What the system tells of a file without reading it; None where that says nothing of its contents."""

    def mark(self, uri: str, number: int, /) -> None:
        """Notes a number at a file, beside its contents, where this backend has a place for it."""

    def marked(self, uri: str, /) -> int | None:
        """The number that was noted, unless the file was touched or copied since; another number then, or None."""

    def compose(self, sources: list[str], destination: str, /) -> bool:
        """Joins the sources without fetching them; False if this backend cannot."""


# The length of a mark in decimal digits, and so one in ten million that a file has a number by chance.
MARKS = 10**7


class Status(NamedTuple):
    """What changes when a file is written to, replaced, moved or given other rights, on one machine.

    Attributes:
      place: its folder without links; of a link, the file that it leads to.
      inode: its number in the file system.
      mode: kind and rights.
      bytes: its length.
      modified_ns: when its contents were set, as the writer says.
      changed_ns: when anything of it was changed, as the system says.
    """

    place: str
    inode: int
    mode: int
    bytes: int
    modified_ns: int
    changed_ns: int


class Version(NamedTuple):
    """What tells the contents of a file from those of another; the same on every machine.

    Attributes:
      bytes: its length.
      crc32c: of its contents, as `crc32c` has it.
    """

    bytes: int
    crc32c: str

    @staticmethod
    def of(content: builtins.bytes) -> Version:
        """Of a file with these contents."""
        return Version(len(content), crc32c(content))

    @staticmethod
    def of_file(file: BinaryIO) -> Version:
        """Of all that can be read of a file from its beginning; it then stands at its end."""
        checksum, length = _Crc32c(), 0
        file.seek(0)
        while block := file.read(1 << 20):
            checksum.update(block)
            length += len(block)
        return Version(length, base64.b64encode(checksum.digest()).decode())


class Part(bytes):
    """A part of a file.

    Attributes:
      version: of the whole file that it was read of; None where only reading all of it tells.
    """

    version: Version | None = None

    @staticmethod
    def of(content: builtins.bytes, version: Version | None) -> Part:
        """The part, of a file of this version."""
        part = Part(content)
        part.version = version
        return part


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in gs://, as a listing of its folder describes it.

    Attributes:
      uri: its gs:// URI.
      size: bytes.
      crc32c: of its contents, as `crc32c` has it.
      content_type: as it was uploaded with.
      content_encoding: "gzip" for an object that is unpacked when it is read; else "".
    """

    uri: str
    size: int
    crc32c: str
    content_type: str
    content_encoding: str = ""


def crc32c(content: bytes) -> str:
    """The CRC32C of `content` as in the metadata of gs:// objects: base64 of four bytes, big-endian."""
    return base64.b64encode(int(google_crc32c.value(content)).to_bytes(4, "big")).decode()
