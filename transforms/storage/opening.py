"""Opening a file of this machine to read it: a regular file, and, where folders are given, one that lies in them.

Names are looked up again with every call, and somebody may put a link in their place in between. So what is checked is
never a name before it is opened, but what was opened.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from transforms.errors import NotARegularFileError, OutsideError

# Without O_NONBLOCK, opening a pipe would wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
# A handle names a file and does not open it: no device starts, no pipe gets a reader. Other systems have none.
_HANDLE = getattr(os, "O_PATH", 0)
_IN_FOLDER = (_HANDLE or os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A link where there was none when the path was resolved, or the other way round.
_SWAPPED = {errno.ELOOP, errno.ENOTDIR, errno.EINVAL}
_TRIES = 3


def open_regular(path: str, folders: Sequence[str] | None = None) -> int:
    """Opens a regular file for reading; anything else is not even opened, where the system can do that.

    Links are followed, and what they lead to counts.

    Args:
      path: of the file.
      folders: absolute, without links: it must lie in one of them, at any depth. None for anywhere.

    Returns:
      A descriptor.

    Raises:
      OutsideError: it lies in none of the folders. Nothing of it was read.
      NotARegularFileError, IsADirectoryError: a pipe, socket or device; a folder.
      OSError, ValueError: the system's own.
    """
    if _tells_names():
        return _by_handle(path, folders)
    return _checked(os.open(path, _FLAGS), path) if folders is None else _by_walking(path, folders)


def lies_in(real: str, folders: Sequence[str]) -> bool:
    """Whether an absolute path without links is one of the folders, or below one."""
    return _top(real, folders) is not None


def name_of(descriptor: int) -> str | None:
    """The path of what was opened, as the system knows it; None from a system that does not tell."""
    return os.readlink(f"/proc/self/fd/{descriptor}") if _tells_names() else None  # noqa: PTH115 -- text


def outside(path: str) -> OutsideError:
    """The error for a path that leads out of the folders."""
    return OutsideError(errno.ELOOP, "a link that leads out of the folder", path)


@functools.cache
def _tells_names() -> bool:
    """Whether the system has handles and tells the names of what they stand for, as Linux does."""
    return bool(_HANDLE) and os.path.isdir("/proc/self/fd")  # noqa: PTH112


def _by_handle(path: str, folders: Sequence[str] | None) -> int:
    handle = os.open(path, _HANDLE | os.O_CLOEXEC)
    try:
        name = f"/proc/self/fd/{handle}"
        if folders is not None and not lies_in(os.readlink(name), folders):  # noqa: PTH115 -- text
            raise outside(path)
        _refuse_irregular(os.fstat(handle).st_mode, path)
        return os.open(name, _FLAGS)  # what the handle stands for, whatever has its name now
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, path) from None
    finally:
        os.close(handle)


def _by_walking(path: str, folders: Sequence[str]) -> int:
    """Opens each folder from within the one above, without following links: for systems that tell no names."""
    for left in reversed(range(_TRIES)):
        try:
            real = os.path.realpath(path)
            top = _top(real, folders)
            if top is None:
                raise outside(path)
            return _checked(_walked(top, real.removeprefix(top).strip("/").split("/")), path)
        except NotARegularFileError:
            raise
        except OSError as error:
            if error.errno in _SWAPPED and left:
                continue
            if error.errno == errno.EINVAL:
                raise outside(path) from error
            raise
    raise AssertionError


def _walked(top: str, parts: Sequence[str]) -> int:
    folder = os.open(top, _IN_FOLDER)
    for part in parts[:-1]:
        try:
            below = os.open(part, _IN_FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    try:
        return os.open(parts[-1] or ".", _FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def _checked(descriptor: int, path: str) -> int:
    try:
        _refuse_irregular(os.fstat(descriptor).st_mode, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_irregular(mode: int, path: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a regular file", path)
    kind = "a socket" if stat.S_ISSOCK(mode) else "a pipe or device"
    raise NotARegularFileError(errno.EINVAL, f"{kind}, not a regular file", path)


def _top(real: str, folders: Sequence[str]) -> str | None:
    """The beginning of a path that is one of the folders."""
    if not real.startswith("/"):  # such as "pipe:[7]"
        return None
    for folder in folders:
        if f"{real}/".startswith(folder.rstrip("/") + "/"):
            return folder
    # One folder has several names where case or Unicode forms do not count, and where it is mounted twice.
    known = set(filter(None, map(_identity, folders)))
    return next((str(path) for path in (Path(real), *Path(real).parents) if _identity(path) in known), None)


def _identity(folder: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder, follow_symlinks=False)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
