"""Time and memory of `cliptune prepare` as the manifest grows: the table of docs/scale.md.

    python -m benchmarks.scale                  3,000 and 30,000 rows
    python -m benchmarks.scale 3000 30000 300000

The bundled recordings are repeated under new ids, so every row is read, decoded and encoded.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
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


def run(folder: Path, rows: int) -> tuple[float, int, dict[str, int]]:
    """Seconds, peak bytes of the largest process, and the summary of one run."""
    manifest = folder / f"{rows}.jsonl"
    write_manifest(manifest, rows)
    words = [sys.executable, "-m", "cliptune", "prepare"]
    words += ["--manifest", str(manifest), "--output", str(folder / f"out-{rows}")]
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=EXAMPLES.parent)
    assert process.stdout is not None
    summary = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"cliptune prepare ended with status {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_maxrss * 1024, summary


def main(counts: list[int]) -> None:
    """Prints the table as Markdown."""
    print("| rows | accepted | time, relative | rows a second, relative | peak memory, MiB |\n|---|---|---|---|---|")
    first: tuple[int, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for rows in counts:
            seconds, peak, summary = run(Path(folder), rows)
            first = first or (rows, seconds)
            speed = (rows / seconds) / (first[0] / first[1])
            accepted = f"{summary['accepted']:,}"
            print(
                f"| {rows:,} | {accepted} | {seconds / first[1]:.1f} | {speed:.2f} | {peak / 2**20:.0f} |", flush=True
            )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [3_000, 30_000])
