"""What goes wrong on a cluster is told in one line, and the same command goes on once it is mended."""

import re
import shutil
import signal

import pytest

from tests.cluster import commands, page
from tests.cluster.conftest import assert_same
from tests.cluster.services import until
from tests.cluster.test_kills import COMMAND, assert_left, assert_one_line

pytestmark = pytest.mark.cluster

LACKING = "ModuleNotFoundError: No module named 'beam_pipeline'"
# A module of Python's start that hides the installed package.
HIDING = """
import sys

class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("beam_pipeline", "transforms"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def test_no_pool_at_the_address(cluster, folder):
    run = commands.run(commands.prepare_words(COMMAND, "no-pool", "--environment_config=localhost:1"), folder)
    assert_one_line(run)
    assert "Connection refused" in run.stderr


def test_workers_that_lack_the_package(cluster, folder, tmp_path):
    """Flink waits three minutes for such a worker, at each of its attempts: the pool's log has the cause at once."""
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    usual = {pool: pool.environment for pool in cluster.pools.values()}
    for pool, environment in usual.items():
        pool.stop()
        pool.environment = {**environment, "PYTHONPATH": str(tmp_path)}
    try:
        cluster.start()
        with commands.running(commands.prepare_words(COMMAND, "lacking"), folder, "lacking") as command:
            until(lambda: any(LACKING in pool.log.read_text() for pool in usual), "nothing is missing")
            command.process.send_signal(signal.SIGINT)
            assert_left(command.ended(), cluster)
        cluster.cancel(cluster.last_job())
    finally:
        for pool, environment in usual.items():
            pool.stop()
            pool.environment = environment
    cluster.start()
    run = commands.run(commands.prepare_words(COMMAND, "lacking"), folder)
    assert run.status == 0, run.stderr
    assert_same(folder / "lacking", folder / "local")


def test_a_fault_that_the_user_can_mend_is_told_in_its_own_words(cluster, folder):
    shutil.copytree(folder / "local", folder / "in-the-way")
    shutil.rmtree(folder / "in-the-way/train")
    (shard,) = sorted((folder / "local/train").glob("*.jsonl"))[:1]
    in_the_way = folder / "in-the-way/train" / shard.name
    in_the_way.mkdir(parents=True)
    (in_the_way / "x").write_text("in the way of a file")
    run = commands.run(commands.prepare_words(COMMAND, "in-the-way"), folder)
    assert_one_line(run)
    assert f"cannot write '{in_the_way}': a folder is in the place of this file" in run.stderr
    shutil.rmtree(in_the_way)
    run = commands.run(commands.prepare_words(COMMAND, "in-the-way"), folder)
    assert run.status == 0, run.stderr
    assert_same(folder / "in-the-way", folder / "local")


def test_a_job_server_that_ends(cluster, folder):
    with commands.running(commands.prepare_words(COMMAND, "no-server"), folder, "no-server") as command:
        until(command.is_under_way, "no shard is written")
        cluster.job_server.kill()
        run = command.ended()
    assert_one_line(run)
    assert "the job server does not answer any more" in run.stderr
    cluster.wait_for(cluster.last_job(), "FINISHED")  # it is Flink's by now
    assert_same(folder / "no-server", folder / "local")


def test_a_job_with_too_few_buffers(cluster, folder):
    """The cluster's own setting, of which docs/flink.md tells."""
    for manager in cluster.task_managers.values():
        manager.stop()
    few = ["-D", "taskmanager.memory.network.min=2m", "-D", "taskmanager.memory.network.max=2m"]
    try:
        for manager in cluster.task_managers.values():
            manager.start(*few)
        until(cluster.is_whole, "the cluster is not whole")
        run = commands.run(commands.prepare_words(COMMAND, "buffers"), folder)
    finally:
        for manager in cluster.task_managers.values():
            manager.stop()
    assert_one_line(run)
    assert "Insufficient number of network buffers" in run.stderr
    assert re.search(r"`taskmanager.memory.network.min`.*Insufficient number of network buffers", page.TEXT)
