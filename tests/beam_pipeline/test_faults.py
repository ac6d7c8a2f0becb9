"""Outputs that are full, limited, or written by two runs at once: noticed, told in one line, mended by the next run."""

import functools
import json
import os
import re
import resource
import shutil
import sys
from pathlib import Path

import pytest

from tests import forked, processes
from tests.beam_pipeline.conftest import SOME, contents, prepare_in_small_shards, write_manifest
from tests.envelopes import report_of
from transforms.dataset.clip_workers import ClipWorkers

ROOT = Path(__file__).parents[2]
FLAGS = ["--manifest", "m.jsonl", "--output", "out"]


def assert_one_line(run, told):
    assert (run.returncode, report_of(run.stdout, 1)) == (1, "")
    assert run.stderr.startswith("cliptune prepare: ")
    assert told in run.stderr
    assert run.stderr.count("\n") == 1


def prepare_limited(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    prepare_in_small_shards(*FLAGS)


@pytest.mark.parametrize("limit", [100_000, 400_000])
def test_a_limit_on_the_size_of_files(folder, reference, limit):
    assert_one_line(forked.run(prepare_limited, limit, folder=folder), "File too large")
    assert not (folder / "out/dataset.json").exists()
    assert forked.run(prepare_in_small_shards, *FLAGS, folder=folder).returncode == 0
    assert contents(folder / "out") == contents(reference)


def test_a_full_disk(folder, reference):
    namespaces = ["unshare", "-rm", "true"]
    probe = processes.run(namespaces) if shutil.which("unshare") else None
    if probe is None or probe.returncode:
        pytest.skip("a small disk can be mounted on Linux only, where users may have namespaces of their own")
    (folder / "out").mkdir()
    script = 'mount -t tmpfs -o size=1m none out && "$@"; status=$?; cp -r out kept; exit $status'
    code = f"from tests.beam_pipeline import conftest; conftest.prepare_in_small_shards(*{FLAGS})"
    words = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", code]
    run = processes.run(words, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert_one_line(run, "No space left on device")
    assert "cannot write " in run.stderr
    # The disk grows, and the same command goes on with what is there.
    (folder / "out").rmdir()
    (folder / "kept").rename(folder / "out")
    finished = {path.name for path in (folder / "out").rglob("*.outcomes.json")}
    assert finished
    assert json.loads(forked.run(prepare_in_small_shards, *FLAGS, folder=folder).stdout)["reused"] > 0
    assert contents(folder / "out") == contents(reference)


def test_two_runs_of_one_command_at_once(folder, reference):
    command = functools.partial(forked.running, prepare_in_small_shards, *FLAGS, folder=folder)
    with command() as one, command() as other:
        ended = [run.ended() for run in (one, other)]
    assert [run.returncode for run in ended] == [0, 0], ended
    assert contents(folder / "out") == contents(reference)


@pytest.mark.parametrize("moment", [1, len(SOME) - 1])
def test_a_run_that_is_overtaken_stops_and_leaves_the_others_dataset_alone(
    folder, prepare, small_shards, monkeypatch, moment
):
    other = [*FLAGS, "--overwrite", "--sample_rate=8000"]
    write_manifest(folder / "m.jsonl", SOME)
    convert, count = ClipWorkers.convert, 0

    def overtaken(self, clip, source):
        nonlocal count
        count += 1
        if count == moment:
            assert forked.run(prepare_in_small_shards, *other, folder=folder).returncode == 0
        return convert(self, clip, source)

    monkeypatch.setattr(ClipWorkers, "convert", overtaken)
    monkeypatch.chdir(folder)
    run = prepare("m.jsonl", "out", "--clip_workers=1")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith("cliptune prepare: another run has taken ")
    assert run.stderr.count("\n") == 1
    calm = prepare("m.jsonl", "calm", "--sample_rate=8000")
    assert calm.status == 0
    assert contents(folder / "out") == contents(folder / "calm")


@pytest.mark.parametrize(
    "name", [r"train-00000.*\d\.jsonl", r"train-00001.*\.outcomes\.json", r"\.parquet", "report.json", "dataset.json"]
)
def test_a_run_that_is_overtaken_on_a_slow_disk_changes_nothing_however_late(
    folder, prepare, small_shards, monkeypatch, name
):
    """All looks have been taken, and the disk is about to give a file its name."""
    other = [*FLAGS, "--overwrite", "--sample_rate=8000"]
    write_manifest(folder / "m.jsonl", SOME)
    replace = Path.replace
    overtaken: list[int | None] = []

    def late(self, target):
        if re.search(name, str(target)) and not overtaken:
            overtaken.append(forked.run(prepare_in_small_shards, *other, folder=folder).returncode)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    monkeypatch.chdir(folder)
    run = prepare("m.jsonl", "out")
    assert (overtaken, run.status, run.stdout, run.stderr.count("\n")) == ([0], 1, "", 1)
    assert run.stderr.startswith("cliptune prepare: another run has taken ")
    assert prepare("m.jsonl", "calm", "--sample_rate=8000").status == 0
    assert contents(folder / "out") == contents(folder / "calm")
    assert list((folder / "out").rglob(".cliptune-part-*")) == []
