"""One request is one job: what `job.json` keeps, and how a job is found that it does not name."""

import json
import sys
from dataclasses import asdict, replace

import httpx
import pytest

from tests import processes
from tests.tuning.conftest import NO_TIME, answering, job_file, noted, submitted
from transforms.errors import ServiceError, UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.emulator import server
from tuning.emulator.jobs import Jobs
from tuning.jobs import runs, submit
from tuning.jobs.clock import Clock
from tuning.jobs.submit import Patience
from tuning.providers.base import REQUEST_LABEL, Question
from tuning.providers.vertex.models import location_of
from tuning.providers.vertex.tuner import VertexTuner

pytestmark = pytest.mark.timeout(20)  # whoever waits for a quota, or looks again for ever, is noticed
PATH = "/v1beta1/projects/p/locations/us-central1/tuningJobs"


def ignore(line):
    pass


def cancel(url, job):
    httpx.post(f"{url}/v1beta1/{job.name}:cancel").raise_for_status()


def test_the_note_holds_the_request_and_the_job(tuner, request_, prepared, out):
    job = submit.submit_once(tuner, request_, prepared, ignore)
    assert json.loads(job_file(out).read_text()) == {
        "format_version": 1,
        "digest": request_.digest,
        "request": asdict(request_),
        "job": json.loads(json.dumps(job.as_dict())),
        "estimate": None,
        "deleted": [],
    }


@pytest.mark.parametrize(("version", "told"), [(2, "format_version must be 1, got 2"), ("1", "must be 1, got '1'")])
def test_a_note_of_another_version_is_refused(tuner, request_, prepared, out, version, told):
    submit.submit_once(tuner, request_, prepared, ignore)
    path = job_file(out)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": version}))
    with pytest.raises(UserError, match=rf"job.json is damaged \(.*{told}\): it names .*; delete it if no job"):
        noted(prepared)


def test_a_note_from_before_there_were_versions_is_read(tuner, request_, prepared, out):
    job = submit.submit_once(tuner, request_, prepared, ignore)
    path = job_file(out)
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "format_version"}))
    assert submitted(prepared) == (request_, job)


def test_what_is_newly_known_of_a_job_leaves_the_request_alone(tuner, request_, prepared):
    job = submit.submit_once(tuner, request_, prepared, ignore)
    request, before = submitted(prepared)
    runs.update(prepared, replace(job, state="RUNNING"))
    assert submitted(prepared) == (request, replace(before, state="RUNNING"))


def test_a_job_is_found_by_its_label_behind_a_hundred_newer_ones(request_, prepared, tmp_path):
    state = str(tmp_path / "jobs.json")
    with server.running(state) as url:
        first = VertexTuner("p", "us-central1", url).submit(request_)
    jobs = Jobs(state)
    spec = {"trainingDatasetUri": request_.train_uri}
    for _ in range(105):  # the client asks for pages of 100
        jobs.create(
            "projects/p/locations/us-central1", {"baseModel": request_.base_model, "supervisedTuningSpec": spec}
        )
    with server.running(state) as url:
        tuner = VertexTuner("p", "us-central1", url)
        assert [job.labels for job in tuner.jobs()] == [{}] * 105 + [{REQUEST_LABEL: request_.digest}]
        assert submit.submit_once(tuner, request_, prepared, ignore).name == first.name


def test_of_a_failed_and_a_running_job_with_the_label_the_running_one_is_attached_to(url, tuner, request_, prepared):
    running = tuner.submit(request_)
    cancel(url, tuner.submit(request_))  # the newer one
    assert submit.submit_once(tuner, request_, prepared, ignore).name == running.name


def test_whoever_is_attached_to_a_job_is_told_so(tuner, request_, prepared):
    job = submit.submit_once(tuner, request_, prepared, ignore)
    said: list[str] = []
    submit.submit_once(tuner, request_, prepared, said.append)
    state = next(tuner.jobs()).state
    assert said == [f"attached to {job.name}, submitted before for the same request ({state})"]


def test_a_copy_of_the_dataset_attaches_to_the_job_of_the_original(tuner, request_, prepared, tmp_path, out):
    first = submit.submit_once(tuner, request_, prepared, ignore)
    copy = replace(prepared, name="copy", uri=str(tmp_path / "copy"), storage=Storage())
    moved = replace(request_, train_uri=copy.tuning_uri("train.jsonl"), display_name="another")
    assert submit.submit_once(tuner, moved, copy, ignore).name == first.name
    assert submitted(copy)[1].name == first.name


