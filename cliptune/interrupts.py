"""Ctrl-C ends a command soon, whatever its threads wait for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def ends_within(seconds: float, console: Console, message: str, status: int) -> Iterator[None]:
    """Runs the body; Ctrl-C ends it in order and tells `message`, and does not leave the block as an exception.

    A thread that waits for a stalled connection does so for minutes, and Python ends with its last thread. So a process
    that has not ended in time is ended as it is, and at once by a second Ctrl-C: no command leaves anything behind
    that its next run does not see.

    Args:
      seconds: from Ctrl-C to the end of the process, at most.
      console: where people read.
      message: what has stopped, and how it goes on.
      status: of a process that was ended before its time.
    """
    untold = threading.Lock()

    def tell() -> None:
        if untold.acquire(blocking=False):
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

    # A process in the background ignores Ctrl-C, and an embedding one may see to it itself.
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
