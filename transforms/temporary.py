"""One folder for the temporary files of a run. What a killed run has left, the next one removes."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from transforms.errors import UserError
from transforms.locks import held

_NAME = re.compile(r"cliptune-run-[0-9a-f]{16}")


@contextmanager
def everything() -> Iterator[None]:
    """Has all temporary files of this process lie in one folder, which goes at the end of the block.

    For a process that is a run and nothing else: files that its other threads make at the time go, too.

    Raises:
      UserError: no folder can be made.
    """
    before = tempfile.tempdir
    with folder() as path:
        tempfile.tempdir = path
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def folder() -> Iterator[str]:
    """A folder of one's own among the temporary files, which goes at the end of the block.

    The process holds it by a lock, which ends with the process, however that ends, and whatever other processes and
    containers share the temporary folder. Folders that nobody holds are removed, before and after.

    Raises:
      UserError: no folder can be made.
    """
    top = tempfile.gettempdir()
    sweep()
    try:
        path, descriptor = _made(top)
    except OSError as fault:
        told = f"no folder for temporary files can be made in {top}: {fault.strerror}"
        raise UserError(f"{told}; name another one in TMPDIR") from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
        sweep()


def _made(top: str) -> tuple[str, int]:
    while True:
        path = os.path.join(top, f"cliptune-run-{secrets.token_hex(8)}")  # noqa: PTH118 -- text, as in tempfile
        os.mkdir(path, 0o700)  # noqa: PTH102
        with suppress(FileNotFoundError):
            descriptor = _opened(path)
            if held(descriptor) is not False and os.path.isdir(path):  # noqa: PTH112
                return path, descriptor
            os.close(descriptor)  # swept before it was held


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def sweep() -> None:
    """Removes the folders of dead runs of this user; no other user's, and nothing behind a link."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for path in [entry.path for entry in entries if _NAME.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_left(path)


def _remove_if_left(path: str) -> None:
    descriptor = _opened(path)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and held(descriptor):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
