"""The same command again: a finished dataset is found to be so, and whatever is not as it was is made so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from beam_pipeline import embedded
from tests.beam_pipeline.conftest import EXAMPLES, SOME, contents, write_manifest
from transforms.clip import Outcome
from transforms.dataset import ledger
from transforms.dataset.clip_workers import ClipWorkers
from transforms.errors import StorageError
from transforms.storage import Storage
from transforms.storage.parts import PART_PREFIX

SLOW_TO_IMPORT = {
    "apache_beam",
    "numpy",
    "pyarrow",
    "soundfile",
    "soxr",
    "av",
    "jsonschema",
    "yaml",
    "google.cloud.storage",
}


@pytest.fixture
def pipelines(monkeypatch):
    """One element for every pipeline that is run."""
    started, run = [], embedded.run

    def counted(job, options, listener):
        started.append(job)
        return run(job, options, listener)

    monkeypatch.setattr(embedded, "run", counted)
    return started


def state(output):
    """What tells that a file was written again. In the fraction of its second, a sidecar may have been marked."""
    return {path: (path.stat().st_ino, int(path.stat().st_mtime)) for path in output.rglob("*") if path.is_file()}


def python(command):
    """The stdout of a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    words = [sys.executable, "-c", command]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


def test_a_finished_dataset_is_left_alone(finished, prepare, pipelines):
    before = state(finished)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.json["reused"], pipelines) == (0, len(SOME), [])
    assert state(finished) == before


@pytest.mark.parametrize("files", [1, 2])
def test_a_ledger_of_full_files_is_found_to_be_finished(folder, prepare, pipelines, monkeypatch, files):
    """Behind its last row come shards without rows."""
    monkeypatch.chdir(folder)
    write_manifest(folder / "m.jsonl", SOME[:8])
    monkeypatch.setattr(ledger, "ROWS_PER_FILE", 8 // files)
    first, again = prepare("m.jsonl", "out"), prepare("m.jsonl", "out")
    assert (first.json["rejected"], again.json["reused"], len(pipelines)) == (0, 8, 1)


def test_a_row_too_many_for_the_ledger_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "ROWS_PER_FILE", 4)
    outcomes = [Outcome(str(number), f"m.jsonl:{number}", None, "rejected") for number in range(5)]
    assert ledger.write_ledger(outcomes[:4], str(tmp_path / "few"), 4, Storage()) == 4
    assert ledger.write_ledger(outcomes, str(tmp_path / "more"), 4, Storage()) == 5


def test_it_tells_the_same_as_the_first_run(folder, prepare, pipelines):
    first, again = prepare(folder / "m.jsonl", folder / "out"), prepare(folder / "m.jsonl", folder / "out")
    assert {**first.json, "reused": len(SOME)} == again.json
    assert len(pipelines) == 1


def test_it_is_found_without_what_is_slow_to_import(finished):
    """In shards of the usual size, for the process is a fresh one."""
    words = ["prepare", "--manifest=m.jsonl", "--output=fresh"]
    command = f"import sys; from cliptune.main import main; main({words}); print(*sys.modules)"
    loaded = [{*python(command).splitlines()[1].split()} & SLOW_TO_IMPORT for _ in range(2)]
    assert loaded[0] >= {"apache_beam", "numpy", "pyarrow"}
    assert loaded[1] == set()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def _flip(path):
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


FILES = [
    "checksums.json",
    "dataset.json",
    "report.json",
    "report.html",
    "ledger/ledger-00000-of-00001.parquet",
    "train/train-00002-of-00006.jsonl",
    "train/train-00002-of-00006.outcomes.json",
    "rejected/rejected-00000-of-00001.outcomes.json",
]


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _flip])
@pytest.mark.parametrize("name", FILES)
def test_whatever_is_missing_or_changed_is_mended(finished, prepare, pipelines, reference, name, damage):
    damage(finished / "out" / name)
    assert prepare("m.jsonl", "out").status == 0
    assert len(pipelines) == 1
    assert contents(finished / "out") == contents(reference)


def test_a_folder_in_the_place_of_a_file_is_no_dataset(finished, prepare, pipelines):
    (finished / "out/checksums.json").unlink()
    (finished / "out/checksums.json").mkdir()
    run = prepare("m.jsonl", "out")
    assert (run.status, run.stdout, run.stderr.count("\n"), len(pipelines)) == (1, "", 1, 1)


def test_a_shorter_list_of_checksums_is_not_believed(finished, prepare, pipelines, reference):
    path = finished / "out/checksums.json"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "train-00003" not in line))
    (finished / "out/train/train-00003-of-00006.jsonl").unlink()
    assert prepare("m.jsonl", "out").status == 0
    assert (len(pipelines), contents(finished / "out")) == (1, contents(reference))