def test_a_second_try_from_a_copy_is_found_although_the_note_names_the_first(
    url, tuner, request_, prepared, tmp_path, out
):
    cancel(url, submit.submit_once(tuner, request_, prepared, ignore))
    copy = replace(prepared, name="copy", uri=str(tmp_path / "copy"), storage=Storage())
    second = submit.submit_once(tuner, request_, copy, ignore)  # runs, and is paid for
    assert submit.submit_once(tuner, request_, prepared, ignore).name == second.name
    assert len(list(tuner.jobs())) == 2


def test_a_refused_request_does_not_lose_the_job_that_runs(tuner, request_, prepared):
    running = submit.submit_once(tuner, request_, prepared, ignore)
    with pytest.raises(ServiceError, match="400"):
        submit.submit_once(tuner, replace(request_, base_model="gemini-1.0-pro"), prepared, ignore)
    assert submitted(prepared)[1].name == running.name


@pytest.mark.parametrize("code", [400, 403, 429, 503])
def test_whatever_the_refusal_there_is_still_the_job_before_to_watch(tuner, request_, prepared, monkeypatch, code):
    """Most often it is 429: a project may run one job at a time."""
    running = submit.submit_once(tuner, request_, prepared, ignore)
    other = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    refusal = httpx.Response(code, json={"error": {"code": code, "message": "no"}})
    answering(other, monkeypatch, lambda request: refusal if request.method == "POST" else httpx.Response(200, json={}))
    with pytest.raises(ServiceError, match=f"cannot create the tuning job: {code}"):
        submit.submit_once(other, replace(request_, epochs=9), prepared, ignore, Patience(clock=NO_TIME))
    assert submitted(prepared)[1].name == running.name


def test_a_request_that_may_have_become_a_job_stays_noted_where_no_other_goes_on(
    tuner, request_, prepared, monkeypatch
):
    """Else the next request would not be told of it."""
    done = submit.submit_once(tuner, request_, prepared, ignore)
    tuner.cancel(done.name)
    runs.update(prepared, tuner.get(done.name))
    other = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    refusal = httpx.Response(503, json={"error": {"code": 503, "message": "no"}})
    answering(other, monkeypatch, lambda request: refusal if request.method == "POST" else httpx.Response(200, json={}))
    sent = replace(request_, epochs=9)
    with pytest.raises(ServiceError, match="not known whether the job was created"):
        submit.submit_once(other, sent, prepared, ignore, Patience(clock=NO_TIME))
    assert [(run.note.digest, run.note.job and run.note.job.name) for run in runs.of(prepared)] == [
        (request_.digest, done.name),
        (sent.digest, None),
    ]


def test_the_job_of_the_note_is_asked_for_by_its_name(tuner, request_, prepared, monkeypatch):
    """However many jobs there are: no list is read."""
    job = submit.submit_once(tuner, request_, prepared, ignore)
    other = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    running = httpx.Response(200, json={"name": job.name, "state": "JOB_STATE_RUNNING", "labels": job.labels})
    sent = answering(other, monkeypatch, lambda request: running)
    assert submit.submit_once(other, request_, prepared, ignore).name == job.name
    assert [(request.method, request.url.path) for request in sent] == [("GET", f"/v1beta1/{job.name}")]


def test_nothing_is_submitted_while_the_job_of_the_note_cannot_be_read(tuner, request_, prepared, monkeypatch):
    submit.submit_once(tuner, request_, prepared, ignore)
    other = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    refusal = httpx.Response(403, json={"error": {"code": 403, "message": "no"}})
    answers = iter([refusal])
    sent = answering(other, monkeypatch, lambda request: next(answers, httpx.Response(200, json={})))
    with pytest.raises(ServiceError, match="403"):
        submit.submit_once(other, request_, prepared, ignore)
    assert [request.method for request in sent] == ["GET"]


