"""The console of every command: stderr is for people, stdout for programs.

Whatever people read passes through `printable` here, for any of it may have come from elsewhere: from a manifest, a
dataset, a service, a flag. A call is a line, whatever line ends are in it. Nothing else prints.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import IO, Any, NoReturn, Protocol

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from transforms import printable
from transforms.errors import UsageError
from transforms.listener import Update

LINE_SECONDS = 30.0
_LONGEST_BAR, _SHORTEST_BAR = 40, 5
# Variables that tell the size of the terminal. Rich prints nothing in no columns, and fails on what is no number.
_SIZES = ("COLUMNS", "LINES")
_MAX_SIZE = 10_000


class Report(Protocol):
    """The report that a verb returns."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""


class Verbosity(Enum):
    """How much people are told: what is wrong alone (-q), how it goes, or more of it (-v)."""

    QUIET = "quiet"
    USUAL = "usual"
    VERBOSE = "verbose"


_LOG_LEVELS = {
    Verbosity.QUIET: logging.ERROR,
    Verbosity.USUAL: logging.WARNING,
    Verbosity.VERBOSE: logging.INFO,
}


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

    Attributes:
      verbosity: how much is printed.
      report: what the command has made, for stdout; None before.
      fault: why it has failed, in one line that is printed already; "" if that is not said.
      is_json: whether stdout is to be one line of JSON: not of a command whose stdout is something else.
      unsent: has one element until that line is printed.
    """

    def __init__(self, file: IO[str] | None = None, width: int | None = None, terminal: bool | None = None) -> None:
        self.verbosity = Verbosity.USUAL
        self.report: dict[str, Any] | None = None
        self.fault = ""
        self.is_json = True
        self.unsent = [True]
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

    @property
    def log_level(self) -> int:
        """Of what libraries log, what is printed."""
        return _LOG_LEVELS[self.verbosity]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is printed but what is wrong."""
        return self.verbosity is Verbosity.QUIET

    def say(self, line: str, /) -> None:
        """Prints a line, unless the console is quiet."""
        if not self.is_quiet:
            self.insist(line)

    def insist(self, line: str, /) -> None:
        """Prints a line that must be seen: what is wrong, or a question."""
        self._rich.print(_text(line))

    def fail(self, why: str, command: str = "", /) -> None:
        """Prints why the command fails though it has made a report."""
        self.fault = why
        self.insist(f"cliptune {command}: {why}" if command else why)

    def give(self, report: Report, /) -> None:
        """Takes the report of the command, which is printed on stdout at its end."""
        self.report = report.as_dict()

    def show_cursor(self) -> None:
        """Shows the cursor, which a progress bar hides."""
        self._rich.show_cursor()

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str = "", /) -> Iterator[Update]:
        """Shows a progress bar on a terminal and removes it at the end; elsewhere, prints a line from time to time."""
        if not self.live:
            yield self._lines(what, total, unit)
            return
        with _bar(total, unit, console=self._rich, transient=True, disable=self.is_quiet) as bar:
            task = bar.add_task(printable.printable(what), total=total, note="")
            yield lambda done, note: bar.update(task, completed=done, note=printable.printable(note))

    @contextmanager
    def waiting(self, what: str, /) -> Iterator[Callable[[str], None]]:
        """Shows the state in one line on a terminal and removes the line at the end."""
        if self.is_quiet:
            yield lambda state: None
            return
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


class _Bar(Progress):
    """A progress bar in one line of any terminal: what has no room is left out, instead of all being cut.

    Args:
      columns: from left to right.
      worth: the same columns, the first to stay first.
      options: as Rich has them.
    """

    def __init__(self, columns: Sequence[ProgressColumn], worth: Sequence[ProgressColumn], **options: Any) -> None:  # noqa: ANN401
        self._every, self._worth = tuple(columns), tuple(worth)
        super().__init__(*columns, **options)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """The line, of the columns that fit."""
        shown = list(tasks)
        if not shown:  # at the beginning, before there is a console
            return super().make_tasks_table(shown)
        room, fitting = self.console.width, set()
        for column in self._worth:
            width = max(_width(column, task) for task in shown)
            if width and width < room:
                room -= width + 1
                fitting.add(column)
        self.columns = tuple(column for column in self._every if column in fitting)
        for bar in self.columns:
            if isinstance(bar, BarColumn):
                bar.bar_width = min(_LONGEST_BAR, _SHORTEST_BAR + room)
        return super().make_tasks_table(shown)


def _width(column: ProgressColumn, task: Task) -> int:
    """The width that a column needs."""
    shown = column(task)
    return shown.cell_len if isinstance(shown, Text) else _SHORTEST_BAR


def _bar(total: int | None, unit: str, **options: Any) -> _Bar:  # noqa: ANN401 -- as Rich has them
    description = TextColumn("{task.description}", markup=False)
    note = TextColumn("{task.fields[note]}", markup=False)
    if total is None:
        count: ProgressColumn = TextColumn(f"{{task.completed:,}} {unit}", markup=False)
        return _Bar([description, count, note], [description, count, note], **options)
    units, bar, time_left = TextColumn(unit, markup=False), BarColumn(), TimeRemainingColumn()
    count = MofNCompleteColumn() if unit else TaskProgressColumn()
    notes = [note] if unit else []
    columns = [description, bar, count, units, *notes, time_left]
    return _Bar(columns, [description, count, units, time_left, bar, *notes], **options)


def _line(what: str, done: int, total: int | None, unit: str) -> str:
    if total is None:
        return f"{what}: {done:,} {unit}"
    return f"{what}: {done} of {total} {unit}" if unit else f"{what}: {100 * done // max(1, total)} %"


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong with a command line, and lets nobody read all flags because of one."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError: the message, and where there is help."""
        raise UsageError(f"{message}; see {self.prog} --help")


class LogLines(logging.Handler):
    """Prints what libraries log, each record as a line of the console.

    Args:
      console: where to print.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console.log_level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the message without a traceback: an error that ends the command is told by the command itself."""
        self._console.insist(record.getMessage().strip().partition("\n")[0])


@contextmanager
def logs_to(console: Console) -> Iterator[None]:
    """While the block runs, what libraries log and nobody else takes is printed on the console."""
    usual, logging.lastResort = logging.lastResort, LogLines(console)
    level = logging.root.level
    if console.verbosity is Verbosity.VERBOSE:
        logging.root.setLevel(console.log_level)
    try:
        yield
    finally:
        logging.lastResort = usual
        logging.root.setLevel(level)
