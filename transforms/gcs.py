"""The gs:// half of `transforms.storage`, loaded when the first gs:// URI is used.

Google's client retries 408, 429, 5xx and broken connections itself, so there is no retry loop here, only a deadline.
With STORAGE_EMULATOR_HOST in the environment the client goes there, without credentials.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO, cast

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from transforms.clip import UserError
from transforms.storage import GCS_SCHEME, StorageError, shown

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

TIMEOUT = (3.05, 30.0)  # seconds to connect, seconds between two bytes
RETRY = DEFAULT_RETRY.with_timeout(120)  # a dead endpoint once cost 120 s for one try: this bounds all of them
IN_MEMORY = 8 << 20  # larger objects wait on disk, so that memory does not grow with them
RANGE_BYTES = 1 << 20  # fetched at a time where only a part of an object is read
COMPOSE_LIMIT = 32  # sources of one compose request: https://cloud.google.com/storage/docs/composite-objects
# Kept open for the next request. Of more at a time than the usual ten, each would begin with a handshake.
CONNECTIONS = 64
_WILDCARD = re.compile(r"[*?\[]")


def open_read(uri: str) -> BinaryIO:
    """The whole object, its crc32c checked, as a seekable file."""
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 -- closed by the caller's own `with`
    try:
        with _faults(uri):
            _blob(uri).download_to_file(file, timeout=TIMEOUT, retry=RETRY, checksum="crc32c")
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast(BinaryIO, file)


def read_at_most(uri: str, num_bytes: int) -> bytes:
    """The object's contents, its crc32c checked; `num_bytes` zeros instead if it has that many or more."""
    buffer = _Bounded(num_bytes)
    try:
        with _faults(uri):
            _blob(uri).download_to_file(buffer, timeout=TIMEOUT, retry=RETRY, checksum="crc32c")
    except _FullError:
        return bytes(num_bytes)
    return buffer.getvalue()


def open_range(uri: str) -> BinaryIO:
    """The object as a seekable file that fetches what is read of it, of one generation throughout."""
    return cast(BinaryIO, io.BufferedReader(_Range(uri), RANGE_BYTES))


class _Range(io.RawIOBase):
    """Reads parts of an object."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri
        blob = _blob(uri)
        with _faults(uri):
            blob.reload(timeout=TIMEOUT, retry=RETRY)
            # Another recording may be uploaded under the name meanwhile.
            self._blob = blob.bucket.blob(blob.name, generation=blob.generation)
        self._size = int(blob.size)
        self._at = 0

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
        with _faults(self._uri):
            # The client compares checksums of whole objects only.
            content = self._blob.download_as_bytes(
                start=self._at, end=end - 1, timeout=TIMEOUT, retry=RETRY, checksum=None
            )
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


@contextmanager
def write(uri: str) -> Iterator[BinaryIO]:
    """A temporary file, uploaded under the name when the block ends well."""
    blob = _blob(uri)
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        yield cast(BinaryIO, file)
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        with _faults(uri, writing=True):
            blob.upload_from_file(file, size=length, timeout=TIMEOUT, retry=RETRY, checksum="crc32c")


def size(uri: str) -> int:
    """The object's length in bytes, or FileNotFoundError."""
    blob = _blob(uri)
    with _faults(uri):
        blob.reload(timeout=TIMEOUT, retry=RETRY)
    return int(blob.size)


def has_objects(folder: str) -> bool:
    """Whether anything is below the prefix."""
    return next(_names(folder, max_results=1), None) is not None


def list_files(folder: str) -> list[str]:
    """Every object below the prefix, sorted, without the empty "folders" that the console makes."""
    bucket, _ = _split(folder)
    return sorted(f"{GCS_SCHEME}{bucket}/{name}" for name in _names(folder) if not name.endswith("/"))


def match(pattern: str) -> list[str]:
    """The objects a glob matches, sorted: * ? [ ] within a name, ** for any number of folders."""
    wildcard = _WILDCARD.search(pattern)
    fixed = pattern[: wildcard.start()] if wildcard else pattern
    _, wanted = _split(pattern)
    bucket, _ = _split(fixed)
    names = _names(fixed[: fixed.rindex("/")])
    found = (name for name in names if not name.endswith("/") and _matches(name.split("/"), wanted.split("/")))
    return sorted(f"{GCS_SCHEME}{bucket}/{name}" for name in found)


def delete(uri: str) -> None:
    """Deletes the object; no error when there is none."""
    with suppress(FileNotFoundError), _faults(uri):
        _blob(uri).delete(timeout=TIMEOUT, retry=RETRY)


