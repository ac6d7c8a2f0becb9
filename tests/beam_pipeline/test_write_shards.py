"""The writer of shards: a few at a time, and after a fault as good as new."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from apache_beam.internal import pickler

from beam_pipeline.job import Job
from beam_pipeline.write_shards import SHARDS_AT_A_TIME, Place, ShardWriter, WriteShards
from transforms.dataset import shard
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.output import Output
from transforms.dataset.plan import Plan
from transforms.dataset.shard import ShardResult
from transforms.errors import StorageError
from transforms.manifests.columns import ManifestSettings
from transforms.settings import Settings
from transforms.storage import Storage
from transforms.workers.budget import TASKS

SHARDS = {"train": 9, "validation": 0, "rejected": 1}


@pytest.fixture
def writer(tmp_path):
    output = Output(str(tmp_path / "out"), str(tmp_path), (), SHARDS, Settings(), Storage())
    writer = ShardWriter(Job((), ManifestSettings(), Plan(0, "", SHARDS, frozenset()), output, clip_workers=1))
    yield writer
    writer.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("shard_", "clip_", "read_"))]


def test_as_many_shards_as_it_has_threads_for_are_written_at_once(writer, monkeypatch):
    """Each waits for all others: one after the other, none would ever end."""
    together = threading.Barrier(SHARDS_AT_A_TIME, timeout=30)

    def write_shard(key, rows, output, pool):
        together.wait()
        return ShardResult(key, 0, False, "")

    monkeypatch.setattr(shard, "write_shard", write_shard)
    for index in range(SHARDS_AT_A_TIME):
        assert not writer.is_full()
        writer.begin(("train", index), [])
    assert writer.is_full()
    assert {writer.wait().key for _ in range(SHARDS_AT_A_TIME)} == {("train", n) for n in range(SHARDS_AT_A_TIME)}
    assert not writer.is_busy()


def test_after_a_fault_it_writes_the_shards_of_the_next_try(writer, monkeypatch):
    real = shard.write_shard

    def fail(key, rows, output, pool):
        raise StorageError("the network is gone")

    monkeypatch.setattr(shard, "write_shard", fail)
    writer.begin(("train", 0), [])
    writer.begin(("train", 1), [])
    with pytest.raises(StorageError, match="network"):
        writer.wait()
    assert not writer.is_busy()
    monkeypatch.setattr(shard, "write_shard", real)
    writer.begin(("train", 0), [])
    assert writer.wait().key == ("train", 0)
    assert not writer.is_busy()


def test_a_writer_without_shards_starts_no_threads(writer):
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("shard_", "clip_", "read_"))]
    writer.stop()


@pytest.fixture
def writers(writer):
    """Twelve more, as a worker process of Dataflow's may have, which share one place."""
    place = Place()
    made = [ShardWriter(writer.job, place) for _ in range(12)]
    yield made
    for each in made:
        each.stop()


def names():
    return sorted(
        thread.name for thread in threading.enumerate() if thread.name.startswith(("shard_", "clip_", "read_"))
    )


def test_the_writers_of_a_process_share_its_threads_and_the_last_one_stops_them(writers, monkeypatch):
    pools = set()

    def write_shard(key, rows, output, pool):
        pools.add(id(pool))
        return ShardResult(key, 0, False, "")

    monkeypatch.setattr(shard, "write_shard", write_shard)
    for index, each in enumerate(writers):
        each.begin(("train", index), [])
    assert [each.wait().key for each in writers] == [("train", index) for index in range(12)]
    assert len(pools) == 1
    assert len(names()) <= SHARDS_AT_A_TIME
    for each in writers[:-1]:
        each.stop()
    assert names()
    writers[-1].stop()
    assert not names()


def test_a_fault_of_one_writer_drops_no_shard_of_another(writers, monkeypatch):
    goes_on = threading.Event()

    def write_shard(key, rows, output, pool):
        if key[1] == 0:
            raise StorageError("the network is gone")
        goes_on.wait(30)
        return ShardResult(key, 0, False, "")

    monkeypatch.setattr(shard, "write_shard", write_shard)
    writers[1].begin(("train", 1), [])
    writers[0].begin(("train", 0), [])
    with pytest.raises(StorageError, match="network"):
        writers[0].wait()
    goes_on.set()
    assert writers[1].wait().key == ("train", 1)


def test_the_copies_of_the_step_in_a_process_have_one_place_whatever_the_threads_of_the_harness(writer):
    """Each thread of a harness makes the step anew, from the bytes that were staged."""
    staged = pickler.dumps(WriteShards(writer.job).step())
    steps = [pickler.loads(staged) for _ in range(12)]
    with ThreadPoolExecutor(12) as harness:
        list(harness.map(lambda step: step.setup(), steps))
    try:
        assert len({id(step.writer._place) for step in steps}) == 1
        other = pickler.loads(pickler.dumps(WriteShards(writer.job).step()))  # of the next job
        other.setup()
        assert other.writer._place is not steps[0].writer._place
        other.teardown()
    finally:
        for step in steps:
            step.teardown()


def test_the_pools_of_a_process_share_one_budget():
    """However many jobs or writers of their own it has."""
    pools = [ClipWorkers(Settings(), verify=False, size=1)._pool for _ in range(3)]
    assert {id(pool._memory) for pool in pools} == {id(TASKS)}
    for pool in pools:
        pool.close()
