"""Wherever the connection is cut, one request is one job: the real client, a proxy that cuts, the emulator."""

from dataclasses import replace

import pytest

from tests.tuning.conftest import aging, job_file, noted, submitted
from tests.tuning.cutting import Cut, cutting
from transforms.errors import ServiceError, UserError
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs import submit
from tuning.jobs.clock import Clock
from tuning.jobs.submit import Patience
from tuning.providers.vertex.tuner import VertexTuner

pytestmark = pytest.mark.timeout(20)  # whoever waits for a quota, or looks again for ever, is noticed


def ignore(line):
    pass


def the_note(prepared):
    found = noted(prepared)
    assert found is not None
    return found


def submitted_in_the_end(tuner, request_, prepared):
    """What a user does: the same command again, as the message says. How often it took, and the job."""
    patience = Patience(clock=aging(prepared))
    try:
        return 1, submit.submit_once(tuner, request_, prepared, ignore, patience)
    except ServiceError as fault:
        assert "run the same command again" in str(fault)
        assert the_note(prepared).job is None
    return 2, submit.submit_once(tuner, request_, prepared, ignore, patience)


@pytest.mark.parametrize(
    ("cut", "commands"),
    [
        *((Cut(request=passed), 2) for passed in (0, 1, 100, 250, 400, 600, 800, -100, -2, -1)),
        *((Cut(answer=passed), 1) for passed in (0, 1, 20, 60, 100, 150, 200, 400, 600, -100, -2, -1)),
    ],
    ids=repr,
)
def test_a_cut_connection_is_one_job(url, tuner, request_, prepared, cut, commands):
    cut = replace(cut)  # it counts, and the table stays as it is
    with cutting(url, cut) as proxy:
        took, job = submitted_in_the_end(VertexTuner("p", "us-central1", proxy), request_, prepared)
    assert [each.name for each in tuner.jobs()] == [job.name]
    assert submitted(prepared)[1].name == job.name
    assert took == commands
    assert cut.creates == commands  # a request that arrived was never sent twice


@pytest.mark.parametrize("cut", [Cut(request=0), Cut(request=-1)], ids=repr)
def test_a_create_without_an_answer_takes_the_note_from_the_job_before(url, tuner, request_, prepared, cut):
    """The new job may run: whoever watched the old one would be told of another model."""
    before = submit.submit_once(tuner, request_, prepared, ignore)
    other = replace(request_, epochs=9)
    with cutting(url, cut) as proxy, pytest.raises(ServiceError, match="not known whether the job was created"):
        submit.submit_once(
            VertexTuner("p", "us-central1", proxy), other, prepared, ignore, Patience(clock=aging(prepared))
        )
    assert (the_note(prepared).digest, the_note(prepared).job) == (other.digest, None)
    with pytest.raises(UserError, match="it is not known whether it has a job"):
        submitted(prepared)
    job = submit.submit_once(tuner, other, prepared, ignore, Patience(clock=aging(prepared)))
    assert [each.name for each in tuner.jobs()] == [job.name, before.name]


def test_a_request_that_arrives_after_all_looking_is_one_job(url, tuner, request_, prepared):
    cut = Cut(held=True)
    with cutting(url, cut) as proxy:
        behind = VertexTuner("p", "us-central1", proxy)
        with pytest.raises(ServiceError, match="not known whether the job was created; run the same command again"):
            submit.submit_once(behind, request_, prepared, ignore, Patience(clock=aging(prepared)))
        assert list(tuner.jobs()) == []
        cut.release.set()
        assert cut.delivered.wait(30)
        job = submit.submit_once(behind, request_, prepared, ignore, Patience(clock=aging(prepared)))
    assert [each.name for each in tuner.jobs()] == [job.name]
    assert cut.creates == 1


@pytest.mark.sweep
@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="create", cut="before"),
        Fault(method="create", cut="after"),
        Fault(method="create", status=500),
        Fault(method="create", status=503),
        Fault(method="create", status=504),
    ],
    ids=repr,
)
@pytest.mark.parametrize("away", [0, 2, 3])
def test_a_service_that_is_away_afterwards_too_is_one_job(request_, prepared, fault, away):
    """The first list comes before the create, the next ones look for its job."""
    faults = (fault, *([Fault(method="list", first=2, count=away, status=503)] if away else []))
    with server.running(played=Scenario(faults=faults)) as url:
        tuner = VertexTuner("p", "us-central1", url)
        _, job = submitted_in_the_end(tuner, request_, prepared)
        assert [each.name for each in tuner.jobs()] == [job.name]


def test_a_service_that_is_not_there_is_not_asked_whether_it_has_the_job(request_, prepared):
    """Nothing was sent, so there is nothing to look for."""
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    with pytest.raises(ServiceError) as fault:
        tuner.submit(request_)
    assert (fault.value.ambiguous, fault.value.transient) == (False, True)


class Hours:
    """A clock whose hours pass at once."""

    def __init__(self):
        self.seconds = 1_000_000.0  # a clock may begin anywhere
        self.waits: list[float] = []
        self.clock = Clock(lambda: self.seconds, self.sleep)

    def sleep(self, seconds):
        self.seconds += seconds
        self.waits.append(seconds)


@pytest.fixture
def full():
    """A service whose quota is full: the tuner, and a job of somebody else."""
    with server.running(played=Scenario(quota=1)) as url:
        yield VertexTuner("p", "us-central1", url)


def test_a_full_quota_is_waited_for(full, request_, prepared):
    other = full.submit(replace(request_, epochs=9))
    lines: list[str] = []
    hours = Hours()
    job = submit.submit_once(full, request_, prepared, lines.append, Patience(True, 3_600, hours.clock))
    assert full.get(other.name).ended
    assert [each.name for each in full.jobs()] == [job.name, other.name]
    assert len(hours.waits) == 3  # the other job is pending, runs, has ended
    assert all(60 <= wait <= 120 for wait in hours.waits)
    assert sum("429 RESOURCE_EXHAUSTED" in line and "the quota is full" in line for line in lines) == 3


@pytest.mark.parametrize("patience", [Patience(), Patience(quota=True, seconds=100.0)])
def test_a_full_quota_is_not_waited_for_unasked_nor_for_longer_than_asked(full, request_, prepared, patience):
    other = full.submit(replace(request_, epochs=9))
    hours = Hours()
    with pytest.raises(ServiceError, match=r"429 RESOURCE_EXHAUSTED.*global_concurrent_tuning_jobs"):
        submit.submit_once(full, request_, prepared, ignore, replace(patience, clock=hours.clock))
    assert sum(hours.waits) <= 100
    assert [each.name for each in full.jobs()] == [other.name]


def test_a_job_that_is_being_cancelled_is_not_attached_to(tuner, request_, prepared, out):
    first = submit.submit_once(tuner, request_, prepared, ignore)
    tuner.cancel(first.name)
    job_file(out).unlink()  # else the emulator is asked about the job, which is cancelled then
    assert [job.state for job in tuner.jobs()] == ["CANCELLING"]
    assert submit.submit_once(tuner, request_, prepared, ignore).name != first.name
