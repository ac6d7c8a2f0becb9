"""Who is told how a piece of work goes: a terminal, a log, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

# Takes how much is done so far, and a note that stands beside it ("" for none).
Update = Callable[[int, str], None]


class Listener(Protocol):
    """Who is told."""

    @property
    def live(self) -> bool:
        """Whether what passes is shown too, as on a terminal; else only what stays."""

    def say(self, line: str, /) -> None:
        """Takes a line for people."""

    def progress(self, what: str, total: int | None, unit: str = "", /) -> AbstractContextManager[Update]:
        """Shows how far a piece of work has come, while the block runs.

        Args:
          what: is done, e.g. "checking".
          total: of all that will be done; None if not known.
          unit: of `total`, e.g. "clips"; "" to show a percentage.
        """

    def waiting(self, what: str, /) -> AbstractContextManager[Callable[[str], None]]:
        """Shows that something is waited for while the block runs; yields a function that takes its state."""


class Silent:
    """A listener that hears nothing: the default of every verb."""

    live = False

    def say(self, line: str, /) -> None:
        """Drops the line."""

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str = "", /) -> Iterator[Update]:
        """Shows nothing."""
        yield lambda done, note: None

    @contextmanager
    def waiting(self, what: str, /) -> Iterator[Callable[[str], None]]:
        """Shows nothing."""
        yield lambda state: None


SILENT = Silent()
