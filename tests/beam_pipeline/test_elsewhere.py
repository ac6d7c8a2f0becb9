"""What runners elsewhere say when they cannot end a job, and what they start for themselves."""

import logging
import re
import threading

import grpc
import pytest
from apache_beam.runners.portability.portable_runner import PortableRunner

from beam_pipeline import elsewhere, faults
from beam_pipeline.options import options_of
from tests.beam_pipeline import fake_clusters
from tests.beam_pipeline.conftest import contents
from transforms.errors import UserError


class Gone(grpc.RpcError, grpc.Call):
    """What a channel raises whose server has ended; the other methods of a call are not asked for."""

    def details(self):
        return "Socket\nclosed"


Gone.__abstractmethods__ = frozenset()
JOB = "Pipeline job-1 failed in state FAILED:"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError(f"{JOB} java.net.X: refused"), "the job job-1 failed: java.net.X: refused"),
        (RuntimeError(f"{JOB} java.X: x\n\tat a.B.c(B:1)"), "the job job-1 failed: java.X: x at a.B.c(B:1)"),
        (RuntimeError("Pipeline j failed in state CANCELLED: unknown error"), "the job j failed: unknown error"),
        (Gone(), "the job server does not answer any more: Socket closed"),
        (grpc.RpcError("reset"), "the job server does not answer any more: reset"),
    ],
)
def test_what_a_runner_could_not_end_is_one_line(fault, told):
    with pytest.raises(faults.JobEndedError) as raised, faults.of_workers():
        raise fault
    assert str(raised.value) == told


@pytest.mark.parametrize(
    "text",
    [
        f"{JOB} java.lang.RuntimeException: Error received from SDK harness for instruction 3: "
        "Traceback (most recent call last):\n  File x\nZeroDivisionError: division by zero",  # our own fault
        "something else",
    ],
)
def test_a_fault_of_our_code_there_stays_a_traceback(text):
    with pytest.raises(RuntimeError) as raised, faults.of_workers():
        raise RuntimeError(text)
    assert str(raised.value) == text


def test_a_fault_that_a_user_can_mend_goes_before_what_the_runner_says():
    text = f"{JOB} java.X: Traceback (most recent call last):\n{UserError.__module__}.UserError: mend it\n"
    with pytest.raises(UserError) as raised, faults.of_workers():
        raise RuntimeError(text)
    assert str(raised.value) == "mend it"


class Server:
    """A job server that is stopped once."""

    stopped = 0

    def stop(self):
        self.stopped += 1


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt, RuntimeError])
def test_a_job_server_that_a_runner_starts_for_itself_ends_with_the_job(monkeypatch, fault):
    server, runner = Server(), PortableRunner()
    monkeypatch.setattr(runner, "default_job_server", lambda options: server)
    try:
        with elsewhere._its_job_server(runner):
            assert (runner.default_job_server(None), server.stopped) == (server, 0)
            if fault:
                raise fault
    except (KeyboardInterrupt, RuntimeError) as raised:
        assert type(raised) is fault
    assert server.stopped == 1


MASTER, ENDPOINT = "--flink_master=jobmanager:8081", "--job_endpoint=localhost:8099"


@pytest.mark.parametrize(
    ("words", "where", "page"),
    [
        (["--runner=FlinkRunner", MASTER], "is at http://jobmanager:8081", "http://jobmanager:8081"),
        (["--runner=FlinkRunner", "--flink_master=https://j/"], "is at https://j", "https://j"),
        (
            ["--runner=PortableRunner", ENDPOINT],
            "has gone through the job server at localhost:8099",
            "http://JOBMANAGER:8081",
        ),
    ],
)
def test_a_job_that_is_left_is_named_with_what_ends_it(words, where, page):
    told = elsewhere.left("cliptune-a-b", options_of(words))
    assert told.startswith(f"job cliptune-a-b goes on; it {where}. On Flink, {page}/jobs/overview has its JOB_ID")
    assert told.endswith(f"curl -X PATCH {page}/jobs/JOB_ID")


def test_a_job_of_a_job_server_that_ends_with_the_command_ends_with_it():
    told = elsewhere.left("x", options_of(["--runner=FlinkRunner"]))
    assert told == "job x ends with its job server, which was this command's own"


@pytest.fixture
def manager():
    with fake_clusters.job_manager() as manager:
        yield manager


class Interrupted:
    """A job whose command gets a Ctrl-C while it waits for it."""

    def wait_until_finish(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize("given", [[], ["--job_name=mine"]])
def test_a_job_bears_the_name_of_its_request_and_ctrl_c_tells_it(finished, prepare, monkeypatch, manager, given):
    submitted = []

    def run_pipeline(self, pipeline, options):
        submitted.append(options.get_all_options()["job_name"])
        return Interrupted()

    monkeypatch.setattr(PortableRunner, "run_pipeline", run_pipeline)
    flags = ["--runner=FlinkRunner", f"--flink_master={manager.address}", "--verify", *given]
    (job,) = {prepare("m.jsonl", "out", "--dry_run", *flags).json["job"]}
    before = contents(finished / "out")
    for _ in range(2):  # the same command again: the same name
        run = prepare("m.jsonl", "out", *flags)
        assert (run.status, run.stdout) == (1, "")
        named, stopped = run.stderr.splitlines()[-2:]
        assert named.startswith(f"job {job} goes on; it is at http://{manager.address}")
        assert "or attaches to the job if there is one; with --cancel it cancels it" in stopped
    assert submitted == [job] * 2
    assert given or re.fullmatch("cliptune-[0-9a-f]{12}-[0-9a-f]{12}", job)
    assert contents(finished / "out") == before
    assert prepare("m.jsonl", "new", "--dry_run", *flags).json["job"] != job or given


def test_a_job_servers_messages_are_dropped_and_no_others(caplog):
    with elsewhere._without_messages():
        logging.error("as Beam logs what a job server says")
        logging.getLogger("a library").error("its own")
    logging.error("afterwards")
    assert [record.message for record in caplog.records] == ["its own", "afterwards"]


def test_a_thread_of_beams_that_loses_its_job_server_says_nothing(monkeypatch):
    told = []

    def raising(fault):
        raise fault

    monkeypatch.setattr(threading, "excepthook", lambda raised: told.append(raised.exc_value))
    ours = ValueError("our own")
    with pytest.raises(Gone), elsewhere._without_messages():
        for fault in (Gone(), ours):
            threading.Thread(target=raising, args=[fault], name="wait_until_finish_read").start()
        raise Gone
    assert told == [ours]
