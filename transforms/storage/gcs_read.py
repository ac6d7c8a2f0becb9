"""Reading objects in gs://: whole, with their crc32c compared, or in parts."""

from __future__ import annotations

import base64
import gzip
import io
import os
import shutil
import tempfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import google_crc32c
from google.api_core import exceptions as api
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import DataCorruption

from transforms import bounds
from transforms.errors import StorageError, UserError
from transforms.storage import gcs_client
from transforms.storage.base import Part, Version
from transforms.storage.gcs_client import GcsClient, again_if_damaged
from transforms.storage.uris import GCS_SCHEME, shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

IN_MEMORY = 8 << 20  # larger objects wait on disk, so that memory does not grow with them
RANGE_BYTES = 1 << 20  # fetched at a time where only a part of an object is read
_Crc32c: Any = google_crc32c.Checksum  # which says nothing of its types


def version_of(blob: Blob) -> Version | None:
    """Length and crc32c as the service tells them; None for an object that is unpacked when it is read."""
    return None if blob.content_encoding else Version(int(blob.size), str(blob.crc32c))


def _uri(blob: Blob) -> str:
    return f"{GCS_SCHEME}{blob.bucket.name}/{blob.name}"


def looked_at(blob: Blob) -> Blob:
    """The object with what the service tells of it."""
    blob.reload(timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY)
    return blob


class FullError(Exception):
    """More bytes came than were asked for."""


class Checked:
    """Writes a download to a file, counts and hashes it, and stops it above a limit.

    The client compares checksums too, but not of a download that it had to resume.
    """

    def __init__(self, file: BinaryIO, limit: int | None = None) -> None:
        self.file = file
        self.limit = limit
        self.length = 0
        self._crc32c = _Crc32c()
        file.seek(0)
        file.truncate()

    def write(self, content: bytes) -> int:
        """Writes what came; raises FullError at the limit."""
        self.length += len(content)
        if self.limit is not None and self.length >= self.limit:
            raise FullError
        self._crc32c.update(content)
        return self.file.write(content)

    def crc32c(self) -> str:
        """Of all that came, as `base.crc32c` has it."""
        return base64.b64encode(self._crc32c.digest()).decode()


def download(blob: Blob, into: Checked) -> None:
    """Fetches an object as it is stored, and compares its crc32c.

    Raises:
      DataCorruption: it differs, or the object was replaced meanwhile.
    """
    try:
        blob.download_to_file(
            into, raw_download=True, checksum=None, timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY
        )
        if blob.crc32c is None:  # a resumed download need not say it
            blob.reload(timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY)
    except api.NotFound as error:
        if not into.length:
            raise
        raise DataCorruption(None, "the object was replaced while it was read") from error
    if blob.crc32c != into.crc32c():
        raise DataCorruption(None, f"the crc32c of what came is {into.crc32c()}, of the object {blob.crc32c}")
    if blob.content_encoding == "gzip":
        try:
            _decompress(into)
        except FullError:
            if into.limit is not None:
                raise
            fact = f"it unpacks to more than {bounds.max_unpacked(into.length):,} bytes"
            remedy = f"over {bounds.MAX_EXPANSION} times what it packs; store it without Content-Encoding: gzip"
            raise UserError(f"{shown(_uri(blob))}: {fact}, {remedy}") from None


def _decompress(into: Checked) -> None:
    """Unpacks a download in place: the contents of an object stored with Content-Encoding: gzip."""
    into.file.seek(0)
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as plain, gzip.GzipFile(fileobj=into.file, mode="rb") as packed:
        most = bounds.max_unpacked(into.length) if into.limit is None else into.limit
        target = Checked(cast(BinaryIO, plain), most)
        try:
            shutil.copyfileobj(packed, target, 1 << 20)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return  # it is not what it claims to be: whoever reads it will say so
        plain.seek(0)
        into.file.seek(0)
        into.file.truncate()
        shutil.copyfileobj(plain, into.file, 1 << 20)


def in_parts(client: GcsClient, uri: str, blob: Blob) -> BinaryIO:
    """An object of one generation as a seekable file that fetches what is read of it."""
    return cast(BinaryIO, io.BufferedReader(_Range(client, uri, blob), RANGE_BYTES))


def part(client: GcsClient, uri: str, blob: Blob, offset: int, size: int) -> Part:
    """So many bytes of an object of one generation; fewer if it ends before."""
    file = _Range(client, uri, blob)
    file.seek(offset)
    return Part.of(io.RawIOBase.read(file, size) or b"", file.version)


class _Range(io.RawIOBase):
    """Reads parts of an object."""

    def __init__(self, client: GcsClient, uri: str, blob: Blob) -> None:
        super().__init__()
        self._client = client
        self._uri = uri
        # The name may be given to another recording while this one is read.
        self._blob = blob.bucket.blob(blob.name, generation=blob.generation)
        self._size = int(blob.size)
        self._at = 0
        self.version = version_of(blob)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        try:
            with self._client.faults(self._uri):
                content = again_if_damaged(lambda: self._part(end))
        except FileNotFoundError as error:
            raise StorageError(f"{shown(self._uri)}: the object was replaced while it was read") from error
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _part(self, end: int) -> bytes:
        content: bytes = self._blob.download_as_bytes(
            start=self._at, end=end - 1, checksum=None, timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY
        )
        if len(content) != end - self._at:
            raise DataCorruption(None, f"{len(content)} bytes came instead of {end - self._at}")
        return content
