"""A part of the cluster is killed while shards are written: the job, or its rerun, ends with the same bytes."""

import os
import signal
from contextlib import suppress

import pytest

from tests.cluster import commands, machines, page
from tests.cluster.conftest import assert_same, clips_of
from tests.cluster.services import until

pytestmark = pytest.mark.cluster

COMMAND = page.WITH_A_SERVER


def kill_all(pids):
    """What is killed together has no time to tell each other."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_task_manager(cluster, worker, pythons):
    """Its slot is missing until it is there again."""
    cluster.task_managers[worker].kill()
    cluster.task_managers[worker].start()


def kill_python(cluster, worker, pythons):
    kill_all(pythons[worker])


def kill_every_python(cluster, worker, pythons):
    kill_all(set[int]().union(*pythons.values()))


def kill_pool_and_python(cluster, worker, pythons):
    """As a container dies, and is started again."""
    cluster.pools[worker].kill()
    kill_all(pythons[worker])
    cluster.pools[worker].start()


def kill_machine(cluster, worker, pythons):
    kill_pool_and_python(cluster, worker, pythons)
    kill_task_manager(cluster, worker, pythons)


KILLS = [kill_task_manager, kill_python, kill_every_python, kill_pool_and_python, kill_machine]


@pytest.mark.parametrize("kill", KILLS)
def test_the_job_goes_on_to_the_same_bytes(cluster, folder, kill):
    before, output = cluster.pythons(), kill.__name__
    with commands.running(commands.prepare_words(COMMAND, output), folder, output) as command:
        until(command.is_under_way, "no shard is written")
        pythons = {worker: now - before[worker] for worker, now in cluster.pythons().items()}
        assert [len(now) for now in pythons.values()] == [1] * len(machines.WORKERS)
        kill(cluster, next(iter(pythons)), pythons)
        assert not (folder / output / "dataset.json").exists()  # it was killed in time
        run = command.ended()
    assert run.status == 0, run.stderr  # if Flink begins the job anew, shards of its first attempt count as reused
    assert_same(folder / output, folder / "local")
    assert cluster.failures(cluster.last_job())  # which Flink has noticed


def test_pools_alone_are_not_missed_while_their_workers_live(cluster, folder):
    with commands.running(commands.prepare_words(COMMAND, "pools"), folder, "pools") as command:
        until(command.is_under_way, "no shard is written")
        for pool in cluster.pools.values():
            pool.kill()
        run = command.ended()
    assert run.status == 0, run.stderr
    assert_same(folder / "pools", folder / "local")


def test_without_the_job_manager_the_same_command_goes_on_from_there(cluster, folder):
    words = commands.prepare_words(COMMAND, "manager")
    with commands.running(words, folder, "manager") as command:
        until(command.is_under_way, "no shard is written")
        cluster.job_manager.kill()
        run = command.ended()
    if run.status == 0:  # the TaskManagers had ended their parts before they missed it
        assert "Connection refused; the dataset is finished all the same" in run.stderr
    else:
        assert_one_line(run)
        assert "the same command goes on from what is there" in run.stderr
    cluster.start()
    # What a TaskManager had begun, it may have ended.
    reused = clips_of(command.committed())
    again = commands.run(words, folder)
    assert (again.status, again.json["reused"]) == (0, reused), again.stderr
    assert_same(folder / "manager", folder / "local")


def test_the_job_of_a_command_that_is_killed_ends_by_itself(cluster, folder):
    words = commands.prepare_words(COMMAND, "killed")
    with commands.running(words, folder, "killed") as command:
        until(command.is_under_way, "no shard is written")
        command.process.kill()
        assert command.ended().status == -signal.SIGKILL
    cluster.wait_for(cluster.last_job(), "FINISHED")
    assert_same(folder / "killed", folder / "local")
    again = commands.run(words, folder)
    assert (again.status, again.json["reused"]) == (0, again.json["rows"]), again.stderr
    assert_same(folder / "killed", folder / "local")


def assert_left(run, cluster):
    """One line that names the job as Flink does, with what ends it, and one of the command; nothing on stdout."""
    assert (run.stdout, run.stderr.count("\n")) == ("", 2), run.stderr
    named, stopped = run.stderr.splitlines()
    assert named.startswith(f"job {cluster.jobs()[cluster.last_job()]['name']} goes on; it ")
    assert named.endswith(":8081/jobs/JOB_ID")
    assert "or attaches to the job if there is one; with --cancel it cancels it" in stopped


def assert_one_line(run):
    """One line for people, and nothing on stdout."""
    assert (run.stdout, run.stderr.count("\n")) == ("", 1), run.stderr
    assert run.stderr.startswith("cliptune prepare: ")
