"""The progress of a run on this machine, through a file that workers append to.

Workers may be processes, which share no memory with the launcher. A worker appends one mark of a fixed size for each
finished clip; appends of a few bytes are atomic. The launcher reads the new marks.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from transforms.clip import Outcome

_MARK = struct.Struct("<?I")  # accepted?, samples of the payload
_POLL_SECONDS = 0.2
_LINE_SECONDS = 30.0
_ROWS_A_STEP = 1_000

T = TypeVar("T")


class ProgressFile:
    """The file as workers write it: one mark a clip. With an empty path nothing is written."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND) if path and Path(path).exists() else None

    def note(self, outcome: Outcome) -> None:
        """Notes one finished clip."""
        if self._file is not None:
            os.write(self._file, _MARK.pack(outcome.status == "accepted", outcome.num_samples or 0))

    def close(self) -> None:
        """Closes the file; further notes are lost."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(slots=True)
class Tally:
    """The sum of the marks.

    Attributes:
      clips: finished, accepted or not.
      rejected: of these.
      samples: in the accepted payloads.
    """

    clips: int = 0
    rejected: int = 0
    samples: int = 0

    def add(self, marks: bytes) -> None:
        """Adds whole marks."""
        for accepted, samples in _MARK.iter_unpack(marks):
            self.clips += 1
            self.rejected += not accepted
            self.samples += samples


@contextmanager
def shown(path: Path, rows: int, sample_rate: int, console: Console) -> Iterator[None]:
    """Shows the run's progress while the body runs: a bar on a terminal, else a line now and then."""
    path.touch()
    done = threading.Event()
    watch = _bar if console.is_terminal else _lines
    thread = threading.Thread(target=watch, args=(path, rows, sample_rate, console, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def counted(rows: Iterable[T], console: Console) -> Iterator[T]:
    """The same rows; their number is shown while they are read."""
    last = time.monotonic()
    column = TextColumn("reading manifests  {task.completed:,} rows")
    with Progress(column, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        for number, row in enumerate(rows, start=1):
            if number % _ROWS_A_STEP == 0:
                bar.update(task, completed=number)
                if not console.is_terminal and time.monotonic() - last >= _LINE_SECONDS:
                    last = time.monotonic()
                    console.print(f"reading manifests: {number:,} rows")
            yield row


def _tallies(path: Path, done: threading.Event) -> Iterator[Tally]:
    """The tally at every poll, until the run is done."""
    tally = Tally()
    with path.open("rb") as stream:
        finished = False
        while not finished:
            finished = done.wait(_POLL_SECONDS)
            marks = stream.read()
            whole = len(marks) - len(marks) % _MARK.size
            stream.seek(whole - len(marks), os.SEEK_CUR)
            tally.add(marks[:whole])
            yield tally


def _bar(path: Path, rows: int, sample_rate: int, console: Console, done: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("clips  {task.fields[rate]:.1f}/s  {task.fields[hours]:.2f} h  {task.fields[rejected]} rejected"),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=rows, rate=0.0, hours=0.0, rejected=0)
        for tally in _tallies(path, done):
            rate = tally.clips / (time.monotonic() - start)
            hours = tally.samples / sample_rate / 3600
            bar.update(task, completed=tally.clips, rate=rate, hours=hours, rejected=tally.rejected)


def _lines(path: Path, rows: int, sample_rate: int, console: Console, done: threading.Event) -> None:
    start = last = time.monotonic()
    for tally in _tallies(path, done):
        now = time.monotonic()
        if now - last >= _LINE_SECONDS:
            last = now
            rate, hours = tally.clips / (now - start), tally.samples / sample_rate / 3600
            console.print(
                f"{tally.clips} of {rows} clips, {rate:.1f}/s, {hours:.2f} h of audio, {tally.rejected} rejected"
            )
