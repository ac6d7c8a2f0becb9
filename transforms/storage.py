"""Files by their URI, local or gs://: one seam, so that nothing else knows where a file lives.

Three kinds of failure leave this module, as everywhere in Cliptune: `ClipRejected` (from `read_audio`: the clip's own
fault), `StorageError` (the world's fault, after the client's own retries), `UserError` (what only the user can mend).
Beside these, the plain `FileNotFoundError`, `IsADirectoryError` and `PermissionError` of Python.
"""

from __future__ import annotations

import base64
import errno
import functools
import glob
import os
import re
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import google_crc32c

from transforms import reasons
from transforms.errors import ClipRejected, NotARegularFileError, StorageError, UserError

GCS_SCHEME = "gs://"
PART_PREFIX = ".cliptune-part-"  # a file still being written; a killed run may leave one behind
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# What a name can have wrong so that no file can be under it: too long, through a file, a loop of links.
_NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR}
_billing_project = ""
_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def bill(project: str) -> None:
    """Has this process's requests to gs:// paid by `project`, as a requester-pays bucket asks; "" for the default.

    Like the credentials, it is the process's own: every worker is told when it starts.
    """
    global _billing_project  # noqa: PLW0603 -- else all that reads a file would have to carry it
    _billing_project = project


def billing_project() -> str:
    """The project that pays for requests to gs://; "" for the bucket's own."""
    return _billing_project


def is_gcs(uri: str) -> bool:
    """Whether `uri` names something in Google Cloud Storage."""
    return uri.startswith(GCS_SCHEME)


def scheme_of(uri: str) -> str:
    """The scheme before "://", in lower case; "" for a local path."""
    found = _SCHEME.match(uri)
    return found.group(1).lower() if found else ""


def without_generation(uri: str) -> str:
    """The name of an object that is pinned ("gs://b/a.wav#123" is "gs://b/a.wav"); other names as they are."""
    return re.sub(r"#[1-9][0-9]*$", "", uri) if is_gcs(uri) else uri


def absolute(uri: str, base: str) -> str:
    """`uri` joined to the folder `base` if it is a relative local path; gs:// and absolute ones unchanged."""
    return uri if scheme_of(uri) or uri.startswith("/") else join(base, uri)


def join(base: str, *parts: str) -> str:
    """Joins path parts to a local folder or a gs:// prefix; no part may be absolute."""
    if is_gcs(base):
        return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])
    return os.path.join(base, *parts)  # noqa: PTH118 -- the text as written: pathlib would drop "./" and "//"


def parent(uri: str) -> str:
    """The folder that holds `uri`: "" for a bare local name, the bucket for an object at its top."""
    if is_gcs(uri):
        folder = uri.rpartition("/")[0]
        return folder if len(folder) > len(GCS_SCHEME) else uri
    return os.path.dirname(uri)  # noqa: PTH120 -- Path("a.wav").parent is ".", which would show in the ledger


def open_read(uri: str) -> BinaryIO:
    """Opens the file of exactly this name, which is never taken for a pattern; seekable; use as a context manager.

    An object of gs:// is fetched whole to a temporary file and its crc32c checked before the first byte is returned.

    Raises:
      FileNotFoundError, IsADirectoryError, PermissionError: as the names say (gs:// without permission: UserError).
      NotARegularFileError: a pipe, socket or device.
      StorageError: the storage failed.
    """
    return _gcs().open_read(uri) if _remote(uri) else _open_local(uri)


def read_bytes(uri: str) -> bytes:
    """The file's contents; raises what `open_read` raises."""
    with open_read(uri) as file:
        return file.read()


def read_audio(uri: str, max_bytes: int) -> bytes:
    """The contents of one clip's source, whose every fault of its own becomes a rejection.

    The details do not repeat the path: the ledger has it as the user wrote it, and an absolute one would differ
    between two machines.

    Args:
      uri: absolute path or gs:// URI.
      max_bytes: the longest file that is read; longer ones are refused before they fill the memory.

    Raises:
      ClipRejected: NOT_FOUND, NOT_A_FILE, UNREADABLE, EMPTY_FILE or FILE_TOO_LARGE.
      StorageError, UserError: the storage failed; the bucket may not be read.
    """
    with _clip_faults():
        content = _gcs().read_at_most(uri, max_bytes + 1) if _remote(uri) else _read_local(uri, max_bytes + 1)
    if not content:
        raise ClipRejected(reasons.EMPTY_FILE, "the file is empty: zero bytes")
    if len(content) > max_bytes:
        raise ClipRejected(reasons.FILE_TOO_LARGE, f"the file is longer than the limit of {max_bytes:,} bytes")
    return content


