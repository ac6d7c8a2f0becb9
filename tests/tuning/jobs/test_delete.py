"""`delete`: what belongs to a run's job goes, after asking; nothing else does, whatever files say or requests meet."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
import requests

from tests.tuning.conftest import NO_TIME, job_file
from tests.tuning.jobs.test_watch import People
from transforms.errors import ServiceError, UsageError, UserError
from transforms.storage import Storage
from tuning import dataset, predict, tune
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs import delete, listing, runs, watch
from tuning.jobs.delete import NotAllDeletedError
from tuning.providers.base import Deployed, TuningJob
from tuning.providers.vertex import registry, rest
from tuning.providers.vertex.registry import VertexRegistry
from tuning.requests import DeleteRequest, JobsRequest, PredictRequest, TuneRequest, WatchRequest

PLACE = "projects/local-project/locations/us"


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(registry, "MAX_POLLS", 20)


def tuned(out, url, **settings):
    """The job of a run that has ended well."""
    return tune.run(TuneRequest(str(out), api_endpoint=url, **settings), clock=NO_TIME)


def deleted(out, url, people=None, **settings):
    request = DeleteRequest(str(out), api_endpoint=url, **{"yes": True, **settings})
    return delete.run(request, people or People(), NO_TIME)


def asked(out, url, **settings) -> Any:
    """What asking reports."""
    return predict.run(PredictRequest(str(out), api_endpoint=url, **settings))


def play(url, **scenario):
    played = Scenario(**scenario).model_dump()
    assert httpx.put(f"{url}/emulator", json=played).status_code == 200


def requests_of(url):
    return httpx.get(f"{url}/emulator").json()["requests"]


def left(url, job):
    """The resources of a job that the service still has."""
    named = [job.tuned_model.partition("@")[0], *(point["endpoint"] for point in job.checkpoints)]
    return [name for name in named if httpx.get(f"{url}/v1beta1/{name}").status_code != 404]


def test_the_model_and_the_endpoints_of_all_checkpoints_go_and_the_records_stay(out, url):
    job = tuned(out, url)
    before = json.loads(job_file(out).read_text())
    people = People()
    report = deleted(out, url, people)
    assert (report.model, len(report.endpoints), report.left) == (job.tuned_model, 3, ())
    assert not left(url, job)
    after = json.loads(job_file(out).read_text())
    (noted,) = after.pop("deleted")
    assert before.pop("deleted") == []
    assert after == before
    assert (noted["job"], noted["model"], noted["time"]) == (job.name, job.tuned_model, report.deleted)
    assert sum(line.startswith("deleted projects/") for line in people.lines) == 4


def test_deleting_again_says_when_and_asks_the_service_nothing(out, url):
    tuned(out, url)
    first = deleted(out, url)
    play(url)
    people = People()
    assert deleted(out, url, people) == first
    assert people.lines == [
        f"the model of run {first.run} was deleted on {first.deleted:.10}; there is nothing to delete"
    ]
    assert not requests_of(url)


@pytest.mark.parametrize("answer", [None, False])
def test_without_consent_nothing_is_deleted(out, url, answer):
    job = tuned(out, url)
    confirmed = None if answer is None else lambda question: answer
    with pytest.raises(UsageError if answer is None else UserError, match="nothing was deleted"):
        delete.run(DeleteRequest(str(out), api_endpoint=url), clock=NO_TIME, confirmed=confirmed)
    assert len(left(url, job)) == 4
    assert not {"undeploy", "delete"} & requests_of(url).keys()


def test_consent_is_asked_for_once_what_is_deleted_is_told(out, url):
    job = tuned(out, url)
    people, questions = People(), []

    def confirmed(question):
        questions.append((question, list(people.lines)))
        return True

    delete.run(DeleteRequest(str(out), api_endpoint=url), people, NO_TIME, confirmed)
    ((_, told),) = questions
    assert {f"  {name}" for name in (job.tuned_model.partition("@")[0], job.endpoint)} <= {*told}
    assert not left(url, job)


def test_a_job_that_goes_on_is_refused_and_cancel_is_named(out, url):
    play(url, states=("RUNNING",) * 9)
    job = tuned(out, url, no_watch=True)
    (run,) = out.glob("tuning/runs/*")
    with pytest.raises(UserError, match=f"goes on .RUNNING.; end it first: cliptune cancel {out} --run {run.name}"):
        deleted(out, url)
    assert httpx.get(f"{url}/v1beta1/{job.name}").json()["state"] == "JOB_STATE_RUNNING"


def test_a_note_that_names_another_job_deletes_nothing_of_it(out, url):
    """Whether a stranger wrote it or a hand copied it: the service's label tells whose job it is."""
    own, other = tuned(out, url), tuned(out, url, epochs=2, another=True)
    folder = next(path for path in out.glob("tuning/runs/*") if "3-epochs" in path.name)
    note = json.loads((folder / "job.json").read_text())
    note["job"] = other.as_dict()
    (folder / "job.json").write_text(json.dumps(note))
    with pytest.raises(UserError, match="is not the job of its request"):
        deleted(out, url, run=folder.name)
    assert len(left(url, own)) == 4
    assert len(left(url, other)) == 3


