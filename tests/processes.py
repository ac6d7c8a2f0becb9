"""Processes that tests start: each wait for one has a limit, and none outlives its test."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Fresh interpreters import Beam and prepare a few clips in seconds; a busy machine may take ten times as long.
LIMIT_SECONDS = 120


def run(words: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """What a command did, whatever its exit status."""
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS, **options)


@contextmanager
def running(words: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command that is killed at the end of the block, if it has not ended by then."""
    with subprocess.Popen(words, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()
