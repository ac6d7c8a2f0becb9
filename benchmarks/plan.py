"""What the launcher takes to count a manifest before it submits a job: time of the processor, and memory.

    python -m benchmarks.plan                   1,000,000 rows as JSONL and as CSV: some minutes
    python -m benchmarks.plan 100000

Rows name recordings in a bucket, which are not looked at. Nothing is run.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes

ROOT = Path(__file__).parents[1]
TEXT = "and so it went on through the night, while nobody said a word about what had been found"
PROGRAM = """
from beam_pipeline import prepare
from beam_pipeline.requests import PrepareRequest
prepare.make_job(PrepareRequest(({manifest!r},), {output!r}, beam_options=("--runner=FlinkRunner",)))
"""


def rows(number: int) -> Iterator[dict[str, str]]:
    """Rows with an id, a recording and a text, some 170 bytes each as JSON."""
    for index in range(number):
        audio = f"gs://recordings/clips/{index % 1000:03d}/recording-{index:07d}.wav"
        yield {"id": f"clip-{index:07d}", "audio": audio, "text": TEXT}


def write(path: Path, number: int) -> None:
    """Writes a manifest in the format that its name tells."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            table = csv.DictWriter(file, ["id", "audio", "text"])
            table.writeheader()
            table.writerows(rows(number))
        else:
            file.writelines(f"{json.dumps(row)}\n" for row in rows(number))


def main(number: int = 1_000_000) -> None:
    """Prints a table; its memory is that of the launcher without Beam."""
    print("| manifest | processor seconds | peak memory, MiB |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("manifest.jsonl", "manifest.csv"):
            path = Path(folder, name)
            write(path, number)
            program = PROGRAM.format(manifest=str(path), output=f"{folder}/out")
            cost = processes.measure([sys.executable, "-c", program], ROOT, os.environ, sample=True)
            assert cost.memory is not None
            print(f"| {name} | {cost.cpu:.1f} | {cost.memory.tree >> 20} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
