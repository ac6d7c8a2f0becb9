"""What google-genai raises beside its own errors, recognised without the names of its libraries, which change.

It sends requests with httpx, since 3.0 with httpx2, and for client certificates with requests. Their classes have the
same names and different modules, and any of them may be missing.
"""

from __future__ import annotations

import sys
from typing import NoReturn, Protocol

# What is raised before a byte of the request was sent.
_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_OURS = {"cliptune", "beam_pipeline", "transforms", "tuning"}


def is_librarys(fault: Exception) -> bool:
    """Whether some library has defined the class of `fault`: neither Python nor Cliptune."""
    return type(fault).__module__.partition(".")[0] not in sys.stdlib_module_names | _OURS


def is_called(fault: Exception, *names: str) -> bool:
    """Whether the class of `fault`, or one that it inherits from, has one of these names."""
    return any(kind.__name__ in names for kind in type(fault).__mro__)


def is_unsent(fault: Exception) -> bool:
    """Whether `fault` says that the request cannot have reached the service."""
    return is_called(fault, *_UNSENT)


def passed_through(fault: Exception, *packages: str) -> bool:
    """Whether `fault` was raised by these packages, or by what they have called."""
    trace = fault.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if any(f"{module}.".startswith(f"{package}.") for package in packages):
            return True
        trace = trace.tb_next
    return False


def words(fault: Exception) -> str:
    """The class of `fault`, and what the system or the installation lacks. Other texts may repeat a password."""
    text = " ".join(str(fault).split())[:200] if isinstance(fault, OSError | ImportError) else ""
    return ": ".join(filter(None, (type(fault).__name__, text)))


class Request(Protocol):
    """A request of any of the HTTP libraries."""

    @property
    def method(self) -> str:
        """As "POST"."""

    @property
    def url(self) -> object:
        """Its text is the URL."""

    @property
    def content(self) -> bytes:
        """The body."""


class CaughtError(Exception):
    """The request that would have been sent.

    Attributes:
      request: of the class of whichever HTTP library makes it.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class Catcher:
    """A transport for any of the HTTP libraries that sends nothing."""

    def handle_request(self, request: Request) -> NoReturn:
        """Raises CaughtError with the request."""
        raise CaughtError(request)

    def close(self) -> None:
        """Has nothing to close."""
