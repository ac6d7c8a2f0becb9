"""What a command costs: time on the clock and of the processor, and memory, of it and of all processes it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
# Beyond the end of its program, a process has this long to end itself.
_PATIENCE_SECONDS = 10.0
_MEMORY_SAMPLE_SECONDS = 0.05
# Less than a hundredth of one core.
_SAMPLE_SECONDS = 0.25
_KIB = 1024


class CommandFailedError(Exception):
    """A command ended with another exit status than 0."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peak bytes of memory, in samples.

    Attributes:
      tree: of all processes together; pages that they share count once.
      largest: of the largest of them.
    """

    tree: int = 0
    largest: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command has cost.

    Attributes:
      seconds: on the clock, from its start to its end.
      cpu: seconds of the processor, user and system, of all its processes.
      memory: its peaks, if they were sampled.
    """

    seconds: float
    cpu: float
    memory: Peaks | None


def measure(words: Sequence[str], folder: Path, environment: Mapping[str, str], sample: bool = False) -> Cost:
    """Runs a command to its end, and waits for the end of all that it has started. One call at a time.

    Args:
      words: the program and its arguments.
      folder: its current folder.
      environment: of variables.
      sample: whether to sample the memory of all processes, which takes some time of the processor.

    Raises:
      CommandFailedError: with the end of what it has told on stderr.
    """
    adopt_orphans()
    others = frozenset(children(os.getpid()))
    start = time.monotonic()
    with (
        tempfile.TemporaryFile() as told,
        Sampler(memory=sample) as sampler,
    ):
        process = subprocess.Popen(
            words, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # else Popen would wait for it, too
        all_used = [used, *_orphans(others)]
        if process.returncode:
            told.seek(0)
            tail = told.read().decode(errors="replace")[-2_000:]
            raise CommandFailedError(f"{' '.join(words)} ended with status {process.returncode}:\n{tail}")
    cpu = sum(each.ru_utime + each.ru_stime for each in all_used)
    # Samples see those, too, whose parents refuse to be told of their ends: the system then drops their account.
    return Cost(seconds, max(cpu, sampler.cpu), sampler.peaks if sample else None)


def adopt_orphans() -> None:
    """Makes processes whose parent ends before them children of this one, so that it can wait for them.

    Linux alone can; elsewhere the time of such processes is not counted.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _orphans(others: Container[int]) -> Iterator[resource.struct_rusage]:
    """Waits for those processes of an ended program that it has not waited for; ends those that stay."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while left := [pid for pid in children(os.getpid()) if pid not in others]:
        for pid in left:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            ended, _, used = os.wait4(pid, os.WNOHANG)
            if ended:
                yield used
        time.sleep(0.005)


class Sampler:
    """Samples all processes below this one, while the block runs.

    Attributes:
      peaks: of memory so far. The system's own account of a process begins with the size of the one that started it.
    """

    def __init__(self, memory: bool) -> None:
        self.peaks = Peaks()
        self._memory = memory
        self._cpu: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def cpu(self) -> float:
        """Seconds of the processor of all processes so far, as last seen."""
        return sum(self._cpu.values())

    def _watch(self) -> None:
        while not self._ended.wait(_MEMORY_SAMPLE_SECONDS if self._memory else _SAMPLE_SECONDS):
            pids = descendants(os.getpid())
            for pid in pids:
                self._cpu[pid] = max(self._cpu.get(pid, 0.0), cpu_of(pid))
            if self._memory:
                sizes = [memory_of(pid) for pid in pids]
                self.peaks = Peaks(max(self.peaks.tree, sum(sizes)), max([self.peaks.largest, *sizes]))


def children(pid: int) -> list[int]:
    """The processes that one has started or adopted; none where there is no /proc."""
    return _by_parent().get(pid, [])


def descendants(pid: int) -> list[int]:
    """The processes below one, at any depth; none where there is no /proc."""
    by_parent = _by_parent()
    found = list(by_parent.get(pid, []))
    for each in found:
        found += by_parent.get(each, [])
    return found


def _by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def cpu_of(pid: int) -> float:
    """Seconds of the processor of a process alone, without its children; 0 when it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory_of(pid: int) -> int:
    """Bytes of a process, each page divided among those that share it; 0 when it has ended.

    Where the system does not tell that, the resident bytes.
    """
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
                if line.startswith(field):
                    return int(line.split()[1]) * _KIB
    return 0


def output(words: Sequence[str], folder: Path, told: str) -> str:
    """What a command prints that is told something, when it has ended well."""
    return subprocess.run(words, cwd=folder, input=told, stdout=subprocess.PIPE, text=True, check=True).stdout
