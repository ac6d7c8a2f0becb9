"""The emulator itself: it refuses what the service documents as refused, and its answers cannot pass for results."""

import json
import signal
import subprocess
import sys

import httpx
import pytest

from tests import processes
from tests.tuning.providers.test_rows import ANSWER, FLAC, PROMPT, WAV, blob, model, row, uri, user
from tuning.check import files
from tuning.emulator import server
from tuning.jobs import watch
from tuning.providers.base import Question
from tuning.providers.vertex import rows

JOBS = "/v1beta1/projects/p/locations/us-central1/tuningJobs"
BASE = "/v1beta1/projects/p/locations/us/publishers/google/models/gemini-3.1-flash-lite:generateContent"


@pytest.fixture(scope="module")
def url():
    with server.running() as address:
        yield address


@pytest.fixture
def service(url):
    with httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def tuned(service, tmp_path):
    """Tunes on some lines; the job at its end."""

    def tune(lines, path="train.jsonl"):
        (tmp_path / path).write_bytes(b"".join(line + b"\n" for line in lines))
        return ended(service, body(str(tmp_path / path)))

    return tune


def body(train="gs://bucket/t.jsonl", **changes):
    parameters = {"epochCount": 1, **changes.pop("hyperParameters", {})}
    spec = {"trainingDatasetUri": train, "hyperParameters": parameters, **changes.pop("spec", {})}
    return {"baseModel": "gemini-3.1-flash-lite", "supervisedTuningSpec": spec, **changes}


def ended(service, tree):
    name = service.post(JOBS, json=tree).raise_for_status().json()["name"]
    while True:
        job = service.get(f"/v1beta1/{name}").json()
        if job["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
            return job


def example(text, part=None):
    return row(user(PROMPT, part or blob()), model({"text": text}))


def said(answer):
    (candidate,) = answer.raise_for_status().json()["candidates"]
    assert candidate["finishReason"] == "STOP"
    return candidate["content"]["parts"][0]["text"]


def ask(service, job, *parts):
    endpoint = job["tunedModel"]["endpoint"]
    return service.post(f"/v1beta1/{endpoint}:generateContent", json={"contents": [user(*parts)]})


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({}, "Base model None is not supported"),
        (body(baseModel="gemini-1.0-pro"), "gemini-1.0-pro is not supported"),
        ({"baseModel": "gemini-3.1-flash-lite"}, "trainingDatasetUri is required"),
        (body(""), "trainingDatasetUri is required"),
        (body("gs://bucket/folder"), "a single .jsonl file, got gs://bucket/folder"),
        (body("gs://bucket/*.jsonl"), "a single .jsonl file"),
        (body("gs://bucket/?.jsonl"), "a single .jsonl file"),
        (body(spec={"validationDatasetUri": "gs://bucket/v.csv"}), "validationDatasetUri must be a single .jsonl file"),
        (body(hyperParameters={"adapterSize": 4}), "adapterSize 4 is not supported"),  # an int, not the name
        (body(hyperParameters={"adapterSize": "ADAPTER_SIZE_THREE"}), "ADAPTER_SIZE_THREE is not supported"),
        (body(hyperParameters={"epochCount": "0"}), "epochCount must be positive"),
        (body(hyperParameters={"epochCount": 0}), "epochCount must be positive"),
        (body(hyperParameters={"epochCount": -1}), "epochCount must be positive"),
    ],
)
def test_what_is_refused_at_once(service, tree, told):
    before = service.get(JOBS).json()
    answer = service.post(JOBS, json=tree)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert told in error["message"]
    assert service.get(JOBS).json() == before


@pytest.mark.parametrize("location", ["global", "asia-east1"])
def test_where_nothing_is_tuned(service, location):
    answer = service.post(f"/v1beta1/projects/p/locations/{location}/tuningJobs", json=body())
    assert (answer.status_code, location in answer.json()["error"]["message"]) == (400, True)


