"""What a run asks of a bucket, counted by the server: the figures of docs/latency.md."""

from collections import Counter
from pathlib import Path

import pytest
from gcp_storage_emulator.server import Router

from tests.beam_pipeline.conftest import EXAMPLES, SOME, write_manifest
from transforms.storage import Storage, gcs_client

storage = Storage()

DOC = Path(__file__).parents[2] / "docs/latency.md"
KINDS = ("read", "metadata", "list", "write", "delete")


def kind(method, path):
    if method == "GET":
        return "read" if "alt=media" in path else "metadata" if "/o/" in path else "list" if "/o?" in path else path
    return {"POST": "write", "PUT": "write", "DELETE": "delete"}[method]


@pytest.fixture
def requests(bucket, monkeypatch):
    """Every request that the emulator is asked, by kind."""
    seen: Counter[str] = Counter()
    handle = Router.handle

    def counted(self, method):
        seen[kind(method, self._request_handler.path)] += 1
        return handle(self, method)

    monkeypatch.setattr(Router, "handle", counted)
    gcs_client._check_bucket.cache_clear()  # a process asks once
    return seen


def documented():
    """The table: requests of each kind for a clip, a shard, a manifest, a run."""
    rows = [line.strip("| ").split(" | ") for line in DOC.read_text().splitlines() if line.startswith("| for each ")]
    return {row[0].removeprefix("for each "): dict(zip(KINDS, map(int, row[1:]), strict=True)) for row in rows}


@pytest.mark.parametrize(("clips", "manifests"), [(3, 1), (18, 1), (18, 3)])
def test_a_run_makes_the_requests_that_are_documented(
    bucket, requests, prepare, small_shards, tmp_path, clips, manifests
):
    for row in SOME[:clips]:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    names = [f"{bucket}/{index}.jsonl" for index in range(manifests)]
    for index, name in enumerate(names):
        storage.write_bytes(name, write_manifest(tmp_path / "m", SOME[index:clips:manifests]).read_bytes())
    requests.clear()
    more = [f"--manifest={name}" for name in names[1:]]
    assert prepare(names[0], f"{bucket}/out", *more).json["accepted"] == clips
    found = +requests
    shards = len(storage.match(f"{bucket}/out/*/*-of-*.jsonl"))
    held_out = len(storage.match(f"{bucket}/out/validation/*-of-*.jsonl"))
    units = {"clip": clips, "shard": shards, "held-out shard": held_out, "manifest": manifests, "run": 1}
    expected: Counter[str] = Counter()
    for unit, count in units.items():
        expected.update({name: count * each for name, each in documented()[unit].items()})
    assert found == +expected


def test_the_same_command_again_reads_every_file_once_and_writes_none(
    bucket, requests, prepare, small_shards, tmp_path
):
    for row in SOME[:5]:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", write_manifest(tmp_path / "m", SOME[:5]).read_bytes())
    assert prepare(f"{bucket}/m.jsonl", f"{bucket}/out").json["reused"] == 0
    files = len(storage.list_files(f"{bucket}/out"))
    requests.clear()
    assert prepare(f"{bucket}/m.jsonl", f"{bucket}/out").json["reused"] == 5
    # The manifest twice, its identity before, between and after; the report once more, and three times what the dataset
    # was made from; which version of dataset.json there is; each recording is asked for; whether a killed command has
    # left something of its joining.
    assert +requests == Counter(read=files + 6, metadata=11, list=1)
