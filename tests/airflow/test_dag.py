"""The example's DAG, run by a real Airflow from the manifest to the evaluation."""

import json
import re

import httpx
import pytest

from tests.airflow import environments
from tests.beam_pipeline.conftest import SOME
from tests.dataflow.conftest import OUT
from tuning.emulator import server

TASKS = {"prepare", "check", "gate", "tune", "watch", "predict", "predict_base", "evaluate"}
SUCCESS = dict.fromkeys(TASKS, "success")


def stopped_at(task, *after):
    """The states of tasks of which one has failed."""
    return {**SUCCESS, task: "failed", **dict.fromkeys(after, "upstream_failed")}


PAGE = (environments.ROOT / "docs/airflow.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?m)^    (\S.*)$", PAGE)
# What the page calls by folders of a machine, and `make` makes in others.
MADE = (
    "python3 -m venv /opt/cliptune",
    "/opt/cliptune/bin/python -m pip install --requirement requirements.lock .",
    "python -m pip install --no-deps .",
)


def test_the_pages_words_lead_from_the_manifest_to_the_evaluation_and_again_without_a_second_job(airflow):
    assert COMMANDS[:3] == [*MADE]
    assert len(COMMANDS) == 6
    edits = re.search(r"(?s)```python\n(CLIPTUNE.*?)```", PAGE)
    assert edits is not None
    folders = {"/opt/cliptune/bin/cliptune": airflow.program(), "/opt/src/cliptune": str(environments.ROOT)}
    text = edits[1]
    for name, there in {**folders, "/data/english": f"{airflow.folder}/english"}.items():
        assert name in text
        text = text.replace(name, there)
    copied = airflow.dags / "cliptune_dag.py"
    for command in COMMANDS[3:]:
        airflow.type(command)
        if copied.exists():
            airflow.edit(copied, dict(re.findall(r"(?m)^(\w+)(?:: .*)? = (.*)$", text)))
    # As a backfill does, or who clears all tasks. Now the XComs are looked at, and the last gate holds.
    airflow.edit(copied, {"FAIL_IF": '"wer(tuned) >= 0"'})
    ran = airflow.test()
    assert ran.states == {**SUCCESS, "evaluate": "failed"}, ran.log[-9_000:]
    assert "cliptune evaluate ended with exit status 8" in ran.log
    prepared, job = ran.result("prepare"), ran.result("watch")
    assert prepared["rows"] == prepared["accepted"] == prepared["reused"]
    assert (ran.result("check")["ok"], job["state"], ran.result("tune")["name"]) == (True, "SUCCEEDED", job["name"])
    assert ran.tries == dict.fromkeys(TASKS, 1)
    assert "manifest rows" in ran.log  # what the command says to people
    resources = json.loads((airflow.folder / "english/tuning/emulator.json").read_text())
    assert [name for name in resources if "/tuningJobs/" in name] == [job["name"]]


def test_the_gate_stops_for_a_person_and_is_not_tried_again(airflow):
    words = {"CLIPTUNE": airflow.program(), "MANIFEST": str(environments.ROOT / "examples/english.jsonl")}
    limits = {"MIN_VALIDATION_SHARE": 0.9, "MAX_COST_USD": 0.000001}
    airflow.copy(**words, **limits, DATASET=str(airflow.folder / "out"), DATAFLOW=[], SERVICE=["--emulator"])
    ran = airflow.test()
    after = TASKS - {"prepare", "check", "gate"}
    assert (ran.state, ran.states, ran.tries["gate"]) == ("failed", stopped_at("gate", *after), 1)
    assert "of the examples are for validation, at least 90.0% must be; tuning may cost $" in ran.log


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
    assert {task for task, tries in ran.tries.items() if tries > 1} == {"prepare", "tune"}
    assert (len(fake.jobs), len(jobs_of(service))) == (1, 1)
    (job_id,) = fake.jobs
    xcoms = ran.tasks["prepare"]["xcoms"]
    page = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{job_id}?project=test-project"
    # The retry attaches to the job, or finds the dataset that it has finished in the meantime.
    found = [xcoms.get(name) for name in ("job_id", "console", "_link_DataflowJobLink")]
    assert found in ([job_id, page, page], [None, None, ""], [None, None, None])
    assert xcoms["return_value"]["rows"] == len(SOME)
    assert list(ran.result("evaluate")["systems"]) == ["tuned", "base"]
    assert ran.result("watch")["name"] == jobs_of(service)[0]["name"]
    assert found[0] is None or f"job {job_id} is DONE" in ran.log


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