def test_jobs_come_in_pages_the_newest_first_without_gap_or_repetition(service):
    jobs = JOBS.replace("/p/", "/pages/")
    names = [service.post(jobs, json=body()).json()["name"] for _ in range(5)]
    seen, token = [], ""
    while True:
        page = service.get(jobs, params={"pageSize": 2, "pageToken": token}).json()
        seen.append([job["name"] for job in page["tuningJobs"]])
        token = page.get("nextPageToken")
        if not token:
            break
    assert seen == [names[:2:-1], names[2:0:-1], names[:1]]


def test_listing_moves_no_job_on(service):
    name = service.post(JOBS, json=body()).json()["name"]
    assert [service.get(JOBS).json()["tuningJobs"][0]["state"] for _ in range(3)] == ["JOB_STATE_QUEUED"] * 3
    assert service.get(f"/v1beta1/{name}").json()["state"] == "JOB_STATE_PENDING"


def test_a_job_that_has_ended_cannot_be_cancelled(service, tuned):
    job = tuned([example("one")])
    assert service.post(f"/v1beta1/{job['name']}:cancel").json() == {}
    assert service.get(f"/v1beta1/{job['name']}").json() == job


def test_labels_are_not_respelled(service):
    job = service.post(JOBS, json=body(labels={"my_label": "a_b"})).json()
    assert job["labels"] == {"my_label": "a_b"}


@pytest.mark.parametrize(("bad", "state"), [(2, "SUCCEEDED"), (3, "FAILED")])
def test_a_tenth_of_bad_examples_on_both_sides(tuned, bad, state):
    job = tuned([example(f"text {number}") for number in range(20 - bad)] + [b"{}"] * bad)
    assert job["state"] == f"JOB_STATE_{state}"
    if state == "SUCCEEDED":
        stats = job["tuningDataStats"]["supervisedTuningDataStats"]
        assert stats["droppedExampleReasons"] == ["schema: contents: Field required"] * bad
        assert stats["tuningDatasetExampleCount"] == "20"  # int64 travels as a string
    else:
        assert job["error"]["message"].startswith("3 examples are invalid, more than 10 %; the first: ")
        assert "train.jsonl:18: contents" in job["error"]["message"]


def test_bad_examples_are_counted_beyond_those_that_a_check_shows(tuned, monkeypatch):
    monkeypatch.setattr(files, "SHOWN_PROBLEMS", 2)
    assert tuned([example("text")] * 10 + [b"{}"] * 10)["state"] == "JOB_STATE_FAILED"


def test_the_model_still_answers_where_bad_examples_were_dropped(service, tuned):
    job = tuned([example("the text")] * 18 + [b"{}"] * 2)
    assert said(ask(service, job, PROMPT, blob())) == "the text"


def test_training_audio_is_remembered_and_other_audio_is_not(service, tuned):
    job = tuned([example("the text")])
    assert said(ask(service, job, PROMPT, blob())) == "the text"
    assert said(ask(service, job, PROMPT, blob(WAV, "audio/wav"))) == (
        "[emulator] heard 1.0 s of audio/wav; nothing was learned, so nothing is predicted"
    )
    assert said(ask(service, job, PROMPT)).startswith("[emulator] no audio was sent")


@pytest.mark.parametrize("spell", [str, lambda text: text.replace("inline_data", "inlineData")])
@pytest.mark.parametrize("respell", [str, lambda text: text.replace("mime_type", "mimeType")])
def test_a_question_may_be_spelled_either_way(service, spell, respell):
    content = respell(spell(json.dumps({"contents": [user(PROMPT, blob())]})))
    told = said(service.post(BASE, content=content))
    assert told == "[emulator] heard 1.0 s of audio/flac; nothing was learned, so nothing is predicted"


def test_a_base_model_remembers_nothing(service, tuned):
    tuned([example("the text")])
    assert said(service.post(BASE, json={"contents": [user(PROMPT, blob())]})).startswith("[emulator] heard")


