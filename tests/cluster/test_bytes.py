"""The commands of docs/flink.md on a whole cluster: the bytes of this machine."""

import re

import pytest

from tests.beam_pipeline.conftest import contents
from tests.cluster import commands, machines, page
from tests.cluster.conftest import NUM_ROWS, assert_same, local_words
from tests.cluster.services import until

pytestmark = pytest.mark.cluster


def test_both_workers_make_the_local_bytes(cluster, folder):
    run = commands.run(commands.prepare_words(page.WITH_A_SERVER, "whole"), folder)
    assert (run.status, run.json["accepted"], run.json["reused"]) == (0, NUM_ROWS, 0), run.stderr
    assert_same(folder / "whole", folder / "local")
    written = dict.fromkeys(cluster.pools, 0)
    for task in cluster.subtasks(cluster.last_job()):
        written[task["taskmanager-id"]] += task["metrics"]["read-records"] if "{WriteShards" in task["vertex"] else 0
    assert min(written.values()) > 0  # shards
    assert sum(written.values()) == len([*(folder / "whole").rglob("*.outcomes.json")])
    # The two have the same name: one pool for both TaskManagers would end one when it is told to end the other.
    names = [set(re.findall(r'worker_id="(.*?)"', pool.log.read_text())) for pool in cluster.pools.values()]
    assert set.intersection(*names)


def test_a_manifest_spelled_otherwise_is_the_same_one(cluster, folder):
    """Workers have another current folder, and the run before may have had another one, too. It is found finished."""
    usual = commands.prepare_words(page.WITH_A_SERVER, "spelled")
    spelled = [str(folder / word) if word in ("clips.jsonl", "spelled") else word for word in usual]
    first = commands.run(spelled, folder)
    assert (first.status, first.json["reused"]) == (0, 0), first.stderr
    shards = {path.relative_to(folder / "local") for path in (folder / "local").glob("*/*.jsonl")}
    assert {path for path in shards if same(folder / "local" / path, folder / "spelled" / path)} == shards
    before = contents(folder / "spelled")
    again = commands.run(usual, folder)
    assert again.status == 0, again.stderr
    assert again.json["reused"] >= NUM_ROWS
    assert contents(folder / "spelled") == before


def assert_alone(cluster):
    """No job server but the cluster's runs."""
    if machines.ARE_APART:  # else others listen, too
        assert set(machines.listening()) == {cluster.job_manager.pid, cluster.job_server.pid}


def same(one, other):
    return one.read_bytes() == other.read_bytes()


def test_without_a_job_server_and_with_repeated_audio(cluster, folder):
    flags = ["--dedupe=audio", "--max_rejected_fraction=1"]
    local = commands.run(local_words("local-once", *flags), folder)
    run = commands.run(commands.prepare_words(page.WITHOUT_A_SERVER, "once", *flags), folder)
    assert (run.status, run.json["reasons"]) == (0, local.json["reasons"]), run.stderr
    assert run.json["reasons"]["duplicate_audio"] > NUM_ROWS / 2
    # Beam's server for this command has ended with it, without a word.
    assert_alone(cluster)
    assert "apache_beam" not in run.stderr
    assert_same(folder / "once", folder / "local-once")


def test_python_m_beam_pipeline_is_the_same_command(cluster, folder):
    words = commands.prepare_words(page.WITH_A_SERVER, "module")
    words[words.index("cliptune") : words.index("prepare") + 1] = ["beam_pipeline"]
    run = commands.run(words, folder)
    assert run.status == 0, run.stderr
    assert_same(folder / "module", folder / "local")


def listed(*processes):
    """By the page: the ports that some processes have on every interface, those on their machine, and how many more."""
    rows = re.findall(
        r"^\| ([^|]*) \| ([^|]*) \| (every interface|its machine) \|", page.section(page.PORTS), re.MULTILINE
    )
    ours = [(ports, where) for process, ports, where in rows if process in processes]
    named = {(where, int(port)) for ports, where in ours for port in re.findall(r"\d{4,}", ports)}
    return named, sum(int(number) for ports, _ in ours for number in re.findall(r"(\d) free", ports))


def heard(listening):
    """The same of a process that runs."""
    at = {("every interface" if address == "*" else "its machine", port) for address, port in listening}
    named = {(where, port) for where, port in at if port in (6123, *range(8000, 9000), 50000)}
    assert {where for where, _ in at - named} <= {"every interface"}
    return named, len(at - named)


@pytest.mark.skipif(not machines.ARE_APART, reason="others listen on this machine, too")
def test_the_page_says_what_listens_where(cluster, folder):
    with commands.running(commands.prepare_words(page.WITH_A_SERVER, "ports"), folder, "ports") as command:
        until(command.is_under_way, "no shard is written")
        found = machines.listening()
        found |= {pid: ports for place in cluster.places.values() for pid, ports in machines.listening(place).items()}
        assert command.ended().status == 0
    assert heard(found.pop(cluster.job_manager.pid)) == listed("JobManager")
    assert heard(found.pop(cluster.job_server.pid)) == listed("job server")
    for worker in cluster.places:
        assert heard(found.pop(cluster.pools[worker].pid)) == listed("worker pool")
        there = found.pop(cluster.task_managers[worker].pid)
        assert heard(there) == listed("TaskManager", "TaskManager, for a job")
    assert not found  # nothing else listens
