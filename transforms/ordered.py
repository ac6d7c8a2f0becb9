"""Work in flight: its results in order, and never more of it than a window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import closing, suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def when_done(futures: Iterable[Future[R]], window: int) -> Generator[Future[R]]:
    """The futures in their order, each when it is done, well or not; at most `window` are begun and not yet taken.

    Args:
      futures: begins a piece of work whenever the next one is asked for.
      window: which bounds what waits in memory.
    """
    pending: deque[Future[R]] = deque()
    try:
        for future in futures:
            pending.append(future)
            if len(pending) >= window:
                yield _done(pending.popleft())
        while pending:
            yield _done(pending.popleft())
    finally:
        for future in pending:
            future.cancel()


def _done(future: Future[R]) -> Future[R]:
    # Not `futures.wait`: a future that its executor's shutdown cancels never wakes that.
    with suppress(CancelledError):
        future.exception()
    return future


def map_ordered(executor: Executor, fn: Callable[[T], R], values: Iterable[T], window: int) -> Iterator[R]:
    """`map` in the order of `values`, at most `window` calls ahead of the consumer.

    `Executor.map` would submit everything at once, and hold every result.
    """
    futures = when_done((executor.submit(fn, value) for value in values), window)
    with closing(futures):
        for future in futures:
            yield future.result()
