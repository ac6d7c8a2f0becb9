"""The real command over recordings that would take all memory or time: each ends in a clear outcome.

`--bombs` tries all of them, with few and many clip workers, locally and in a bucket, in half an hour.
"""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from benchmarks import processes
from tests import audio_bombs
from tests.beam_pipeline.conftest import ledger
from tests.sounds import tone
from transforms.storage import Storage
from transforms.workers.budget import PROCESS_BYTES

ROOT = Path(__file__).parents[2]
# Beside the bombs, one for a few of them: that their outcomes are right shows that nobody else is harmed.
GOOD = [f"good-{number}" for number in range(8)]
QUICK = [name for name, bomb in audio_bombs.BOMBS.items() if bomb.is_quick]
# In the memory of the emulator.
MAX_OBJECT_BYTES = 130 << 20


@dataclass(frozen=True)
class Scene:
    """A run over many bombs.

    Attributes:
      workers: of clips.
      place: "local" or "gs".
      is_quick: whether it is tried with all other tests, over bombs that are quick.
    """

    workers: int
    place: str = "local"
    is_quick: bool = False


BOMBS = {
    "quick": Scene(4, is_quick=True),
    "4 workers": Scene(4),
    "16 workers": Scene(16),
    "4 workers, gs": Scene(4, "gs"),
    "16 workers, gs": Scene(16, "gs"),
}


def written(folder: Path, scene: Scene) -> list[str]:
    """Writes the recordings of a scene; the names of its bombs."""
    soundfile.write(folder / "good.wav", tone(440, 16_000, 1.0), 16_000)
    names = QUICK if scene.is_quick else list(audio_bombs.BOMBS)
    for number, name in enumerate(names):
        audio_bombs.BOMBS[name].write(folder / f"{number}.bin")
    return names


def manifest(folder: Path, names: list[str], base: str) -> str:
    rows = [{"id": name, "audio": f"{base}{number}.bin", "text": "words"} for number, name in enumerate(names)]
    rows += [{"id": name, "audio": f"{base}good.wav", "text": name} for name in GOOD]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "m.jsonl")


def in_a_bucket(folder: Path, names: list[str], bucket: str) -> list[str]:
    """Puts the recordings into a bucket; the names of those that are not too large for its emulator."""
    paths = {name: folder / f"{number}.bin" for number, name in enumerate(names)}
    kept = [name for name, path in paths.items() if path.stat().st_size <= MAX_OBJECT_BYTES]
    for number, name in enumerate(kept):
        Storage().write_bytes(f"{bucket}/clips/{number}.bin", paths[name].read_bytes())
    Storage().write_bytes(f"{bucket}/clips/good.wav", (folder / "good.wav").read_bytes())
    return kept


@pytest.mark.timeout(7_200)
def test_a_bomb_of_sound_costs_its_own_clip(tmp_path, request, bomb_name):
    scene = BOMBS[bomb_name]
    names, base = written(tmp_path, scene), ""
    if scene.place == "gs":
        bucket = request.getfixturevalue("bucket")
        names, base = in_a_bucket(tmp_path, names, bucket), f"{bucket}/clips/"
    flags = ["--manifest", manifest(tmp_path, names, base), "--output", str(tmp_path / "out")]
    words = [sys.executable, "-m", "cliptune", "prepare", *flags, "--max_rejected_fraction=1"]
    cost = processes.measure(
        [*words, "--clip_workers", str(scene.workers)], ROOT, {**os.environ, "PYTHONPATH": str(ROOT)}, sample=True
    )
    found = {row["clip_id"]: (row["reason"] or "", row["detail"]) for row in ledger(tmp_path / "out")}
    assert cost.memory is not None
    print(f"{len(names)} bombs, {cost.memory.tree >> 20} MiB, {cost.cpu:.0f} s of the processor")  # for --bombs
    wrong = {name: found[name] for name in names if found[name][0] not in audio_bombs.BOMBS[name].reasons}
    assert wrong == {}
    assert {name: found[name][0] for name in GOOD} == dict.fromkeys(GOOD, "")
    assert cost.memory.tree < PROCESS_BYTES, f"{cost.memory.tree >> 20} MiB"
    shutil.rmtree(tmp_path)  # pytest keeps the folders of three runs


def test_there_are_bombs_of_every_kind():
    assert len(audio_bombs.BOMBS) > 130
    assert len(QUICK) > 40
