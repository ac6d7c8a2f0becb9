"""Names of what is still being written, or about to be removed, on this machine: whose it is, and whether they live.

Who writes such a file, or fills such a folder, holds it until it has its name: a dead one of any machine holds nothing.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from transforms.locks import held
from transforms.storage.base import Guard
from transforms.storage.uris import join

PART_PREFIX = ".cliptune-part-"  # a file still being written; a killed run may leave one behind
_NOBODY = "0" * 16  # the owner of a file that is written without a guard
_OWNED = re.compile(rf"{re.escape(PART_PREFIX)}([0-9a-f]{{16}})-[0-9a-f]{{32}}")


def name_for(guard: Guard | None) -> str:
    """A new name, with the owner in it."""
    return f"{PART_PREFIX}{guard.owner if guard else _NOBODY}-{uuid.uuid4().hex}"


def begin_bin(folder: str, guard: Guard) -> tuple[Path, int]:
    """A new folder for what is to be removed, held by this process as `_begin` has it."""
    while True:
        bin_ = Path(folder) / name_for(guard)
        bin_.mkdir(parents=True)
        descriptor = os.open(bin_, os.O_RDONLY | os.O_CLOEXEC)
        if held(descriptor) is not False and bin_.exists():
            return bin_, descriptor
        os.close(descriptor)


def sweep(folder: str, guard: Guard | None = None) -> None:
    """Removes half-written files, and bins, that dead processes or other owners have left below `folder`."""
    for top, folders, names in os.walk(folder):
        if guard is not None and top != folder and Path(guard.uri).name in names:
            folders.clear()  # somebody else's folder within this one
            continue
        for name in filter(_OWNED.fullmatch, list(folders)):
            folders.remove(name)
            if _is_anothers(name, guard) or _is_left(join(top, name), os.O_RDONLY):
                _empty(Path(top, name), Path(top, name_for(guard)))
        for name in names:
            if name.startswith(PART_PREFIX) and (_is_anothers(name, guard) or _is_left(join(top, name), os.O_RDWR)):
                with suppress(OSError):  # not ours to remove
                    os.unlink(join(top, name))  # noqa: PTH108 -- the text as written


def _empty(bin_: Path, aside: Path) -> None:
    with suppress(OSError):
        if bin_.is_symlink():
            bin_.unlink()
            return
        bin_.rename(aside)  # from now on nothing can be put into it
        shutil.rmtree(aside, ignore_errors=True)


def _is_anothers(name: str, guard: Guard | None) -> bool:
    found = _OWNED.fullmatch(name)
    return bool(found and guard and found[1] not in (guard.owner, _NOBODY))


def _is_left(path: str, mode: int) -> bool:
    """Whether no process holds a half-written file or a bin. A dead one of any machine or container holds nothing."""
    try:
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.ELOOP  # a link is no file that is being written
    try:
        return bool(held(descriptor))
    finally:
        os.close(descriptor)
