"""Runs over a bucket: what is overlapped, where a fault goes, and how a run stops."""

import os
import signal
import sys
import threading

import pytest

from cliptune.main import main
from tests import forked
from tests.beam_pipeline.conftest import EXAMPLES, FEW, SOME, ledger, lines, write_manifest
from tests.envelopes import report_of
from transforms.errors import StorageError, UserError
from transforms.storage import Storage

storage = Storage()


def fill(bucket, rows, tmp_path, without=()):
    for row in rows:
        if row["audio_path"] not in without:
            storage.write_bytes(f"{bucket}/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", write_manifest(tmp_path / "m.jsonl", rows).read_bytes())


def test_two_shards_are_finished_at_once(folder, prepare, small_shards, monkeypatch):
    """Each of the first two waits for the other: one after the other, none would ever be finished."""
    both, first, write = threading.Barrier(2, timeout=30), iter("12"), Storage.write_bytes

    def wait(self, uri, content):
        if "/train/" in uri and next(first, None):
            both.wait()
        write(self, uri, content)

    monkeypatch.setattr(Storage, "write_bytes", wait)
    assert prepare(folder / "m.jsonl", folder / "out").status == 0


def test_the_examples_are_those_of_a_local_run(bucket, prepare, reference, small_shards, tmp_path):
    fill(bucket, SOME, tmp_path)
    assert prepare(f"{bucket}/m.jsonl", tmp_path / "out").status == 0
    for split in ("train", "validation"):
        assert lines(tmp_path / "out", split) == lines(reference, split)


def test_a_missing_object_costs_its_own_row(bucket, prepare, tmp_path):
    gone = FEW[2]
    fill(bucket, FEW, tmp_path, without=[gone["audio_path"]])
    run = prepare(f"{bucket}/m.jsonl", tmp_path / "out")
    assert (run.json["accepted"], run.json["reasons"]) == (len(FEW) - 1, {"not_found": 1})
    (refused,) = (row for row in ledger(tmp_path / "out") if row["status"] == "rejected")
    assert refused["clip_id"] == gone["id"]


@pytest.mark.parametrize("fault", ["UserError", "StorageError"])
def test_a_failing_bucket_stops_the_run(bucket, prepare, tmp_path, monkeypatch, fault):
    fill(bucket, FEW, tmp_path)
    read = Storage.read_audio
    raised = {"UserError": UserError("no permission"), "StorageError": StorageError("it is away")}

    def fail(self, uri, max_bytes):
        if uri.endswith(FEW[2]["audio_path"]):
            raise raised[fault]
        return read(self, uri, max_bytes)

    monkeypatch.setattr(Storage, "read_audio", fail)
    run = prepare(f"{bucket}/m.jsonl", f"{bucket}/out")
    assert (run.status, run.stderr) == (1, f"cliptune prepare: {raised[fault]}\n")
    assert not [uri for uri in storage.list_files(f"{bucket}/out") if "/train/" in uri]


def prepare_interrupted(owner, name, comes_back, *words):
    """The command, with Ctrl-C at the first call of a method."""
    patch, method = pytest.MonkeyPatch(), getattr(owner, name)

    def interrupt(self, *arguments):
        patch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        if not comes_back:
            threading.Event().wait(600)
        return method(self, *arguments)

    patch.setattr(owner, name, interrupt)
    sys.exit(main(["prepare", *words]))


@pytest.mark.parametrize("comes_back", [True, False], ids=["goes on", "never comes back"])
def test_an_interrupted_run_over_a_bucket_stops_and_is_finished_by_the_next(bucket, prepare, tmp_path, comes_back):
    fill(bucket, SOME, tmp_path)
    words = ["--manifest", f"{bucket}/m.jsonl", "--output", f"{bucket}/out"]
    stopped = forked.run(prepare_interrupted, Storage, "read_audio", comes_back, *words, folder=tmp_path)
    assert stopped.returncode == 1
    assert report_of(stopped.stdout, 1) == ""
    assert stopped.stderr == "cliptune prepare: stopped; the same command goes on from here\n"
    assert not storage.exists(f"{bucket}/out/dataset.json")
    assert prepare(f"{bucket}/m.jsonl", f"{bucket}/out").json["accepted"] == len(SOME)
