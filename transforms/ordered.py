"""Work on threads: results in order, and a bounded number of calls in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import closing, suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def when_done(futures: Iterable[Future[R]], window: int) -> Generator[Future[R]]:
    """The futures in their order, each when it has a result or a fault. At most `window` have begun and not been taken.

    Args:
      futures: an iterator that begins the next piece of work when it is advanced.
      window: bounds the results in memory.
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
    # `futures.wait` would not do: it never wakes for a future that is cancelled by the shutdown of its executor.
    with suppress(CancelledError):
        future.exception()
    return future


def map_ordered(executor: Executor, fn: Callable[[T], R], values: Iterable[T], window: int) -> Iterator[R]:
    """`map` in the order of `values`, at most `window` calls ahead of the consumer.

    `Executor.map` would submit all values at once, and keep every result.
    """
    futures = when_done((executor.submit(fn, value) for value in values), window)
    with closing(futures):
        for future in futures:
            yield future.result()
