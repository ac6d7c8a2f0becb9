"""Every exception of Cliptune, by whose fault it is and who can fix it.

    CliptuneError
    ├── ClipRejected             the clip's fault: an outcome in the ledger; the run goes on
    ├── UserError                the user can fix it: one line, exit status 1
    │   ├── UsageError           the request breaks a rule: one line, exit status 2
    │   ├── OvertakenError       another run has taken the output: one line, exit status 1
    │   ├── OutsideError         a path leads out of the folders that may be read: one line, exit status 1
    │   ├── ManifestChangedError a manifest changed while it was read: the same command again reads it anew
    │   └── TooLongError         a file that is read whole is longer than any such file
    ├── StorageError             the storage failed: the runner retries, else one line, exit status 1
    │   └── UnreadableError      the disk failed on one file: of a clip, the clip's fault
    ├── ServiceError             the tuning service refused or did not answer: one line, exit status 1
    └── BrokenPromiseError       our fault: a traceback
        ├── AccountingError      rows were lost or doubled
        └── PayloadError         a payload is not what it was made from: in the closed region, the clip's fate

Functions that open files also raise Python's FileNotFoundError, IsADirectoryError and PermissionError, and
NotARegularFileError for a pipe, a socket or a device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from transforms.printable import printable
from transforms.reasons import Reason


class CliptuneError(Exception):
    """The root of the tree."""


class ClipRejected(CliptuneError):
    """This clip cannot become an example; the run goes on without it.

    Attributes:
      reason: one of `reasons.REASONS`.
      detail: what was found, with the rule and the value, without text from a library; one printable line.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        detail = printable(detail)
        super().__init__(reason, detail)  # args match __init__, so it pickles
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class UserError(CliptuneError):
    """The run cannot go on, and the user can fix the problem: one line, exit status 1."""


class UsageError(UserError, ValueError):
    """A request breaks a rule: one line, exit status 2.

    Attributes:
      field: name of the wrong field and of its flag; "" if no single field is wrong.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field)
        self.field = field

    def __str__(self) -> str:
        return str(self.args[0])


class ManifestChangedError(UserError):
    """A manifest is not what it was when its rows were counted."""


class TooLongError(UserError):
    """A file that is read whole is longer than any such file; of a row's text, that row's fault."""


def require(holds: bool, field: str, rule: str, value: object) -> None:
    """Refuses a field that breaks a rule.

    Raises:
      UsageError: "`field` must be `rule`, got `value`".
    """
    if not holds:
        raise UsageError(f"{field} must be {rule}, got {value!r}", field)


class OvertakenError(UserError):
    """Another run has taken the output over: nothing more is written into it."""


class StorageError(CliptuneError):
    """The storage failed after the client's own retries. The runner may retry the whole bundle."""


class UnreadableError(StorageError):
    """The disk failed on one file, again and again: of a clip, that clip's fault."""

    def __init__(self, fact: str, name: str = "") -> None:
        super().__init__(fact, name)
        self.fact = fact

    def __str__(self) -> str:
        return ": ".join(filter(None, reversed(self.args)))


class ServiceError(CliptuneError):
    """The tuning service refused, or did not answer: one line, exit status 1.

    Attributes:
      transient: whether the same call may succeed later.
      code: HTTP status of the answer; None without an answer.
      sent: whether the request may have reached the service.
    """

    def __init__(self, message: str, transient: bool = False, code: int | None = None, sent: bool = True) -> None:
        super().__init__(message, transient, code, sent)
        self.transient = transient
        self.code = code
        self.sent = sent

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have been carried out, because the service gave no answer or a server error."""
        return self.sent and (self.code is None or self.code == 408 or self.code >= 500)

    @property
    def missing(self) -> bool:
        """Whether the service knows nothing of the requested name."""
        return self.code == 404

    def __str__(self) -> str:
        return str(self.args[0])


class BrokenPromiseError(CliptuneError, RuntimeError):
    """A fault of Cliptune, not of the user: it is shown as a traceback."""


class AccountingError(BrokenPromiseError):
    """Rows were lost or doubled on the way."""


class PayloadError(BrokenPromiseError):
    """A payload does not decode to the samples from which it was encoded."""


class NotARegularFileError(OSError):
    """The path names a pipe, socket or device, whose contents may never end."""


class OutsideError(UserError, NotARegularFileError):
    """The path leads out of the folders in which files may be read or written, by a link or by ".."."""

    def __str__(self) -> str:
        if self.filename is None:
            return str(self.args[0])
        return f"{self.filename!r} is, or lies behind, {self.strerror}; put the file itself there"


# The errors that a command prints in one line.
TOLD = (UserError, StorageError, ServiceError)


def in_traceback(text: str) -> CliptuneError | None:
    """The last error of `TOLD` in the text of a traceback; None without one.

    A runner elsewhere sends a worker's exception as such a text. Errors are recognised by the names of their classes.
    """
    found = [(match.start(), kind, match.group(1)) for kind in told() for match in _raised(kind, text)]
    if not found:
        return None
    _, kind, message = max(found, key=lambda line: line[0])
    return kind(message)


def told() -> Iterator[type[CliptuneError]]:
    """The classes of `TOLD` and all their subclasses."""
    waiting = list[type[CliptuneError]](TOLD)
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()


def _raised(kind: type[CliptuneError], text: str) -> Iterator[re.Match[str]]:
    name = re.escape(f"{kind.__module__}.{kind.__qualname__}")
    return re.finditer(rf"^{name}: (.*)$", text, re.MULTILINE)
