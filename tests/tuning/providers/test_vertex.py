"""The real google-genai client against the emulator: requests, states, refusals, one job for one request."""

import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest
from google import genai

from tests.sounds import tone
from tests.tuning.conftest import job_file
from tests.tuning.providers.test_rows import FLAC, blob, model, row, user
from transforms.audio import encode
from transforms.errors import ServiceError, UserError
from transforms.listener import SILENT
from transforms.settings import Settings
from tuning.emulator import scenario, server
from tuning.jobs import submit, watch
from tuning.jobs.clock import Clock, Pace
from tuning.providers.base import Answer, Question, TuningJob
from tuning.providers.vertex import rows
from tuning.providers.vertex.tuner import VertexTuner

ENDED = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]


def followed(tuner, job):
    seen = []
    end = watch.watch(tuner, job, SILENT, Pace(0), lambda job: seen.append(job.state))
    return end, seen


def test_the_exact_request_without_sending_it(request_):
    sent = VertexTuner("p", "us-central1").body(request_)
    assert sent == {
        "method": "POST",
        "url": "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-central1/tuningJobs",
        "body": {
            "baseModel": "gemini-3.1-flash-lite",
            "supervisedTuningSpec": {
                "trainingDatasetUri": request_.train_uri,
                "validationDatasetUri": request_.validation_uri,
                "hyperParameters": {
                    "epochCount": 3,
                    "learningRateMultiplier": 0.5,
                    "adapterSize": "ADAPTER_SIZE_FOUR",
                },
            },
            "tunedModelDisplayName": "ours",
            "labels": {"cliptune-request": request_.digest},
        },
    }


@pytest.mark.parametrize(
    ("size", "name"),
    [(1, "ONE"), (2, "TWO"), (4, "FOUR"), (8, "EIGHT"), (16, "SIXTEEN"), (None, None)],
)
def test_adapter_sizes_travel_by_name(request_, size, name):
    body = VertexTuner("p", "us-central1").body(replace(request_, adapter_size=size))["body"]
    parameters = body["supervisedTuningSpec"]["hyperParameters"]
    assert parameters.get("adapterSize") == (name and f"ADAPTER_SIZE_{name}")
    assert parameters["epochCount"] == 3


def test_a_job_from_submission_to_its_end(tuner, request_):
    job = tuner.submit(request_)
    assert job.state == "QUEUED"
    end, seen = followed(tuner, job)
    assert seen == ENDED
    assert end.endpoint == end.checkpoints[-1]["endpoint"]
    assert [checkpoint["epoch"] for checkpoint in end.checkpoints] == [1, 2, 3]
    assert end.data_stats["tuning_dataset_example_count"] == 22
    assert end.labels == {"cliptune-request": request_.digest}
    assert "answers at" in watch.verdict(end)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"base_model": "gemini-1.0-pro"}, "not supported"),
        ({"train_uri": "gs://bucket/folder/"}, "single .jsonl file"),
        ({"train_uri": "gs://bucket/*.jsonl"}, "single .jsonl file"),
        ({"validation_uri": "gs://bucket/v.json"}, "single .jsonl file"),
        ({"base_model": "gemini-2.5-pro", "adapter_size": 16}, "ADAPTER_SIZE_SIXTEEN"),
    ],
)
def test_what_the_service_refuses_at_once_is_one_line(tuner, request_, change, told):
    with pytest.raises(ServiceError, match=rf"cannot create the tuning job: 400 INVALID_ARGUMENT: .*{told}") as refusal:
        tuner.submit(replace(request_, **change))
    assert not refusal.value.transient
    assert list(tuner.jobs()) == []