def open_audio(uri: str) -> BinaryIO:
    """A clip's source to read parts of, by seeking; of an object in gs:// only these parts are fetched.

    Parts have no checksum to compare: whole files go through `read_audio`.

    Raises:
      ClipRejected: NOT_FOUND, NOT_A_FILE, UNREADABLE or EMPTY_FILE.
      StorageError, UserError: as `read_audio`, reads of the returned file included.
    """
    with _clip_faults():
        stream: BinaryIO = _gcs().open_range(uri) if _remote(uri) else _open_local(uri)
    if not stream.seek(0, os.SEEK_END):
        stream.close()
        raise ClipRejected(reasons.EMPTY_FILE, "the file is empty: zero bytes")
    stream.seek(0)
    return stream


@contextmanager
def _clip_faults() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ClipRejected(reasons.NOT_FOUND, "there is no such file: not found") from error
    except (IsADirectoryError, NotARegularFileError) as error:
        raise ClipRejected(reasons.NOT_A_FILE, f"the path names {error.strerror}") from error
    except PermissionError as error:
        raise ClipRejected(reasons.UNREADABLE, "no permission to read the file") from error


def write(uri: str) -> AbstractContextManager[BinaryIO]:
    """A file that appears whole under its name when the block ends well, and not at all when it raises.

    Missing folders are made. A file already there is replaced at once.

    Raises:
      UserError: the place may not be written, or is a folder.
      StorageError: the storage failed, or is full.
    """
    remote: AbstractContextManager[BinaryIO] | None = _gcs().write(uri) if _remote(uri) else None
    return remote or _write_local(uri)


def write_bytes(uri: str, content: bytes) -> None:
    """Writes a whole file; raises what `write` raises."""
    with write(uri) as file:
        file.write(content)


def write_once(uri: str, content: bytes, mime_type: str, look_first: bool = False) -> None:
    """Writes a file that is named by its contents, unless it is there.

    Args:
      uri: local path or gs:// URI.
      content: of the file.
      mime_type: content type of an object in gs://.
      look_first: whether it is likely to be there: asking is then cheaper than sending it in vain.

    Raises:
      UserError, StorageError: as `write`.
    """
    if _remote(uri):
        _gcs().write_once(uri, content, mime_type, look_first)
    elif not exists(uri) or read_bytes(uri) != content:
        write_bytes(uri, content)


def crc32c(content: bytes) -> str:
    """The checksum of `content` as gs:// metadata has it: base64 of four bytes, the highest first."""
    return base64.b64encode(int(google_crc32c.value(content)).to_bytes(4, "big")).decode()


def exists(uri: str) -> bool:
    """Whether there is a file (not a folder) of exactly this name."""
    try:
        size(uri)
    except (FileNotFoundError, IsADirectoryError):
        return False
    return True


def is_folder(uri: str) -> bool:
    """Whether this is a local folder, or a gs:// prefix with at least one object below it."""
    if _remote(uri):
        return bool(_gcs().has_objects(uri))
    try:
        return os.path.isdir(uri)  # noqa: PTH112 -- Path.is_dir raises on what it cannot stat
    except ValueError:  # a NUL
        return False


def size(uri: str) -> int:
    """The file's length in bytes.

    Raises:
      FileNotFoundError, IsADirectoryError: there is no file of this name.
      StorageError: the storage failed.
    """
    if _remote(uri):
        return int(_gcs().size(uri))
    with _local_faults(uri):
        status = os.stat(uri)  # noqa: PTH116 -- the text as written
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", uri)
    return status.st_size


def list_files(folder: str) -> list[str]:
    """Every file below `folder`, at any depth, sorted; [] if there is no such folder. Links are not entered."""
    if _remote(folder):
        return list(_gcs().list_files(folder))
    found = [join(top, name) for top, _, names in os.walk(folder) for name in names if not name.startswith(PART_PREFIX)]
    return sorted(found)


