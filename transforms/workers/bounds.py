"""What a worker may take for one task: processor time, time on the clock, and memory. The system enforces it."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transforms.workers import budget

# The default action of both signals ends the process, in whatever native code it hangs.
CPU_SIGNAL, WALL_SIGNAL = signal.SIGPROF, signal.SIGALRM
# The exit status of a worker whose allocation failed: what it holds then is in doubt.
OUT_OF_MEMORY = 71


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one task.

    Attributes:
      cpu_seconds: of the processor. Few recordings take a second.
      wall_seconds: on the clock, without the time in which the storage is waited for. It is for what hangs without
        working: on a busy machine, a task may get a tenth of a processor.
      memory_bytes: more than the worker began with, of a task that has all there is. Some systems do not enforce it.
    """

    cpu_seconds: float = 30.0
    wall_seconds: float = 300.0
    memory_bytes: int = budget.TASK_BYTES


DEFAULT = Bounds()


class Clock:
    """The timers of a worker's task."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The block is a task: it ends within the bounds, or the process does."""
        _set(self._bounds.wall_seconds, self._bounds.cpu_seconds)
        try:
            yield
        finally:
            _set(0, 0)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The block waits for the storage, which has time limits of its own."""
        wall, cpu = _set(0, 0)
        try:
            yield
        finally:
            _set(wall, cpu)


def _set(wall: float, cpu: float) -> tuple[float, float]:
    """Sets both timers, 0 for none; what was left of them."""
    return signal.setitimer(signal.ITIMER_REAL, wall)[0], signal.setitimer(signal.ITIMER_PROF, cpu)[0]


class Memory:
    """The memory of a worker's tasks, beyond what the worker has when it begins."""

    def __init__(self) -> None:
        self._begun = _data_bytes()
        self._hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        self._allowed = 0

    def allow(self, num_bytes: int) -> None:
        """Makes allocations of this process, and of each that it starts, fail beyond so many bytes."""
        if num_bytes == self._allowed:
            return
        most = self._begun + num_bytes
        if self._hard != resource.RLIM_INFINITY:
            most = min(most, self._hard)
        with contextlib.suppress(ValueError, OSError):  # some systems have the limit in name only
            resource.setrlimit(resource.RLIMIT_DATA, (most, self._hard))
        self._allowed = num_bytes


def left() -> int | None:
    """Bytes that this process may still allocate; None where nothing limits them."""
    most = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if most == resource.RLIM_INFINITY else max(0, most - _data_bytes())


def _data_bytes() -> int:
    """Bytes that this process has allocated, as RLIMIT_DATA counts them; 0 where the system does not tell."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) << 10 if found else 0


def death(exit_code: int, bounds: Bounds) -> tuple[str, bool]:
    """Why a worker died, for people; and whether it reached a limit, so that a second try would as well.

    Args:
      exit_code: negative for a signal, as in `subprocess`.
      bounds: that it had.
    """
    if exit_code == -CPU_SIGNAL:
        return f"it took longer than the limit of {bounds.cpu_seconds:g} s of processor time", True
    if exit_code == -WALL_SIGNAL:
        return f"it took longer than the limit of {bounds.wall_seconds:g} s", True
    if exit_code == OUT_OF_MEMORY:
        return f"it needs more than the limit of {bounds.memory_bytes >> 20:,} MiB of memory", False
    if exit_code < 0:
        return f"its process was ended by {signal.Signals(-exit_code).name}", False
    return f"its process ended with status {exit_code}", False
