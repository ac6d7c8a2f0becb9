"""The ends of a process: its standard streams, which may be closed or full, and its temporary folder."""

from __future__ import annotations

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
    *("httpx", "pydantic", "starlette", "uvicorn"),
)


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


def missing_extra(fault: ModuleNotFoundError) -> str:
    """What to install for a module that is missing; "" if that is no fault of the user's."""
    name = fault.name or ""
    if not any(name == module or name.startswith(f"{module}.") for module in TUNING_MODULES):
        return ""
    return f"{name} is not installed; run: pip install 'cliptune[tuning]'"
