"""Two jobs for one request, tried: commands at the same moment, kills at every step, lost answers, late lists."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests import processes
from tests.tuning.conftest import NO_TIME, aging, noted, submitted
from transforms.errors import ServiceError, UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs import note, runs, submit
from tuning.jobs.claims import ANSWERED, HELD, OVER, SENT, Claims
from tuning.jobs.clock import Clock
from tuning.jobs.submit import Patience
from tuning.providers.vertex.tuner import VertexTuner

pytestmark = pytest.mark.timeout(60)
LATE = 25  # lists in which a new job is missing: more than those who lost an answer look at
IMPATIENT = Patience(clock=Clock(sleep=lambda seconds: None))


def ignore(line):
    pass


@pytest.fixture(params=["disk", "bucket"])
def place(request, out, request_, gcs):
    """A dataset and its request, on the disk and in a bucket."""
    if request.param == "disk":
        return dataset.load(str(out), Storage()), request_
    uri = "gs://cliptune-test/dataset"
    for path in out.rglob("*"):
        if path.is_file():
            Storage().write_bytes(f"{uri}/{path.relative_to(out)}", path.read_bytes())
    shared = replace(request_, train_uri=f"{uri}/tuning/train.jsonl", validation_uri=f"{uri}/tuning/validation.jsonl")
    return dataset.load(uri, Storage()), shared


def test_of_processes_at_the_same_moment_one_creates(place, url, tuner):
    prepared, request = place
    told = json.dumps({"dataset": prepared.uri, "request": asdict(request), "url": url})
    command = [sys.executable, "-m", "tests.tuning.jobs.racing", told]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as stack:
        racers = [stack.enter_context(processes.running(command, **pipes)) for _ in range(4)]
        lines: list[Any] = [racer.stdout for racer in racers]
        assert [line.readline() for line in lines] == ["ready\n"] * 4
        starts: list[Any] = [racer.stdin for racer in racers]
        for start in starts:
            start.write("go\n")
            start.flush()
        names = {line.readline().strip() for line in lines}
    assert names == {job.name for job in tuner.jobs()}
    assert len(names) == 1
    assert {submitted(prepared)[1].name} == names


@pytest.mark.parametrize("late", [0, LATE])
def test_of_threads_at_the_same_moment_one_creates(place, late):
    prepared, request = place
    barrier = threading.Barrier(8)
    with server.running(played=Scenario(listed_after=late)) as url, ThreadPoolExecutor(8) as pool:

        def race(number):
            tuner = VertexTuner("p", "us-central1", url)
            barrier.wait()
            return submit.submit_once(tuner, request, prepared, ignore, IMPATIENT).name

        names = set(pool.map(race, range(8)))
        tuner = VertexTuner("p", "us-central1", url)
        listed = next(jobs for _ in range(LATE + 1) if (jobs := [job.name for job in tuner.jobs()]))
    assert listed == list(names)


def test_two_copies_of_a_dataset_that_share_a_staging_folder_are_one_request(place, url, tuner, tmp_path):
    """As two machines: each has its own dataset folder and its own job.json, and the joined files are in one place."""
    prepared, request = place
    copies = [replace(prepared, name=f"copy{i}", uri=str(tmp_path / f"copy{i}"), storage=Storage()) for i in range(8)]
    barrier = threading.Barrier(8)

    def race(copy):
        tuner = VertexTuner("p", "us-central1", url)
        barrier.wait()
        return submit.submit_once(tuner, request, copy, ignore, IMPATIENT).name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(race, copies))
    assert [job.name for job in tuner.jobs()] == list(names)
    assert {submitted(copy)[1].name for copy in copies} == names


def test_requests_that_differ_do_not_wait_for_each_other(tuner, request_, prepared):
    Claims(request_, Storage()).take(None, HELD)
    other = replace(request_, epochs=9)
    assert submit.submit_once(tuner, other, prepared, ignore, Patience(clock=NO_TIME)).name


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Calls on a process that is killed before or after the nth of them. Nothing it calls later happens."""

    def __init__(self, at, after):
        self.at, self.after, self.calls = at, after, 0

    def on(self, target):
        mortal = self

        class Proxy:
            def __getattr__(self, name):
                method = getattr(target, name)
                return lambda *args, **options: mortal.call(method, *args, **options)

        return Proxy()

    def call(self, method, *args, **options):
        self.calls += 1
        if self.calls > self.at or (self.calls == self.at and not self.after):
            raise Killed
        answer = method(*args, **options)
        answer = answer if not hasattr(answer, "__next__") else list(answer)
        if self.calls == self.at:
            raise Killed
        return iter(answer) if isinstance(answer, list) else answer