def sweep(folder: str) -> None:
    """Removes the half-written files that killed processes of this machine have left below a local folder.

    Those of running processes, and of other machines that share the folder, stay. In gs:// there are none: an object
    appears when it is whole.
    """
    if _remote(folder):
        return
    mine = f"{PART_PREFIX}{_machine()}-"
    for top, _, names in os.walk(folder):
        for name in names:
            if name.startswith(mine) and not _is_running(name.removeprefix(mine).partition("-")[0]):
                delete(join(top, name))


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


@functools.cache
def _machine() -> str:
    """Tells machines apart without naming them."""
    return blake2b(socket.gethostname().encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in gs://, as a list of its folder tells of it.

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


def list_objects(folder: str, at_most: int) -> list[ListedObject]:
    """The first `at_most` objects below a gs:// folder, sorted by name: one request lists a thousand.

    Raises:
      UserError, StorageError: as `open_read`.
    """
    objects: list[ListedObject] = _gcs().list_objects(folder, at_most)
    return objects


def match(pattern: str) -> list[str]:
    """The files that a glob of the user's matches, sorted: * and ? within a name, ** for folders at any depth."""
    if _remote(pattern):
        return list(_gcs().match(pattern))
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))  # noqa: PTH113, PTH207


def delete(uri: str) -> None:
    """Removes a file; no error when there is none."""
    if _remote(uri):
        _gcs().delete(uri)
        return
    with suppress(FileNotFoundError), _local_faults(uri):
        Path(uri).unlink()


def concatenate(sources: Sequence[str], destination: str) -> None:
    """Writes the sources, one after the other, as one file.

    Within one bucket nothing is downloaded: objects are composed on the server, 32 at a time, which is its limit
    (https://cloud.google.com/storage/docs/composite-objects), and the intermediate objects removed.
    """
    if sources and all(map(_remote, [*sources, destination])) and _gcs().same_bucket([*sources, destination]):
        _gcs().compose(sources, destination)
        return
    with write(destination) as target:
        for uri in sources:
            with open_read(uri) as source:
                shutil.copyfileobj(source, target, 1 << 20)


def _remote(uri: str) -> bool:
    scheme = scheme_of(uri)
    if scheme in ("", "gs"):
        return bool(scheme)
    raise UserError(f"{shown(uri)}: {scheme}:// is not supported; give a local path, or copy it to a gs:// bucket")


def _gcs() -> ModuleType:
    # Loaded when first needed: the client takes a second to import, which `cliptune --help` need not wait for.
    from transforms import gcs  # noqa: PLC0415

    return gcs


def shown(uri: str) -> str:
    """The URI for a message: quoted, control characters escaped, cut at 300 characters."""
    return repr(uri if len(uri) <= 300 else uri[:300] + "…")


def _open_local(path: str) -> BinaryIO:
    with _local_faults(path):
        # Without O_NONBLOCK, opening a pipe waits for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", path)
    raise NotARegularFileError(errno.EINVAL, "a pipe or device, not a regular file", path)


def _read_local(path: str, at_most: int) -> bytes:
    with _open_local(path) as file, _local_faults(path):
        if os.fstat(file.fileno()).st_size >= at_most:
            return b"\0" * at_most
        return file.read(at_most)


@contextmanager
def _local_faults(path: str) -> Iterator[None]:
    """Names the faults of the operating system by who can mend them."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except ValueError as error:  # a NUL, or a character that no file name can hold
        raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
    except OSError as error:
        if error.errno in _NO_SUCH_NAME:
            raise FileNotFoundError(errno.ENOENT, "no such file", path) from error
        if error.errno == errno.ELOOP:
            raise NotARegularFileError(errno.ELOOP, "a loop of links, not a regular file", path) from error
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):
            raise NotARegularFileError(errno.ENXIO, "a socket, not a regular file", path) from error
        raise StorageError(f"{shown(path)}: {error.strerror}") from error


@contextmanager
def _write_local(path: str) -> Iterator[BinaryIO]:
    with _write_faults(path):
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{PART_PREFIX}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}"
        file = open(part, "xb")  # noqa: SIM115 -- closed below, where other errors are meant
    try:
        with _write_faults(path, only=_DISK_FAULTS), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _write_faults(path):
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _write_faults(path: str, only: set[int] | None = None) -> Iterator[None]:
    # `only`: inside the caller's block an error may be of another file, which is not ours to rename.
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        if error.errno in _DISK_FAULTS - {errno.EROFS}:
            raise StorageError(f"cannot write {shown(path)}: {error.strerror}") from error
        raise UserError(f"cannot write {shown(path)}: {error.strerror}") from error
