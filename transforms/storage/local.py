"""Files on this machine, as `transforms.storage.base.Backend` has them."""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from transforms import reasons
from transforms.errors import ClipRejected, NotARegularFileError, StorageError, UnreadableError, UserError
from transforms.locks import held
from transforms.storage import opening, parts
from transforms.storage.base import MARKS, Guard, Part, Status, Version
from transforms.storage.uris import join, parent, shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

# No file can have such a name: it is too long, or has a file where a folder should be.
_NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR}
# One damaged sector, or one file that a network drive has lost: asked again, it is that file's fault.
_DAMAGED = {errno.EIO, errno.ESTALE, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)}
_TRIES = 3
_BUFFER_BYTES = 1 << 16
SECOND_NS = 1_000_000_000
# File systems without hard links say so in one of these ways.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
# What must be moved away by a person before a file can take its name.
_IN_ITS_PLACE = "a folder is in the place of this file; remove it, and run the same command again"
_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def open_read(path: str, folders: Sequence[str] | None = None) -> BinaryIO:
    """Opens a regular file; where `folders` are given, one that lies in them, as `opening.open_regular` has it."""
    return io.BufferedReader(_File(path, folders), _BUFFER_BYTES)


class _File(io.FileIO):
    """A regular file. What reading it raises is named as what opening it does."""

    def __init__(self, path: str, folders: Sequence[str] | None) -> None:
        super().__init__(_descriptor(path, folders))
        self._path = path

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _faults(self._path):
            found = super().readinto(buffer)
        if found is None:  # such as /proc/kmsg, which waits for the system's next message
            raise NotARegularFileError(errno.EAGAIN, "a file without an end, not a regular one", self._path)
        return found

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(_BUFFER_BYTES << 4), b""))

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(buffer)])


def _descriptor(path: str, folders: Sequence[str] | None) -> int:
    with _faults(path):
        return opening.open_regular(path, folders)


def read_at_most(path: str, num_bytes: int, folders: Sequence[str] | None = None) -> bytes:
    """The file's contents; `num_bytes` zeros instead if it has that many or more."""

    def read() -> bytes:
        with open_read(path, folders) as file, _faults(path):
            before = os.fstat(file.fileno())
            if before.st_size >= num_bytes:
                return b"\0" * num_bytes
            # Python allocates what is asked for.
            content = file.read(before.st_size) if before.st_size else _of_unknown_size(file, num_bytes)
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise UnreadableError("the file changed while it was read", shown(path))
        return content

    return _again_if_damaged(read)


def _of_unknown_size(file: BinaryIO, num_bytes: int) -> bytes:
    """The contents of a file such as those in /proc, of which some refuse to be read in large parts."""
    content = b""
    while len(content) < num_bytes and (part := file.read(min(_BUFFER_BYTES, num_bytes - len(content)))):
        content += part
    return content


def _again_if_damaged(call: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        with suppress(UnreadableError):
            return call()
    return call()


def open_range(path: str, folders: Sequence[str] | None = None) -> BinaryIO:
    """The file, seekable. What it cannot read rejects the clip."""
    return io.BufferedReader(_Range(path, folders), _BUFFER_BYTES)


class _Range(io.FileIO):
    """A file of which parts are read, on a disk that may be damaged."""

    def __init__(self, path: str, folders: Sequence[str] | None) -> None:
        super().__init__(_again_if_damaged(lambda: _descriptor(path, folders)))
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


def read_part(path: str, offset: int, size: int, folders: Sequence[str] | None = None) -> Part:
    """So many bytes of a file; fewer if it ends before."""
    with open_range(path, folders) as file:
        file.seek(offset)
        return Part.of(file.read(size), None)


@contextmanager
def write(path: str, guard: Guard | None = None) -> Iterator[BinaryIO]:
    """A file that is flushed to the disk and moved to its name when the block ends."""
    with _write_faults(path):
        part, file = _begin(path, guard)
    try:
        with _write_faults(path, only=_DISK_FAULTS), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if guard is not None:
                guard.confirm(generation)  # once the part is there: who takes the folder over later finds it
            with _write_faults(path):
                _rename(part, path, guard)  # still open, for a part that no process holds is swept
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _rename(part: Path, path: str, guard: Guard | None) -> None:
    try:
        part.replace(path)
    except FileNotFoundError:
        if guard is not None:
            guard.confirm(generation)
        raise StorageError(f"cannot write {shown(path)}: what was written was removed meanwhile") from None


def write_once(path: str, content: bytes, mime_type: str, look_first: bool, guard: Guard | None = None) -> None:
    """Writes a file that is named by its contents, unless it exists with these contents."""
    with suppress(FileNotFoundError, IsADirectoryError), open_read(path) as file:
        if file.read() == content:
            return
    with write(path, guard) as file:
        file.write(content)


def create(path: str, content: bytes) -> bool:
    """Writes a file unless its name is taken. It appears whole, under its name, or not at all."""
    with _write_faults(path):
        part, file = _begin(path)
        try:
            with file:
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
        part, file = _begin(path)
        try:
            with file:
                now = os.fstat(file.fileno()).st_mtime
        finally:
            part.unlink(missing_ok=True)
    return max(0.0, now - then)


def _begin(path: str, guard: Guard | None = None) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, under a name of its own, and held by this process. Missing folders are made."""
    folder = Path(path).parent
    _refuse_links(path, guard)
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        part = folder / parts.name_for(guard)
        file = open(part, "xb")  # noqa: SIM115 -- the caller's to close
        if held(file.fileno()) is not False and part.exists():
            return part, file
        file.close()  # swept before it was held


def _refuse_links(path: str, guard: Guard | None) -> None:
    """Refuses to write below a link: it would be another folder that is written, which is nobody's to take over."""
    top = parent(guard.uri) if guard else ""
    folder = parent(path)
    while guard is not None and folder.startswith(f"{top.rstrip('/')}/") and folder.rstrip("/") != top.rstrip("/"):
        if os.path.islink(folder):  # noqa: PTH114 -- the text as written
            raise UserError(f"cannot write {shown(path)}: {shown(folder)} is a link to another folder; remove the link")
        folder = parent(folder)


def size(path: str) -> int:
    """The file's length in bytes; a folder is no file."""
    with _faults(path):
        status = os.stat(path)  # noqa: PTH116 -- the text as written
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", path)
    return status.st_size


def identity(path: str) -> str:
    """Which file it is, how long, and when it was written."""
    with _faults(path):
        status = os.stat(path)  # noqa: PTH116 -- the text as written
    mode = stat.S_IFMT(status.st_mode)
    return f"{mode} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def is_folder(path: str) -> bool:
    """Whether there is a folder of this name."""
    try:
        return os.path.isdir(path)  # noqa: PTH112 -- Path.is_dir raises on what it cannot stat
    except ValueError:  # a NUL
        return False


def list_files(folder: str) -> list[str]:
    """Every file below `folder` but those still being written, sorted; links are not entered."""
    found = [
        join(top, name) for top, _, names in os.walk(folder) for name in names if not name.startswith(parts.PART_PREFIX)
    ]
    return sorted(found)


def names(folder: str) -> list[str]:
    """The names of what is right below `folder`, of files, folders and links, sorted."""
    with suppress(FileNotFoundError, NotADirectoryError), _faults(folder):
        return sorted(name for name in os.listdir(folder) if not name.startswith(parts.PART_PREFIX))  # noqa: PTH208
    return []


def match(pattern: str) -> list[str]:
    """The files that a glob matches, sorted."""
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))  # noqa: PTH113, PTH207


