"""The clock of the waiting loops. A test passes its own clock and does not wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time and sleeps.

    Attributes:
      now: returns the seconds since a fixed moment.
      sleep: sleeps for the given number of seconds.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()
# A job runs for hours: polling more often would tell nothing new.
POLL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a job is polled, and for how long.

    Attributes:
      poll_seconds: the longest time between two polls.
      timeout: seconds after which polling stops; None for never.
      clock: the clock that is used.
    """

    poll_seconds: float = POLL_SECONDS
    timeout: float | None = None
    clock: Clock = CLOCK


def jittered(seconds: float) -> float:
    """A random time from half of `seconds` to all of it, so that many clients do not send at the same moment."""
    return seconds * random.uniform(0.5, 1)


def backoff(failures: int, most: float) -> float:
    """The seconds to wait after a number of failures in a row: 2, 4, 8 …, jittered.

    Args:
      failures: 1 or more.
      most: upper bound, in seconds.
    """
    return jittered(min(most, 2.0 ** min(failures, 30)))
