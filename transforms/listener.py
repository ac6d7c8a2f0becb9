"""Receives the progress and messages of a verb: a terminal, a log, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

# Takes the amount of work that is done, and a note shown beside it ("" for none).
Update = Callable[[int, str], None]


class Listener(Protocol):
    """Receives messages and progress."""

    @property
    def live(self) -> bool:
        """Whether passing states are shown, as on a terminal. If not, only lasting messages are."""

    def say(self, line: str, /) -> None:
        """Takes one line for people. Line ends in it are not its own: whoever prints it must escape them."""

    def progress(self, what: str, total: int | None, unit: str = "", /) -> AbstractContextManager[Update]:
        """Shows the progress of some work while the block runs.

        Args:
          what: name of the work, e.g. "checking".
          total: total amount of work; None if not known.
          unit: unit of `total`, e.g. "clips"; "" to show a percentage.
        """

    def waiting(self, what: str, /) -> AbstractContextManager[Callable[[str], None]]:
        """Shows a wait while the block runs. Yields a function that takes the present state."""


class Silent:
    """A listener that shows nothing: the default of every verb."""

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
