"""The memory of all tasks of a process at a time, whatever the number of its threads."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

# What a process of the runner may take, with all that it starts.
PROCESS_BYTES = 1536 << 20
# Of it, for tasks: the rest is for the program, its libraries, the nursery, what is read ahead, and results.
TASK_BYTES = 960 << 20
# Of one task that is not known to need more. It is enough for a minute of 48 kHz stereo.
MIN_SHARE_BYTES, MAX_SHARE_BYTES = 64 << 20, 160 << 20


class Budget:
    """Bytes that tasks hold while they run. Who came first is served first, so that none waits for ever.

    Attributes:
      total: bytes of all tasks at a time.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._held = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self.total - self._held

    @contextlib.contextmanager
    def holding(self, amount: int) -> Iterator[None]:
        """The block holds so many bytes; one that wants more than there are holds all, alone."""
        amount, ticket = min(amount, self.total), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and amount <= self.free)
                self._held += amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()  # the next one may fit, too
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()

    def share(self, tasks: int) -> int:
        """What each of so many tasks gets at first."""
        return max(MIN_SHARE_BYTES, min(self.total // tasks, MAX_SHARE_BYTES))


# All pools of this process share it.
TASKS = Budget(TASK_BYTES)
