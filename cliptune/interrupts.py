"""Ctrl-C ends a command within a set time, whatever its threads wait for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def ends_within(seconds: float, console: Console, message: str, status: int) -> Iterator[None]:
    """Runs the body. Ctrl-C stops it and prints `message`; no exception leaves the block.

    A thread may wait minutes for a stalled connection, and Python ends with its last thread. A process that has not
    ended in time is therefore ended at once; so it is by a second Ctrl-C. That is safe: whatever a command leaves
    behind, its next run finds.

    Args:
      seconds: from Ctrl-C to the end of the process, at most.
      console: where people read.
      message: what has stopped, and how to go on.
      status: exit status of a process that did not end in time.
    """
    unsaid = threading.Lock()

    def tell() -> None:
        if unsaid.acquire(blocking=False):
            console.show_cursor()  # a progress bar hides it
            console.print(message)

    def end(*_: object) -> None:
        tell()
        os._exit(status)

    def interrupted(*_: object) -> None:
        signal.signal(signal.SIGINT, end)
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    # A background process ignores Ctrl-C, and a program that embeds Cliptune may handle it.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except KeyboardInterrupt:
        tell()
    finally:
        if signal.getsignal(signal.SIGINT) is interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
