"""Files on this machine, as `transforms.storage.base.Backend` has them."""

from __future__ import annotations

import errno
import functools
import glob
import io
import os
import socket
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from transforms import reasons
from transforms.errors import ClipRejected, NotARegularFileError, StorageError, UnreadableError, UserError
from transforms.storage.uris import join, shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

PART_PREFIX = ".cliptune-part-"  # a file still being written; a killed run may leave one behind
# No file can have such a name: it is too long, or has a file where a folder should be.
_NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR}
# One damaged sector, or one file that a network drive has lost: asked again, it is that file's fault.
_DAMAGED = {errno.EIO, errno.ESTALE, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)}
_TRIES = 3
_BUFFER_BYTES = 1 << 16
# File systems without hard links say so in one of these ways.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def open_read(path: str) -> BinaryIO:
    """Opens a regular file. A folder, pipe, socket or device is refused at once."""
    return os.fdopen(_descriptor(path), "rb")


def _descriptor(path: str) -> int:
    with _faults(path):
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", path)
    raise NotARegularFileError(errno.EINVAL, "a pipe or device, not a regular file", path)


def read_at_most(path: str, num_bytes: int) -> bytes:
    """The file's contents; `num_bytes` zeros instead if it has that many or more."""

    def read() -> bytes:
        with open_read(path) as file, _faults(path):
            size = os.fstat(file.fileno()).st_size
            if size >= num_bytes:
                return bytes(num_bytes)
            # Python allocates what is asked for. Files such as those in /proc do not tell their size.
            return file.read(size or num_bytes)

    return _again_if_damaged(read)


def _again_if_damaged(call: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        with suppress(UnreadableError):
            return call()
    return call()


def open_range(path: str) -> BinaryIO:
    """The file, seekable. What it cannot read rejects the clip."""
    return io.BufferedReader(_Range(path), _BUFFER_BYTES)


class _Range(io.FileIO):
    """A file of which parts are read, on a disk that may be damaged."""

    def __init__(self, path: str) -> None:
        super().__init__(_again_if_damaged(lambda: _descriptor(path)))
        self._path = path

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if whence != os.SEEK_END:
                raise
            # Such as those in /proc.
            raise ClipRejected(reasons.NOT_A_FILE, "the path names a file without an end, not a regular one") from error

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        def read() -> int:
            with _faults(self._path):
                return super(_Range, self).readinto(buffer)

        try:
            return _again_if_damaged(read)
        except UnreadableError as error:
            raise ClipRejected(reasons.UNREADABLE, error.fact) from error


@contextmanager
def write(path: str) -> Iterator[BinaryIO]:
    """A file that is flushed to the disk and moved to its name when the block ends."""
    with _write_faults(path):
        part = _part(path)
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


def write_once(path: str, content: bytes, mime_type: str, look_first: bool) -> None:
    """Writes a file that is named by its contents, unless it exists with these contents."""
    with suppress(FileNotFoundError, IsADirectoryError), open_read(path) as file:
        if file.read() == content:
            return
    with write(path) as file:
        file.write(content)


def create(path: str, content: bytes) -> bool:
    """Writes a file unless its name is taken. It appears whole, under its name, or not at all."""
    with _write_faults(path):
        part = _part(path)
        try:
            with open(part, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return _named(part, path, content)
        finally:
            part.unlink(missing_ok=True)


def _named(part: Path, path: str, content: bytes) -> bool:
    """Gives a written file its name, unless the name is taken. Of several who try, the file system lets one succeed."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return True
    try:  # a file system without links: the name is taken at once all the same, and the contents follow
        file = open(path, "xb")  # noqa: SIM115 -- closed below, where other errors are meant
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    return True


def age(path: str) -> float:
    """Seconds since the file was written. A new file beside it tells the present time, by the same clock."""
    with _faults(path):
        then = os.stat(path).st_mtime  # noqa: PTH116 -- the text as written
    with _write_faults(path):
        part = _part(path)
        try:
            with open(part, "xb") as file:
                now = os.fstat(file.fileno()).st_mtime
        finally:
            part.unlink(missing_ok=True)
    return max(0.0, now - then)


def _part(path: str) -> Path:
    """A name of one's own beside `path`, for a file that is still being written. Missing folders are made."""
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{PART_PREFIX}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}"


def size(path: str) -> int:
    """The file's length in bytes; a folder is no file."""
    with _faults(path):
        status = os.stat(path)  # noqa: PTH116 -- the text as written
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", path)
    return status.st_size


def is_folder(path: str) -> bool:
    """Whether there is a folder of this name."""
    try:
        return os.path.isdir(path)  # noqa: PTH112 -- Path.is_dir raises on what it cannot stat
    except ValueError:  # a NUL
        return False


def list_files(folder: str) -> list[str]:
    """Every file below `folder` but those still being written, sorted; links are not entered."""
    found = [join(top, name) for top, _, names in os.walk(folder) for name in names if not name.startswith(PART_PREFIX)]
    return sorted(found)


def match(pattern: str) -> list[str]:
    """The files that a glob matches, sorted."""
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))  # noqa: PTH113, PTH207


def delete(path: str) -> None:
    """Removes a file; no error when there is none."""
    with suppress(FileNotFoundError), _faults(path):
        Path(path).unlink()


def compose(sources: list[str], destination: str) -> bool:
    """Files on a disk are joined by copying them."""
    return False


def sweep(folder: str) -> None:
    """Removes half-written files below `folder` that dead processes of this machine have left."""
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


@contextmanager
def _faults(path: str) -> Iterator[None]:
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
        if error.errno in _DAMAGED:
            name = errno.errorcode[error.errno or errno.EIO]
            raise UnreadableError(f"the disk or network drive failed to read the file ({name})", shown(path)) from error
        raise StorageError(f"{shown(path)}: {error.strerror}") from error


@contextmanager
def _write_faults(path: str, only: set[int] | None = None) -> Iterator[None]:
    # `only`: an error inside the caller's block may concern another file, and then keeps its class.
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        if error.errno in _DISK_FAULTS - {errno.EROFS}:
            raise StorageError(f"cannot write {shown(path)}: {error.strerror}") from error
        raise UserError(f"cannot write {shown(path)}: {error.strerror}") from error
