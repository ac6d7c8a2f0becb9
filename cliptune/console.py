"""The console of every command: stderr is for people, stdout for programs.

Whatever people read passes through `printable` here, for any of it may have come from elsewhere: from a manifest, a
dataset, a service, a flag. A call is a line, whatever line ends are in it. Nothing else prints.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, NoReturn, Protocol

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
from rich.text import Text

from cliptune import ends
from transforms import printable
from transforms.listener import Update

LINE_SECONDS = 30.0
# Variables that tell the size of the terminal. Rich prints nothing in no columns, and fails on what is no number.
_SIZES = ("COLUMNS", "LINES")
_MAX_SIZE = 10_000


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
        self._rich = _Rich(
            file=file,
            stderr=file is None,
            width=width,
            force_terminal=terminal,
            highlight=False,
            soft_wrap=True,
            markup=False,
            emoji=False,
            _environ={name: text for name, text in os.environ.items() if name not in _SIZES or _is_size(text)},
        )

    @property
    def live(self) -> bool:
        """Whether this is a terminal."""
        return self._rich.is_terminal

    def say(self, line: str, /) -> None:
        """Prints a line."""
        self._rich.print(_text(line))

    def show_cursor(self) -> None:
        """Shows the cursor, which a progress bar hides."""
        self._rich.show_cursor()

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str = "", /) -> Iterator[Update]:
        """Shows a progress bar on a terminal and removes it at the end; elsewhere, prints a line from time to time."""
        if not self.live:
            yield self._lines(what, total, unit)
            return
        with Progress(*_columns(total, unit), console=self._rich, transient=True) as bar:
            task = bar.add_task(printable.printable(what), total=total, note="")
            yield lambda done, note: bar.update(task, completed=done, note=printable.printable(note))

    @contextmanager
    def waiting(self, what: str, /) -> Iterator[Callable[[str], None]]:
        """Shows the state in one line on a terminal and removes the line at the end."""
        with self._rich.status(_text(what), spinner="line") as status:
            yield lambda state: status.update(_text(state))

    def _lines(self, what: str, total: int | None, unit: str) -> Update:
        last = time.monotonic()

        def update(done: int, note: str) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                self.say(_line(what, done, total, unit) + (f", {note}" if note else ""))

        return update


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and 0 < int(text) <= _MAX_SIZE


def _text(text: str) -> Text:
    """The text as it is printed. A `Text` has no markup, no emoji codes and no highlights."""
    return Text(printable.printable(text))


def _columns(total: int | None, unit: str) -> list[ProgressColumn]:
    description: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    if total is None:
        return [*description, TextColumn(f"{{task.completed:,}} {unit}  {{task.fields[note]}}", markup=False)]
    noted = TextColumn(f"{unit}  {{task.fields[note]}}", markup=False)
    count = [MofNCompleteColumn(), noted] if unit else [TaskProgressColumn()]
    return [*description, BarColumn(), *count, TimeRemainingColumn()]


def _line(what: str, done: int, total: int | None, unit: str) -> str:
    if total is None:
        return f"{what}: {done:,} {unit}"
    return f"{what}: {done} of {total} {unit}" if unit else f"{what}: {100 * done // max(1, total)} %"


class Parser(argparse.ArgumentParser):
    """A parser whose messages about a wrong command line pass through `printable`, too."""

    def error(self, message: str) -> NoReturn:
        """Prints usage and message, and exits with status 2."""
        super().error(printable.printable(message))


class LogLines(logging.Handler):
    """Prints what libraries log, each record as a line of the console.

    Args:
      console: where to print.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the message without a traceback: an error that ends the command is told by the command itself."""
        self._console.say(record.getMessage().strip().partition("\n")[0])


@contextmanager
def logs_to(console: Console) -> Iterator[None]:
    """While the block runs, what libraries log and nobody else takes is printed on the console."""
    usual, logging.lastResort = logging.lastResort, LogLines(console)
    try:
        yield
    finally:
        logging.lastResort = usual


class Report(Protocol):
    """The report that a verb returns."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""


def print_json(report: Report) -> None:
    """Prints a report as the one line of stdout, after all that is said: who merges both streams finds it last.

    Its texts are whole. What would drive a terminal that shows it is spelt as JSON's own escapes.

    Raises:
      UserError: stdout is closed or full, or nobody reads it.
    """
    line = orjson.dumps(report.as_dict()).decode()
    ends.send(printable.json_escaped(line) + "\n")
