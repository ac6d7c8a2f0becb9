"""The processes of the cluster: each has a log, and none outlives its block."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

# Of one wait: on a machine with ten others, Java takes minutes to start.
PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.05

T = TypeVar("T")


def until(found: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """What `found` returns, once that is true.

    Raises:
      TimeoutError: it was not in time; the message is `what`.
    """
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s: {what}")
        time.sleep(_POLL_SECONDS)
    return answer


class Service:
    """A process that serves until it is ended, and whatever it starts.

    Attributes:
      name: of its log.
      environment: variables that the next process is started with.
      log: the file that has all that it prints; a process that is started again goes on in it.
    """

    def __init__(
        self, name: str, words: Sequence[str], folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.environment = environment or dict(os.environ)
        self._words = words
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *more: str) -> None:
        """Starts the process, as the head of a group of its own; `more` are words for this time only."""
        with self.log.open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    [*self._words, *more],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self._started[-1].pid

    def is_alive(self) -> bool:
        """Whether it runs."""
        return bool(self._started) and self._started[-1].poll() is None

    def children(self) -> set[int]:
        """The processes that it has started itself and that still run."""
        tasks = Path(f"/proc/{self.pid}/task")
        return {int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()}

    def kill(self) -> None:
        """Kills the process alone: those that it has started learn of it as they do on a machine that goes on."""
        self._started[-1].kill()
        self._started[-1].wait()

    def stop(self) -> None:
        """Ends the process and whatever it or its forerunners have started."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