def test_another_location_is_refused(url, request_):
    with pytest.raises(ServiceError, match="not supported in location asia-east1"):
        VertexTuner("p", "asia-east1", url).submit(request_)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (None, "there is no"),
        (b"", "no examples"),
        (b"{}\n" * 20, "more than 10 %"),
    ],
)
def test_what_the_service_finds_later_fails_the_job(tuner, request_, tmp_path, train, told):
    path = tmp_path / "other.jsonl"
    if train is not None:
        path.write_bytes(train)
    end, seen = followed(tuner, tuner.submit(replace(request_, train_uri=str(path), validation_uri=None)))
    assert seen == ["QUEUED", "PENDING", "RUNNING", "FAILED"]
    assert told in end.error
    assert end.endpoint is None
    assert "ended as FAILED" in watch.verdict(end)


def test_up_to_a_tenth_of_bad_examples_is_dropped_silently_and_counted(tuner, request_, tmp_path):
    path = tmp_path / "tenth.jsonl"
    good = row(user({"text": "p"}, blob(FLAC)), model({"text": "x"}))
    path.write_bytes((good + b"\n") * 18 + b"{}\n" * 2)
    end, _ = followed(tuner, tuner.submit(replace(request_, train_uri=str(path), validation_uri=None)))
    assert end.state == "SUCCEEDED"
    assert len(end.data_stats["dropped_example_reasons"]) == 2


def test_jobs_are_listed_the_newest_first_over_pages(url, tuner, request_):
    names = [tuner.submit(replace(request_, epochs=epochs)).name for epochs in range(1, 6)]
    assert [job.name for job in tuner.jobs()] == names[::-1]
    first = httpx.get(f"{url}/v1beta1/projects/p/locations/us-central1/tuningJobs?pageSize=2").json()
    assert [job["name"] for job in first["tuningJobs"]] == names[:2:-1]
    assert first["nextPageToken"]
    assert list(VertexTuner("other", "us-central1", url).jobs()) == []


def test_a_job_can_be_cancelled_once(url, tuner, request_):
    job = tuner.submit(request_)
    httpx.post(f"{url}/v1beta1/{job.name}:cancel").raise_for_status()
    assert tuner.get(job.name).state == "CANCELLED"
    assert watch.verdict(tuner.get(job.name)).startswith("the job ended as CANCELLED")


def test_a_job_that_does_not_exist(tuner):
    with pytest.raises(ServiceError, match="404 NOT_FOUND") as refusal:
        tuner.get("projects/p/locations/us-central1/tuningJobs/7")
    assert refusal.value.missing


def test_a_server_that_is_not_there_is_one_line(request_):
    for call in (lambda tuner: tuner.submit(request_), lambda tuner: tuner.get("projects/p/locations/l/tuningJobs/7")):
        with pytest.raises(ServiceError, match="no answer from the service") as refusal:
            call(VertexTuner("p", "us-central1", "http://127.0.0.1:9"))
        assert refusal.value.transient


@pytest.mark.parametrize(
    ("code", "body"),
    [(200, b"<html>hello</html>"), (200, b"{}"), (200, b"[]"), (200, b'{"tuningJobs":7}'), (200, b""), (302, b""),
     (500, b"<html>oops</html>"), (403, b'{"error":{"code":403,"message":"denied"}}')],
)  # fmt: skip
def test_a_server_that_is_something_else_is_one_line(request_, code, body):
    class Other(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ServiceError, match="cannot create the tuning job"):
            VertexTuner("p", "us-central1", f"http://127.0.0.1:{server.server_port}").submit(request_)
        server.shutdown()


def told(lines):
    return lambda line: lines.append(line.split(" ")[0])


def test_one_request_is_one_job_however_often_it_is_submitted(tuner, request_, prepared):
    lines: list[str] = []
    jobs = [submit.submit_once(tuner, request_, prepared, told(lines)).name for _ in range(3)]
    assert len(set(jobs)) == 1 == len(list(tuner.jobs()))
    assert lines == ["submitted", "attached", "attached"]


def test_a_lost_note_is_made_up_for_by_the_label(tuner, request_, prepared, out):
    first = submit.submit_once(tuner, request_, prepared, print)
    job_file(out).unlink()
    assert submit.submit_once(tuner, request_, prepared, print).name == first.name


