"""What commands tell: people on stderr, with a bar on a terminal, else a line now and then; machines on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 30.0


def open_console() -> Console:
    """The console for people; stdout is for machines."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def print_json(tree: dict[str, Any]) -> None:
    """The one line of stdout."""
    sys.stdout.write(orjson.dumps(tree).decode() + "\n")


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far a piece of work has come.

    Args:
      console: where.
      what: e.g. "checking".
      total: of all that will be told, in any unit.

    Yields:
      A function to be called with each amount done.
    """
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda amount: bar.advance(task, amount)
        return
    done, last = 0, time.monotonic()

    def advance(amount: int) -> None:
        nonlocal done, last
        done += amount
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            console.print(f"{what}: {100 * done // max(1, total)} %")

    yield advance
