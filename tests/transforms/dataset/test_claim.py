"""An output that another run has taken over: from then on nothing is written, whatever was about to be."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import soundfile

from tests.shards import converting
from tests.sounds import tone
from transforms import reasons
from transforms.clip import Clip, rejected
from transforms.dataset import duplicates, shard
from transforms.dataset.output import Output, claim
from transforms.dataset.plan import make_plan
from transforms.dataset.shard import ClipPool
from transforms.errors import UserError
from transforms.report import finish
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()

RATE = 16_000
SETTINGS = Settings(validation_fraction=0.0)
TAKEN = "another run has taken .* over while this one ran; nothing more is written"


@pytest.fixture
def clips(tmp_path):
    for index in range(3):
        soundfile.write(tmp_path / f"{index}.wav", tone(300 + 50 * index, RATE, 0.5), RATE, "PCM_16")
    return [Clip(f"c{index}", f"{index}.wav", "hello", f"m:{index}", json.dumps({"id": index})) for index in range(3)]


@pytest.fixture
def bad(clips):
    return [replace(rejected(clips[0], reasons.BAD_ROW, "no row"), clip_id="", source="m:9")]


@pytest.fixture
def plan(clips, bad):
    return make_plan([*clips, *bad], SETTINGS)


@pytest.fixture
def output(tmp_path, plan):
    """An output that is this run's."""
    out = str(tmp_path / "out")
    unclaimed = Output(out, str(tmp_path), (str(tmp_path),), plan.num_shards, SETTINGS, storage)
    return unclaimed.claimed(claim(unclaimed, plan, overwrite=False))


def write(key, rows, output):
    with ThreadPoolExecutor(2) as executor:
        return shard.write_shard(key, rows, output, ClipPool(executor, converting(output), 4))


def take_over(output):
    """What `--overwrite` of another run does first."""
    claim(replace(output, settings=Settings(), storage=storage), make_plan([], Settings()), overwrite=True)


def files(output):
    return {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)}


def written(clips, bad, output):
    return [write(("train", 0), clips, output), write(("rejected", 0), bad, output)]


def test_a_claim_that_holds_stops_nobody(clips, bad, plan, output):
    results = written(clips, bad, output)
    duplicates.drop(("train", 0), {"c0": "the same audio"}, output)
    report = finish.finish(results, plan, output)
    assert report is not None
    assert report.accepted == 2


@pytest.mark.parametrize("key", [("train", 0), ("rejected", 0)])
def test_no_shard_is_written_into_an_output_of_another_run(clips, bad, output, key):
    take_over(output)
    theirs = files(output)
    with pytest.raises(UserError, match=TAKEN):
        write(key, bad if key[0] == "rejected" else clips, output)
    assert files(output) == theirs


def test_no_line_is_dropped_from_a_shard_of_another_run(clips, output):
    write(("train", 0), clips, output)
    shards = files(output)
    take_over(output)
    for uri, content in shards.items():  # the other run has made the same shard
        if "/train/" in uri:
            storage.write_bytes(uri, content)
    theirs = files(output)
    with pytest.raises(UserError, match=TAKEN):
        duplicates.drop(("train", 0), {"c0": "the same audio"}, output)
    assert files(output) == theirs


@pytest.mark.parametrize("moment", ["before", "once the ledger is written"])
def test_a_dataset_of_another_run_is_not_described(clips, bad, plan, output, monkeypatch, moment):
    results = written(clips, bad, output)
    write_file = Storage.write

    @contextmanager
    def taken_over_meanwhile(self, uri):
        with write_file(self, uri) as file:
            yield file
        if "/ledger/" in uri:
            monkeypatch.undo()
            take_over(output)

    if moment == "before":
        take_over(output)
    else:
        monkeypatch.setattr(Storage, "write", taken_over_meanwhile)
    with pytest.raises(UserError, match=TAKEN):
        finish.finish(results, plan, output)
    left = {uri.removeprefix(f"{output.folder}/") for uri in files(output)}
    assert not left & {"report.json", "report.html", "dataset.json"}