def test_another_request_is_another_job(tuner, request_, prepared):
    first = submit.submit_once(tuner, request_, prepared, print)
    second = submit.submit_once(tuner, replace(request_, epochs=5), prepared, print)
    assert first.name != second.name


def test_a_job_that_failed_may_be_tried_again(tuner, url, request_, prepared):
    first = submit.submit_once(tuner, request_, prepared, print)
    httpx.post(f"{url}/v1beta1/{first.name}:cancel")
    assert submit.submit_once(tuner, request_, prepared, print).name != first.name


def test_a_note_of_a_job_that_the_service_forgot(tuner, request_, prepared):
    submit.submit_once(tuner, request_, prepared, print)
    with server.running() as other:
        again = submit.submit_once(VertexTuner("p", "us-central1", other), request_, prepared, print)
        assert again.state == "QUEUED"


def test_two_emulators_share_their_jobs_through_a_file(tmp_path, request_):
    state = str(tmp_path / "emulator.json")
    with server.running(state) as url:
        job = VertexTuner("p", "us-central1", url).submit(request_)
    with server.running(state) as url:
        assert VertexTuner("p", "us-central1", url).get(job.name).state == "PENDING"


def test_both_spellings_are_understood(url, request_):
    body = {"base_model": request_.base_model, "supervised_tuning_spec": {"training_dataset_uri": request_.train_uri}}
    answer = httpx.post(f"{url}/v1beta1/projects/p/locations/us-central1/tuningJobs", json=body)
    assert answer.json()["supervisedTuningSpec"] == {"trainingDatasetUri": request_.train_uri}


def question(line):
    parsed = rows.parse(line)
    return Question(parsed.contents[:-1], parsed.system_instruction, {"thinking_level": "MINIMAL"})


