"""Different requests for one dataset: of commands at the same moment, one sends, and the others are told."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import NO_TIME, aging, answering, job_file
from transforms.errors import ServiceError, UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.emulator import server
from tuning.emulator.scenario import Scenario
from tuning.jobs import note, runs, submit, turns
from tuning.jobs.claims import HELD, OVER, SENT, TURN, Claims, folder_of
from tuning.jobs.clock import Clock
from tuning.jobs.others import Others
from tuning.jobs.submit import Patience
from tuning.providers import PROVIDERS
from tuning.providers.vertex.tuner import VertexTuner

__all__ = ["run"]  # a fixture
pytestmark = pytest.mark.timeout(100)
IMPATIENT = Patience(clock=Clock(sleep=lambda seconds: None))


def ignore(line):
    pass


def others(prepared, request, url):
    def opened(project, location):
        return VertexTuner(project, location, url)

    return Others(prepared, request, PROVIDERS["vertex"], opened)


def submitting(prepared, request, url, patience=IMPATIENT):
    """The job, unless another run goes on."""

    def refuse():
        told = others(prepared, request, url).going_on()
        if told:
            raise UserError(", ".join(told))

    tuner = VertexTuner("p", "us-central1", url)
    return submit.submit_once(tuner, request, prepared, ignore, patience, refuse=refuse)


@pytest.fixture(params=["one folder", "a bucket", "two machines", "two staging folders"])
def places(request, out, request_, gcs, tmp_path):
    """The dataset and the request of each of several commands."""
    prepared = dataset.load(str(out), Storage())
    if request.param == "two machines":  # each has a copy of the dataset, and the joined files are in one place
        return [(replace(prepared, uri=str(tmp_path / f"copy{i}"), storage=Storage()), request_) for i in range(4)]
    if request.param == "two staging folders":
        return [(prepared, replace(request_, train_uri=f"{out}/tuning/s{i}/train.jsonl")) for i in range(4)]
    if request.param == "a bucket":
        uri = "gs://cliptune-test/dataset"
        for path in out.rglob("*"):
            if path.is_file():
                Storage().write_bytes(f"{uri}/{path.relative_to(out)}", path.read_bytes())
        prepared, request_ = dataset.load(uri, Storage()), replace(request_, train_uri=f"{uri}/tuning/train.jsonl")
    return [(prepared, request_)] * 4


@pytest.fixture
def slow():
    """An emulator whose jobs do not end by being read."""
    with server.running(played=Scenario(states=("QUEUED",) * 90 + ("RUNNING",))) as found:
        yield found


def test_of_different_requests_at_the_same_moment_one_is_sent(places, slow):
    barrier = threading.Barrier(len(places))

    def race(number):
        prepared, request = places[number]
        barrier.wait()
        try:
            return submitting(prepared, replace(request, epochs=number + 1), slow).name
        except UserError as refusal:
            return refusal

    with ThreadPoolExecutor(len(places)) as pool:
        ends = list(pool.map(race, range(len(places))))
    refusals = [end for end in ends if isinstance(end, UserError)]
    made = [job.name for job in VertexTuner("p", "us-central1", slow).jobs()]
    assert made == [end for end in ends if not isinstance(end, UserError)]
    assert (len(made), len(refusals)) == (1, len(places) - 1)
    # What was refused left no note that would be taken for a job.
    for number, (prepared, request) in enumerate(places):
        mine = runs.find(prepared, replace(request, epochs=number + 1))
        assert (mine is None) == isinstance(ends[number], UserError)


def test_whoever_loses_the_turn_sends_nothing_and_looks_again(prepared, request_, url):
    """A process is stopped in its turn, before it notes its request; another takes the turn and sends."""
    first = True
    sent = []

    def refuse():
        nonlocal first
        if first:
            first = False
            aging(prepared).sleep(turns.TURN_SECONDS + 5)
            sent.append(submitting(prepared, replace(request_, epochs=9), url).name)
            return
        told = others(prepared, request_, url).going_on()
        assert told
        raise UserError(", ".join(told))

    tuner = VertexTuner("p", "us-central1", url)
    with pytest.raises(UserError, match=r"-9-epochs-.* \((PENDING|QUEUED|RUNNING)\)"):
        submit.submit_once(tuner, request_, prepared, ignore, IMPATIENT, refuse=refuse)
    assert [job.name for job in tuner.jobs()] == sent
    assert runs.find(prepared, request_) is None


@pytest.mark.parametrize("age", [0, turns.TURN_SECONDS - 5, turns.TURN_SECONDS + 5])
def test_a_killed_commands_turn_is_over_in_a_minute(prepared, request_, url, age):
    turn = f"{folder_of(request_)}/{TURN}"
    Claims(replace(request_, epochs=9), Storage(), turn).take(None, HELD)
    aging(prepared).sleep(age)
    waits: list[float] = []

    def sleep(seconds):
        waits.append(seconds)
        aging(prepared).sleep(seconds)

    assert submitting(prepared, request_, url, Patience(clock=Clock(lambda: 0.0, sleep))).name
    assert bool(waits) == (age < turns.TURN_SECONDS)
    assert sum(waits) < turns.TURN_SECONDS - age + 15


@pytest.mark.parametrize("state", [HELD, OVER, SENT])
def test_what_a_claim_tells_of_a_run_without_a_job(prepared, request_, url, state):
    """Held: it will look itself. Over: nothing was sent. Sent: it may have a job, until a list has had time."""
    other = replace(request_, epochs=9)
    claims = Claims(other, Storage())
    step = claims.take(None, HELD)
    assert step is not None
    if state != HELD:
        claims.take(step, state)
    runs.write(prepared, note.of(other, None))
    told = others(prepared, request_, url).going_on()
    assert (["not known whether there is a job" in line for line in told]) == [True] * (state == SENT)
    aging(prepared).sleep(submit.SETTLE_SECONDS + 5)
    assert others(prepared, request_, url).going_on() == []


def test_a_note_from_before_there_were_claims_is_not_passed_over(prepared, request_, url):
    runs.write(prepared, note.of(replace(request_, epochs=9), None))
    (told,) = others(prepared, request_, url).going_on()
    assert "not known whether there is a job" in told


@pytest.mark.parametrize("code", [500, 503])
def test_an_error_that_may_have_become_a_job_stays_noted_beside_a_running_one(
    tuner, request_, prepared, url, code, monkeypatch
):
    running = submit.submit_once(tuner, request_, prepared, ignore)
    away = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    answering(away, monkeypatch, lambda asked: error(code) if asked.method == "POST" else empty())
    sent = replace(request_, epochs=9)
    with pytest.raises(ServiceError, match="not known whether the job was created"):
        submit.submit_once(away, sent, prepared, ignore, Patience(clock=NO_TIME))
    found = runs.find(prepared, sent)
    assert found is not None
    assert (found.note.job, found.note.failed) == (None, code)
    assert runs.pick(prepared, None).job.name == running.name  # of which more is known
    told = others(prepared, replace(request_, epochs=5), url).going_on()
    assert len(told) == 2
    assert f"{found.name} (sent, and not known whether there is a job)" in told
    aging(prepared).sleep(submit.SETTLE_SECONDS + 5)
    again = submit.submit_once(tuner, sent, prepared, ignore, Patience(clock=NO_TIME))
    noted = runs.find(prepared, sent)
    assert noted is not None
    assert (noted.job.name, noted.note.failed) == (again.name, None)


def error(code):
    return httpx.Response(code, json={"error": {"code": code, "message": "away"}})


def empty():
    return httpx.Response(200, json={})


@pytest.fixture
def service():
    with server.running() as found:
        yield found


@pytest.fixture
def two(run, out, service):
    """A dataset with a finished run and one that goes on: their names, and that of the first one's job."""
    done = only_json(run("tune", out, "--api_endpoint", service)[1])["name"]
    first = job_file(out).parent.name
    run("tune", out, "--api_endpoint", service, "--epochs", 5, "--no_watch")
    (second,) = {path.name for path in (out / "tuning/runs").iterdir()} - {first}
    return first, second, done


