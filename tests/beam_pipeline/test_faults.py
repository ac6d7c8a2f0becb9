"""Outputs that are full, limited, or written by two runs at once: noticed, told in one line, mended by the next run."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.beam_pipeline.conftest import SOME, contents, write_manifest
from transforms.storage import Storage

storage = Storage()

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cliptune", "prepare", "--manifest", "m.jsonl", "--output", "out"]
IN_SMALL_SHARDS = """
import sys
import cliptune
from transforms.dataset import plan
assert plan.CLIPS_PER_SHARD
plan.CLIPS_PER_SHARD = 4
sys.exit(cliptune.main(sys.argv[1:]))
"""
SMALL = [sys.executable, "-c", IN_SMALL_SHARDS, *COMMAND[3:]]


def ran(words, folder, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment, **options)


def assert_one_line(run, told):
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("cliptune prepare: ")
    assert told in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("limit", [100_000, 400_000])
def test_a_limit_on_the_size_of_files(folder, reference, limit):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    assert_one_line(ran(SMALL, folder, preexec_fn=limited), "File too large")
    assert not (folder / "out/dataset.json").exists()
    assert ran(SMALL, folder).returncode == 0
    assert contents(folder / "out") == contents(reference)


def test_a_full_disk(folder, reference):
    namespaces = ["unshare", "-rm", "true"]
    probe = subprocess.run(namespaces, capture_output=True, check=False) if shutil.which("unshare") else None
    if probe is None or probe.returncode:
        pytest.skip("a small disk can be mounted on Linux only, where users may have namespaces of their own")
    (folder / "out").mkdir()
    script = 'mount -t tmpfs -o size=1m none out && "$@"; status=$?; cp -r out kept; exit $status'
    run = ran(["unshare", "-rm", "sh", "-c", script, "sh", *SMALL], folder)
    assert_one_line(run, "No space left on device")
    assert "cannot write " in run.stderr
    # The disk grows, and the same command goes on with what is there.
    (folder / "out").rmdir()
    (folder / "kept").rename(folder / "out")
    finished = {path.name for path in (folder / "out").rglob("*.outcomes.json")}
    assert finished
    assert json.loads(ran(SMALL, folder).stdout)["reused"] > 0
    assert contents(folder / "out") == contents(reference)


def test_two_runs_of_one_command_at_once(folder, reference):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"cwd": folder, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(SMALL, **options) for _ in range(2)]
    told = [run.communicate() for run in both]
    assert [run.returncode for run in both] == [0, 0], told
    assert contents(folder / "out") == contents(reference)


@pytest.mark.parametrize("moment", [1, len(SOME) - 1])
def test_a_run_that_is_overtaken_stops_and_leaves_the_others_dataset_alone(
    folder, prepare, small_shards, monkeypatch, moment
):
    other = [*SMALL, "--overwrite", "--sample_rate=8000"]
    write_manifest(folder / "m.jsonl", SOME)
    read, count = Storage.read_audio, 0

    def overtaken(self, uri, max_bytes):
        nonlocal count
        count += 1
        if count == moment:
            assert ran(other, folder).returncode == 0
        return read(self, uri, max_bytes)

    monkeypatch.setattr(Storage, "read_audio", overtaken)
    monkeypatch.chdir(folder)
    run = prepare("m.jsonl", "out", "--clip_threads=1")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith("cliptune prepare: another run has taken ")
    assert run.stderr.count("\n") == 1
    calm = prepare("m.jsonl", "calm", "--sample_rate=8000")
    assert calm.status == 0
    assert contents(folder / "out") == contents(folder / "calm")
