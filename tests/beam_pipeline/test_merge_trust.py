"""Merges believe no file that somebody has altered, and write nothing into a dataset that is another run's by now."""

import json
import shutil

import pytest

from tests.beam_pipeline.conftest import contents
from tests.beam_pipeline.test_merge import GOOD, MENDED, first, folder, mend, merge, write, wrong
from transforms import records
from transforms.dataset import merging
from transforms.storage import Storage

__all__ = ["folder", "merge"]  # fixtures
BUCKET = "gs://cliptune-test/out"
storage = Storage()


@pytest.fixture
def merged(folder, prepare, merge):
    """A dataset into which rows were merged, mended ones and a new one."""
    first(prepare)
    mend(folder / "out/rejected.jsonl", destination=folder / "mended.jsonl")
    write(folder / "more.jsonl", [wrong("new"), wrong("late")])
    assert merge("mended.jsonl").status == 0
    assert merge("more.jsonl").json["accepted"] == GOOD + len(MENDED) + 2
    return folder / "out"


# What somebody may do to a file of merged rows.
DAMAGES = {
    "another text": lambda content: content.replace(b"words of", b"lies of"),
    "one more": lambda content: content + content.splitlines(keepends=True)[0],
    "one fewer": lambda content: b"".join(content.splitlines(keepends=True)[:-1]),
    "an empty line": lambda content: content + b"\n",
    "another order": lambda content: b"".join(reversed(content.splitlines(keepends=True))),
}


@pytest.mark.parametrize("name", ["mended.jsonl", "added.jsonl"])
def test_merged_rows_that_were_altered_are_not_believed(merged, merge, name):
    path = merged / name
    content = path.read_bytes()
    for damage in DAMAGES.values():
        path.write_bytes(damage(content))
        before = contents(merged)
        run = merge("more.jsonl")
        assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1), run.stderr
        fault = f"{name} is damaged (altered since it was written): it keeps the rows of earlier merges"
        assert f"{fault}; remove it, and merge its rows again" in run.stderr
        assert contents(merged) == before
    path.unlink()
    for manifest in ("mended.jsonl", "more.jsonl"):
        assert merge(manifest).status == 0
    assert path.read_bytes() == content


def test_a_merge_is_killed_between_any_two_files_of_its_rows(merged, merge, monkeypatch):
    """Each of them is then one that a merge has written, before or after."""
    after = contents(merged)
    write(merged.parent / "later.jsonl", [wrong("later", audio_path="audio/late.wav")])
    real = Storage.write_bytes
    for moment in range(3):
        shutil.copytree(merged, merged.parent / "copy", dirs_exist_ok=True)
        calls = 0

        def stopped(self, uri, content, moment=moment):
            nonlocal calls
            calls += 1
            if calls > moment:
                raise KeyboardInterrupt
            real(self, uri, content)

        with monkeypatch.context() as patch:
            patch.setattr(Storage, "write_bytes", stopped)
            merge("later.jsonl", "copy")
        assert calls == moment + 1
        run = merge("later.jsonl", "copy")
        assert (run.status, run.json["accepted"]) == (0, GOOD + len(MENDED) + 3), run.stderr
    assert contents(merged) == after


@pytest.mark.parametrize("place", ["out", BUCKET])
def test_a_merge_that_is_overtaken_writes_no_rows(gcs, folder, prepare, merge, monkeypatch, place):
    first(prepare, place)
    letters = folder / "letters.jsonl"
    letters.write_bytes(storage.read_bytes(f"{place if place == BUCKET else folder / place}/rejected.jsonl"))
    mend(letters)
    real = merging.MergeRecords.write

    def late(self, uri, given):
        prepare("m.jsonl", place, "--overwrite", "--max_rejected_fraction=1")
        real(self, uri, given)

    monkeypatch.setattr(merging.MergeRecords, "write", late)
    run = merge("letters.jsonl", place)
    assert (run.status, run.stderr.splitlines()[-1].count("while this one ran; nothing is merged")) == (1, 1)
    where = place if place == BUCKET else str(folder / place)
    assert not [uri for uri in storage.list_files(where) if uri.endswith(("mended.jsonl", "added.jsonl"))]
    monkeypatch.undo()


def test_no_bucket_allows_folders_of_this_machine(gcs, folder, prepare, merge):
    """A stranger's dataset may say that it was made with `--allow_path=/`."""
    secret = folder / "secret"
    shutil.copytree(folder / "audio", secret / "audio")
    bucket, out = "gs://cliptune-test", BUCKET
    storage.write_bytes(f"{bucket}/m.jsonl", json.dumps(wrong("clip0", audio_path="none.wav")).encode())
    storage.write_bytes(f"{bucket}/n.jsonl", json.dumps(wrong("s", audio_path=f"{secret}/audio/clip1.wav")).encode())
    assert prepare(f"{bucket}/m.jsonl", out, "--max_rejected_fraction=1").status == 0
    made = json.loads(storage.read_bytes(f"{out}/manifests.json"))
    del made["checksum"]
    forged = records.pretty(records.sealed({**made, "allow_path": ["/"]}))
    storage.write_bytes(f"{out}/manifests.json", forged)
    run = merge(f"{bucket}/n.jsonl", out)
    assert run.status == 1
    told = f"--merge_into {out}: it was made with --allow_path=/, which a dataset in a bucket cannot allow by itself"
    assert f"{told}; pass --allow_path=/, too" in run.stderr
    again = merge(f"{bucket}/n.jsonl", out, "--allow_path=/")
    assert (again.status, again.json["accepted"]) == (0, 1), again.stderr
    assert merge(f"{bucket}/n.jsonl", out, f"--allow_path={secret}").status == 1


def test_a_dataset_on_this_machine_needs_no_second_word(folder, prepare, merge):
    first(prepare, "out", f"--allow_path={folder}")
    mend(folder / "out/rejected.jsonl")
    assert merge("out/rejected.jsonl").json["rejected"] == 0


def test_a_merge_knows_what_was_merged_from_the_records_alone(merged):
    made = json.loads((merged / "manifests.json").read_bytes())
    assert sorted(made["merged"]) == ["added.jsonl", "mended.jsonl"]
    assert all(len(digests) == 1 for digests in made["merged"].values())
