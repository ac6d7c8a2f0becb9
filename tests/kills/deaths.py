"""Commands as processes, the moments at which they are killed, and what they leave behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kills.places import Place
from tests.processes import LIMIT_SECONDS

ROOT = Path(__file__).parents[2]
# Set for a command, and so for all that it starts, whatever becomes of their parents.
MARK = "CLIPTUNE_TEST_MARK"
# Workers end when they find that their program has: at once, if the machine is not busy.
END_SECONDS = 30.0

Kill = Callable[["Running"], bool]


@dataclass(frozen=True)
class Death:
    """When and how a command is killed.

    Attributes:
      victim: key of VICTIMS.
      unit: "step" or "time".
      share: part of an undisturbed run's steps or time after which it happens.
    """

    victim: str
    unit: str
    share: float

    @staticmethod
    def drawn(dice: random.Random) -> Death:
        """Any."""
        victims, weights = zip(*((name, weight) for name, (weight, _) in VICTIMS.items()), strict=True)
        (victim,) = dice.choices(victims, weights)
        return Death(victim, dice.choice(["step", "step", "time"]), dice.random())


@dataclass(frozen=True)
class Ended:
    """What a command did.

    Attributes:
      status: exit status; negative for a signal.
      stdout: its one line.
      stderr: its lines for people.
      struck: whether its victim was there when the moment came.
      seconds: how long it ran.
      steps: how many steps were seen.
      left: command lines of processes that outlived it.
    """

    status: int
    stdout: str
    stderr: str
    struck: bool
    seconds: float
    steps: int
    left: list[str]


class Running:
    """A command that runs."""

    def __init__(self, process: subprocess.Popen[str], mark: str, dice: random.Random) -> None:
        self.process = process
        self.mark = mark
        self.dice = dice

    def send(self, number: signal.Signals) -> bool:
        """A signal to the program alone."""
        there = self.process.poll() is None
        self.process.send_signal(number)
        return there

    def send_group(self, number: signal.Signals) -> bool:
        """A signal to the program's group, as a terminal sends it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
            return True
        return False

    def kill_all(self) -> bool:
        """SIGKILL to the program and all that it has started, in any order, as at the end of a container."""
        found = self.marked()
        self.dice.shuffle(found)
        return sum(_kill(pid) for pid in found) > 0  # all of them

    def kill_one(self, generation: int) -> bool:
        """SIGKILL to a child of the program (generation 1) or of a child of its (2): the nursery, or a worker."""
        parents = {self.process.pid}
        for _ in range(generation):
            parents = {pid for pid in self.marked() if _parent(pid) in parents}
        return bool(parents) and _kill(self.dice.choice(sorted(parents)))

    def marked(self) -> list[int]:
        """The command's processes that run."""
        return _marked(self.mark)


# Each victim: how often of a hundred, and how it is struck.
VICTIMS: dict[str, tuple[int, Kill]] = {
    "program SIGKILL": (36, lambda running: running.send(signal.SIGKILL)),
    "group SIGKILL": (10, lambda running: running.send_group(signal.SIGKILL)),
    "everything SIGKILL": (10, lambda running: running.kill_all()),
    "clip worker SIGKILL": (14, lambda running: running.kill_one(2)),
    "nursery SIGKILL": (8, lambda running: running.kill_one(1)),
    "program SIGTERM": (8, lambda running: running.send(signal.SIGTERM)),
    "program SIGINT": (6, lambda running: running.send(signal.SIGINT)),
    "group SIGINT": (5, lambda running: running.send_group(signal.SIGINT)),
    "group SIGHUP": (3, lambda running: running.send_group(signal.SIGHUP)),
}
# Without these the command goes on, and ends well.
SPARED = {"clip worker SIGKILL", "nursery SIGKILL"}


def run(
    words: Sequence[str],
    place: Place,
    folder: Path,
    death: Death | None = None,
    calm: Ended | None = None,
    dice: random.Random | None = None,
) -> Ended:
    """Runs `python -m cliptune` to its end, which may be its death.

    Args:
      words: of the command.
      place: whose steps are counted.
      folder: the current folder; its `tmp` is for temporary files.
      death: None to let it live.
      calm: the same command undisturbed, whose steps and time `death` shares.
      dice: chooses among several victims.
    """
    mark, steps, struck, lock = uuid.uuid4().hex, 0, False, threading.Lock()
    dice = dice or random.Random(0)
    running: Running | None = None

    def strike() -> None:
        nonlocal struck
        if death is not None and running is not None and not struck:
            struck = VICTIMS[death.victim][1](running)

    def reached(count: int) -> None:
        nonlocal steps
        with lock:
            steps = count
            if death is not None and calm is not None and death.unit == "step" and count == due:
                strike()

    due = 1 + int(death.share * calm.steps) if death and calm else 0
    start = time.monotonic()
    with place.counting(reached), _process(words, folder, mark) as process:
        running = Running(process, mark, dice)
        timer = threading.Timer(death.share * calm.seconds if death and calm else 0, strike)
        if death is not None and death.unit == "time":
            timer.start()
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
        timer.cancel()
    seconds = time.monotonic() - start
    return Ended(process.returncode, stdout, stderr, struck, seconds, steps, _outlived(mark))


@contextlib.contextmanager
def _process(words: Sequence[str], folder: Path, mark: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "tmp").mkdir(exist_ok=True)
    # A process that crashes in native code says where.
    here = {"PYTHONFAULTHANDLER": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}
    environment = {**os.environ, MARK: mark, **here}
    command = [sys.executable, "-m", "cliptune", *words]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _outlived(mark: str) -> list[str]:
    """The command lines of processes that do not end; each is ended."""
    deadline = time.monotonic() + END_SECONDS
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.01)
    told = [_told(pid) for pid in found]
    for pid in found:
        _kill(pid)
    return told


def _marked(mark: str) -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if f"{MARK}={mark}" in _read(path / "environ")]


def _parent(pid: int) -> int:
    return int(_read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[1] or 0)


def _told(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")[:100]


def _read(path: Path) -> str:
    """What /proc tells of a process; nothing of one that has ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
