"""One request is one job, however often its command is typed while Flink works."""

import os
import signal
from contextlib import contextmanager, suppress

import pytest

from tests.cluster import commands, machines, page
from tests.cluster.conftest import NUM_ROWS, assert_same
from tests.cluster.flink import JOB_PORT, answers
from tests.cluster.services import until
from tests.cluster.test_bytes import assert_alone
from tests.cluster.test_kills import COMMAND, assert_left, assert_one_line

pytestmark = pytest.mark.cluster


@contextmanager
def paused(cluster):
    """While the block runs, no Python of the cluster does."""
    pids = [pid for pool in cluster.pools.values() for pid in (pool.pid, *pool.children())]
    send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        send(signal.SIGCONT, pids)


def send(sent, pids):
    """Those that have ended get nothing."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sent)


def assert_attaches(words, folder, cluster, jobs):
    """To the one job that Flink has had since; the Pythons of the cluster are paused until the command has said so."""
    with commands.running(words, folder, "") as command:
        with paused(cluster):
            until(lambda: command.has_said("of an earlier command is RUNNING: attached to it"), "it does not attach")
        run = command.ended()
    assert run.status == 0, run.stderr
    (job,) = cluster.jobs().keys() - jobs
    name = cluster.jobs()[job]["name"]
    assert any(f"job {name} ({known}" in run.stderr for known in (job, name)), run.stderr
    assert run.json["accepted"] == NUM_ROWS


@pytest.mark.parametrize(
    ("heading", "sent"),
    [(page.WITH_A_SERVER, signal.SIGKILL), (page.WITHOUT_A_SERVER, signal.SIGINT)],
)
def test_the_same_command_attaches_to_the_job_of_one_that_was_stopped(cluster, folder, heading, sent):
    jobs, output = cluster.jobs().keys(), f"again-{sent.name}"
    words = commands.prepare_words(heading, output)
    with commands.running(words, folder, output) as command:
        until(command.is_under_way, "no shard is written")
        with paused(cluster):
            command.process.send_signal(sent)
            run = command.ended()
            if sent == signal.SIGINT:
                assert_left(run, cluster)
                assert_alone(cluster)
            assert_attaches(words, folder, cluster, jobs)
    assert_same(folder / output, folder / "local")


def test_a_job_is_found_though_its_job_server_has_forgotten_it(cluster, folder):
    """Because a flag says where the JobManager is."""
    jobs = cluster.jobs().keys()
    words = commands.prepare_words(COMMAND, "forgotten", f"--flink_master={machines.HERE}:8081")
    with commands.running(words, folder, "forgotten") as command:
        until(command.is_under_way, "no shard is written")
        with paused(cluster):
            cluster.job_server.kill()
            assert_one_line(command.ended())
            cluster.job_server.start()
            until(lambda: answers(("localhost", JOB_PORT)), "the job server does not answer")
            assert_attaches(words, folder, cluster, jobs)
    assert_same(folder / "forgotten", folder / "local")


def test_another_request_into_the_same_output_is_refused_until_the_job_is_cancelled(cluster, folder):
    words = commands.prepare_words(COMMAND, "cancelled")
    with commands.running(words, folder, "cancelled") as command:
        until(command.is_under_way, "no shard is written")
        job = cluster.last_job()
        with paused(cluster):
            other = commands.run([*words, "--prompt=another", "--overwrite"], folder)
            assert_one_line(other)
            (as_the_page_says,) = page.commands(page.DYING)
            cancelling = " ".join(as_the_page_says).replace("JOB_ID", job)
            assert other.stderr.endswith(f"wait for its end, or cancel it: {cancelling}\n")
            cancelled = commands.run([*words, "--cancel"], folder)
        assert (cancelled.status, cancelled.json["id"], cancelled.json["attached"]) == (0, job, True), cancelled.stderr
        assert_one_line(command.ended())
    cluster.wait_for(job, "CANCELED")
    again = commands.run(words, folder)
    assert again.status == 0, again.stderr
    assert_same(folder / "cancelled", folder / "local")


@pytest.mark.parametrize("heading", [page.WITH_A_SERVER, page.WITHOUT_A_SERVER])
def test_who_does_not_wait_gets_the_job(cluster, folder, heading):
    jobs, output = cluster.jobs().keys(), f"left-{heading.split()[0]}"
    words = commands.prepare_words(heading, output)
    with paused(cluster):
        left = commands.run([*words, "--no_wait"], folder)
        assert left.status == 0, left.stderr
        assert (left.json["id"], left.json["attached"]) == (cluster.last_job(), False)
        assert left.json["console"].endswith(f":8081/#/job/running/{left.json['id']}")
        assert_alone(cluster)
        assert_attaches(words, folder, cluster, jobs)
    assert_same(folder / output, folder / "local")