def test_names_that_stand_only_in_the_note_are_not_deleted(out, url):
    """The service's answer about the job counts, whatever the file says of model and endpoints."""
    own, other = tuned(out, url), tuned(out, url, epochs=2, another=True)
    folder = next(path for path in out.glob("tuning/runs/*") if "3-epochs" in path.name)
    note = json.loads((folder / "job.json").read_text())
    note["job"].update(tuned_model=other.tuned_model, endpoint=other.endpoint, checkpoints=list(other.checkpoints))
    (folder / "job.json").write_text(json.dumps(note))
    deleted(out, url, run=folder.name)
    assert not left(url, own)
    assert len(left(url, other)) == 3


def test_of_several_runs_one_must_be_named_and_only_that_one_goes(out, url):
    first, second = tuned(out, url), tuned(out, url, epochs=2)
    with pytest.raises(UserError, match=r"several runs: .*name the one to delete by --run"):
        deleted(out, url)
    report = deleted(out, url, run=next(path.name for path in out.glob("tuning/runs/*") if "2-epochs" in path.name))
    assert (report.job, left(url, second)) == (second.name, [])
    assert len(left(url, first)) == 4
    assert deleted(out, url).job == first.name  # the only one that is left need not be named


def test_the_other_versions_of_a_model_stay(out, url):
    """A model that is tuned further gets another version, which is another run's."""
    first = tuned(out, url)
    model = first.tuned_model.partition("@")[0]
    second = tuned(out, url, from_model=model, epochs=2)
    assert second.tuned_model == f"{model}@2"
    names = {run.job.name: run.name for run in runs.of(dataset.load(str(out), Storage()))}
    people = People()
    deleted(out, url, people, run=names[first.name])
    assert f"deleted {model}@1" in people.lines
    assert left(url, second) == [model, *(point["endpoint"] for point in second.checkpoints)]
    deleted(out, url)
    assert not left(url, second)


def test_a_model_that_is_being_tuned_further_stays(out, url):
    first = tuned(out, url)
    play(url, states=("RUNNING",) * 9)
    tuned(out, url, from_model=first.tuned_model.partition("@")[0], epochs=2, no_watch=True, another=True)
    name = next(path.name for path in out.glob("tuning/runs/*") if "3-epochs" in path.name)
    with pytest.raises(UserError, match=r"is tuning .* further"):
        deleted(out, url, run=name)
    assert len(left(url, first)) == 4


@pytest.mark.sweep
@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": "before"}, {"cut": "after"}])
@pytest.mark.parametrize(("method", "requests"), [("get", 1), ("read", 4), ("undeploy", 3), ("delete", 4)])
def test_whatever_request_fails_the_same_command_finishes(out, url, method, requests, fault):
    """A lost answer is what a kill is, too: the service has done it, and nobody was told."""
    job = tuned(out, url)
    for first in range(1, requests + 1):
        play(url, faults=(Fault(method=method, first=first, **fault),))
        with contextlib.suppress(ServiceError, UserError):
            deleted(out, url)
            break  # nothing was left to meet the fault
        assert not json.loads(job_file(out).read_text())["deleted"]
    play(url)
    assert deleted(out, url).deleted
    assert not left(url, job)


def test_what_is_left_is_reported_and_the_rest_is_deleted(out, url):
    job = tuned(out, url)
    play(url, faults=(Fault(method="undeploy", first=2, status=503),))
    people = People()
    with pytest.raises(NotAllDeletedError, match=f"run cliptune delete {out} --run .* again") as told:
        deleted(out, url, people)
    model, kept = job.tuned_model.partition("@")[0], job.checkpoints[0]["endpoint"]
    assert told.value.report.left == (kept, model)
    assert left(url, job) == [model, kept]
    assert f"not tried: {model}, which is still deployed" in people.lines


