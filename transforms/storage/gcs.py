"""Objects in gs://; loaded when the first gs:// URI is used.

Every object that is read whole has its crc32c compared before a byte of it is used, and every object that is written
carries its own, so that the service refuses what was damaged on the way.
"""

from __future__ import annotations

import io
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import google_crc32c
from google.api_core import exceptions as api
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import DataCorruption

from transforms.errors import OvertakenError, StorageError
from transforms.storage import gcs_client, gcs_read
from transforms.storage.base import Guard, ListedObject, Part, Status, Version, crc32c
from transforms.storage.gcs_client import GcsClient, again_if_damaged, split
from transforms.storage.gcs_read import (
    IN_MEMORY,
    Checked,
    FullError,
    download,
    in_parts,
    looked_at,
    version_of,
)
from transforms.storage.uris import GCS_SCHEME, below, is_gcs, shown

if TYPE_CHECKING:
    pass

UPLOAD_BYTES = 16 << 20  # of a larger file are sent at a time: what a broken connection costs
COMPOSE_LIMIT = 32  # sources of one compose request: https://cloud.google.com/storage/docs/composite-objects
_Crc32c: Any = google_crc32c.Checksum  # which says nothing of its types
DELETIONS_AT_A_TIME = 16
SWEPT_SECONDS = 3_600  # a request takes minutes at most
OCTETS = "application/octet-stream"
_INTERMEDIATE = re.compile(r"\.(compose-[0-9]{5}|now-[0-9a-f]{32})$")
_WILDCARD = re.compile(r"[*?\[]")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gcs:
    """Objects in gs://, as `transforms.storage.base.Backend` has them.

    Attributes:
      client: asks the service.
    """

    client: GcsClient

    def open_read(self, uri: str) -> BinaryIO:
        """The whole object, its crc32c checked, as a seekable file."""
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 -- closed by the caller's own `with`
        try:
            self.client.read_blob(uri, lambda blob: download(blob, Checked(file)))
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def read_at_most(self, uri: str, num_bytes: int) -> bytes:
        """The object's contents, its crc32c checked; `num_bytes` zeros instead if it has that many or more."""
        file = io.BytesIO()
        try:
            self.client.read_blob(uri, lambda blob: download(blob, Checked(file, num_bytes)))
        except FullError:
            return bytes(num_bytes)
        return file.getvalue()

    def open_range(self, uri: str) -> BinaryIO:
        """The object as a seekable file that fetches what is read of it, of one generation throughout.

        Parts have no checksum to compare. So an object that one part would hold is fetched whole.
        """
        blob = self.client.read_blob(uri, looked_at)
        if int(blob.size) <= gcs_read.RANGE_BYTES or blob.content_encoding:
            return self.open_read(uri)
        return in_parts(self.client, uri, blob)

    def read_part(self, uri: str, offset: int, size: int) -> Part:
        """So many bytes of an object, of which no more is fetched."""
        blob = self.client.read_blob(uri, looked_at)
        if blob.content_encoding:
            with self.open_read(uri) as file:
                file.seek(offset)
                return Part.of(file.read(size), None)
        return gcs_read.part(self.client, uri, blob, offset, size)

    @contextmanager
    def write(self, uri: str, guard: Guard | None = None) -> Iterator[BinaryIO]:
        """A temporary file, uploaded under the name when the block ends well.

        If another process has written the object since the block began, it keeps what it has written, unless the guard
        says that the folder is not that process's.
        """
        with self.client.faults(uri, writing=True):
            before = self._generation(uri)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            yield cast(BinaryIO, file)
            with self.client.faults(uri, writing=True):
                self._upload_guarded(uri, cast(BinaryIO, file), before, guard)

    def _upload_guarded(self, uri: str, file: BinaryIO, before: int, guard: Guard | None) -> None:
        if guard is None:
            again_if_damaged(lambda: self._upload(uri, file, before))
            return
        # Looked at after the generation: who takes the folder over later changes what he finds, or finds this object.
        guard.confirm(self.generation)
        try:
            uploaded = again_if_damaged(lambda: self._upload(uri, file, before))
        except StorageError:
            guard.confirm(self.generation)
            again_if_damaged(lambda: self._upload(uri, file, self._generation(uri)))
            return
        if uri != guard.uri:
            self._take_back_unless(uri, uploaded, guard)

    def _take_back_unless(self, uri: str, generation: int, guard: Guard) -> None:
        """Removes what was uploaded after the guard was asked, if by then the folder was somebody else's."""
        try:
            guard.confirm(self.generation)
        except OvertakenError:
            self._delete(uri, generation)
            raise

    def write_once(
        self, uri: str, content: bytes, mime_type: str, look_first: bool, guard: Guard | None = None
    ) -> None:
        """Uploads `content`, unless an object of this name has the same contents.

        The guard is not asked, which would take as long as the upload: this object is nobody's to replace.
        """
        with self.client.faults(uri, writing=True):
            if look_first and self._has(uri, content, mime_type):
                return
            # An object may exist already. It is replaced if its contents differ.
            if not self._put(uri, content, mime_type, 0) and not self._has(uri, content, mime_type):
                self._put(uri, content, mime_type, None)

    def create(self, uri: str, content: bytes) -> bool:
        """Uploads `content` if there is no object of this name. An object with these contents is an earlier try's."""
        with self.client.faults(uri, writing=True):
            return self._put(uri, content, OCTETS, 0) or self._has(uri, content, OCTETS)

    def age(self, uri: str) -> float:
        """Seconds since the object was written. A new object beside it tells the present time, by the same clock."""
        then = self.client.read_blob(uri, looked_at).updated
        beside = f"{uri}.now-{uuid.uuid4().hex}"
        try:
            with self.client.faults(beside, writing=True):
                self._put(beside, b"", OCTETS, 0)
                now = again_if_damaged(lambda: looked_at(self.client.blob_of(beside))).updated
        finally:
            self.delete(beside)
        return max(0.0, float((now - then).total_seconds()))

    def size(self, uri: str) -> int:
        """The object's length in bytes, or FileNotFoundError."""
        return int(self.client.read_blob(uri, looked_at).size)

    def identity(self, uri: str) -> str:
        """The object's generation."""
        return str(self.client.read_blob(uri, looked_at).generation)

    def is_folder(self, folder: str) -> bool:
        """Whether anything is below the prefix."""
        return bool(self._names(folder, max_results=1))

    def list_files(self, folder: str) -> list[str]:
        """Every object below the prefix, sorted, without the empty "folders" that the console makes."""
        bucket, _ = split(folder)
        return sorted(f"{GCS_SCHEME}{bucket}/{name}" for name in self._names(folder) if not name.endswith("/"))

    def list_objects(self, folder: str, at_most: int) -> list[ListedObject]:
        """The first `at_most` objects below the prefix with their facts, sorted by name."""
        bucket, _ = split(folder)

        def listed(blob: Blob) -> ListedObject:
            uri = f"{GCS_SCHEME}{bucket}/{blob.name}"
            encoding = str(blob.content_encoding or "")
            return ListedObject(uri, int(blob.size or 0), str(blob.crc32c), str(blob.content_type), encoding)

        return self._listed(folder, "name,size,crc32c,contentType,contentEncoding", listed, at_most)

    def names(self, folder: str) -> list[str]:
        """The first parts of the names of all objects below the prefix, sorted."""
        return sorted({below(folder, uri).partition("/")[0] for uri in self.list_files(folder)})

    def match(self, pattern: str) -> list[str]:
        """The objects a glob matches, sorted: * ? [ ] within a name, ** for any number of folders."""
        wildcard = _WILDCARD.search(pattern)
        fixed = pattern[: wildcard.start()] if wildcard else pattern
        _, wanted = split(pattern)
        bucket, _ = split(fixed)
        names = self._names(fixed[: fixed.rindex("/")])
        found = (name for name in names if not name.endswith("/") and _matches(name.split("/"), wanted.split("/")))
        return sorted(f"{GCS_SCHEME}{bucket}/{name}" for name in found)

    def delete(self, uri: str) -> None:
        """Deletes the object; no error when there is none."""
        with suppress(FileNotFoundError), self.client.faults(uri, writing=True):
            self.client.blob_of(uri).delete(timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY)

    def remove(self, folder: str, uris: Sequence[str], guard: Guard) -> None:
        """Deletes objects, if they are still of the generation that they had when the guard was asked."""
        if len(uris) == 1:
            with self.client.faults(folder, writing=True):
                generations = {uri: self._generation(uri) for uri in uris}
        else:
            listed = dict(self._listed(folder, "name,generation", self._generation_of(folder), None))
            generations = {uri: listed.get(uri, 0) for uri in uris}
        guard.confirm(self.generation)
        there = [uri for uri in uris if generations[uri]]
        with ThreadPoolExecutor(DELETIONS_AT_A_TIME, thread_name_prefix="delete") as executor:
            list(executor.map(lambda uri: self._delete(uri, generations[uri]), there))

    def _generation_of(self, folder: str) -> Callable[[Blob], tuple[str, int]]:
        bucket, _ = split(folder)
        return lambda blob: (f"{GCS_SCHEME}{bucket}/{blob.name}", int(blob.generation))

    def _delete(self, uri: str, generation: int) -> None:
        """Deletes the object of this generation, if it is still there."""
        with suppress(FileNotFoundError), self.client.faults(uri, writing=True):
            try:
                self.client.blob_of(uri).delete(
                    if_generation_match=generation, timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY
                )
            except api.PreconditionFailed:
                return

    def generation(self, uri: str) -> str:
        """The object's generation; "" if there is none."""
        with self.client.faults(uri):
            generation = self._generation(uri)
        return str(generation) if generation else ""

    def renew(self, uri: str, generation: str) -> bool:
        """Composes an object of itself, if it is of this generation: its contents stay, and its generation is new."""
        blob = self.client.blob_of(uri)
        blob.content_type = OCTETS  # the server asks for one
        with self.client.faults(uri, writing=True):
            try:
                blob.compose(
                    [self.client.blob_of(uri)],
                    if_generation_match=int(generation or 0),
                    timeout=gcs_client.TIMEOUT,
                    retry=gcs_client.RETRY,
                )
            except (api.PreconditionFailed, api.NotFound):
                return False
        return True

    def sweep(self, folder: str, guard: Guard | None = None) -> None:
        """Deletes the intermediate objects of processes that were killed an hour ago, or earlier."""
        for uri in filter(_INTERMEDIATE.search, self.list_files(folder)):
            with suppress(FileNotFoundError):
                if self.age(uri) > SWEPT_SECONDS:
                    self.delete(uri)

    def version(self, uri: str) -> Version | None:
        """As the service tells it; None for an object that is unpacked when it is read."""
        return version_of(self.client.read_blob(uri, looked_at))

    def status(self, uri: str, places: dict[str, str]) -> Status | None:
        """Nothing that costs less than `version`."""
        return None

    def mark(self, uri: str, number: int) -> None:
        """There is no place for it."""

    def marked(self, uri: str) -> int | None:
        """Nothing was noted."""
        return None

    def compose(self, sources: list[str], destination: str) -> bool:
        """Joins objects of one bucket on the server, in rounds of 32; intermediate objects are removed in any case."""
        if not _in_one_bucket([*sources, destination]):
            return False
        made: list[str] = []
        try:
            while len(sources) > COMPOSE_LIMIT:
                groups = [sources[i : i + COMPOSE_LIMIT] for i in range(0, len(sources), COMPOSE_LIMIT)]
                sources = []
                for group in groups:
                    made.append(f"{destination}.compose-{len(made):05d}")
                    sources.append(self._compose_once(group, made[-1]))
            self._compose_once(sources, destination)
        finally:
            for uri in made:
                self.delete(uri)
        return True

    def _generation(self, uri: str) -> int:
        """The object's generation; 0, as in the service's preconditions, if there is none."""
        try:
            return int(again_if_damaged(lambda: looked_at(self.client.blob_of(uri))).generation)
        except api.NotFound:
            return 0

    def _upload(self, uri: str, file: BinaryIO, before: int) -> int:
        """Uploads the file if the object is still of generation `before`; returns the new generation.

        Raises:
          DataCorruption: the service found another crc32c and has kept nothing.
          StorageError: another process has written the object meanwhile.
        """
        length, crc32c = Version.of_file(file)
        blob = self.client.blob_of(uri)
        blob.chunk_size = UPLOAD_BYTES
        try:
            blob.upload_from_file(
                file,
                size=length,
                rewind=True,
                if_generation_match=before,
                checksum="crc32c",
                crc32c_checksum_value=crc32c,
                timeout=gcs_client.TIMEOUT,
                retry=gcs_client.RETRY,
            )
        except api.PreconditionFailed as error:
            # The object is ours if an earlier try succeeded and its answer was lost.
            with suppress(api.NotFound):
                there = again_if_damaged(lambda: looked_at(self.client.blob_of(uri)))
                if (there.crc32c, int(there.size)) == (crc32c, length):
                    return int(there.generation)
            raise StorageError(f"{shown(uri)}: another process has written or removed this object meanwhile") from error
        except api.BadRequest as error:
            if "doesn't match calculated" not in str(error):
                raise
            raise DataCorruption(None, "the service refused what came: another crc32c") from error
        return int(blob.generation)

    def _put(self, uri: str, content: bytes, mime_type: str, generation: int | None) -> bool:
        """Uploads if the object is of this generation; returns whether it was."""

        def upload() -> bool:
            try:
                self.client.blob_of(uri).upload_from_string(
                    content,
                    content_type=mime_type,
                    if_generation_match=generation,
                    checksum="crc32c",
                    timeout=gcs_client.TIMEOUT,
                    retry=gcs_client.RETRY,
                )
            except api.PreconditionFailed:
                return False
            return True

        return again_if_damaged(upload)

    def _has(self, uri: str, content: bytes, mime_type: str) -> bool:
        """Whether there is an object of this name with these contents and this type."""
        try:
            blob = again_if_damaged(lambda: looked_at(self.client.blob_of(uri)))
        except api.NotFound:
            return False
        return bool(blob.crc32c == crc32c(content) and blob.content_type == mime_type)

    def _compose_once(self, sources: Sequence[str], destination: str) -> str:
        blob = self.client.blob_of(destination)
        blob.content_type = OCTETS  # the server asks for one
        parts = [self.client.blob_of(uri) for uri in sources]
        with self.client.faults(destination, writing=True):
            # No precondition is needed: a second try composes the same sources.
            again_if_damaged(lambda: blob.compose(parts, timeout=gcs_client.TIMEOUT, retry=gcs_client.RETRY))
        return destination

    def _names(self, folder: str, max_results: int | None = None) -> list[str]:
        return self._listed(folder, "name", lambda blob: str(blob.name), max_results)

    def _listed(self, folder: str, fields: str, fact: Callable[[Blob], T], max_results: int | None) -> list[T]:
        _, name = split(folder)
        prefix = f"{name.rstrip('/')}/" if name.rstrip("/") else ""

        def listed() -> list[T]:
            blobs = self.client.bucket_of(folder).list_blobs(
                prefix=prefix,
                max_results=max_results,
                fields=f"items({fields}),nextPageToken",
                timeout=gcs_client.TIMEOUT,
                retry=gcs_client.RETRY,
            )
            return [fact(blob) for blob in blobs]

        with self.client.faults(folder):
            return again_if_damaged(listed)


def _in_one_bucket(uris: Sequence[str]) -> bool:
    """Whether all are objects of one bucket: only then can the server compose them."""
    return all(map(is_gcs, uris)) and len({split(uri)[0] for uri in uris}) == 1


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns or not names:
        return not names and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**":
        return _matches(names, patterns[1:]) or _matches(names[1:], patterns)
    return fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])
