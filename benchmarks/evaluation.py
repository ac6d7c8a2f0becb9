"""What evaluating many predictions takes, in time and memory.

    python -m benchmarks.evaluation [CLIPS]

A dataset of so many held-out clips, and the answers of two systems about each, as files; then `cliptune evaluate` in a
process of its own. Its audio is a few bytes a clip: what is measured is what evaluation does with answers and targets.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from transforms.clip import Outcome
from transforms.dataset import ledger
from transforms.dataset.description import VERSION, DatasetDescription, Shard, Split
from transforms.settings import Settings
from transforms.storage import Storage

CLIPS = 100_000
WORDS = [f"word{number}" for number in range(2_000)]
WORDS_A_CLIP = 12
CLIPS_A_GROUP = 30
# How often each system is wrong about a word.
SYSTEMS = {"tuned": 0.05, "base": 0.2}


def example(target: str) -> bytes:
    """A line of a shard."""
    audio = {"inlineData": {"mimeType": "audio/flac", "data": "ZkxhQw=="}}
    asked = {"role": "user", "parts": [{"text": "Transcribe this audio clip."}, audio]}
    return json.dumps({"contents": [asked, {"role": "model", "parts": [{"text": target}]}]}).encode() + b"\n"


def clips(count: int) -> Iterator[tuple[Outcome, bytes]]:
    """Each clip's row of the ledger, and its line."""
    dice = random.Random(1)
    for number in range(count):
        target = " ".join(dice.choices(WORDS, k=WORDS_A_CLIP))
        line = example(target)
        outcome = Outcome(
            clip_id=f"c{number}",
            source=f"m.jsonl:{number + 1}",
            uri=f"/audio/{number}.wav",
            status="accepted",
            split="validation",
            line_sha256=sha256(line).hexdigest(),
            num_samples=dice.randrange(8_000, 480_000),
            source_format=dice.choice(["wav/pcm_16", "mp3", "flac/pcm_16"]),
            group=f"speaker{number // CLIPS_A_GROUP}",
        )
        yield outcome, line


def write(folder: Path, count: int) -> None:
    """Writes the dataset, and each system's answers beside it."""
    made = list(clips(count))
    content = b"".join(line for _, line in made)
    (folder / "out/validation").mkdir(parents=True)
    (folder / "out/validation/v.jsonl").write_bytes(content)
    ledger.write_ledger((outcome for outcome, _ in made), str(folder / "out/ledger"), count, Storage())
    shard = Shard("validation/v.jsonl", count, len(content), sha256(content).hexdigest())
    splits = {"train": Split(0, 0, 0, 0, ()), "validation": Split(count, len(content), 0, 0, (shard,))}
    described = DatasetDescription(VERSION, "f" * 64, asdict(Settings()), {}, count, count, 0, splits)
    (folder / "out/dataset.json").write_bytes(described.dump())
    for name, rate in SYSTEMS.items():
        dice = random.Random(name)
        with (folder / f"{name}.jsonl").open("wb") as stream:
            for outcome, line in made:
                stream.write(answer(outcome.clip_id, line, rate, dice))


def answer(clip_id: str, line: bytes, rate: float, dice: random.Random) -> bytes:
    """A system's answer, with words replaced at random."""
    target: str = json.loads(line)["contents"][1]["parts"][0]["text"]
    said = (dice.choice(WORDS) if dice.random() < rate else word for word in target.split())
    return json.dumps({"clip_id": clip_id, "prediction": " ".join(said)}).encode() + b"\n"


def measure(folder: Path) -> str:
    """Evaluates, and says what it took."""
    words = [f"--predictions={name}={folder}/{name}.jsonl" for name in SYSTEMS]
    command = [sys.executable, "-m", "cliptune", "evaluate", str(folder / "out"), *words]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    assert status == 0
    memory = used.ru_maxrss / 1024
    return f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time, {memory:.0f} MiB"


def main() -> None:
    """Prints one line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLIPS
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count)
        print(f"{count:,} clips, {len(SYSTEMS)} systems, 1,000 resamples: {measure(Path(folder))}")


if __name__ == "__main__":
    main()