@pytest.mark.parametrize(("refusals", "all_gone"), [(0, True), (6, True), (7, False)])
def test_a_model_that_the_service_still_calls_deployed_is_tried_again(out, url, refusals, all_gone):
    job = tuned(out, url)
    play(url, deployed_for=refusals)
    people = People()
    with contextlib.nullcontext() if all_gone else pytest.raises(NotAllDeletedError):
        deleted(out, url, people)
    assert left(url, job) == ([] if all_gone else [job.tuned_model.partition("@")[0]])
    words = "is deployed or being deployed at the following Endpoint(s)"
    assert any(words in line for line in people.lines) is not all_gone
    deleted(out, url)
    assert not left(url, job)


@pytest.mark.sweep
@pytest.mark.parametrize(("reads", "in_time"), [(1, True), (19, True), (20, False)])
def test_operations_are_waited_for(out, url, reads, in_time):
    job = tuned(out, url)
    play(url, operation_reads=reads)
    with contextlib.nullcontext() if in_time else pytest.raises(NotAllDeletedError):
        deleted(out, url)
    assert (not left(url, job)) is in_time


def test_an_operation_that_ends_with_an_error_has_deleted_nothing(out, url):
    job = tuned(out, url)
    play(url, operation_error="the backend\nis away")
    people = People()
    with pytest.raises(NotAllDeletedError):
        deleted(out, url, people)
    assert any(line.endswith(": the backend is away") for line in people.lines)
    assert len(left(url, job)) == 4


def test_what_was_deleted_by_hand_is_noted(out, url):
    job = tuned(out, url)
    for point in job.checkpoints:
        number = point["endpoint"][-2:]
        body = {"deployedModelId": number}
        assert httpx.post(f"{url}/v1beta1/{point['endpoint']}:undeployModel", json=body).json()["done"]
        assert httpx.delete(f"{url}/v1beta1/{point['endpoint']}").json()["done"]
    assert httpx.delete(f"{url}/v1beta1/{job.tuned_model.partition('@')[0]}").json()["done"]
    assert deleted(out, url).deleted


def test_of_a_job_that_the_service_forgot_nobody_knows_what_is_its_own(out, url):
    tuned(out, url)
    with server.running() as other, pytest.raises(UserError, match=r"knows no .*; what is left .* in the console"):
        deleted(out, other)


def test_a_model_without_an_endpoint_is_deleted_too(out, url):
    play(url, end="NO_ENDPOINT")
    job = tuned(out, url)
    assert (job.state, job.endpoint) == ("FAILED", None)
    report = deleted(out, url)
    assert (report.model, report.endpoints) == (job.tuned_model, ())
    assert not left(url, job)


def test_a_job_without_a_model_has_nothing_to_delete(out, url):
    play(url, end="FAILED", error="Internal error.")
    tuned(out, url)
    with pytest.raises(UserError, match="has no model to delete: the job ended as FAILED: Internal error"):
        deleted(out, url)


def test_every_command_tells_in_a_line_that_the_model_was_deleted(out, url):
    tuned(out, url)
    report = deleted(out, url)
    told = f"the model of run {report.run} was deleted on {report.deleted:.10}"
    people = People()
    followed = watch.run(WatchRequest(str(out), api_endpoint=url), people, NO_TIME)
    assert (people.lines[-1], followed.deleted) == (told, report.deleted)
    people = People()
    listed = listing.run(JobsRequest(str(out), api_endpoint=url), people)
    assert listed.deleted == {report.run: report.deleted}
    assert f"run {report.run} (its model was deleted on {report.deleted:.10})" in people.lines[0]
    for more in ({}, {"run": report.run}, {"checkpoint": "1"}, {"model": report.endpoints[0]}, {"audio": ("a.wav",)}):
        with pytest.raises(UserError, match=f"^{told}: it answers no more questions"):
            asked(out, url, **more)
    assert asked(out, url, model="base").asked == 2


def test_answers_that_were_paid_are_still_reported(out, url):
    tuned(out, url)
    assert asked(out, url).asked == 2
    deleted(out, url)
    again = asked(out, url)
    assert (again.asked, again.predictions) == (0, 2)


def test_predict_means_a_run_whose_model_is_still_there(out, url):
    first = tuned(out, url)
    tuned(out, url, epochs=2)
    deleted(out, url, run=next(path.name for path in out.glob("tuning/runs/*") if "2-epochs" in path.name))
    assert asked(out, url).model == first.endpoint


def test_tuning_again_what_was_deleted_is_paid_again_and_needs_a_word(out, url):
    first = tuned(out, url)
    deleted(out, url)
    play(url)
    with pytest.raises(UserError, match=r"was deleted on .*; add --another to tune it again, which is paid again"):
        tuned(out, url)
    assert "create" not in requests_of(url)
    second = tuned(out, url, another=True)
    assert (second.answers, second.name != first.name, second.deleted) == (True, True, None)
    assert tuned(out, url).name == second.name  # and that one is attached to, as ever
    assert requests_of(url)["create"] == 1
    assert asked(out, url).model == second.endpoint
    assert deleted(out, url).job == second.name


