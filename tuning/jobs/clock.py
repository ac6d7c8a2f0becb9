"""Time as the waiting loops see it: a test passes a clock of its own and waits for nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds that pass.

    Attributes:
      now: seconds since any fixed moment.
      sleep: lets so many seconds pass.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()
# Of a service that runs a job for hours.
POLL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a job is followed.

    Attributes:
      poll_seconds: the longest time between two questions.
      timeout: seconds after which it is left alone; None for never.
      clock: that passes meanwhile.
    """

    poll_seconds: float = POLL_SECONDS
    timeout: float | None = None
    clock: Clock = CLOCK


def jittered(seconds: float) -> float:
    """Half of it to all of it, so that many clients do not come at once."""
    return seconds * random.uniform(0.5, 1)


def backoff(failures: int, most: float) -> float:
    """How long to wait after so many failures in a row: 2 s, 4 s, 8 s …, jittered.

    Args:
      failures: 1 or more.
      most: seconds at most.
    """
    return jittered(min(most, 2.0 ** min(failures, 30)))
