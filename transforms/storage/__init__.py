"""Files by their URI, local or gs://. Nothing else in Cliptune knows how a file is stored.

A `Storage` is a value. Who reads or writes is given one, and with it the project that pays.

It raises the three kinds of error of Cliptune: `ClipRejected` (the clip's fault, from `read_audio` and `open_audio`),
`StorageError` (the storage failed, after the client's own retries) and `UserError` (the user can mend it). Beside these
it raises Python's own `FileNotFoundError`, `IsADirectoryError` and `PermissionError`. Confined to folders, it raises
`OutsideError` for all that leads out of them.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from transforms import bounds, reasons
from transforms.errors import (
    ClipRejected,
    NotARegularFileError,
    OutsideError,
    TooLongError,
    UnreadableError,
    UserError,
)
from transforms.storage import inside, local, opening, uris
from transforms.storage.base import MARKS, Access, Backend, Guard, ListedObject, Part, Status, Version, crc32c
from transforms.storage.confined import Confined

if TYPE_CHECKING:
    from transforms.storage.gcs import Gcs

__all__ = ["MARKS", "Access", "Guard", "ListedObject", "Part", "Status", "Storage", "Version", "crc32c"]


@dataclass(frozen=True, slots=True)
class Storage:
    """Where files are read and written.

    Attributes:
      billing_project: pays for requests to requester-pays buckets; "" for the bucket's own project.
      folders: in which all files of this machine must lie that are read or written, absolute and without links; None
        for anywhere. Buckets are not confined: the user's account decides what it may read.
      guard: of the one folder that is written; None for any. All writes and deletions ask it first.
      ahead: files, by their URI, that are still to be written, and their contents: who reads them finds these.
    """

    billing_project: str = ""
    folders: tuple[str, ...] | None = None
    guard: Guard | None = None
    ahead: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def within(self, folders: Iterable[str]) -> Storage:
        """The same, confined to folders: absolute paths, which may be links. Those in gs:// allow no local file."""
        local_ones = sorted({os.path.realpath(folder) for folder in folders if not uris.is_gcs(folder)})
        return replace(self, folders=tuple(local_ones))

    def anywhere(self) -> Storage:
        """The same, not confined: for what the user has named, who may read it anyway."""
        return replace(self, folders=None)

    def leads_out(self, uri: str) -> bool:
        """Whether a local path leads out of the folders, as links are now. Opening it asks again."""
        if self.folders is None or uris.scheme_of(uri):
            return False
        try:
            return not opening.lies_in(os.path.realpath(inside.file_of(uri)), self.folders)
        except (OSError, ValueError):
            return False  # reading it will say what is wrong

    def open_read(self, uri: str) -> BinaryIO:
        """Opens the file of exactly this name, never a pattern; seekable; use as a context manager.

        An object of gs:// is fetched whole to a temporary file and its crc32c checked before the first byte is
        returned.

        Raises:
          FileNotFoundError, IsADirectoryError, PermissionError: as the names say (gs:// without permission: UserError).
          NotARegularFileError: a pipe, socket or device.
          OutsideError: it does not lie in the folders. Nothing of it was read.
          StorageError: the storage failed.
        """
        ahead = self._ahead(uri)
        return self._backend(uri).open_read(uri) if ahead is None else io.BytesIO(ahead)

    def read_bytes(self, uri: str, max_bytes: int = bounds.MAX_WHOLE_BYTES) -> bytes:
        """The contents of a file that is read whole; raises what `open_read` raises.

        Args:
          uri: local path or gs:// URI.
          max_bytes: the longest file that is read.

        Raises:
          TooLongError: it is longer.
        """
        with self.open_read(uri) as file:
            content = _at_most(file, max_bytes)
        if content is None:
            raise TooLongError(f"{uris.shown(uri)}: longer than {max_bytes:,} bytes, the limit for such a file")
        return content

    def read_record(self, uri: str) -> bytes:
        """The contents of a record of JSON; raises what `read_bytes` raises."""
        return self.read_bytes(uri, bounds.MAX_RECORD_BYTES)

    def read_settings(self, uri: str, name: str) -> bytes:
        """The contents of a small file that the user has written.

        Args:
          uri: absolute path or gs:// URI.
          name: the flag and the file's name, for messages.

        Raises:
          UserError: it cannot be read, whatever it is.
          StorageError: the storage failed.
        """
        try:
            before = self.identity(uri)
            content = self.read_bytes(uri, bounds.MAX_SETTINGS_BYTES)
            if self.identity(uri) != before:
                raise UserError(f"{name}: it changed while it was read; run this command again")
            return content
        except FileNotFoundError:
            raise UserError(f"{name}: there is no such file") from None
        except TooLongError:
            raise UserError(f"{name}: over the limit of {bounds.MAX_SETTINGS_BYTES:,} bytes for such a file") from None
        except OSError as fault:
            raise UserError(f"{name}: {fault.strerror}") from None

    def read_audio(self, uri: str, max_bytes: int) -> bytes:
        """The contents of one clip's source. A fault of the file rejects the clip.

        The details of a rejection do not name the path. The ledger has it as the user wrote it; an absolute path would
        differ between two machines.

        Args:
          uri: absolute path or gs:// URI.
          max_bytes: the longest file that is read. A longer file is refused before it fills the memory.

        Raises:
          ClipRejected: NOT_FOUND, PATH_NOT_ALLOWED, NOT_A_FILE, UNREADABLE, EMPTY_FILE or FILE_TOO_LARGE.
          StorageError, UserError: the storage failed; the bucket may not be read.
        """
        with _clip_faults():
            content = self._backend(uri).read_at_most(uri, max_bytes + 1)
        if not content:
            raise ClipRejected(reasons.EMPTY_FILE, "the file is empty: zero bytes")
        if len(content) > max_bytes:
            raise ClipRejected(reasons.FILE_TOO_LARGE, f"the file is longer than the limit of {max_bytes:,} bytes")
        return content

    def open_whole_audio(self, uri: str, max_bytes: int) -> BinaryIO:
        """As `read_audio`, as a seekable file. A long one from gs:// waits on disk; its checksum was compared."""
        too_large = ClipRejected(reasons.FILE_TOO_LARGE, f"the file is longer than the limit of {max_bytes:,} bytes")
        with _clip_faults():
            if self._backend(uri).size(uri) > max_bytes:
                raise too_large
            stream = self._backend(uri).open_read(uri)
        size = stream.seek(0, os.SEEK_END)  # which is another one if the object was stored compressed
        if 0 < size <= max_bytes:
            stream.seek(0)
            return stream
        stream.close()
        raise too_large if size else ClipRejected(reasons.EMPTY_FILE, "the file is empty: zero bytes")

    def open_audio(self, uri: str) -> BinaryIO:
        """Opens a clip's source to read parts of it. Of an object in gs:// only these parts are fetched.

        Parts are not checked: a checksum covers whole objects only. Whole files go through `read_audio`.

        Raises:
          ClipRejected: NOT_FOUND, PATH_NOT_ALLOWED, NOT_A_FILE, UNREADABLE or EMPTY_FILE.
          StorageError, UserError: as `read_audio`, reads of the returned file included.
        """
        with _clip_faults():
            stream = self._backend(uri).open_range(uri)
        try:
            if not stream.seek(0, os.SEEK_END):
                raise ClipRejected(reasons.EMPTY_FILE, "the file is empty: zero bytes")
            stream.seek(0)
        except BaseException:
            stream.close()
            raise
        return stream

    def read_audio_part(self, uri: str, offset: int, size: int) -> Part:
        """A part of a file that holds recordings. Of an object in gs:// no more is fetched, in two requests.

        Raises:
          ClipRejected: NOT_FOUND, PATH_NOT_ALLOWED, NOT_A_FILE or UNREADABLE; TRUNCATED if the file ends before.
          StorageError, UserError: as `read_audio`.
        """
        with _clip_faults():
            part = self._backend(uri).read_part(uri, offset, size)
        if len(part) < size:
            raise ClipRejected(reasons.TRUNCATED, "the file that holds it ends before the recording does")
        return part

    def open_parts(self, uri: str) -> BinaryIO:
        """As `open_read`, where little is read: of an object in gs:// no more is fetched. Nothing is checked."""
        return self._backend(uri).open_range(uri) if uris.is_gcs(uri) else self.open_read(uri)

    def write(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Opens a file for writing. It appears under its name when the block ends, and never if the block raises.

        Missing folders are made. An earlier file of this name is replaced in one step.

        Raises:
          UserError: the place may not be written, or is a folder.
          OvertakenError: the guard says so; the file is as it was.
          StorageError: the storage failed, or is full.
        """
        return self._backend(uri).write(uri, self.guard)

    def write_bytes(self, uri: str, content: bytes) -> None:
        """Writes a whole file; raises what `write` raises."""
        with self.write(uri) as file:
            file.write(content)

    def write_once(self, uri: str, content: bytes, mime_type: str, look_first: bool = False) -> None:
        """Writes a file that is named by its contents, unless it exists already.

        Args:
          uri: local path or gs:// URI.
          content: of the file.
          mime_type: content type of an object in gs://.
          look_first: whether to ask for the file before sending it, which is cheaper if it is likely to be there.

        Raises:
          UserError, StorageError: as `write`.
        """
        self._backend(uri).write_once(uri, content, mime_type, look_first, self.guard)

    def create(self, uri: str, content: bytes) -> bool:
        """Writes a file unless one of this name exists. Of all who try it at the same moment, one succeeds.

        Args:
          uri: local path or gs:// URI.
          content: of the file. It must differ from that of all others who may try: a caller whose answer was lost
            knows by it that the file is its own.

        Returns:
          Whether this call wrote the file.

        Raises:
          UserError, StorageError: as `write`.
        """
        return self._backend(uri).create(uri, content)

    def age(self, uri: str) -> float:
        """Seconds since the file was written, never negative.

        Both moments are told by the clock of the storage, so that machines need not agree about the time. For that, a
        file is written beside it and removed.

        Raises:
          FileNotFoundError: there is no file of this name.
          UserError, StorageError: as `write`.
        """
        return self._backend(uri).age(uri)

    def exists(self, uri: str) -> bool:
        """Whether there is a file (not a folder) of exactly this name."""
        try:
            self.size(uri)
        except (FileNotFoundError, IsADirectoryError):
            return False
        return True

    def is_folder(self, uri: str) -> bool:
        """Whether this is a local folder, or a gs:// prefix with at least one object below it."""
        return self._backend(uri).is_folder(uri)

    def is_link(self, uri: str) -> bool:
        """Whether this is a link to a file or folder, or to nothing; there are none in gs://."""
        return not uris.is_gcs(uri) and os.path.islink(uri)  # noqa: PTH114 -- the text as written

    def size(self, uri: str) -> int:
        """The file's length in bytes.

        Raises:
          FileNotFoundError, IsADirectoryError: there is no file of this name.
          StorageError: the storage failed.
        """
        ahead = self._ahead(uri)
        return self._backend(uri).size(uri) if ahead is None else len(ahead)

    def identity(self, uri: str) -> str:
        """What differs when a file was written again or replaced; raises what `size` raises."""
        ahead = self._ahead(uri)
        return self._backend(uri).identity(uri) if ahead is None else sha256(ahead).hexdigest()

    def list_files(self, folder: str) -> list[str]:
        """Every file below `folder`, at any depth, sorted; [] if there is no such folder. Links are not entered."""
        return self._backend(folder).list_files(folder)

    def names(self, folder: str) -> list[str]:
        """The names right below `folder`, of files, folders and links, sorted; [] if there is no such folder."""
        return self._backend(folder).names(folder)

    def list_objects(self, folder: str, at_most: int) -> list[ListedObject]:
        """The first `at_most` objects below a gs:// folder, sorted by name. One request lists a thousand.

        Raises:
          UserError, StorageError: as `open_read`.
        """
        return self._gcs().list_objects(folder, at_most)

    def access(self, uri: str) -> Access | None:
        """What this account may do in the bucket of a URI, and where that lies; None without any credentials.

        Raises:
          UserError: there is no such bucket, or the credentials are not valid.
          StorageError: no answer.
        """
        from transforms.storage import gcs_access  # noqa: PLC0415 -- who has only local files needs no client
        from transforms.storage.gcs_client import GcsClient  # noqa: PLC0415

        return gcs_access.look(GcsClient(self.billing_project), uri)

    def version(self, uri: str) -> Version | None:
        """The length and crc32c of an object in gs://, which need not be fetched for it.

        Returns:
          None where only reading tells: of local files, and of objects stored with Content-Encoding: gzip.

        Raises:
          FileNotFoundError, IsADirectoryError: there is no such object.
          StorageError, UserError: as `open_read`.
        """
        return self._backend(uri).version(uri)

    def status(self, uri: str, places: dict[str, str] | None = None) -> Status | None:
        """What the system tells of a local file, at the cost of a look; None of all else.

        Args:
          uri: local path or gs:// URI.
          places: folders without their links, which one look at many files need find only once.
        """
        return self._backend(uri).status(uri, {} if places is None else places)

    def mark(self, uri: str, number: int) -> None:
        """Notes a number below `MARKS` at a local file, in a place that changes no byte of it.

        It is gone when the file is written, touched or copied without its time. In gs:// nothing is noted.
        """
        self._backend(uri).mark(uri, number)

    def marked(self, uri: str) -> int | None:
        """The number that `mark` has noted; any other number, or None, if there is none."""
        return self._backend(uri).marked(uri)

    def match(self, pattern: str) -> list[str]:
        """The files that a glob matches, sorted. * and ? match within a name, ** matches folders at any depth."""
        return self._backend(pattern).match(pattern)

    def delete(self, uri: str) -> None:
        """Removes a file; no error when there is none; raises what `remove` raises."""
        if self.guard is None:
            self._backend(uri).delete(uri)
        else:
            self.remove(uris.parent(self.guard.uri), [uri])

    def remove(self, folder: str, files: Sequence[str]) -> None:
        """Removes files below a folder; no error when one is not there. Folders stay, and links are not followed.

        Raises:
          OvertakenError: the guard says so; what is not removed yet stays.
          UserError, StorageError: as `write`.
        """
        if self.guard is None:
            for uri in files:
                self._backend(uri).delete(uri)
        elif files:
            self._backend(folder).remove(folder, files, self.guard)

    def generation(self, uri: str) -> str:
        """Another text for each time that the file is written; "" if there is none."""
        return self._backend(uri).generation(uri)

    def renew(self, uri: str, generation: str) -> bool:
        """Keeps a file from being written or removed by those who had the folder before, and have looked at it already.

        In gs:// the object becomes one of another generation, with the same contents. On disk there is nothing to do.

        Args:
          uri: of a file that somebody else may have written, and that is to stay as it is.
          generation: of the file, before its contents were looked at.

        Returns:
          False if the file has changed since.

        Raises:
          UserError, StorageError: as `write`.
        """
        return self._backend(uri).renew(uri, generation)

    def confirm(self) -> None:
        """Looks whether the guard still holds.

        Raises:
          OvertakenError: it does not.
        """
        if self.guard is not None:
            self.guard.confirm(self.generation)

    def sweep(self, folder: str) -> None:
        """Removes half-written files below a folder that dead processes have left, of this machine or of any other.

        With a guard, those of other owners go, too, whether they live or not: that is what stops them. Where a file
        system cannot tell whether a process holds a file open, files of unknown owners stay. In gs:// an object
        appears when it is whole; intermediate objects of an hour ago are removed.
        """
        self._backend(folder).sweep(folder, self.guard)

    def concatenate(self, sources: Sequence[str], destination: str) -> None:
        """Writes the sources, one after the other, as one file.

        Within one bucket nothing is downloaded. The server composes the objects, 32 at a time, which is its limit
        (https://cloud.google.com/storage/docs/composite-objects); intermediate objects are removed.
        """
        if sources and self._backend(destination).compose(list(sources), destination):
            return
        with self.write(destination) as target:
            for uri in sources:
                with self.open_read(uri) as source:
                    shutil.copyfileobj(source, target, 1 << 20)

    def _ahead(self, uri: str) -> bytes | None:
        return dict(self.ahead).get(uri)

    def _backend(self, uri: str) -> Backend:
        scheme = uris.scheme_of(uri)
        if not scheme:
            return local if self.folders is None else Confined(self.folders)
        if scheme == "gs":
            return self._gcs()
        fact = f"{uris.shown(uri)}: {scheme}:// is not supported"
        raise UserError(f"{fact}; give a local path, or copy it to a gs:// bucket")

    def _gcs(self) -> Gcs:
        # Imported when first used: the client takes a second to import, and `cliptune --help` should not wait for it.
        from transforms.storage import gcs  # noqa: PLC0415
        from transforms.storage.gcs_client import GcsClient  # noqa: PLC0415

        return gcs.Gcs(GcsClient(self.billing_project))


def _at_most(file: BinaryIO, num_bytes: int) -> bytes | None:
    """The contents of an open file; None if they are more than `num_bytes`."""
    with suppress(OSError):  # such as some in /proc, which have no end
        if file.seek(0, os.SEEK_END) > num_bytes:  # told without reading it
            return None
        file.seek(0)
    found = io.BytesIO()
    while found.tell() <= num_bytes and (block := file.read(1 << 20)):
        found.write(block)
    return found.getvalue() if found.tell() <= num_bytes else None


@contextmanager
def _clip_faults() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ClipRejected(reasons.NOT_FOUND, "there is no such file: not found") from error
    except OutsideError as error:
        raise ClipRejected(reasons.PATH_NOT_ALLOWED, "the path leads out of the folders that may be read") from error
    except (IsADirectoryError, NotARegularFileError) as error:
        raise ClipRejected(reasons.NOT_A_FILE, f"the path names {error.strerror}") from error
    except UnreadableError as error:
        raise ClipRejected(reasons.UNREADABLE, error.fact) from error
    except PermissionError as error:
        raise ClipRejected(reasons.UNREADABLE, "no permission to read the file") from error
