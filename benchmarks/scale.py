"""Time and memory of `cliptune prepare` as the manifest grows: the table of docs/scale.md.

    python -m benchmarks.scale                  3,000 and 30,000 rows
    python -m benchmarks.scale 3000 30000 300000
    python -m benchmarks.scale overhead 30000 how much of it is not reading, decoding and encoding

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

# The same run with every recording read from memory and a payload that is made beforehand: what is left is overhead.
WITHOUT_AUDIO = """
import sys
from cliptune.main import main
from transforms.audio import conform, encode
from transforms.dataset import prepare_clip
from transforms.settings import Settings
from transforms.audio.conform import Conformed
from transforms.audio.waveform import Waveform
import numpy as np

tone = (3000 * np.sin(np.arange(16000) / 5)).astype(np.int16)
payload = encode.encode(tone, Settings())

def instead(module, name, function):
    assert hasattr(module, name), name  # else the real one would be measured
    setattr(module, name, function)

instead(prepare_clip, "_decoded", lambda *args: (Waveform(tone[:, None] / 32768, 16000, "wav/pcm_16"), b"x"))
instead(conform, "conform", lambda *args: Conformed(tone, 0, 0))
instead(encode, "pass_through", lambda *args: payload)
sys.exit(main(sys.argv[1:]))
"""
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


def run(folder: Path, rows: int, program: tuple[str, str] = ("-m", "cliptune")) -> Run:
    """Prepares a dataset of `rows` rows."""
    manifest = folder / f"{rows}.jsonl"
    write_manifest(manifest, rows)
    words = [sys.executable, *program, "prepare"]
    words += ["--manifest", str(manifest), "--output", str(folder / f"out-{rows}-{program[0]}")]
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=EXAMPLES.parent)
    assert process.stdout is not None
    summary = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"cliptune prepare ended with status {os.waitstatus_to_exitcode(status)}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(time.monotonic() - start, cpu, usage.ru_maxrss * 1024, summary["accepted"])


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
        whole, rest = (run(Path(folder), rows, program) for program in (("-m", "cliptune"), ("-c", WITHOUT_AUDIO)))
    print(f"{rows:,} rows: {100 * rest.cpu_seconds / whole.cpu_seconds:.1f} % of the processor time is not for audio")


if __name__ == "__main__":
    if sys.argv[1:2] == ["overhead"]:
        overhead(int(sys.argv[2]))
    else:
        main([int(word) for word in sys.argv[1:]] or [3_000, 30_000])
