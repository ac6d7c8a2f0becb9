"""One cluster for all tests, made whole again before each; its logs are shown with each test that fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.beam_pipeline.conftest import ROWS, contents, fill, write_manifest
from tests.cluster import commands, flink, machines, page

# Some 25 shards, which two workers write in some seconds.
NUM_ROWS = 1500
BAD = [
    {"id": "nowhere", "audio_path": "clips/nowhere.wav", "text": "x"},
    {"id": "clip-7", "audio_path": ROWS[7]["audio_path"], "text": "the id is taken"},
    {"id": "no-text", "audio_path": ROWS[0]["audio_path"], "text": ""},
]
_LOGS: list[Path] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the ends of the cluster's logs with what has failed."""
    report = yield
    if report.failed:
        for log in (log for folder in _LOGS for log in sorted(folder.glob("*.log"))):
            tail = log.read_text(errors="replace").splitlines()[-30:]
            report.sections.append((f"the end of {log}", "\n".join(line[:400] for line in tail)))
    return report


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Iterator[flink.Cluster]:
    """The cluster."""
    if not (page.JAR.exists() and machines.may_serve()):
        pytest.skip("make test-cluster fetches Flink, and runs these tests in a network of their own")
    folder = tmp_path_factory.mktemp("cluster")
    _LOGS.append(folder / "logs")
    with flink.running(folder) as cluster:
        yield cluster


@pytest.fixture
def cluster(whole: flink.Cluster) -> flink.Cluster:
    """The cluster, whatever the test before has killed."""
    whole.start()
    return whole


@pytest.fixture(scope="session")
def folder(whole, tmp_path_factory) -> Path:
    """A folder that the whole cluster sees, with `clips.jsonl` and `local`, its dataset made without Flink."""
    folder: Path = fill(tmp_path_factory.mktemp("shared"), ROWS)
    rows = [{**ROWS[index % len(ROWS)], "id": f"clip-{index}"} for index in range(NUM_ROWS)]
    write_manifest(folder / "clips.jsonl", [*rows, *BAD])
    run = commands.run(local_words("local"), folder)
    assert (run.status, run.json["accepted"], run.json["rejected"]) == (0, NUM_ROWS, len(BAD)), run.stderr
    return folder


def local_words(output: str, *flags: str) -> list[str]:
    """The same command without a runner."""
    return [sys.executable, *["-m", "cliptune", "prepare", "--manifest", "clips.jsonl", "--output"], output, *flags]


def assert_same(output: Path, reference: Path) -> None:
    """Every file of two datasets is the same, and none is in one of them only."""
    ours, theirs = contents(output), contents(reference)
    assert sorted(ours) == sorted(theirs)
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def clips_of(sidecars) -> int:
    """The rows in sidecars."""
    return sum(len(json.loads(path.read_bytes())["outcomes"]) for path in sidecars)
