"""Killed anywhere (SIGKILL), run again: the same bytes, nothing left over, and no finished shard decoded twice."""

import json
import signal
import subprocess
import sys

import pytest

from tests.beam_pipeline.conftest import EXAMPLES, SOME, contents, write_manifest
from transforms.dataset import prepare_clip
from transforms.storage import Storage

storage = Storage()

# Runs the command in a process that kills itself at one moment of its work.
KILLED = """
import itertools, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import cliptune
from transforms.dataset import plan
from transforms.storage import Storage

moment, name, count = sys.argv[2], sys.argv[3], int(sys.argv[4])
assert plan.CLIPS_PER_SHARD
plan.CLIPS_PER_SHARD = 4
seen = itertools.count(1)

def reached(path):
    # Counted in one step, for several threads write.
    if str(path).endswith(name) and next(seen) == count:
        os.kill(os.getpid(), signal.SIGKILL)

replace, read = Path.replace, Storage.read_audio

def kill_before(self, target):
    reached(target)
    return replace(self, target)

def kill_after(self, target):
    result = replace(self, target)
    reached(target)
    return result

def kill_reading(self, uri, max_bytes):
    reached(uri)
    return read(self, uri, max_bytes)

if moment == "before":
    Path.replace = kill_before
elif moment == "after":
    Path.replace = kill_after
else:
    Storage.read_audio = kill_reading
sys.exit(cliptune.main(["prepare", "--manifest", "m.jsonl", "--output", "out", *sys.argv[5:]]))
"""


@pytest.mark.parametrize(
    ("moment", "name", "count"),
    [
        ("before", "run.json", 1),
        ("after", "run.json", 1),
        ("decoding", "", 1),
        ("decoding", "", 10),
        ("before", ".jsonl", 3),  # a shard is whole, and not yet under its name
        ("after", ".jsonl", 3),
        ("before", ".outcomes.json", 2),
        ("after", ".outcomes.json", 4),
        ("before", ".parquet", 1),
        ("before", "rejected.jsonl", 1),
        ("after", "report.json", 1),
        ("before", "dataset.json", 1),
        ("after", "dataset.json", 1),
    ],
)
def test_a_killed_run_is_finished_by_the_next(
    folder, prepare, reference, small_shards, monkeypatch, moment, name, count
):
    words = [sys.executable, "-c", KILLED, str(EXAMPLES.parent), moment, name, str(count)]
    killed = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    finished = (folder / "out/dataset.json").exists()
    assert finished == ((moment, name) == ("after", "dataset.json"))
    committed = [path for path in (folder / "out").rglob("*.outcomes.json") if path.parent.name != "rejected"]
    done = {outcome["clip_id"] for path in committed for outcome in json.loads(path.read_bytes())["outcomes"]}
    decoded: list[str] = []
    accept = prepare_clip._accept

    def counted(clip, output, ahead):
        decoded.append(clip.clip_id)
        return accept(clip, output, ahead)

    monkeypatch.setattr(prepare_clip, "_accept", counted)
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out").json["reused"] == len(done)
    assert sorted(decoded) == sorted({row["id"] for row in SOME} - done)
    assert contents(folder / "out") == contents(reference)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", [".jsonl", ".outcomes.json"])
@pytest.mark.parametrize("rewritten", [1, 2])
def test_a_run_killed_while_it_drops_repeated_audio_too(
    folder, prepare, small_shards, monkeypatch, moment, name, rewritten
):
    """Once every shard is written, those with a clip to drop are written again."""
    twice = [{**row, "id": f"{row['id']}-again"} for row in SOME[:4]]
    write_manifest(folder / "m.jsonl", [*SOME, *twice])
    flags = ["--dedupe=audio", "--max_rejected_fraction=1", "--validation_fraction=0"]
    shards = -(-(len(SOME) + len(twice)) // 4)
    # Sidecars: one more, of the rows without a clip.
    count = shards + rewritten + (name == ".outcomes.json")
    words = [sys.executable, "-c", KILLED, str(EXAMPLES.parent), moment, name, str(count), *flags]
    killed = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    monkeypatch.chdir(folder)
    calm = prepare("m.jsonl", "calm", *flags)
    assert calm.json["reasons"] == {"duplicate_audio": 4}
    assert prepare("m.jsonl", "out", *flags).json["reused"] >= len(SOME) - 4
    assert contents(folder / "out") == contents(folder / "calm")
