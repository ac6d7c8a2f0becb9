"""One request, one job: what a command finds running on a cluster, attaches to, refuses, leaves alone and cancels."""

import pytest
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability.portable_runner import PortableRunner

from beam_pipeline import clusters, elsewhere
from beam_pipeline.job import output_digest
from beam_pipeline.options import options_of
from tests.beam_pipeline import fake_clusters
from tests.beam_pipeline.conftest import SOME, contents
from transforms.errors import UserError

OTHER = "0" * 12
RAISED = f"java.X: Error received\n{UserError.__module__}.UserError: mend it [while running 'WriteShards']\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No pause between two looks, and no pipeline that is submitted."""
    monkeypatch.setattr(elsewhere, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(clusters, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(elsewhere, "PATIENCE_SECONDS", 0.01)

    def submitted(*args):
        raise UserError("a job was submitted")

    monkeypatch.setattr(PortableRunner, "run_pipeline", submitted)


@pytest.fixture
def manager():
    with fake_clusters.job_manager() as manager:
        yield manager


@pytest.fixture
def server():
    with fake_clusters.job_server() as server:
        yield server


def flink(manager, *flags):
    return ["--runner=FlinkRunner", f"--flink_master={manager.address}", "--verify", *flags]


def portable(server, *flags):
    return ["--runner=PortableRunner", f"--job_endpoint={server.address}", "--verify", *flags]


@pytest.fixture
def name(finished, prepare):
    """Of the job of `prepare("m.jsonl", "out", "--verify")`, wherever it runs."""
    return prepare("m.jsonl", "out", "--dry_run", "--verify", "--runner=FlinkRunner").json["job"]


def assert_stopped(run, told):
    assert (run.status, run.stdout) == (1, ""), run.stderr
    assert told in run.stderr.splitlines()[-1]


GO_ON = "the same command goes on from what is there"


@pytest.mark.parametrize(
    ("states", "cause", "told"),
    [
        (["FAILED"], "java.io.IOException: no\n\tat a.b", f"(id-1) failed: java.io.IOException: no; {GO_ON}"),
        (["FAILED"], RAISED, "mend it"),  # as the worker has said it
        (["CANCELED"], "", f"(id-1) was cancelled; {GO_ON}"),
        (["RESTARTING", "FINISHED"], "", f"the run has ended without finishing {{}}, which is as it was; {GO_ON}"),
    ],
)
def test_the_same_command_attaches_to_the_job_that_flink_runs(finished, prepare, manager, name, states, cause, told):
    manager.add("id-0", "of another program", "RUNNING")
    manager.add("id-1", name, "RUNNING", "RUNNING", *states, cause=cause)
    before = contents(finished / "out")
    run = prepare("m.jsonl", "out", *flink(manager))
    assert f"job {name} (id-1) of an earlier command is RUNNING: attached to it\n" in run.stderr
    assert_stopped(run, told.format(finished / "out"))
    assert contents(finished / "out") == before


def test_what_the_workers_of_an_attached_job_have_counted(finished, name, manager, prepare, monkeypatch):
    """The end is believed from `dataset.json`, whatever the cluster says: the counts are the job's."""
    manager.add("id-1", name, "RUNNING", "RUNNING", "FINISHED")
    monkeypatch.setattr("beam_pipeline.prepare._generation", lambda job: "")
    run = prepare("m.jsonl", "out", *flink(manager))
    assert (run.status, run.json["rows"], run.json["reused"]) == (0, len(SOME), 3)


def test_a_finished_dataset_is_believed_though_the_cluster_says_that_its_job_failed(
    finished, name, manager, prepare, monkeypatch
):
    manager.add("id-1", name, "RUNNING", "RUNNING", "FAILED", cause="java.X: lost\n")
    monkeypatch.setattr("beam_pipeline.prepare._generation", lambda job: "")
    run = prepare("m.jsonl", "out", *flink(manager))
    assert (run.status, run.json["rows"]) == (0, len(SOME))
    assert "failed: java.X: lost; the dataset is finished all the same" in run.stderr


def test_a_job_manager_that_starts_again_has_forgotten_the_job(finished, name, manager, prepare):
    manager.add("id-1", name, "RUNNING")
    answer, asked = manager.answer, []

    def forgets(path):
        asked.append(path)
        if path == "/jobs/id-1" and asked.count(path) == 2:
            manager.jobs.clear()
        return answer(path)

    manager.answer = forgets
    assert_stopped(prepare("m.jsonl", "out", *flink(manager)), "failed: the JobManager has forgotten it")


@pytest.mark.parametrize(("fails", "told"), [(3, "(id-1) was cancelled"), (10_000, f"job {{}} may go on; {GO_ON}")])
def test_a_job_manager_that_is_away_for_a_moment_ends_nothing(finished, name, manager, prepare, fails, told):
    manager.add("id-1", name, *["RUNNING"] * 9, "CANCELED")
    answer = manager.answer

    def away(path):
        if path == "/jobs/id-1" and manager.jobs["id-1"]["states"][0] == "RUNNING" and not manager.fails:
            manager.fails = fails
        return answer(path)

    manager.answer = away
    assert_stopped(prepare("m.jsonl", "out", *flink(manager)), told.format(name))


def test_a_job_of_another_request_is_named_with_what_cancels_it(finished, name, manager, prepare):
    mine = output_digest(str(finished / "out"))
    manager.add("id-1", f"cliptune-{mine}-{OTHER}", "RUNNING")
    told = f"job cliptune-{mine}-{OTHER} (id-1) of another request writes into the same output; wait for its end, or"
    for flag in ("--verify", "--no_wait", "--dry_run"):
        run = prepare("m.jsonl", "out", *flink(manager, flag))
        assert_stopped(run, f"{told} cancel it: curl -X PATCH http://{manager.address}/jobs/id-1")


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "CANCELED"])
def test_a_job_that_has_ended_is_in_nobodys_way(finished, name, manager, prepare, state):
    manager.add("id-1", name, state)
    manager.add("id-2", f"cliptune-{OTHER}-{OTHER}", "RUNNING")  # into another output
    assert_stopped(prepare("m.jsonl", "out", *flink(manager)), "a job was submitted")


