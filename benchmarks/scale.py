"""Time and memory of `cliptune prepare` as the manifest grows: the table of docs/scale.md.

    python -m benchmarks.scale                  3,000 and 30,000 rows
    python -m benchmarks.scale 3000 30000 300000
    python -m benchmarks.scale overhead 30000       how much of it is not reading, decoding and encoding

The bundled recordings are repeated under new ids, so every row is read, decoded and encoded. Time is given twice:
on the clock, and of the processor (ffmpeg's included), which other work on the same machine hardly changes.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def write_manifest(path: Path, rows: int) -> None:
    """Repeats the examples' rows until there are `rows` of them."""
    examples = [json.loads(line) for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    with path.open("w", encoding="utf-8") as file:
        for number, row in zip(range(rows), itertools.cycle(examples)):
            audio = str(EXAMPLES / row["audio_path"])
            file.write(
                json.dumps({**row, "id": f"{number}-{row['id']}", "audio_path": audio}, ensure_ascii=False) + "\n"
            )


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds on the clock and of the processor, peak bytes of the largest process, accepted clips."""

    seconds: float
    cpu_seconds: float
    peak: int
    accepted: int


def run(folder: Path, rows: int, program: str = "cliptune") -> Run:
    """Prepares a dataset of `rows` rows.

    Args:
      folder: of manifest and output.
      rows: of the manifest.
      program: the module that is run with the command's flags.

    Raises:
      SystemExit: the command failed.
    """
    manifest = folder / f"{rows}.jsonl"
    write_manifest(manifest, rows)
    words = [sys.executable, "-m", program, "prepare"]
    words += ["--manifest", str(manifest), "--output", str(folder / f"out-{rows}-{program}")]
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=EXAMPLES.parent)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"cliptune prepare ended with status {os.waitstatus_to_exitcode(status)}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(time.monotonic() - start, cpu, usage.ru_maxrss * 1024, json.loads(told)["accepted"])


def main(counts: list[int]) -> None:
    """Prints the table as Markdown; times are relative to the first run's."""
    print("| rows | accepted | time | processor time | the same, a row | peak memory, MiB |")
    print("|---|---|---|---|---|---|")
    first: Run | None = None
    with tempfile.TemporaryDirectory() as folder:
        for rows in counts:
            this = run(Path(folder), rows)
            first = first or this
            cpu = this.cpu_seconds / first.cpu_seconds
            words = (
                f"{rows:,}",
                f"{this.accepted:,}",
                f"{this.seconds / first.seconds:.1f}",
                f"{cpu:.1f}",
                f"{cpu * counts[0] / rows:.2f}",
                f"{this.peak / 2**20:.0f}",
            )
            print(f"| {' | '.join(words)} |", flush=True)


def overhead(rows: int) -> None:
    """Prints the share of the processor time that is not spent on audio."""
    with tempfile.TemporaryDirectory() as folder:
        whole, rest = (run(Path(folder), rows, program) for program in ("cliptune", "benchmarks.without_audio"))
    print(f"{rows:,} rows: {100 * rest.cpu_seconds / whole.cpu_seconds:.1f} % of the processor time is not for audio")


if __name__ == "__main__":
    if sys.argv[1:2] == ["overhead"]:
        overhead(int(sys.argv[2]))
    else:
        main([int(word) for word in sys.argv[1:]] or [3_000, 30_000])
