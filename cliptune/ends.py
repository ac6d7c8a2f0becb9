"""The ends of a process: its standard streams, which may be closed or full, and its temporary folder."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from transforms.errors import UserError

# What the extra "tuning" installs, by the names of its modules.
TUNING_MODULES = (
    *("google.genai", "google.cloud.aiplatform", "google.cloud.aiplatform_v1beta1"),
    *("httpx", "httpx2", "pydantic", "starlette", "uvicorn"),
)
# A disk that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


@contextmanager
def streams() -> Iterator[None]:
    """While the block runs, all three standard streams are open, and no text is beyond them."""
    # Else the next file that is opened would be the missing stream, and get what libraries print; in workers too.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # JSON is, whatever the terminal
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with suppress(UserError):
            send("")


def send(text: str) -> None:
    """Prints on stdout, and sends what was printed before.

    Raises:
      UserError: nobody can get it.
    """
    if sys.stdout is None:
        raise UserError("cannot write to stdout: it is closed")
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()  # both may lead to one place, where the order counts
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as fault:
        # Python would try again at its end, and fail with a message of its own.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise UserError(f"cannot write to stdout: {fault.strerror}") from None


def require_temporary_folder() -> None:
    """Refuses to begin without a place for temporary files.

    Raises:
      UserError: no folder can be written.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise UserError("no folder for temporary files can be written; name one in TMPDIR") from None


def require_current_folder() -> None:
    """Refuses to begin in a folder that was deleted: no path that is relative leads anywhere.

    Raises:
      UserError: there is no current folder.
    """
    try:
        os.getcwd()  # noqa: PTH109 -- no path is made of it
    except OSError:
        raise UserError("the current folder is not there any more; change to one that is") from None


def refusal(fault: BaseException) -> str:
    """What to do about something that the system does not let this process have; "" for any other exception."""
    if isinstance(fault, PermissionError) and fault.filename is not None:
        return f"{fault.filename}: no permission; it cannot be read, changed or removed by this user"
    if isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files are open for the system; raise its limit (ulimit -n)"
    if isinstance(fault, MemoryError) or (isinstance(fault, OSError) and fault.errno == errno.ENOMEM):
        return "the system gives this process no more memory; raise its limit, or use a larger machine"
    if isinstance(fault, RuntimeError) and str(fault).startswith("can't start new thread"):
        return "the system lets this process start no more threads; raise its limits (ulimit -u, ulimit -v)"
    if isinstance(fault, OSError) and fault.errno in _FULL and fault.filename is not None:
        return f"{fault.filename}: {fault.strerror}"
    return ""


def missing_extra(fault: ModuleNotFoundError) -> str:
    """What to install for a module that is missing; "" if that is no fault of the user's."""
    name = fault.name or ""
    if not any(name == module or name.startswith(f"{module}.") for module in TUNING_MODULES):
        return ""
    return f"{name} is not installed; run: pip install 'cliptune[tuning]'"
