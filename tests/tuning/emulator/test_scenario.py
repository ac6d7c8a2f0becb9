"""What goes wrong in the emulator on request, as a user's own tests would ask for it."""

import httpx
import pytest
from starlette.responses import Response

from transforms.errors import UserError
from tuning.emulator import scenario, server
from tuning.emulator.scenario import Fault, Scenario

PROJECT = "/v1beta1/projects/p/locations/us-central1"
JOBS = f"{PROJECT}/tuningJobs"
BODY = {"baseModel": "gemini-3.1-flash-lite", "supervisedTuningSpec": {"trainingDatasetUri": "gs://bucket/t.jsonl"}}


@pytest.fixture
def play():
    """A running emulator whose scenario can be changed through its control endpoint."""
    with server.running() as url, httpx.Client(base_url=url) as client:

        def put(**tree):
            return client.put("/emulator", json=tree)

        yield client, put


def test_faults_befall_the_requests_they_name_and_no_other(play):
    client, put = play
    put(faults=[{"method": "list", "first": 2, "count": 2, "status": 503}, {"method": "create", "status": 429}])
    assert [client.get(JOBS).status_code for _ in range(4)] == [200, 503, 503, 200]
    assert [client.post(JOBS, json=BODY).status_code for _ in range(2)] == [429, 200]
    assert client.get("/emulator").json()["requests"] == {"list": 4, "create": 2}


@pytest.mark.parametrize(("status", "name"), scenario.STATUS_NAMES.items())
def test_every_refusal_has_the_form_of_googles(play, status, name):
    client, put = play
    put(faults=[{"method": "list", "status": status}])
    answer = client.get(JOBS)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
    assert error.keys() == {"code", "message", "status"}


@pytest.mark.parametrize(("cut", "created"), [("before", 0), ("after", 1)])
def test_a_connection_is_cut_before_or_after_the_work_is_done(play, cut, created):
    client, put = play
    put(faults=[{"method": "create", "cut": cut}])
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(JOBS, json=BODY)
    assert len(client.get(JOBS).json()["tuningJobs"]) == created


def test_a_delay_is_one():
    waits: list[float] = []
    stage = scenario.Stage(Scenario(faults=(Fault(method="get", delay=7.5),)), sleep=waits.append)
    respond = Response()
    assert server._played(stage, "get", lambda: respond) is respond
    assert server._played(stage, "get", lambda: respond) is respond
    assert waits == [7.5]  # the first only


def test_a_quota_is_of_a_project_in_all_locations(play):
    client, put = play
    put(quota=1)
    first = client.post(JOBS, json=BODY).json()["name"]
    elsewhere = JOBS.replace("us-central1", "europe-west4")
    full = client.post(elsewhere, json=BODY)
    assert (full.status_code, full.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "quota metrics exceed quota limits" in full.json()["error"]["message"]
    assert client.post(elsewhere.replace("/p/", "/q/"), json=BODY).status_code == 200
    client.post(f"/v1beta1/{first}:cancel")
    assert client.post(elsewhere, json=BODY).status_code == 429  # cancelling takes a while
    assert client.get(f"/v1beta1/{first}").json()["state"] == "JOB_STATE_CANCELLED"
    assert client.post(elsewhere, json=BODY).status_code == 200


def states(client, count):
    name = client.post(JOBS, json=BODY).json()["name"]
    return [client.get(f"/v1beta1/{name}").json()["state"].removeprefix("JOB_STATE_") for _ in range(count)]


def test_a_job_walks_through_the_states_that_are_told(play):
    client, put = play
    put(states=["PENDING", "RUNNING", "RUNNING", "PAUSED", "RUNNING", "UPDATING"])
    walked = ["RUNNING", "RUNNING", "PAUSED", "RUNNING", "UPDATING", "FAILED", "FAILED"]
    assert states(client, 7) == walked  # FAILED: there is no gs://bucket/t.jsonl


@pytest.mark.parametrize("end", ["FAILED", "EXPIRED", "CANCELLED"])
def test_a_job_ends_as_told(play, end):
    client, put = play
    put(end=end, error="Something broke.", states=["RUNNING"])
    assert states(client, 1) == [end]
    (job,) = client.get(JOBS).json()["tuningJobs"]
    assert job["error"] == {"code": 13, "message": "Something broke."}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "the file: Invalid JSON"),
        ('{"faults": [{"method": "destroy"}]}', "faults.0: method must be one of create, get, list, cancel, update"),
        ('{"faults": [{"method": "get", "status": 418}]}', "faults.0: status must be one of 400, 401"),
        ('{"faults": [{"method": "get", "cut": "never"}]}', "cut must be 'before' or 'after', got 'never'"),
        ('{"faults": [{"method": "get", "first": 0}]}', "faults.0.first: Input should be greater than or equal to 1"),
        ('{"fault": []}', "fault: Extra inputs are not permitted"),
        ('{"quota": 0}', "quota: Input should be greater than or equal to 1"),
        ('{"states": []}', "states must be some of QUEUED"),
        ('{"states": ["DREAMING"]}', "states must be some of QUEUED, PENDING"),
        ('{"end": "SUCCEEDED"}', "end must be one of FAILED"),
    ],
)
def test_a_scenario_that_is_none_is_refused_by_field(play, tmp_path, content, told):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(UserError) as refusal:
        scenario.load(str(tmp_path / "s.json"))
    assert str(refusal.value).startswith(f"scenario {tmp_path}/s.json: ")
    assert told in str(refusal.value)
    client, _ = play
    answer = client.put("/emulator", content=content)
    assert (answer.status_code, told in answer.json()["error"]["message"]) == (400, True)
    assert client.get("/emulator").json()["scenario"]["end"] is None  # what was played is played on


def test_a_scenario_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: there is no such file"):
        scenario.load(str(tmp_path / "none.json"))


def test_another_scenario_counts_anew(play):
    client, put = play
    client.get(JOBS)
    put(faults=[{"method": "list", "status": 500}])
    assert [client.get(JOBS).status_code for _ in range(2)] == [500, 200]


def test_a_port_that_is_taken_is_one_line():
    with server.running() as url:
        taken = server.running(port=int(url.rpartition(":")[2]))
        with pytest.raises(UserError, match=r"cannot be used: .*choose another by --port"):
            taken.__enter__()