def test_a_job_that_is_ending_is_waited_for(finished, name, manager, prepare):
    manager.add("id-1", name, "CANCELLING", "CANCELLING", "CANCELLING", "CANCELED")
    assert_stopped(prepare("m.jsonl", "out", *flink(manager)), "a job was submitted")
    assert manager.jobs["id-1"]["states"] == ["CANCELED"]


def test_a_job_that_a_flag_has_named_is_found_by_its_request(finished, name, manager, server, prepare):
    manager.add("id-1", "mine", "RUNNING", config=name.removeprefix("cliptune-"))
    assert prepare("m.jsonl", "out", "--dry_run", *flink(manager)).json["attaches_to"] == "id-1"
    server.add("s-1", "job", cliptune_request=name.removeprefix("cliptune-"))
    assert prepare("m.jsonl", "out", "--dry_run", *portable(server)).json["attaches_to"] == "s-1"
    manager.jobs["id-1"]["config"] = "of another program"
    assert prepare("m.jsonl", "out", "--dry_run", *flink(manager)).json["attaches_to"] == ""


def test_a_submitted_job_says_of_which_request_it_is(finished, name, manager, prepare, monkeypatch):
    said = []

    def submitted(self, pipeline, options):
        said.append(options.get_all_options()[clusters.REQUEST_OPTION])
        raise UserError("enough")

    monkeypatch.setattr(PortableRunner, "run_pipeline", submitted)
    prepare("m.jsonl", "out", *flink(manager, "--job_name=mine"))
    assert said == [name.removeprefix("cliptune-")]