def delete(path: str) -> None:
    """Removes a file; no error when there is none."""
    try:
        with suppress(FileNotFoundError), _faults(path):
            Path(path).unlink()
    except (IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot remove {shown(path)}: {_why_not(error)}") from error


def version(path: str) -> Version | None:
    """Only reading a file tells."""
    return None


def status(path: str, places: dict[str, str]) -> Status | None:
    """What the system tells of a file; None for what is no regular file, or cannot be looked at."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            place, found = os.path.realpath(path), os.stat(path)  # noqa: PTH116 -- the text as written
        else:
            folder = os.path.dirname(path)  # noqa: PTH120
            place = places.get(folder) or places.setdefault(folder, os.path.realpath(folder))
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Status(place, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def mark(path: str, number: int) -> None:
    """Sets the fraction of the second of the file's time: it goes when the file is written, touched or copied."""
    with suppress(OSError):  # of somebody else: it is not marked, then
        begun = os.stat(path).st_mtime_ns // SECOND_NS * SECOND_NS  # noqa: PTH116
        os.utime(path, ns=(begun, begun + number * SECOND_NS // MARKS))


def marked(path: str) -> int | None:
    """The fraction of the second of the file's time."""
    try:
        fraction = os.stat(path).st_mtime_ns % SECOND_NS  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return None if fraction * MARKS % SECOND_NS else fraction * MARKS // SECOND_NS


def compose(sources: list[str], destination: str) -> bool:
    """Files on a disk are joined by copying them."""
    return False


def remove(folder: str, paths: Sequence[str], guard: Guard) -> None:
    """Moves files to a bin, which is then emptied. Who has taken the folder over has removed the bin, too."""
    with ExitStack() as stack:
        with _write_faults(folder):
            bin_, descriptor = parts.begin_bin(folder, guard)
        stack.callback(os.close, descriptor)
        stack.callback(shutil.rmtree, bin_, ignore_errors=True)
        guard.confirm(generation)
        for number, path in enumerate(paths):
            with _write_faults(path):
                _refuse_links(path, guard)
                _throw_away(Path(path), bin_ / str(number), guard)


def _throw_away(path: Path, to: Path, guard: Guard) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISDIR(path.lstat().st_mode):
            return
        path.replace(to)
        return
    if not to.parent.exists():
        guard.confirm(generation)
        raise StorageError(f"cannot remove {shown(str(path))}: another process is cleaning up; run this command again")


def generation(path: str) -> str:
    """The file's sha256 and the time when it was written; "" if there is no regular file, or a link."""
    if os.path.islink(path):  # noqa: PTH114 -- whoever has written a file has not made it a link
        return ""
    try:
        with open_read(path) as file, _faults(path):
            return f"{sha256(file.read()).hexdigest()} {os.fstat(file.fileno()).st_mtime_ns}"
    except (FileNotFoundError, IsADirectoryError, NotARegularFileError):
        return ""


def sweep(folder: str, guard: Guard | None = None) -> None:
    """As `parts.sweep`."""
    parts.sweep(folder, guard)


def renew(path: str, generation: str) -> bool:
    """Who had the folder before has nothing left to rename."""
    return True


@contextmanager
def _faults(path: str) -> Iterator[None]:
    """Names the faults of the operating system by who can mend them."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotARegularFileError, PermissionError):
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
        raise UserError(f"cannot write {shown(path)}: {_why_not(error)}") from error


def _why_not(error: OSError) -> str:
    return _IN_ITS_PLACE if error.errno == errno.EISDIR else str(error.strerror)