@pytest.mark.sweep
@pytest.mark.parametrize("late", [0, LATE])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_and_run_again_is_one_job(request_, prepared, late, after):
    """Calls of the storage and of the service are counted; the run after the last one is not killed any more."""
    killed = set()
    with server.running(played=Scenario(listed_after=late)) as url:
        tuner = VertexTuner("p", "us-central1", url)
        for at in range(1, 41):
            request, mortal = replace(request_, epochs=at), Mortal(at, after)
            mine = replace(prepared, storage=mortal.on(prepared.storage))
            patience = Patience(clock=aging(prepared))
            try:
                submit.submit_once(mortal.on(tuner), request, mine, ignore, patience)
            except Killed:
                killed.add(at)
            submit.submit_once(tuner, request, prepared, ignore, patience)
        for _ in range(late):
            next(tuner.jobs(), None)
        made = [job.labels["cliptune-request"] for job in tuner.jobs()]
    assert sorted(made) == sorted(replace(request_, epochs=at).digest for at in range(1, 41))
    assert killed == set(range(1, max(killed) + 1))
    assert 15 < max(killed) < 40


@pytest.mark.parametrize("fault", [Fault(method="create", cut="after"), Fault(method="create", cut="before")], ids=repr)
def test_a_lost_answer_and_a_late_list_are_one_job(request_, prepared, fault):
    """A service that listed the job after 40 s got a second one, from a rerun after 15 s."""
    patience = Patience(clock=aging(prepared))
    with server.running(played=Scenario(faults=(fault,), listed_after=LATE)) as url:
        tuner = VertexTuner("p", "us-central1", url)
        with pytest.raises(ServiceError, match="not known whether the job was created; run the same command again"):
            submit.submit_once(tuner, request_, prepared, ignore, patience)
        lines: list[str] = []
        job = submit.submit_once(tuner, request_, prepared, lines.append, patience)
        made = {each.name for _ in range(LATE + 1) for each in tuner.jobs()}
    assert made == {job.name}
    assert "nobody knows yet whether a job was created: looking for it for" in lines[0]
    assert lines[-1].startswith("attached to" if fault.cut == "after" else "submitted")


@pytest.mark.parametrize(("age", "jobs"), [(submit.SETTLE_SECONDS - 5, 0), (submit.SETTLE_SECONDS + 5, 1)])
def test_a_request_is_sent_again_when_its_job_has_had_time_to_be_listed(tuner, request_, prepared, age, jobs):
    Claims(request_, Storage()).take(None, SENT)
    aging(prepared).sleep(age)
    patience = Patience(seconds=1.0, clock=Clock(lambda: 0.0, lambda seconds: None))
    if jobs:
        submit.submit_once(tuner, request_, prepared, ignore, patience)
    else:
        with pytest.raises(ServiceError, match=r"looking for it for \d s more.* --timeout is over, run the same"):
            submit.submit_once(tuner, request_, prepared, ignore, patience)
    assert len(list(tuner.jobs())) == jobs


def test_whoever_allows_a_second_job_sends_at_once(tuner, request_, prepared):
    Claims(request_, Storage()).take(None, SENT)
    submit.submit_once(tuner, request_, prepared, ignore, Patience(second_job=True, clock=NO_TIME))
    assert len(list(tuner.jobs())) == 1


def test_whoever_was_taken_for_dead_does_not_send(tuner, request_, prepared):
    """A process is stopped between its list and its create, another takes its claim and creates, and it goes on."""

    class Stopped:
        def __getattr__(self, name):
            return getattr(tuner, name)

        def jobs(self):
            found = list(tuner.jobs())
            if not found:
                aging(prepared).sleep(submit.HOLD_SECONDS + 5)
                submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))
            return iter(found)

    lines: list[str] = []
    job = submit.submit_once(Stopped(), request_, prepared, lines.append, Patience(clock=NO_TIME))
    assert [each.name for each in tuner.jobs()] == [job.name]
    assert lines == [f"attached to {job.name}, submitted before for the same request (PENDING)"]
    assert submitted(prepared)[1].name == job.name


