"""What evaluating many predictions takes, in time and memory.

    python -m benchmarks.evaluation [CLIPS [KIND ...]]

For each kind of target, text, labels and json: a dataset of so many held-out clips, and answers of two systems about
each, as files; then `cliptune evaluate` in a process of its own. Its audio is a few bytes a clip: what is measured is
what evaluation does with answers and targets.
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

from transforms import settings
from transforms.clip import Outcome
from transforms.dataset import ledger
from transforms.dataset.description import VERSION, DatasetDescription, Shard, Split
from transforms.settings import Settings, Task
from transforms.storage import Storage

CLIPS = 100_000
WORDS = [f"word{number}" for number in range(2_000)]
WORDS_A_CLIP = 12
CLIPS_A_GROUP = 30
LABELS = tuple(f"label{number}" for number in range(100))
SCHEMA = {
    "type": "object",
    "required": ["room", "stops"],
    "properties": {"room": {"type": "integer"}, "stops": {"type": "array", "uniqueItems": True}},
}
# How often each system is wrong about a word.
SYSTEMS = {"tuned": 0.05, "base": 0.2}
TASKS = {
    "text": Task("text", "Transcribe this audio clip."),
    "labels": Task("labels", "Which one is it?", settings.LABELS, LABELS),
    "json": Task("json", "As JSON, please.", settings.JSON, schema=SCHEMA),
}


def example(target: str) -> bytes:
    """A line of a shard."""
    audio = {"inlineData": {"mimeType": "audio/flac", "data": "ZkxhQw=="}}
    asked = {"role": "user", "parts": [{"text": "Transcribe this audio clip."}, audio]}
    return json.dumps({"contents": [asked, {"role": "model", "parts": [{"text": target}]}]}).encode() + b"\n"


def said(kind: str, dice: random.Random) -> str:
    """A target at random."""
    if kind == "labels":
        return dice.choice(LABELS)
    if kind == "json":
        stops = [{"city": dice.choice(WORDS), "day": dice.randrange(30)} for _ in range(3)]
        return json.dumps({"room": dice.randrange(9), "stops": stops, "names": dice.choices(WORDS, k=3)})
    return " ".join(dice.choices(WORDS, k=WORDS_A_CLIP))


def clips(count: int, kind: str) -> Iterator[tuple[Outcome, bytes]]:
    """Each clip's row of the ledger, and its line."""
    dice = random.Random(1)
    for number in range(count):
        line = example(said(kind, dice))
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
            task=kind,
        )
        yield outcome, line


def write(folder: Path, count: int, kind: str) -> None:
    """Writes the dataset, and each system's answers beside it."""
    made = list(clips(count, kind))
    content = b"".join(line for _, line in made)
    (folder / "out/validation").mkdir(parents=True)
    (folder / "out/validation/v.jsonl").write_bytes(content)
    ledger.write_ledger((outcome for outcome, _ in made), str(folder / "out/ledger"), count, Storage())
    shard = Shard("validation/v.jsonl", count, len(content), sha256(content).hexdigest())
    splits = {"train": Split(0, 0, 0, 0, ()), "validation": Split(count, len(content), 0, 0, (shard,))}
    described = DatasetDescription(
        VERSION, "f" * 64, asdict(Settings(tasks=(TASKS[kind],))), {}, count, count, 0, splits
    )
    (folder / "out/dataset.json").write_bytes(described.dump())
    for name, rate in SYSTEMS.items():
        dice = random.Random(name)
        with (folder / f"{name}.jsonl").open("wb") as stream:
            for outcome, line in made:
                stream.write(answer(outcome.clip_id, line, rate, kind, dice))


def answer(clip_id: str, line: bytes, rate: float, kind: str, dice: random.Random) -> bytes:
    """A system's answer, with words replaced at random; another target in place of a label or JSON."""
    target: str = json.loads(line)["contents"][1]["parts"][0]["text"]
    if kind == "text":
        words = (dice.choice(WORDS) if dice.random() < rate else word for word in target.split())
        return json.dumps({"clip_id": clip_id, "prediction": " ".join(words)}).encode() + b"\n"
    wrong = dice.random() < rate
    return json.dumps({"clip_id": clip_id, "prediction": said(kind, dice) if wrong else target}).encode() + b"\n"


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
    """Prints a line for each kind of target."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLIPS
    for kind in sys.argv[2:] or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), count, kind)
            print(
                f"{kind}, {count:,} clips, {len(SYSTEMS)} systems, 1,000 resamples: {measure(Path(folder))}", flush=True
            )


if __name__ == "__main__":
    main()