# A job server.


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("FAILED", f"the job s-1 failed: why it ended; {GO_ON}"),
        ("DONE", f"the run has ended without finishing {{}}, which is as it was; {GO_ON}"),
    ],
)
def test_the_same_command_attaches_to_the_job_of_its_job_server(finished, name, server, prepare, end, told):
    """From the first moment: Flink does not have it yet."""
    server.add("s-0", name, "DONE")
    server.add("s-1", name, end=end)
    run = prepare("m.jsonl", "out", *portable(server))
    assert f"job {name} (s-1) of an earlier command is RUNNING: attached to it\n" in run.stderr
    assert_stopped(run, told.format(finished / "out"))


def test_what_flink_knows_of_a_job_is_believed_before_what_its_job_server_does(
    finished, name, server, manager, prepare
):
    """It has stopped to look at a job that it was asked to cancel; and it has told where the JobManager is."""
    server.add("s-1", name, "CANCELLED", flink_master=manager.address)
    manager.add("id-1", name, "RUNNING")
    assert prepare("m.jsonl", "out", "--dry_run", *portable(server)).json["attaches_to"] == "id-1"
    server.add("s-2", name, flink_master=manager.address)
    assert prepare("m.jsonl", "out", "--dry_run", *portable(server)).json["attaches_to"] == "id-1"


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "CANCELED"])
def test_a_job_that_flink_has_ended_is_over_though_its_job_server_never_hears_of_it(
    finished, name, server, manager, prepare, state
):
    server.add("s-1", name, flink_master=manager.address)
    manager.add("id-1", name, state)
    assert prepare("m.jsonl", "out", "--dry_run", *portable(server)).json["attaches_to"] == ""


def test_a_job_manager_that_only_the_job_server_reaches_is_not_asked(finished, name, server, prepare):
    server.add("s-1", name, flink_master="127.0.0.1:1")
    assert prepare("m.jsonl", "out", "--dry_run", *portable(server)).json["attaches_to"] == "s-1"


def test_a_job_server_that_keeps_no_list_is_given_the_job(finished, prepare):
    with fake_clusters.job_server(beam_job_api_pb2_grpc.JobServiceServicer()) as server:
        server.address = server.address
        assert_stopped(prepare("m.jsonl", "out", *portable(server)), "a job was submitted")


# Jobs that are left to themselves, and cancelled.


def test_a_job_that_runs_is_not_submitted_again_by_who_does_not_wait(finished, name, manager, prepare):
    manager.add("id-1", name, "RUNNING")
    assert prepare("m.jsonl", "out", *flink(manager, "--no_wait")).json == {
        "output": "out",
        "runner": "FlinkRunner",
        "id": "id-1",
        "name": name,
        "state": "RUNNING",
        "attached": True,
        "console": f"http://{manager.address}/#/job/running/id-1",
        "format_version": 1,
        "ok": True,
    }


class Accepted:
    """A job that a job server has taken."""

    _job_id = "s-1"

    def __init__(self, *states):
        self.states = list(states)

    @property
    def state(self):
        return self.states.pop(0)

    def wait_until_finish(self):
        raise RuntimeError("Pipeline s-1 failed in state FAILED: java.net.ConnectException: refused")


def test_who_does_not_wait_stays_until_flink_has_the_job(finished, name, manager, prepare, monkeypatch):
    def submitted(self, pipeline, options):
        manager.add("id-1", name, "FINISHED", "INITIALIZING")  # by then it is there
        return Accepted("STARTING", "RUNNING")

    monkeypatch.setattr(PortableRunner, "run_pipeline", submitted)
    job = prepare("m.jsonl", "out", *flink(manager, "--no_wait")).json
    assert (job["id"], job["state"], job["attached"]) == ("id-1", "INITIALIZING", False)


@pytest.mark.parametrize("states", [["STARTING", "RUNNING", "FAILED"], ["FAILED"]])
def test_a_job_that_flink_does_not_take_is_no_job(finished, manager, prepare, monkeypatch, states):
    monkeypatch.setattr(PortableRunner, "run_pipeline", lambda *args: Accepted(*(state for state in states * 2)))
    run = prepare("m.jsonl", "out", *flink(manager, "--no_wait"))
    assert_stopped(run, "the job s-1 failed: java.net.ConnectException: refused")


