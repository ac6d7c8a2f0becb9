"""The one line of stdout: what a command reports, whether all went well, and if not, why.

Every command that reports prints it, last of all and whatever happened, so that a script reads one JSON in any case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from cliptune import ends
from cliptune.exits import IN_WORDS, Exit
from transforms import printable
from transforms.errors import (
    CliptuneError,
    ManifestChangedError,
    OutsideError,
    OvertakenError,
    ServiceError,
    StorageError,
    UsageError,
    UserError,
)

# The first that an error is one of, the narrower before the wider.
_KINDS = {
    UsageError: "usage",
    OvertakenError: "overtaken",
    OutsideError: "outside",
    ManifestChangedError: "manifest_changed",
    UserError: "user",
    StorageError: "storage",
    ServiceError: "service",
}
# What neither an error nor an exit status names.
NOT_INSTALLED, SYSTEM, BUG = "not_installed", "system", "bug"
_PLACE = re.compile(r"(\S+): ")
_FLAG = re.compile(r"--(?!help)\w+")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a command did not do what it was asked for.

    Attributes:
      kind: who can mend it: "usage" (the command line), "user" (what is named in the message), "outside" (a path leads
        out of the folders that may be read), "overtaken" (another run has taken the output), "manifest_changed" (the
        same command again reads it anew), "storage" and "service" (later it may work), "not_installed", "system" (it
        does not let this process have something) or "bug" (of Cliptune). Where the command has made a report: the exit
        status, as "failed", "too_many_rejected", "job_failed", "job_cancelled", "still_running", "no_endpoint",
        "fail_if" or "interrupted".
      message: the line that people read on stderr, without the command's name.
      where: the flag, file or "file:line" that the message is about; "" for none.
      exit_status: of the command.
    """

    kind: str
    message: str
    where: str
    exit_status: int

    @staticmethod
    def of(error: CliptuneError, status: Exit) -> Fault:
        """That of an error that is told in one line."""
        kind = next(name for kinds, name in _KINDS.items() if isinstance(error, kinds))
        if not isinstance(error, UsageError):
            return Fault(kind, str(error), place_of(str(error)), status)
        message = f"--{error}" if error.field and not str(error).startswith("--") else str(error)
        flags = _FLAG.findall(message)
        return Fault(kind, message, flags[0] if flags else "", status)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: a text that is no Unicode, such as a damaged file name, would be none."""
        told = {**asdict(self), "message": printable.printable(self.message)}
        return {**told, "where": self.where.encode(errors="backslashreplace").decode()}


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that has failed. A report that it has made all the same stands beside these fields.

    Attributes:
      ok: false.
      error: why.
    """

    ok: bool
    error: Fault


def place_of(message: str) -> str:
    """The file, or "file:line", that a message begins with; "" for none."""
    found = _PLACE.match(message)
    return found[1] if found else ""


def failed(status: Exit, why: str = "") -> Fault:
    """That of a command whose exit status says what it is."""
    message = why or IN_WORDS[status]
    return Fault(status.name.lower(), message, place_of(why), status)


def bug(error: Exception) -> Fault:
    """That of an exception that is told by its traceback."""
    return replace(failed(Exit.FAILED, f"{type(error).__name__}: {error}"), kind=BUG, where="")


def send(report: Mapping[str, Any] | None, fault: Fault | None) -> None:
    """Prints the line.

    Its texts are whole. What would drive a terminal that shows it is spelt as JSON's own escapes.

    Args:
      report: what the command has made, as a tree of JSON; None for nothing.
      fault: why it has failed; None if it has not.

    Raises:
      UserError: stdout is closed or full, or nobody reads it.
    """
    told = {"ok": True} if fault is None else {"ok": False, "error": fault.as_dict()}
    # A job has an error of its own, which is what the service says of it: no field of a report is put away.
    tree = {**(report or {}), **{name: value for name, value in told.items() if name not in (report or {})}}
    ends.send(printable.json_escaped(orjson.dumps(tree).decode()) + "\n")
