"""docs/flink.md, whose commands the tests type; and where `make test-cluster` keeps what they need."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cluster import machines

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cluster"
JAR = FOLDER / "beam-flink.jar"
WORKERS = FOLDER / "workers"

TEXT = (ROOT / "docs/flink.md").read_text(encoding="utf-8")
# Its headings.
ON_WORKERS, WITH_A_SERVER, WITHOUT_A_SERVER = "Beside every TaskManager", "Where you type", "Without a job server"
PORTS, DYING = "What listens where", "When something dies"
_HERE = {"jobmanager:": f"{machines.HERE}:", "JOB_SERVER.jar": str(JAR), "/shared/": ""}


def section(heading: str) -> str:
    """What stands below a heading."""
    (found,) = [part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if part.startswith(f"{heading}\n")]
    return found


def commands(heading: str) -> list[list[str]]:
    """The commands below a heading, in words that lead to this machine."""
    blocks = re.findall(r"^    (\w(?:[^\\\n]|\\\n)*)$", section(heading), re.MULTILINE)
    return [[_here(word) for word in shlex.split(block.replace("\\\n", " "))] for block in blocks]


def _here(word: str) -> str:
    for theirs, ours in _HERE.items():
        word = word.replace(theirs, ours)
    return word