class Shared:
    """A registry in which a stranger's model is deployed at the job's endpoint."""

    def __init__(self, *found, versions=("1",)):
        self.found, self.of_model, self.done = found, versions, []

    def deployed(self, endpoint):
        return self.found

    def versions(self, model):
        return self.of_model

    def __getattr__(self, name):
        return lambda *words: self.done.append((name, *words))


OWN = TuningJob("j", "SUCCEEDED", tuned_model=f"{PLACE}/models/7@1", endpoint=f"{PLACE}/endpoints/8")
MINE, THEIRS = Deployed("1", f"{PLACE}/models/7", "1"), Deployed("2", f"{PLACE}/models/9", "1")


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ((MINE,), ["undeploy", "delete_endpoint", "delete_model"]),
        ((), ["delete_endpoint", "delete_model"]),
        ((MINE, THEIRS), ["undeploy", "delete_model"]),  # the endpoint is theirs too
        ((THEIRS,), ["delete_model"]),
        ((replace(MINE, version="2"),), ["delete_model"]),  # another version of it is another job's
        ((replace(MINE, version=""),), ["undeploy", "delete_endpoint", "delete_model"]),
        ((replace(MINE, model=f"{PLACE}/models/7@2", version=""),), ["delete_model"]),
        # The service names a project by its number or by its id.
        ((replace(MINE, model="projects/12/locations/us/models/7"),), ["undeploy", "delete_endpoint", "delete_model"]),
        ((replace(MINE, model=f"{PLACE}-1/models/7"),), ["delete_model"]),
    ],
)
def test_what_others_have_deployed_stays(found, done):
    shared = Shared(*found)
    assert delete._Work(shared, OWN, People()).carry_out(lambda seconds: None) == ()
    assert [step[0] for step in shared.done] == done
    assert not [step for step in shared.done if THEIRS in step]


@pytest.mark.parametrize(
    ("model", "versions", "done", "kept"),
    [
        ("7@1", ("1",), [("delete_model", f"{PLACE}/models/7")], False),
        ("7@1", ("1", "2"), [("delete_version", f"{PLACE}/models/7", "1")], False),
        ("7@1", ("2",), [], False),  # its own is gone already
        ("7@1", None, [], False),
        ("7", ("1",), [], True),  # nobody says that this version is its own
    ],
)
def test_only_the_version_of_the_job_is_deleted(model, versions, done, kept):
    stays = (f"{PLACE}/models/7",) if kept else ()
    shared = Shared(versions=versions)
    job = replace(OWN, tuned_model=f"{PLACE}/models/{model}", endpoint=None)
    assert delete._Work(shared, job, People()).carry_out(lambda seconds: None) == stays
    assert shared.done == done


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
    ],
)
def test_a_request_goes_where_the_clients_would_go(location, host):
    assert rest.Rest(None)._host(location) == host


@pytest.mark.parametrize(
    "name",
    ["projects/p/locations/us/../../x", "projects/p/locations/us/models/7?x=1", "projects/p/locations/a.b/m/1", "x"],
)
def test_a_name_that_is_none_is_not_asked_for(url, name):
    with pytest.raises((ServiceError, UserError)):
        VertexRegistry(url, lambda seconds: None).deployed(name)
    assert not requests_of(url)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"hello"),
        (200, b"[]"),
        (200, b'{"models": 7}'),
        (200, b'{"models": [7]}'),
        (200, b"{}"),
        (302, b""),
        (500, b"no"),
    ],
)
def test_an_answer_that_is_none_is_one_line(monkeypatch, status, content):
    registry_ = VertexRegistry("http://127.0.0.1:9", lambda seconds: None)

    def answer(*words, **more):
        response = requests.Response()
        response.status_code, response._content = status, content
        response.headers["location"] = "http://elsewhere.example/"
        return response

    monkeypatch.setattr(registry_._rest, "_opened", lambda: type("Session", (), {"request": staticmethod(answer)}))
    with pytest.raises(ServiceError, match=r"^cannot read .*/models/7") as told:
        registry_.versions(f"{PLACE}/models/7")
    assert "\n" not in str(told.value)


def test_a_server_that_is_away_is_one_line():
    with pytest.raises(ServiceError, match=r"no answer from the service \(ConnectionError\)"):
        VertexRegistry("http://127.0.0.1:9", lambda seconds: None).deployed(f"{PLACE}/endpoints/7")