def test_audio_by_its_address_is_audio_too(service, tuned):
    job = tuned([example("the text", uri("gs://bucket/a.flac"))])
    told = said(ask(service, job, PROMPT, uri("gs://bucket/a.flac")))
    assert "no audio was sent" not in told


def test_each_job_remembers_the_file_that_it_was_tuned_on(service, tuned):
    first = tuned([example("the first text")])
    assert said(ask(service, first, PROMPT, blob())) == "the first text"
    second = tuned([example("the second text")])  # the same file, made anew
    assert said(ask(service, second, PROMPT, blob())) == "the second text"


def test_every_checkpoint_answers(service, tmp_path):
    (tmp_path / "t.jsonl").write_bytes(example("the text") + b"\n")
    job = ended(service, body(str(tmp_path / "t.jsonl"), hyperParameters={"epochCount": 2}))
    points = job["tunedModel"]["checkpoints"]
    assert [(point["epoch"], point["step"]) for point in points] == [("1", "1"), ("2", "2")]
    assert job["tunedModel"]["endpoint"] == points[-1]["endpoint"]
    for point in points:
        answer = service.post(f"/v1beta1/{point['endpoint']}:generateContent", json={"contents": [user(blob())]})
        assert said(answer) == "the text"


def test_a_model_is_refused_where_its_endpoint_is_meant(service, tuned):
    job = tuned([example("the text")])
    name = job["tunedModel"]["model"].partition("@")[0]
    answer = service.post(f"/v1beta1/{name}:generateContent", json={"contents": [user(blob())]})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_training_file_that_is_gone_is_told(service, tuned, tmp_path):
    job = tuned([example("the text")])
    (tmp_path / "train.jsonl").unlink()
    answer = ask(service, job, PROMPT, blob())
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_the_counts_of_a_job_are_those_of_the_check(tuned):
    lines = [example(f"text {number}", blob(FLAC)) for number in range(17)]
    job = tuned(lines)
    stats = job["tuningDataStats"]["supervisedTuningDataStats"]
    tokens = sum(rows.check_line(line, "f:1")[1].tokens for line in lines)
    assert stats == {
        "tuningDatasetExampleCount": "17",
        "tuningStepCount": "2",
        "totalBillableTokenCount": str(tokens),
        "totalTruncatedExampleCount": "0",
        "truncatedExampleIndices": [],
        "droppedExampleReasons": [],
    }


def test_a_missing_file_is_named(tuner, service, bucket, request_):
    job = ended(service, body(f"{bucket}/missing.jsonl"))
    assert job["state"] == "JOB_STATE_FAILED"
    assert f"{bucket}/missing.jsonl" in job["error"]["message"]
    assert watch.verdict(tuner.get(job["name"])).startswith("the job ended as FAILED: ")


def test_the_real_client_hears_the_same(tuner, tuned):
    job = tuner.get(tuned([example("the text")])["name"])
    contents = rows.parse(row(user(PROMPT, blob()), model(ANSWER))).contents[:-1]
    assert tuner.ask(job.endpoint, Question(contents)).text == "the text"


def test_it_runs_on_its_own_until_it_is_stopped(tmp_path):
    command = [sys.executable, "-m", "cliptune", "emulator", "--port", "0", "--state_file", str(tmp_path / "jobs.json")]
    with processes.running(command, stderr=subprocess.PIPE) as process:
        assert process.stderr
        url = process.stderr.readline().strip()
        assert server.NOTICE in process.stderr.readline()
        assert httpx.post(f"{url}{JOBS}", json=body()).json()["state"] == "JOB_STATE_QUEUED"
        process.send_signal(signal.SIGINT)
        assert process.wait(processes.LIMIT_SECONDS) == 0
    (job,) = json.loads((tmp_path / "jobs.json").read_bytes()).values()
    assert job["state"] == "JOB_STATE_QUEUED"
