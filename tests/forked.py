"""Processes of their own for functions: a fresh state in no time, where a fresh interpreter imports for a second.

They are forked from a process that has imported the package and has done nothing else.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess, SpawnProcess
from pathlib import Path

from tests.processes import LIMIT_SECONDS

ROOT = Path(__file__).parents[1]
# Other systems' libraries do not like to be forked.
_CONTEXT = (
    multiprocessing.get_context("forkserver") if sys.platform == "linux" else multiprocessing.get_context("spawn")
)
_CONTEXT.set_forkserver_preload(
    ["cliptune", "tests.beam_pipeline.conftest", "beam_pipeline.prepare", "transforms.storage.gcs"]
)


class Forked:
    """A running call."""

    def __init__(self, process: ForkServerProcess | SpawnProcess, outputs: Path) -> None:
        self._process = process
        self._outputs = outputs

    def kill(self) -> None:
        """Ends the process before this returns."""
        self._process.kill()
        assert connection.wait([self._process.sentinel], LIMIT_SECONDS)

    def ended(self) -> subprocess.CompletedProcess[str]:
        """What it did, when it has ended of itself."""
        self._process.join(LIMIT_SECONDS)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, LIMIT_SECONDS)
        told = [(self._outputs / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(self._process.name, self._process.exitcode, *told)


@contextmanager
def running(call: Callable[..., object], *arguments: object, folder: Path) -> Iterator[Forked]:
    """A call in `folder`, in a process that is killed at the end of the block if it has not ended by then.

    Args:
      call: a function of a module; it ends as a program does, and may call sys.exit.
      arguments: for it.
      folder: the process's current folder.
    """
    with tempfile.TemporaryDirectory() as outputs:
        process = _CONTEXT.Process(target=_begin, args=(outputs, folder, dict(os.environ), call, *arguments))
        with chdir(ROOT):  # the first call starts the server, which imports the tests from its current folder
            process.start()
        try:
            yield Forked(process, Path(outputs))
        finally:
            process.kill()
            process.join(LIMIT_SECONDS)


def run(call: Callable[..., object], *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """What such a call did."""
    with running(call, *arguments, folder=folder) as forked:
        return forked.ended()


def _begin(
    outputs: str, folder: Path, environment: dict[str, str], call: Callable[..., object], *arguments: object
) -> None:
    for descriptor, name in enumerate(("stdout", "stderr"), start=1):
        file = os.open(Path(outputs, name), os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    call(*arguments)
