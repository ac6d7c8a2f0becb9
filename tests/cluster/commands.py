"""`cliptune prepare`, as docs/flink.md has it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import processes
from tests.beam_pipeline.conftest import Run
from tests.cluster import page
from tests.cluster.services import PATIENCE_SECONDS
from tests.envelopes import report_of

_PASSING = "preparing: "


def prepare_words(heading: str, output: str, *flags: str) -> list[str]:
    """The page's command below a heading, with another output, and flags behind it."""
    (words,) = [words for words in page.commands(heading) if words[:2] == ["cliptune", "prepare"]]
    words[words.index("--output") + 1] = output
    return [sys.executable, "-m", *words, *flags]


class Running:
    """A command that has begun."""

    def __init__(self, process: subprocess.Popen[str], output: Path, told: Path) -> None:
        self.process = process
        self._output = output
        self._told = told

    def has_said(self, words: str) -> bool:
        """Whether words are on its stderr; it must not have ended without them."""
        ended = self.process.poll() is not None
        said = words in self._told.read_text()
        assert said or not ended, self._told.read_text()
        return said

    def committed(self) -> set[Path]:
        """The sidecars of its dataset."""
        return set(self._output.rglob("*.outcomes.json"))

    def is_under_way(self) -> bool:
        """Whether some shards are written; the command must not have ended before."""
        committed = self.committed()
        assert self.process.poll() is None, self._told.read_text()
        return len(committed) > 1

    def ended(self) -> Run:
        """What it has done, once it has ended; without the lines that come from time to time."""
        stdout, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        told = self._told.read_text().splitlines(keepends=True)
        stderr = "".join(line for line in told if not line.startswith(_PASSING))
        return Run(self.process.returncode, stdout and report_of(stdout, self.process.returncode), stderr)


@contextmanager
def running(words: Sequence[str], folder: Path, output: str) -> Iterator[Running]:
    """A command in `folder`, which does not outlive the block."""
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary, "stderr")
        with (
            told.open("wb") as stderr,
            processes.running(words, cwd=folder, stdout=subprocess.PIPE, stderr=stderr) as process,
        ):
            yield Running(process, folder / output, told)


def run(words: Sequence[str], folder: Path) -> Run:
    """What a command has done."""
    with running(words, folder, "") as command:
        return command.ended()
