"""Killed anywhere (SIGKILL), run again: the same bytes, nothing left over, and no finished shard decoded twice."""

import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from tests import forked
from tests.beam_pipeline.conftest import SOME, contents, fill, prepare_in_small_shards, write_manifest
from transforms.dataset.clip_workers import ClipWorkers
from transforms.storage import Storage

storage = Storage()


def killed_at(moment, name, count, *flags):
    """The command, in a process that kills itself at one moment of its work."""
    patch, seen = pytest.MonkeyPatch(), itertools.count(1)
    replace, convert = Path.replace, ClipWorkers.convert

    def reached(path):
        # Counted in one step, for several threads write.
        if str(path).endswith(name) and next(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def kill_before(self, target):
        reached(target)
        return replace(self, target)

    def kill_after(self, target):
        result = replace(self, target)
        reached(target)
        return result

    def kill_converting(self, clip, source):
        reached(source.uri)
        return convert(self, clip, source)

    if moment == "decoding":
        patch.setattr(ClipWorkers, "convert", kill_converting)
    else:
        patch.setattr(Path, "replace", {"before": kill_before, "after": kill_after}[moment])
    prepare_in_small_shards("--manifest", "m.jsonl", "--output", "out", *flags)


@pytest.mark.sweep
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
    killed = forked.run(killed_at, moment, name, count, folder=folder)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    finished = (folder / "out/dataset.json").exists()
    assert finished == ((moment, name) == ("after", "dataset.json"))
    committed = [path for path in (folder / "out").rglob("*.outcomes.json") if path.parent.name != "rejected"]
    done = {outcome["clip_id"] for path in committed for outcome in json.loads(path.read_bytes())["outcomes"]}
    decoded: list[str] = []
    convert = ClipWorkers.convert

    def counted(self, clip, source):
        decoded.append(clip.clip_id)
        return convert(self, clip, source)

    monkeypatch.setattr(ClipWorkers, "convert", counted)
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out").json["reused"] == len(done)
    assert sorted(decoded) == sorted({row["id"] for row in SOME} - done)
    assert contents(folder / "out") == contents(reference)


REPEATED = [*SOME, *({**row, "id": f"{row['id']}-again"} for row in SOME[:4])]
DEDUPE = ["--dedupe=audio", "--max_rejected_fraction=1", "--validation_fraction=0"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The files of an undisturbed run on REPEATED."""
    folder = fill(tmp_path_factory.mktemp("calm"), REPEATED)
    words = ["--manifest", "m.jsonl", "--output", "out", *DEDUPE]
    run = forked.run(prepare_in_small_shards, *words, folder=folder)
    assert json.loads(run.stdout)["reasons"] == {"duplicate_audio": 4}
    return in_any_folder(folder)


def in_any_folder(folder):
    """The dataset's files; dead letters name their manifest's folder, and checksums.json has their sha256."""
    found = contents(folder / "out", ["checksums.json"])
    return {name: content.replace(str(folder).encode(), b"") for name, content in found.items()}


@pytest.mark.sweep
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", [".jsonl", ".outcomes.json"])
@pytest.mark.parametrize("rewritten", [1, 2])
def test_a_run_killed_while_it_drops_repeated_audio_too(
    folder, prepare, small_shards, monkeypatch, calm, moment, name, rewritten
):
    """Once every shard is written, those with a clip to drop are written again."""
    write_manifest(folder / "m.jsonl", REPEATED)
    shards = -(-len(REPEATED) // 4)
    # Sidecars: one more, of the rows without a clip.
    count = shards + rewritten + (name == ".outcomes.json")
    killed = forked.run(killed_at, moment, name, count, *DEDUPE, folder=folder)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out", *DEDUPE).json["reused"] >= len(SOME) - 4
    assert in_any_folder(folder) == calm