def piped(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "half": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "pipe": piped,
    "link out": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    "loop": lambda path: (path.unlink(), path.symlink_to(path)),
    "folder is a link out": lambda path: away(path.parent),
    "of another version": lambda path: path.write_text(path.read_text().replace('_version": 1', '_version": 9')),
}


def away(folder):
    moved = folder.parents[3] / f"moved-{folder.name}"
    folder.rename(moved)
    folder.symlink_to(moved)


@pytest.mark.sweep
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_of_one_run_is_named_and_the_others_go_on(run, out, service, two, damage):
    first, second, done = two
    DAMAGES[damage](out / f"tuning/runs/{second}/job.json")
    for command in ("watch", "predict"):
        status, stdout, stderr = run(command, out, "--api_endpoint", service)
        assert status == 0, stderr
        assert only_json(stdout)
        assert "warning: " in stderr
        assert f"tuning/runs/{second}" in stderr
        status, stdout, stderr = run(command, out, "--api_endpoint", service, "--run", first)
        assert (status, "is damaged" in stderr) == (0, False), stderr
        status, stdout, stderr = run(command, out, "--api_endpoint", service, "--run", second)
        assert (status, stdout, stderr.count("\n")) == (1, "", 1)
        assert f"tuning/runs/{second}" in stderr
    status, stdout, stderr = run("jobs", out, "--api_endpoint", service)
    assert (status, only_json(stdout)["runs"]) == (0, {first: done})
    assert f"tuning/runs/{second}" in stderr
    # A second paid job might run: only a word sends another.
    status, stdout, stderr = run("tune", out, "--api_endpoint", service, "--epochs", 7)
    assert (status, stdout) == (1, "")
    assert f"run {second} (its job.json is damaged)" in stderr
    assert run("tune", out, "--api_endpoint", service, "--epochs", 7, "--another")[0] == 0


def test_none_is_cancelled_where_a_damaged_one_may_be_meant(run, out, service):
    run("tune", out, "--api_endpoint", service, "--no_watch")
    first = job_file(out)
    run("tune", out, "--api_endpoint", service, "--epochs", 5, "--another", "--no_watch")
    first.write_bytes(b"{")
    (second,) = {path.name for path in (out / "tuning/runs").iterdir()} - {first.parent.name}
    status, stdout, stderr = run("cancel", out, "--api_endpoint", service)
    assert (status, stdout) == (1, "")
    assert f"several runs that go on: {second}, {first.parent.name} (job.json is damaged); name one by --run" in stderr
    assert run("cancel", out, "--api_endpoint", service, "--run", second)[0] == 0


def test_of_two_notes_of_one_request_the_newer_counts(request_, prepared, tuner, out):
    """A job.json of an earlier version beside a run, which an earlier Cliptune has written since."""
    old = submit.submit_once(tuner, request_, prepared, ignore)
    runs.update(prepared, replace(old, state="FAILED", create_time="2026-01-01T00:00:00Z"))
    new = replace(old, name=old.name + "1", create_time="2026-02-01T00:00:00Z")
    (out / "tuning/job.json").write_bytes(note.dump(note.of(request_, new)))
    assert [run.job.name for run in runs.of(prepared)] == [new.name]
    found = runs.find(prepared, request_)
    assert found is not None
    assert found.job.name == new.name
