"""A job followed to its end: what is told, how often, and what the end means."""

import httpx
import pytest

from tests.tuning.conftest import answering
from transforms.listener import Silent
from tuning.jobs import watch
from tuning.jobs.clock import Clock, Pace
from tuning.providers.base import TERMINAL, TuningJob
from tuning.providers.vertex.tuner import VertexTuner

NAME = "projects/p/locations/us-central1/tuningJobs/7"


class People(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line, /):
        self.lines.append(line)


def job_of(monkeypatch, tree):
    """The job that the real client makes of an answer."""
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    answering(tuner, monkeypatch, lambda request: httpx.Response(200, json=tree))
    return tuner.get(NAME)


def test_each_change_is_told_and_noted_once(tuner, request_):
    people = People()
    noted: list[TuningJob] = []
    job = tuner.submit(request_)
    end = watch.watch(tuner, job, people, Pace(0), noted.append)
    states = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED, 3 checkpoints"]
    assert people.lines == [f"{job.name}: {state}" for state in states]
    assert [job.state for job in noted] == ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]
    assert noted[-1] == end


def test_a_job_that_has_ended_is_not_asked_about_again():
    people = People()
    end = TuningJob(NAME, "FAILED", error="no")
    assert watch.watch(VertexTuner("p", "l", "http://127.0.0.1:9"), end, people, Pace(0), lambda job: None) is end
    assert people.lines == [f"{NAME}: FAILED"]


def test_a_checkpoint_is_news_although_the_state_is_not(monkeypatch):
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    points = [{"checkpointId": str(number), "epoch": str(number)} for number in (1, 2)]
    answers = [("RUNNING", 0), ("RUNNING", 1), ("RUNNING", 1), ("RUNNING", 2), ("SUCCEEDED", 2)]
    trees = iter(
        {"name": NAME, "state": f"JOB_STATE_{state}", "tunedModel": {"checkpoints": points[:count]}}
        for state, count in answers
    )
    answering(tuner, monkeypatch, lambda request: httpx.Response(200, json=next(trees)))
    people = People()
    watch.watch(tuner, tuner.get(NAME), people, Pace(0), lambda job: None)
    assert people.lines == [
        f"{NAME}: RUNNING",
        f"{NAME}: RUNNING, 1 checkpoints",
        f"{NAME}: RUNNING, 2 checkpoints",
        f"{NAME}: SUCCEEDED, 2 checkpoints",
    ]


def long_lines(monkeypatch, states, seconds):
    """What is told of long states, if each state is seen `seconds[i]` after the one before, by a fake clock."""
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    jobs = iter([TuningJob(NAME, state) for state in states])
    times = iter(seconds)
    now = 1_000_000.0  # a clock may begin anywhere

    def sleep(_):
        nonlocal now
        now += next(times)

    monkeypatch.setattr(tuner, "get", lambda name: next(jobs))
    people = People()
    pace = Pace(30, clock=Clock(lambda: now, sleep))
    assert watch.watch(tuner, next(jobs), people, pace, lambda job: None).ended
    return [line for line in people.lines if "which is long" in line]


@pytest.mark.parametrize("state", sorted(watch.LONG_SECONDS))
@pytest.mark.parametrize(("beside", "told"), [(-1, False), (0, True), (1, True)])
def test_a_state_is_long_from_its_limit_on(monkeypatch, state, beside, told):
    limit = watch.LONG_SECONDS[state]
    lines = long_lines(monkeypatch, [state, state, "SUCCEEDED"], [limit + beside, 1])
    assert len(lines) == told
    for line in lines:
        assert line.startswith(
            f"{NAME}: {state}, for {int(limit // 60)} min {beside} s, which is long: users who saw this"
        )


def test_a_long_state_is_told_once_and_again_of_the_next_one(monkeypatch):
    queued, running = watch.LONG_SECONDS["QUEUED"], watch.LONG_SECONDS["RUNNING"]
    states = ["QUEUED", *["QUEUED"] * 3, "RUNNING", *["RUNNING"] * 3, "SUCCEEDED"]
    lines = long_lines(monkeypatch, states, [queued, queued, queued, 1, running, running, running, 1])
    assert [line.partition(", for ")[0] for line in lines] == [f"{NAME}: QUEUED", f"{NAME}: RUNNING"]


def test_what_came_before_a_state_does_not_make_it_long(monkeypatch):
    """The limit counts from the change of the state, not from the beginning."""
    queued, running = watch.LONG_SECONDS["QUEUED"], watch.LONG_SECONDS["RUNNING"]
    states = ["QUEUED", "RUNNING", "RUNNING", "PENDING", "PENDING", "SUCCEEDED"]
    assert not long_lines(monkeypatch, states, [queued - 1, 1, running - 1, 1, 1])


