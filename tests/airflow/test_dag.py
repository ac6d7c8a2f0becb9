"""The example's DAG, run by a real Airflow from the manifest to the evaluation."""

import json

import httpx
import pytest

from tests.airflow import environments
from tests.beam_pipeline.conftest import SOME
from tests.dataflow.conftest import OUT
from tuning.emulator import server

ENGLISH = str(environments.ROOT / "examples/english.jsonl")
TASKS = {"prepare", "check", "gate", "tune", "watch", "predict", "predict_base", "evaluate"}
SUCCESS = dict.fromkeys(TASKS, "success")


def stopped_at(task, *after):
    """The states of tasks of which one has failed."""
    return {**SUCCESS, task: "failed", **dict.fromkeys(after, "upstream_failed")}


@pytest.fixture
def local(airflow):
    """The DAG without a cloud: prepared on the worker, tuned by an emulator that each command starts."""

    def copy(**constants):
        words = {"CLIPTUNE": airflow.program(), "MANIFEST": ENGLISH, "DATAFLOW": [], "SERVICE": ["--emulator"]}
        airflow.copy(**{**words, "DATASET": str(airflow.folder / "out"), **constants})
        return airflow

    return copy


def test_from_the_manifest_to_the_evaluation_on_the_worker_and_again_without_a_second_job(local):
    ran = local().test()
    assert (ran.state, ran.states) == ("success", SUCCESS), ran.log[-9_000:]
    prepared, job = ran.result("prepare"), ran.result("watch")
    assert (prepared["rows"], ran.result("check")["ok"], job["state"]) == (prepared["accepted"], True, "SUCCEEDED")
    assert list(ran.result("evaluate")["systems"]) == ["tuned", "base"]
    assert "manifest rows" in ran.log  # what the command says to people
    # As a backfill does, or who clears all tasks.
    again = local().test()
    assert (again.states, again.result("tune")["name"]) == (SUCCESS, job["name"])
    assert again.result("prepare")["reused"] == prepared["rows"]
    assert len(json.loads((local().folder / "out/tuning/emulator.json").read_text())["jobs"]) == 1


def test_the_gate_stops_for_a_person_and_is_not_tried_again(local):
    ran = local(MIN_VALIDATION_SHARE=0.9, MAX_COST_USD=0.000001).test()
    after = TASKS - {"prepare", "check", "gate"}
    assert (ran.state, ran.states, ran.tries["gate"]) == ("failed", stopped_at("gate", *after), 1)
    assert "of the examples are for validation, at least 90.0% must be; tuning may cost $" in ran.log


def test_the_gate_of_the_evaluation_fails_for_good(local):
    ran = local(FAIL_IF="wer(tuned) >= 0").test()
    assert (ran.states, ran.tries["evaluate"]) == (stopped_at("evaluate"), 1)
    assert "cliptune evaluate ended with exit status 8" in ran.log


@pytest.fixture
def service():
    """The tuning service, which reads the buckets of this test."""
    with server.running() as url, httpx.Client(base_url=url) as client:
        yield client


def jobs_of(service):
    return service.get("/v1beta1/projects/P/locations/us-central1/tuningJobs").json().get("tuningJobs", [])


def far(airflow, fake, service, **constants):
    """The DAG in the cloud: prepared on Dataflow, with a dataset in a bucket."""
    place = [flag for flag in fake.flags if not flag.startswith("--runner=")]
    words = {"MANIFEST": "gs://cliptune-test/m.jsonl", "DATASET": OUT, "DATAFLOW": place}
    url = str(service.base_url).rstrip("/")
    airflow.copy(**{"CLIPTUNE": airflow.program(), **words, "SERVICE": [f"--api_endpoint={url}"], **constants})
    return airflow


def test_killed_between_the_answer_and_the_end_prepare_and_tune_have_one_job_each(airflow, fake, service):
    ran = far(airflow, fake, service, CLIPTUNE=airflow.program(kills="-dies")).test()
    assert (ran.state, ran.states) == ("success", SUCCESS), ran.log[-9_000:]
    assert ran.tries == {**dict.fromkeys(TASKS, 1), "prepare": 2, "tune": 2}
    assert (len(fake.jobs), len(jobs_of(service))) == (1, 1)
    (job_id,) = fake.jobs
    xcoms = ran.tasks["prepare"]["xcoms"]
    page = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{job_id}?project=test-project"
    assert (xcoms["job_id"], xcoms["console"], xcoms["_link_DataflowJobLink"]) == (job_id, page, page)
    assert xcoms["return_value"]["rows"] == len(SOME)
    assert ran.result("watch")["name"] == jobs_of(service)[0]["name"]
    assert f"job {job_id} is DONE" in ran.log


def test_a_job_that_fails_shows_the_services_own_message_and_is_not_sent_again(airflow, fake, service):
    service.put("/emulator", json={"end": "FAILED", "error": "Dataset has too few examples for Düsseldorf."})
    ran = far(airflow, fake, service, DATAFLOW=[]).test()
    assert (ran.states, ran.tries["watch"]) == (stopped_at("watch", "predict", "predict_base", "evaluate"), 1)
    assert "cliptune watch ended with exit status 4: Dataset has too few examples for Düsseldorf." in ran.log
    assert len(jobs_of(service)) == 1


def test_a_job_of_dataflow_that_fails_shows_its_cause(airflow, fake, service):
    fake.mode = "quota"
    ran = far(airflow, fake, service).test()
    assert ran.states == stopped_at("prepare", *TASKS - {"prepare"})
    assert "QUOTA_EXCEEDED: Quota 'CPUS' exceeded" in ran.log
    assert len(fake.jobs) == ran.tries["prepare"] == 3  # what may be over in a minute is tried again