def test_rows_on_other_lines_get_their_new_places(finished, prepare, pipelines, tmp_path):
    write_manifest(finished / "m.jsonl", SOME[::-1])
    run = prepare("m.jsonl", "out")
    assert (run.status, run.json["reused"], len(pipelines)) == (0, 0, 1)
    assert prepare("m.jsonl", "whole").status == 0
    assert contents(finished / "out") == contents(finished / "whole")
    assert prepare("m.jsonl", "out").json["reused"] == len(SOME)
    assert len(pipelines) == 2


def test_another_name_of_the_manifest_is_another_place(finished, prepare, pipelines):
    (finished / "m.jsonl").rename(finished / "n.jsonl")
    assert prepare("n.jsonl", "out").status == 0
    assert len(pipelines) == 1
    assert b"n.jsonl:" in (finished / "out/train/train-00002-of-00006.outcomes.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: [{**rows[0], "text": "another"}, *rows[1:]], "manifest.digest"),
        (lambda rows: rows[1:], "manifest.digest"),
        (lambda rows: [*rows, rows[0]], "manifest.digest"),
    ],
    ids=["another text", "a row less", "a row twice"],
)
def test_other_rows_are_another_dataset(finished, prepare, pipelines, change, told):
    before = contents(finished / "out")
    write_manifest(finished / "m.jsonl", change(SOME))
    run = prepare("m.jsonl", "out")
    assert (run.status, pipelines) == (1, [])
    assert told in run.stderr
    assert contents(finished / "out") == before
    assert prepare("m.jsonl", "out", "--overwrite").status in (0, 3)


def test_other_settings_are_another_dataset(finished, prepare, pipelines):
    run = prepare("m.jsonl", "out", "--prompt=Another.")
    assert (run.status, pipelines) == (1, [])
    assert "settings.prompt" in run.stderr


def test_overwrite_replaces_another_dataset_only(finished, prepare, pipelines):
    assert prepare("m.jsonl", "out", "--overwrite").json["reused"] == len(SOME)
    assert pipelines == []


def test_verify_decodes_every_payload(finished, prepare, monkeypatch):
    verified: list[int] = []
    decodes = ClipWorkers.is_as_noted

    def noted(self, payload, num_samples):
        verified.append(num_samples)
        return decodes(self, payload, num_samples)

    monkeypatch.setattr(ClipWorkers, "is_as_noted", noted)
    assert prepare("m.jsonl", "out", "--verify").json["reused"] == len(SOME)
    assert len(verified) == len(SOME)


def test_a_doubled_id_is_no_obstacle(folder, prepare, pipelines):
    write_manifest(folder / "m.jsonl", [*SOME, *SOME[:2]])
    first = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=1")
    assert first.json["reasons"] == {"duplicate_id": 2}
    again = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=1")
    assert (again.json["reused"], len(pipelines)) == (len(SOME) + 2, 1)


def test_too_many_rejected_rows_are_told_again(folder, prepare):
    write_manifest(folder / "m.jsonl", [*SOME[:1], {**SOME[0], "text": ""}])
    assert [prepare(folder / "m.jsonl", folder / "out").status for _ in range(2)] == [3, 3]


@pytest.mark.parametrize("again", [[], ["--prompt=Another.", "--overwrite"]], ids=["the same command", "another"])
def test_what_killed_processes_have_left_is_swept_wherever_they_ran(finished, prepare, again):
    """Of this machine and others, of containers whose process ids are running ones here, of earlier versions."""
    folders = [".", "train", "rejected", "ledger", "audio/ab", "tuning", "tuning/claims/x"]
    names = [
        "000000000000-1-0",
        f"{'0' * 12}-{os.getpid()}-{'0' * 32}",
        f"{'0' * 16}-{'1' * 32}",
        f"{'a' * 16}-{'1' * 32}",
    ]
    left = [finished / "out" / folder / f"{PART_PREFIX}{name}" for folder in folders for name in names]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a shard")
    binned = finished / "out" / f"{PART_PREFIX}{'b' * 16}-{'1' * 32}"
    binned.mkdir()
    (binned / "0").write_bytes(b"to be removed")
    assert prepare("m.jsonl", "out", *again).status == 0
    assert list((finished / "out").rglob(f"{PART_PREFIX}*")) == []


def test_elsewhere_too_a_finished_dataset_is_not_made_again(finished, prepare):
    before = state(finished / "out")
    run = prepare("m.jsonl", "out", "--runner=BundleBasedDirectRunner")
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    assert state(finished / "out")[finished / "out/dataset.json"] == before[finished / "out/dataset.json"]
    again = prepare("m.jsonl", "out", "--runner=BundleBasedDirectRunner", "--verify")
    assert again.status == 0
    assert state(finished / "out")[finished / "out/dataset.json"] != before[finished / "out/dataset.json"]


def test_a_failing_disk_is_told_in_one_line(finished, prepare, pipelines, monkeypatch):
    def fail(self, uri):
        raise StorageError("the disk is away")

    monkeypatch.setattr(Storage, "read_bytes", fail)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.stderr, pipelines) == (1, "cliptune prepare: the disk is away\n", [])