@pytest.mark.parametrize("state", ["PAUSED", "CANCELLING", "UPDATING", "UNSPECIFIED"])
def test_a_state_without_a_limit_is_never_long(monkeypatch, state):
    assert not long_lines(monkeypatch, [state, state, "FAILED"], [10 * max(watch.LONG_SECONDS.values()), 1])


@pytest.mark.parametrize("poll", [10, 2, 0.5])
def test_the_time_between_two_questions_grows_to_its_limit(tuner, request_, poll):
    waits: list[float] = []
    pace = Pace(poll, clock=Clock(lambda: 0.0, waits.append))
    watch.watch(tuner, tuner.submit(request_), People(), pace, lambda job: None)
    limits = [min(wait, poll) for wait in (1, 1.5, 2.25)]
    assert [limit / 2 <= wait <= limit for wait, limit in zip(waits, limits, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("QUEUED", False),
        ("PENDING", False),
        ("RUNNING", False),
        ("PAUSED", False),
        ("CANCELLING", False),
        ("UPDATING", False),
        ("UNSPECIFIED", False),
        ("SUCCEEDED", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("EXPIRED", True),
        ("PARTIALLY_SUCCEEDED", True),
    ],
)
def test_which_states_are_the_end(monkeypatch, state, ended):
    job = job_of(monkeypatch, {"name": NAME, "state": f"JOB_STATE_{state}"})
    assert (job.state, job.ended, state in TERMINAL) == (state, ended, ended)


@pytest.mark.filterwarnings("ignore:.*is not a valid")
def test_a_state_that_is_not_invented_yet_is_followed_further(monkeypatch):
    job = job_of(monkeypatch, {"name": NAME, "state": "JOB_STATE_DREAMING"})
    assert (job.state, job.ended) == ("DREAMING", False)
    assert job_of(monkeypatch, {"name": NAME}).state == "UNSPECIFIED"


@pytest.mark.parametrize(
    ("job", "verdict"),
    [
        (TuningJob("j", "SUCCEEDED", tuned_model="m", endpoint="e"), "the tuned model answers at e"),
        (TuningJob("j", "PARTIALLY_SUCCEEDED", tuned_model="m", endpoint="e"), "the tuned model answers at e"),
        (
            TuningJob("j", "SUCCEEDED", tuned_model="m"),
            "the model m exists but has no endpoint: deploy it in the console",
        ),
        (TuningJob("j", "FAILED", tuned_model="m", error="no"), "the model m exists but has no endpoint: no"),
        (TuningJob("j", "FAILED", error="no"), "the job ended as FAILED: no"),
        (TuningJob("j", "EXPIRED"), "the job ended as EXPIRED: the service gave no reason"),
    ],
)
def test_what_the_end_means(job, verdict):
    assert watch.verdict(job) == verdict


def test_a_failed_job_with_a_model_as_the_service_tells_it(monkeypatch):
    model = {"model": "projects/p/locations/us-central1/models/1@1"}
    error = {"code": 13, "message": "Failed to create endpoint"}
    tree = {"name": NAME, "state": "JOB_STATE_FAILED", "tunedModel": model, "error": error}
    job = job_of(monkeypatch, tree)
    assert (job.tuned_model, job.endpoint, job.error) == (model["model"], None, "Failed to create endpoint")


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"state": "JOB_STATE_RUNNING", "tuningJobState": "TUNING_JOB_STATE_WAITING_FOR_CAPACITY"},
         "RUNNING (waiting for capacity)"),
        ({"state": "JOB_STATE_RUNNING", "tuningJobState": "TUNING_JOB_STATE_TUNING",
          "tuningJobMetadata": {"completedEpochCount": "2"}, "tunedModel": {"checkpoints": [{"checkpointId": "1"}]}},
         "RUNNING (tuning), 2 epochs done, 1 checkpoints"),
        ({"state": "JOB_STATE_SUCCEEDED", "tuningJobState": "TUNING_JOB_STATE_POST_PROCESSING"}, "SUCCEEDED"),
        ({"state": "JOB_STATE_PAUSED"}, "PAUSED"),
    ],
)  # fmt: skip
def test_how_far_a_job_is_as_the_service_tells_it(monkeypatch, tree, line):
    assert watch.progress(job_of(monkeypatch, {"name": NAME, **tree})) == line


def test_where_the_metrics_of_a_job_are(monkeypatch):
    experiment = "projects/p/locations/us-central1/metadataStores/default/contexts/tuning-experiment-7"
    assert job_of(monkeypatch, {"name": NAME, "experiment": experiment}).experiment == experiment


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3_661, "61 min 1 s")])
def test_times_are_told_in_minutes(seconds, text):
    assert watch._elapsed(seconds) == text