def test_a_job_server_of_another_cluster_has_the_job_at_once(finished, name, server, prepare, monkeypatch):
    monkeypatch.setattr(PortableRunner, "run_pipeline", lambda *args: Accepted("STARTING"))
    job = prepare("m.jsonl", "out", *portable(server, "--no_wait")).json
    assert (job["id"], job["name"], job["state"], job["console"]) == ("s-1", name, "STARTING", "")


def test_the_jobs_that_write_into_an_output_are_cancelled(finished, name, manager, prepare):
    digest = output_digest(str(finished / "out"))
    manager.add("id-0", f"cliptune-{OTHER}-{OTHER}", "RUNNING")
    manager.add("id-1", name, "RUNNING")
    manager.add("id-2", "mine", "RUNNING", config=f"{digest}-{OTHER}")
    manager.add("id-3", name, "FINISHED")
    run = prepare("m.jsonl", "out", "--cancel", *flink(manager))
    assert (run.json["id"], run.json["state"], manager.cancelled) == ("id-1", "CANCELLING", ["id-1", "id-2"])
    assert run.stderr.count("is being cancelled; finished shards stay for the next run\n") == 2
    manager.jobs["id-1"]["states"] = manager.jobs["id-2"]["states"] = ["CANCELED"]
    assert_stopped(prepare("m.jsonl", "out", "--cancel", *flink(manager)), "no job of this cluster writes into")


def test_a_job_is_cancelled_by_flink_and_not_by_its_job_server(finished, name, manager, server, prepare):
    server.add("s-1", name, flink_master=manager.address)
    manager.add("id-1", name, "RUNNING")
    prepare("m.jsonl", "out", "--cancel", *portable(server))
    assert (manager.cancelled, server.cancelled) == (["id-1"], [])


def test_a_job_of_another_cluster_is_cancelled_by_its_job_server(finished, name, server, prepare):
    server.add("s-1", name)
    job = prepare("m.jsonl", "out", "--cancel", *portable(server)).json
    assert (job["id"], job["state"], server.cancelled) == ("s-1", "CANCELLING", ["s-1"])


# What cannot be.


@pytest.mark.parametrize("flag", ["--no_wait", "--cancel"])
def test_a_cluster_that_ends_with_the_command_has_no_jobs_to_be_found(finished, prepare, flag):
    run = prepare("m.jsonl", "out", flag, "--verify", "--runner=FlinkRunner")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert f"{flag} needs --flink_master or --job_endpoint, whose jobs can be found again" in run.stderr


def test_workers_of_this_process_cannot_be_left(finished, manager, prepare):
    run = prepare("m.jsonl", "out", *flink(manager, "--no_wait", "--environment_type=LOOPBACK"))
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert "--environment_type=LOOPBACK works in this process" in run.stderr


@pytest.mark.parametrize("flag", ["--dry_run", "--no_wait", "--cancel", "--verify"])
def test_a_job_manager_that_is_not_there_is_named_before_anything_is_read(finished, prepare, flag):
    run = prepare("nowhere.jsonl", "out", "--runner=FlinkRunner", "--flink_master=localhost:1", flag)
    assert_stopped(run, "--flink_master=localhost:1: no JobManager of Flink answers at http://localhost:1")


def test_something_else_at_the_address_of_the_job_manager(finished, manager, prepare):
    manager.answer = lambda path: manager.jobs["missing"]
    run = prepare("m.jsonl", "out", *flink(manager))
    assert_stopped(run, f"the JobManager at http://{manager.address} answers 404 to GET /jobs/overview")


def test_the_option_of_a_request_is_no_one_elses():
    assert options_of([]).view_as(clusters.RequestOptions).cliptune_request is None
