"""The console of every command: stderr is for people, stdout for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

import orjson
import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cliptune import ends
from transforms.listener import Update

LINE_SECONDS = 30.0


class _Rich(rich.console.Console):
    """Stays quiet when stderr is full or nobody reads it: there is no place left to say so, and the work goes on."""

    def on_broken_pipe(self) -> None:
        """Rich would end the program, and close stdout too."""
        self.quiet = True

    def print(self, *lines: Any, **options: Any) -> None:  # noqa: ANN401 -- as Rich has it
        """Prints lines."""
        try:
            super().print(*lines, **options)
        except OSError:
            self.quiet = True


class Console:
    """A `Listener` that prints for people.

    Args:
      file: where to print; None for stderr.
      width: number of columns; None for the width of the terminal.
      terminal: whether `file` is treated as a terminal; None to detect it.
    """

    def __init__(self, file: IO[str] | None = None, width: int | None = None, terminal: bool | None = None) -> None:
        self.rich = _Rich(
            file=file,
            stderr=file is None,
            width=width,
            force_terminal=terminal,
            highlight=False,
            soft_wrap=True,
            markup=False,
        )

    @property
    def live(self) -> bool:
        """Whether this is a terminal."""
        return self.rich.is_terminal

    def say(self, line: str, /) -> None:
        """Prints a line."""
        self.rich.print(line)

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str = "", /) -> Iterator[Update]:
        """Shows a progress bar on a terminal and removes it at the end; elsewhere, prints a line from time to time."""
        if not self.live:
            yield self._lines(what, total, unit)
            return
        with Progress(*_columns(total, unit), console=self.rich, transient=True) as bar:
            task = bar.add_task(what, total=total, note="")
            yield lambda done, note: bar.update(task, completed=done, note=note)

    @contextmanager
    def waiting(self, what: str, /) -> Iterator[Callable[[str], None]]:
        """Shows the state in one line on a terminal and removes the line at the end."""
        with self.rich.status(what, spinner="line") as status:
            yield status.update

    def _lines(self, what: str, total: int | None, unit: str) -> Update:
        last = time.monotonic()

        def update(done: int, note: str) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                self.say(_line(what, done, total, unit) + (f", {note}" if note else ""))

        return update


def _columns(total: int | None, unit: str) -> list[ProgressColumn]:
    description: list[ProgressColumn] = [TextColumn("{task.description}")]
    if total is None:
        return [*description, TextColumn(f"{{task.completed:,}} {unit}  {{task.fields[note]}}")]
    count = [MofNCompleteColumn(), TextColumn(f"{unit}  {{task.fields[note]}}")] if unit else [TaskProgressColumn()]
    return [*description, BarColumn(), *count, TimeRemainingColumn()]


def _line(what: str, done: int, total: int | None, unit: str) -> str:
    if total is None:
        return f"{what}: {done:,} {unit}"
    return f"{what}: {done} of {total} {unit}" if unit else f"{what}: {100 * done // max(1, total)} %"


class Report(Protocol):
    """The report that a verb returns."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""


def print_json(report: Report) -> None:
    """Prints a report as the one line of stdout.

    Raises:
      UserError: stdout is closed or full, or nobody reads it.
    """
    ends.send(orjson.dumps(report.as_dict()).decode() + "\n")
