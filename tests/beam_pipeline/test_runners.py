"""The same bytes from every engine that runs on one machine, and golden hashes that pin the format."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cliptune.main import main
from tests import processes
from tests.beam_pipeline.conftest import FEW, SOME, contents, write_manifest

ROOT = Path(__file__).parents[2]
BAD = [
    {"id": "nowhere", "audio_path": "clips/nowhere.wav", "text": "x"},
    {"id": SOME[0]["id"], "audio_path": SOME[1]["audio_path"], "text": "the id is taken"},
    {"id": "no-text", "audio_path": SOME[0]["audio_path"], "text": ""},
]


@pytest.fixture
def cluster(tmp_path):
    """Flags that lead to a job server with two worker processes."""
    # The pool starts its workers as "python".
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.beam_pipeline.portable", str(tmp_path / "staging")]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}
    with (tmp_path / "log").open("w") as log, processes.running(command, stderr=log, **options) as server:
        assert server.stdout is not None
        jobs, workers = server.stdout.readline().split()
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint={jobs}",
            "--environment_type=EXTERNAL",
            f"--environment_config={workers}",
        ]
        server.communicate(timeout=processes.LIMIT_SECONDS)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.sweep
def test_workers_of_a_job_server_write_the_rows_of_a_merge(folder, prepare, cluster, small_shards, monkeypatch):
    """The rows reach them with the job. They are the first to write anything."""
    monkeypatch.chdir(folder)
    wrong = {**FEW[0], "id": "mute", "text": ""}
    for output, row in (("out", wrong), ("here", wrong), ("right", {**wrong, "text": "heard"})):
        write_manifest(folder / "m.jsonl", [*FEW, row])
        assert prepare("m.jsonl", output, "--max_rejected_fraction=1").status == 0
    write_manifest(folder / "m.jsonl", [*FEW, wrong])
    letter = json.loads((folder / "out/rejected.jsonl").read_text())
    write_manifest(folder / "mended.jsonl", [{**letter, "text": "heard"}])
    for output, flags in (("out", cluster), ("here", [])):
        assert main(["prepare", "--manifest=mended.jsonl", f"--merge_into={output}", *flags]) == 0
    assert contents(folder / "out") == contents(folder / "here")
    of_merges = ("manifests.json", "mended.jsonl")
    assert contents(folder / "out", of_merges) == contents(folder / "right", of_merges)


@pytest.fixture
def calm(folder, prepare, small_shards, monkeypatch):
    """What the embedded runner makes of some good rows and some bad ones, with repeated audio."""
    monkeypatch.chdir(folder)
    shutil.copy(SOME[3]["audio_path"], "copy" + Path(SOME[3]["audio_path"]).suffix)
    again = {**SOME[3], "id": "again", "audio_path": "copy" + Path(SOME[3]["audio_path"]).suffix}
    write_manifest(folder / "m.jsonl", [*SOME, *BAD, again])
    run = prepare("m.jsonl", "calm", "--max_rejected_fraction=1", "--dedupe=audio")
    assert run.json["reasons"] == {"duplicate_audio": 1, "duplicate_id": 1, "missing_text": 1, "not_found": 1}
    return contents(folder / "calm")


def test_worker_processes_make_the_same_bytes(folder, calm, prepare):
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    run = prepare("m.jsonl", "out", "--max_rejected_fraction=1", "--dedupe=audio", *flags)
    assert run.status == 0
    assert contents(folder / "out") == calm


def test_a_job_server_with_two_workers_makes_the_same_bytes(folder, calm, prepare, cluster):
    run = prepare("m.jsonl", "out", "--max_rejected_fraction=1", "--dedupe=audio", *cluster)
    assert run.status == 0
    assert contents(folder / "out") == calm
    # The second time nothing is made again, and that is known here although it happened there.
    again = prepare("m.jsonl", "out", "--max_rejected_fraction=1", "--dedupe=audio", "--verify", *cluster)
    assert again.json["reused"] == run.json["rows"]