def same_bucket(uris: Sequence[str]) -> bool:
    """Whether all lie in one bucket: only then can the server compose them."""
    return len({_split(uri)[0] for uri in uris}) == 1


def compose(sources: Sequence[str], destination: str) -> None:
    """Joins objects of one bucket on the server, in rounds of 32; intermediate objects are removed, come what may."""
    made: list[str] = []
    try:
        while len(sources) > COMPOSE_LIMIT:
            groups = [sources[i : i + COMPOSE_LIMIT] for i in range(0, len(sources), COMPOSE_LIMIT)]
            sources = []
            for group in groups:
                made.append(f"{destination}.compose-{len(made):05d}")
                sources.append(_compose_once(group, made[-1]))
        _compose_once(sources, destination)
    finally:
        for uri in made:
            delete(uri)


def _compose_once(sources: Sequence[str], destination: str) -> str:
    blob = _blob(destination)
    blob.content_type = "application/octet-stream"  # the server asks for one
    with _faults(destination, writing=True):
        blob.compose([_blob(uri) for uri in sources], timeout=TIMEOUT, retry=RETRY)
    return destination


class _FullError(Exception):
    """More bytes came than were asked for."""


class _Bounded(io.BytesIO):
    """Stops a download that grows too long, whatever length its metadata claims."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, content: ReadableBuffer, /) -> int:
        if self.tell() + len(memoryview(content)) >= self._limit:
            raise _FullError
        return super().write(content)


@functools.cache
def _client(endpoint: str | None) -> Client:
    # `endpoint` is the cache key only: the library reads STORAGE_EMULATOR_HOST by itself.
    client = Client()
    # It would ask for the bucket's own description after every 404, to label traces that nobody collects.
    client._bucket_metadata_cache = None
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    return client


def _blob(uri: str) -> Blob:
    bucket, name = _split(uri)
    if not name:
        raise IsADirectoryError(errno.EISDIR, "a bucket, not a regular file", uri)
    with _faults(uri):
        return _client(os.environ.get("STORAGE_EMULATOR_HOST")).bucket(bucket).blob(name)


def _names(folder: str, max_results: int | None = None) -> Iterator[str]:
    bucket, name = _split(folder)
    prefix = f"{name.rstrip('/')}/" if name.rstrip("/") else ""
    try:
        with _faults(folder):
            blobs = _client(os.environ.get("STORAGE_EMULATOR_HOST")).list_blobs(
                bucket, prefix=prefix, max_results=max_results, fields="items(name),nextPageToken",
                timeout=TIMEOUT, retry=RETRY,
            )  # fmt: skip
            yield from (str(blob.name) for blob in blobs)
    except FileNotFoundError as error:
        raise UserError(f"there is no bucket {GCS_SCHEME}{bucket}") from error


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix(GCS_SCHEME).partition("/")
    if not bucket:
        raise UserError(f"{shown(uri)}: the bucket's name is missing after gs://")
    return bucket, name


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns or not names:
        return not names and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**":
        return _matches(names, patterns[1:]) or _matches(names[1:], patterns)
    return fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


@contextmanager
def _faults(uri: str, writing: bool = False) -> Iterator[None]:
    """Names the client's exceptions by who can mend them."""
    bucket, _ = _split(uri)
    try:
        yield
    except api.NotFound as error:
        if writing:
            raise UserError(f"cannot write {shown(uri)}: there is no bucket {GCS_SCHEME}{bucket}") from error
        raise FileNotFoundError(errno.ENOENT, "no such object", uri) from error
    except api.Forbidden as error:
        role = "roles/storage.objectUser" if writing else "roles/storage.objectViewer"
        raise UserError(f"no permission for {GCS_SCHEME}{bucket}: grant this account {role} on the bucket") from error
    except auth.TransportError as error:
        raise StorageError(f"{shown(uri)}: no connection to Google's sign-in service") from error
    except (api.Unauthorized, auth.GoogleAuthError) as error:
        hint = "run: gcloud auth application-default login"
        raise UserError(f"{shown(uri)}: no valid Google Cloud credentials; {hint}") from error
    except (api.GoogleAPIError, InvalidResponse, DataCorruption, requests.RequestException, ConnectionError) as error:
        told = " ".join(str(error).split())[:300]  # one line: the client's own run over many
        raise StorageError(f"{shown(uri)}: {type(error).__name__}: {told}") from error
    except UnicodeEncodeError as error:  # a lone surrogate, which no object name can hold
        raise FileNotFoundError(errno.ENOENT, "no such object", uri) from error
