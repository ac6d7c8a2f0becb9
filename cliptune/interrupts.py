"""Ctrl-C ends a command within seconds, even if its threads wait for the network."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cliptune.console import Console

_PRINTING_SECONDS = 1.0


def _without_interrupts(swallowed: sys.UnraisableHookArgs) -> None:
    """Says of an exception that was swallowed what Python says, but nothing of Ctrl-C."""
    if not isinstance(swallowed.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(swallowed)


@contextmanager
def ends_within(
    seconds: float, console: Console, message: str, status: int, last: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Runs the block. At Ctrl-C, prints `message` and leaves the block without an exception.

    A thread may wait for a stalled connection for minutes, and Python ends only with its last thread. A process that
    has not ended in time is therefore killed, and a second Ctrl-C kills it at once. Every command can be killed at any
    time, because its next run repairs what it left behind.

    Args:
      seconds: the longest time from Ctrl-C to the end of the process.
      console: where the message is printed.
      message: says what has stopped and how to go on.
      status: exit status of a process that is killed.
      last: what such a process does last of all; it is not waited for if it takes long.
    """
    due, telling = [message], threading.Lock()

    def tell() -> None:
        # A third Ctrl-C would end the process in the middle of the words; only the main thread can keep it from that.
        is_ours = signal.getsignal(signal.SIGINT) is end and threading.current_thread() is threading.main_thread()
        if is_ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Another thread may be printing it just now.
        if telling.acquire(timeout=_PRINTING_SECONDS):
            while due:  # once only
                console.show_cursor()  # a progress bar hides the cursor
                console.insist(due.pop())
            telling.release()
        if is_ours:
            signal.signal(signal.SIGINT, end)

    def end(*_: object) -> None:
        tell()
        # Nobody may read what it prints, and the main thread may be in the middle of printing.
        doing = threading.Thread(target=last, daemon=True)
        doing.start()
        doing.join(_PRINTING_SECONDS)
        os._exit(status)

    def interrupted(*_: object) -> None:
        signal.signal(signal.SIGINT, end)
        # Python may be where no exception gets through, as in the middle of an import: then the timer ends the process.
        sys.unraisablehook = _without_interrupts
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    # A background process ignores Ctrl-C, and a program that calls `main` may have a handler of its own: both stay.
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    ours = before in (signal.default_int_handler, signal.SIG_DFL)
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except KeyboardInterrupt:
        tell()
    finally:
        if signal.getsignal(signal.SIGINT) is interrupted:
            signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
