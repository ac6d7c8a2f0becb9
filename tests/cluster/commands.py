"""`cliptune prepare`, as docs/flink.md has it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import processes
from tests.beam_pipeline.conftest import Run
from tests.cluster import page
from tests.cluster.services import PATIENCE_SECONDS
from tests.envelopes import report_of


def prepare_words(heading: str, output: str, *flags: str) -> list[str]:
    """The page's command below a heading, with another output, and flags behind it."""
    (words,) = [words for words in page.commands(heading) if words[:2] == ["cliptune", "prepare"]]
    words[words.index("--output") + 1] = output
    return [sys.executable, "-m", *words, *flags]


class Running:
    """A command that has begun."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output

    def committed(self) -> set[Path]:
        """The sidecars of its dataset."""
        return set(self._output.rglob("*.outcomes.json"))

    def is_under_way(self) -> bool:
        """Whether some shards are written; the command must not have ended before."""
        committed = self.committed()
        assert self.process.poll() is None, self.process.communicate()
        return len(committed) > 1

    def ended(self) -> Run:
        """What it has done, once it has ended."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE_SECONDS)
        return Run(self.process.returncode, stdout and report_of(stdout, self.process.returncode), stderr)


@contextmanager
def running(words: Sequence[str], folder: Path, output: str) -> Iterator[Running]:
    """A command in `folder`, which does not outlive the block."""
    with processes.running(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield Running(process, folder / output)


def run(words: Sequence[str], folder: Path) -> Run:
    """What a command has done."""
    with running(words, folder, "") as command:
        return command.ended()
