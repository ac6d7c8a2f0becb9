"""What a backend of the storage can do, and the records that all backends share."""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import google_crc32c


class Backend(Protocol):
    """One kind of storage. `transforms.storage.Storage` documents what each call promises and raises."""

    def open_read(self, uri: str, /) -> BinaryIO:
        """The whole file, seekable, whatever its length."""

    def read_at_most(self, uri: str, num_bytes: int, /) -> bytes:
        """The file's contents; `num_bytes` zeros instead if it has that many or more."""

    def open_range(self, uri: str, /) -> BinaryIO:
        """The file, seekable; only what is read need be fetched."""

    def write(self, uri: str, /) -> AbstractContextManager[BinaryIO]:
        """A file that appears under its name when the block ends."""

    def write_once(self, uri: str, content: bytes, mime_type: str, look_first: bool, /) -> None:
        """Writes a file that is named by its contents, unless it exists already."""

    def create(self, uri: str, content: bytes, /) -> bool:
        """Writes a file whose name nobody has taken; whether it was written."""

    def age(self, uri: str, /) -> float:
        """Seconds since the file was written, by the storage's own clock, or FileNotFoundError."""

    def size(self, uri: str, /) -> int:
        """The file's length in bytes, or FileNotFoundError."""

    def version(self, uri: str, /) -> str:
        """What differs when the file was written again or replaced, or FileNotFoundError."""

    def is_folder(self, uri: str, /) -> bool:
        """Whether this is a folder."""

    def list_files(self, folder: str, /) -> list[str]:
        """Every file below `folder`, at any depth, sorted."""

    def match(self, pattern: str, /) -> list[str]:
        """The files that a glob matches, sorted."""

    def delete(self, uri: str, /) -> None:
        """Removes a file; no error when there is none."""

    def compose(self, sources: list[str], destination: str, /) -> bool:
        """Joins the sources without fetching them; False if this backend cannot."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in gs://, as a listing of its folder describes it.

    Attributes:
      uri: its gs:// URI.
      size: bytes.
      crc32c: of its contents, as `crc32c` has it.
      content_type: as it was uploaded with.
    """

    uri: str
    size: int
    crc32c: str
    content_type: str


def crc32c(content: bytes) -> str:
    """The CRC32C of `content` as in the metadata of gs:// objects: base64 of four bytes, big-endian."""
    return base64.b64encode(int(google_crc32c.value(content)).to_bytes(4, "big")).decode()