@pytest.mark.parametrize("held", [HELD, SENT])
def test_a_claim_is_waited_for_and_its_job_attached_to(tuner, request_, prepared, held):
    theirs = Claims(request_, Storage())
    step = theirs.take(None, HELD)
    step = step if held == HELD else theirs.take(step, SENT)
    waits: list[float] = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            theirs.take(step, ANSWERED, tuner.submit(request_).name)

    lines: list[str] = []
    patience = Patience(clock=Clock(lambda: 0.0, sleep))
    job = submit.submit_once(tuner, request_, prepared, lines.append, patience)
    assert [each.name for each in tuner.jobs()] == [job.name]
    assert (len(waits), len(lines)) == (3, 2)  # what is waited for is said once


def test_ctrl_c_before_the_request_lets_the_next_command_go_on(tuner, request_, prepared):
    class Interrupted:
        def __getattr__(self, name):
            return getattr(tuner, name)

        def jobs(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit.submit_once(Interrupted(), request_, prepared, ignore)
    last = Claims(request_, Storage()).last()
    assert last is not None and last.state == OVER
    submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))


def test_a_refusal_frees_the_claim(request_, prepared):
    with server.running(played=Scenario(faults=(Fault(method="create", status=429),))) as url:
        tuner = VertexTuner("p", "us-central1", url)
        with pytest.raises(ServiceError, match="429"):
            submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))
        assert noted(prepared) is None
        job = submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))
        assert [each.name for each in tuner.jobs()] == [job.name]


def test_a_note_without_a_job_forbids_another_create_where_there_is_no_claim(tuner, request_, prepared):
    """Written before there were claims, or with another staging location."""
    runs.write(prepared, note.of(request_, None))
    job = tuner.submit(request_)
    assert submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME)).name == job.name
    runs.write(prepared, note.of(request_, None))
    other = replace(request_, train_uri=request_.train_uri.replace("/tuning/", "/elsewhere/"), epochs=9)
    runs.write(prepared, note.of(other, None))
    with pytest.raises(ServiceError, match="nobody knows yet whether a job was created"):
        submit.submit_once(tuner, other, prepared, ignore, Patience(seconds=1.0, clock=NO_TIME))
    assert len(list(tuner.jobs())) == 1


def test_a_job_that_failed_may_be_tried_again_though_the_claim_names_it(url, tuner, request_, prepared):
    first = submit.submit_once(tuner, request_, prepared, ignore)
    tuner.cancel(first.name)
    second = submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))
    assert second.name != first.name


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format_version": 1}', b"\xff"], ids=repr)
def test_a_damaged_claim_sends_nothing(tuner, request_, prepared, out, content):
    Claims(request_, Storage()).take(None, SENT)
    (path,) = (out / "tuning/claims").rglob("*.json")
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"000001.json is damaged \(.*\): it told whether .*; delete it if cliptune jobs"
    ):
        submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=NO_TIME))
    assert list(tuner.jobs()) == []


def test_an_empty_page_does_not_end_the_search(request_, prepared):
    """With the real client, which stops at one."""
    with server.running(played=Scenario(empty_pages=2)) as url:
        tuner = VertexTuner("p", "us-central1", url)
        jobs = [tuner.submit(replace(request_, epochs=epochs)).name for epochs in range(1, 103)]
        assert [job.name for job in tuner.jobs()] == jobs[::-1]


def test_steps_that_were_passed_are_removed(request_, out):
    claims = Claims(request_, Storage())
    step = None
    for state in (HELD, SENT, OVER, HELD, SENT, ANSWERED):
        step = claims.take(step, state)
    assert [path.name for path in (out / "tuning/claims").rglob("*.json")] == ["000006.json"]
    late = Claims(request_, Storage())
    assert late.take(None, HELD) is None  # its name is free, and still it is too late
    assert claims.last() == step