def test_the_emulators_model_remembers_its_training_and_claims_nothing_else(tuner, request_, out):
    end, _ = followed(tuner, tuner.submit(request_))
    line = (out / "tuning/train.jsonl").read_bytes().splitlines()[5]
    target = json.loads(line)["contents"][1]["parts"][0]["text"]
    assert tuner.ask(end.endpoint, question(line)) == Answer(target, "STOP", 29, -(-len(target) // 4))
    payload = encode.encode((tone(99, 16_000, 1.5) * 32_767).astype(np.int16), Settings()).content
    other = row(user({"text": "p"}, blob(payload)), model({"text": "x"}))
    told_ = "[emulator] heard 1.5 s of audio/flac; nothing was learned, so nothing is predicted"
    assert tuner.ask(end.endpoint, question(other)).text == told_
    base = VertexTuner("p", "us", tuner.api_endpoint)
    assert str(base.ask(FLASH_LITE, question(line)).text).startswith("[emulator]")


FLASH_LITE = "gemini-3.1-flash-lite"


@pytest.mark.parametrize(
    ("model", "location", "told"),
    [
        (FLASH_LITE, "us-central1", "asked in 'us-central1'; this model answers only in global, us, eu"),
        (FLASH_LITE, "europe-west4", "asked in 'europe-west4'; this model answers only in global, us, eu"),
        (f"{FLASH_LITE}@001", "us", "and by its name without a version"),
        (FLASH_LITE, "global", None),
        (FLASH_LITE, "us", None),
        (FLASH_LITE, "eu", None),
        ("gemini-2.5-flash", "asia-east1", None),
        ("projects/p/locations/us-central1/endpoints/1", "us-central1", "lies elsewhere: cliptune jobs lists"),
    ],
)
def test_a_model_that_is_not_found_comes_with_where_it_answers(url, model, location, told):
    with pytest.raises(ServiceError, match=told) if told else nullcontext():
        assert VertexTuner("p", location, url).ask(model, question(row())).text


def test_a_lenient_scenario_asks_every_model_everywhere():
    with server.running(played=scenario.Scenario(strict=False)) as lenient:
        assert VertexTuner("p", "us-central1", lenient).ask(FLASH_LITE, question(row())).text


def test_an_endpoint_is_asked_in_its_own_location(url, request_, out):
    end, _ = followed(VertexTuner("p", "us-central1", url), VertexTuner("p", "us-central1", url).submit(request_))
    line = (out / "tuning/train.jsonl").read_bytes().splitlines()[0]
    assert VertexTuner("p", "europe-west4", url).ask(end.endpoint, question(line)).text


def test_a_model_is_not_its_endpoint(tuner, request_):
    end, _ = followed(tuner, tuner.submit(request_))
    with pytest.raises(UserError, match="ask its endpoint"):
        tuner.ask(end.tuned_model.partition("@")[0], question(row()))
    with pytest.raises(UserError, match="ask its endpoint"):
        tuner.ask(end.tuned_model, question(row()))  # with its version, as the job reports it
    with pytest.raises(ServiceError, match="404 NOT_FOUND"):
        tuner.ask("projects/p/locations/us-central1/endpoints/7", question(row()))


class Flaky(VertexTuner):
    """A service that is away for some questions."""

    def __init__(self, answers):
        super().__init__("p", "us-central1")
        self.answers = iter(answers)

    def get(self, name):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return TuningJob(name, answer)


def paced(waits, poll=30.0):
    return Pace(poll, clock=Clock(lambda: 0.0, waits.append))


def test_watching_survives_a_service_that_is_away():
    waits: list[float] = []
    away = ServiceError("503", transient=True)
    flaky = Flaky([away, away, "RUNNING", away, "SUCCEEDED"])
    end = watch.watch(flaky, TuningJob("j", "QUEUED"), SILENT, paced(waits), print)
    assert end.state == "SUCCEEDED"
    limits = [1.0, 2.0, 4.0, 1.5, 2.0]  # a poll, two back-offs, a poll, a back-off
    assert [limit / 2 <= wait <= limit for wait, limit in zip(waits, limits, strict=True)] == [True] * 5


@pytest.mark.parametrize(
    ("fault", "asked"), [(ServiceError("403 PERMISSION_DENIED"), 1), (ServiceError("503", True), 61)]
)
def test_watching_gives_up_at_once_or_in_the_end(fault, asked):
    answers = [fault] * 100
    flaky = Flaky(answers)
    with pytest.raises(ServiceError):
        watch.watch(flaky, TuningJob("j", "QUEUED"), SILENT, paced([]), print)
    assert len(list(flaky.answers)) == 100 - asked


def test_a_model_without_an_endpoint_is_told():
    job = TuningJob("j", "FAILED", tuned_model="projects/p/locations/l/models/1", error="Failed to create endpoint")
    assert "exists but has no endpoint: Failed to create endpoint" in watch.verdict(job)


def test_a_tuner_that_is_forgotten_closes_its_connections_before_the_garbage_is_collected(monkeypatch):
    closed: list[genai.Client] = []

    def close(client: genai.Client) -> None:
        closed.append(client)

    with server.running() as url:
        tuner = VertexTuner("p", "us-central1", url)
        assert list(tuner.jobs()) == []
        client = tuner._client("us-central1")
        monkeypatch.setattr(genai.Client, "close", close)
        cycle: list[object] = [tuner]
        cycle.append(cycle)
        del tuner, cycle
        gc.collect()
        assert client in closed  # tuners of other tests may be forgotten, too
        monkeypatch.undo()
        client.close()


def test_threads_that_ask_at_once_share_a_client():
    tuner, threads = VertexTuner("p", "us-central1", "http://127.0.0.1:9"), 8
    meeting = threading.Barrier(threads)

    def client(_):
        meeting.wait(60)
        return tuner._client("us-central1")

    with ThreadPoolExecutor(threads) as executor:
        assert len(set(executor.map(client, range(threads)))) == 1