def test_an_answer_that_is_lost_is_looked_for_and_both_are_said(tuner, request_, prepared, monkeypatch):
    job = tuner.submit(request_)
    other = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    listed = iter([{}, {}, {"tuningJobs": [{"name": job.name, "state": "JOB_STATE_RUNNING", "labels": job.labels}]}])

    def answer(request):
        if request.method == "POST":
            return httpx.Response(503, json={"error": {"message": "away"}})
        return httpx.Response(200, json=next(listed))

    answering(other, monkeypatch, answer)
    said: list[str] = []
    assert submit.submit_once(other, request_, prepared, said.append, Patience(clock=NO_TIME)).name == job.name
    first, last = said
    assert first.startswith("cannot create the tuning job: 503 ")
    assert first.endswith("; looking whether the job was created")
    assert last == f"found {job.name}: it was created"


def test_a_job_that_is_never_listed_is_looked_for_for_about_a_minute(request_, prepared, monkeypatch):
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    lost = httpx.Response(503, json={"error": {"message": "away"}})
    sent = answering(tuner, monkeypatch, lambda asked: lost if asked.method == "POST" else httpx.Response(200, json={}))
    slept: list[float] = []
    with pytest.raises(ServiceError) as fault:
        submit.submit_once(tuner, request_, prepared, ignore, Patience(clock=Clock(lambda: 0.0, slept.append)))
    assert [request.method for request in sent] == ["GET", "POST", *["GET"] * submit.LOOKS]
    assert (len(slept), fault.value.transient, fault.value.code) == (submit.LOOKS - 1, True, 503)
    assert 30 < sum(slept) < 80
    assert all(0 < seconds <= submit.MAX_LOOK_SECONDS for seconds in slept)
    assert str(fault.value).endswith(
        "; it is not known whether the job was created; run the same command again, it looks for the job first"
    )


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_create_is_sent_once_whatever_the_answer(request_, monkeypatch, code):
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    sent = answering(tuner, monkeypatch, lambda request: httpx.Response(code, json={"error": {"message": "away"}}))
    with pytest.raises(ServiceError, match=rf"cannot create the tuning job: {code} .*away") as refusal:
        tuner.submit(request_)
    assert refusal.value.transient
    assert [(request.method, request.url.path) for request in sent] == [("POST", PATH)]


def test_what_is_shown_is_what_is_sent(request_, monkeypatch):
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    sent = answering(tuner, monkeypatch, lambda request: httpx.Response(200, json={"name": "n"}))
    tuner.submit(request_)
    shown = VertexTuner("p", "us-central1", "http://127.0.0.1:9").body(request_)
    assert (shown["method"], shown["url"]) == (sent[0].method, str(sent[0].url))
    assert shown["body"] == json.loads(sent[0].content)


def test_without_validation_there_is_no_key_for_it(request_):
    body = VertexTuner("p", "us-central1").body(replace(request_, validation_uri=None, learning_rate_multiplier=None))
    assert body["body"]["supervisedTuningSpec"] == {
        "trainingDatasetUri": request_.train_uri,
        "hyperParameters": {"epochCount": 3, "adapterSize": "ADAPTER_SIZE_FOUR"},
    }


def test_the_label_is_one_that_the_service_takes(request_):
    assert all(character in "0123456789abcdef" for character in request_.digest)
    assert 0 < len(request_.digest) <= 63


def test_a_dataset_without_a_job_says_how_to_get_one(out):
    prepared = dataset.load(str(out), Storage())
    with pytest.raises(UserError, match=f"{out} has no tuning job yet; submit one with cliptune tune {out}"):
        submitted(prepared)


def test_the_client_does_not_warn_of_itself(out):
    """In a process of its own: the client warns once, and pytest has filters."""
    command = [sys.executable, "-m", "cliptune", "tune", str(out), "--project", "p", "--dry_run"]
    command += ["--staging_location", "gs://bucket/s"]
    done = processes.run(command)
    assert json.loads(done.stdout)["method"] == "POST"
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "projects/p/locations/evil.example#/endpoints/1",
        "projects/p/locations/evil.example?x=/endpoints/1",
        "projects/p/locations/a b/endpoints/1",
        "projects/p/locations//endpoints/1",
        "my-endpoint",
    ],
)
def test_a_location_cannot_lead_the_credentials_to_another_host(name):
    """A location becomes a part of the host: one that is read from a name, or a note in a bucket, is not trusted."""
    with pytest.raises(UserError):
        location_of(name)


def test_an_endpoint_cannot_either():
    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="location"):
        tuner.ask("projects/p/locations/evil.example#/endpoints/1", Question(["hello"]))
