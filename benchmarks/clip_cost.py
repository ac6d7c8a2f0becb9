"""Processor time of a clip from a bucket to a bucket, by the format of its recording: what docs/dataflow.md rests on.

    python -m benchmarks.clip_cost          some minutes
    python -m benchmarks.clip_cost 5        more rounds

Speech of seven seconds, of which many clips are prepared by the whole command, once few and once many: the difference
is what a clip costs, without the start. All processes of the command count, the emulator of the bucket does not.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import memory, processes
from benchmarks.clip import FORMATS, clip_of
from transforms.storage import Storage

ROOT = Path(__file__).parents[1]
ROUNDS = 3
FEW, MANY = 64, 320


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of the processor a clip, by format: medians of rounds that take the formats in turn."""
    found: dict[str, list[float]] = {form.name: [] for form in FORMATS}
    with tempfile.TemporaryDirectory() as folder, memory.emulator(["gs"]):
        for form in FORMATS:
            Storage().write_bytes(f"{memory.BUCKET}/{_name(form.name)}", clip_of(form))
        for number in range(rounds):
            for name, times in found.items():
                few, many = (_cpu(name, clips, f"{folder}/{number}") for clips in (FEW, MANY))
                times.append(1_000 * (many - few) / (MANY - FEW))
    return {name: statistics.median(times) for name, times in found.items()}


def _name(form: str) -> str:
    return form.replace(" ", "-")


def _cpu(form: str, clips: int, folder: str) -> float:
    """Seconds of the processor that so many clips take."""
    manifest, output = (f"{memory.BUCKET}/{_name(form)}-{clips}{end}" for end in (".jsonl", ""))
    rows = ({"id": f"{number}", "audio": f"{memory.BUCKET}/{_name(form)}", "text": "words"} for number in range(clips))
    Storage().write_bytes(manifest, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    words = [sys.executable, "-m", "cliptune", "prepare", f"--manifest={manifest}", f"--output={output}{_name(folder)}"]
    return processes.measure(words, ROOT, os.environ).cpu


def table(rounds: int) -> Iterator[str]:
    """The lines of a Markdown table: each format beside the first, for another machine has other milliseconds."""
    found = measure(rounds)
    first = next(iter(found.values()))
    yield "| recording, 7 s of speech | processor time of a clip, beside the first |"
    yield "|---|---|"
    for name, milliseconds in found.items():
        yield f"| {name} | {milliseconds / first:.1f} |"
    print({name: round(milliseconds, 1) for name, milliseconds in found.items()}, file=sys.stderr)


def main(rounds: int = ROUNDS) -> None:
    """Prints the table; on stderr, the milliseconds here."""
    for line in table(rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
