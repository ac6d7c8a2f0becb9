"""The end of a run: the ledger, the dead letters and dataset.json add up, or there is no dataset."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.shards import RATE, finished
from transforms import reasons
from transforms.clip import rejected
from transforms.dataset import ledger
from transforms.dataset.sidecar import Sidecar
from transforms.errors import AccountingError
from transforms.report import finish
from transforms.storage import Storage

storage = Storage()


def test_a_finished_dataset_adds_up(tmp_path, clips):
    bad = [replace(rejected(clips[0], reasons.BAD_ROW, "no row"), clip_id="", source="m.csv:99", row='{"line": "x"}')]
    report, *_ = finished(tmp_path, clips, bad)
    assert (report.rows, report.accepted, report.rejected) == (12, 10, 2)
    rows = list(ledger.read_ledger(str(tmp_path / "out/ledger"), Storage()))
    assert sorted(str(row["source"]) for row in rows) == sorted([*(c.source for c in clips), "m.csv:99"])
    letters = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [(x["reject_reason"], x["reject_source"]) for x in letters] == [
        ("not_audio", "m.csv:12"),
        ("bad_row", "m.csv:99"),
    ]
    assert letters[0]["id"] == "bad"
    dataset = json.loads((tmp_path / "out/dataset.json").read_text())
    (entry,) = dataset["splits"]["train"]["shards"]
    content = (tmp_path / "out" / entry["path"]).read_bytes()
    assert entry == {
        "path": entry["path"],
        "examples": 10,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
    assert dataset["splits"]["train"]["audio_samples"] == 10 * RATE // 2


@pytest.fixture
def unreadable(clips):
    return [replace(rejected(clips[0], reasons.BAD_ROW, "no row"), clip_id="", source="m.csv:99")]


@pytest.mark.parametrize("wrong", [[], [0], [1], [0, 1, 1], [0, 0, 1], [0, 0]])
def test_lost_or_doubled_rows_are_never_called_done(tmp_path, clips, unreadable, wrong):
    """Of eleven rows in the first shard and one in the second."""
    _, plan, output, results = finished(tmp_path, clips, unreadable)
    storage.delete(f"{output.folder}/dataset.json")
    with pytest.raises(AccountingError, match="the manifests have 12 rows, the shards account for"):
        finish.finish([results[index] for index in wrong], plan, output)
    assert not storage.exists(f"{output.folder}/dataset.json")


@pytest.mark.parametrize("change", ["lost", "doubled"])
def test_a_row_that_its_sidecar_lost_or_doubled_is_missed(tmp_path, clips, unreadable, change):
    _, plan, output, results = finished(tmp_path, clips, unreadable)
    storage.delete(f"{output.folder}/dataset.json")
    uri = output.sidecar_uri(("train", 0))
    sidecar = Sidecar.load(storage.read_bytes(uri))
    outcomes = {"lost": sidecar.outcomes[1:], "doubled": (*sidecar.outcomes, sidecar.outcomes[0])}[change]
    storage.write_bytes(uri, replace(sidecar, outcomes=outcomes).dump())
    with pytest.raises(AccountingError, match="the manifests have 12 rows, the ledger accounts for"):
        finish.finish(results, plan, output)
    assert not storage.exists(f"{output.folder}/dataset.json")


def test_finishing_twice_writes_the_same_bytes(tmp_path, clips):
    _, plan, output, results = finished(tmp_path, clips)
    before = {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)}
    finish.finish(results, plan, output)
    assert {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)} == before
