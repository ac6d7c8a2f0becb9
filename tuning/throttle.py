"""How many questions are asked at a time: fewer while the service says that its quota is full."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Throttle:
    """Turns to ask. Their number is halved at each refusal for the quota, and grows by one in as many good answers.

    Args:
      most: turns at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._taken = 0
        self._free = threading.Condition()

    @property
    def allowed(self) -> int:
        """Turns at a time, now."""
        return int(self._allowed)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The block is a turn; it waits for one."""
        with self._free:
            self._free.wait_for(lambda: self._taken < self.allowed)
            self._taken += 1
        try:
            yield
        finally:
            with self._free:
                self._taken -= 1
                self._free.notify()

    def refused(self) -> None:
        """The quota was full."""
        with self._free:
            self._allowed = max(1.0, self._allowed / 2)

    def answered(self) -> None:
        """A question was answered."""
        with self._free:
            self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
            self._free.notify()
