"""Ways to lose money by the commands: each is tried, and none pays twice or for something else than was estimated."""

import json
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest
import soundfile

from tests.sounds import tone
from tests.tuning.conftest import NO_TIME, answers
from transforms.errors import ServiceError, UserError
from transforms.storage import Storage
from tuning import dataset, join, predict, predictions, tune
from tuning.asking import AskingPrice, Spent
from tuning.check import check
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs import delete, runs
from tuning.predictions import Prediction, PredictionsFile
from tuning.providers.base import Answer, TuningJob
from tuning.providers.vertex.tuner import VertexTuner
from tuning.requests import DeleteRequest, PredictRequest, TuneRequest


def tuned(out, url, **settings) -> Any:
    return tune.run(TuneRequest(str(out), api_endpoint=url, **settings), clock=NO_TIME)


def asked(out, url, **settings) -> Any:
    return predict.run(PredictRequest(str(out), api_endpoint=url, **settings), clock=NO_TIME)


def play(url, **scenario):
    assert httpx.put(f"{url}/emulator", json=Scenario(**scenario).model_dump()).status_code == 200


def requests_of(url):
    return httpx.get(f"{url}/emulator").json()["requests"]


def test_a_second_command_at_the_same_moment_asks_nothing(out, url):
    """Both would pay for the same questions, and one would write over the answers of the other."""
    tuned(out, url)
    asked(out, url, limit=1)
    file = answers(out, "validation")
    play(url)
    with predictions.alone(str(file), Storage()), pytest.raises(UserError, match="another cliptune predict is asking"):
        asked(out, url)
    assert not requests_of(url)
    assert asked(out, url).asked == 1  # the lock went with its holder


def test_other_questions_may_be_asked_at_the_same_moment(out, url):
    tuned(out, url)
    asked(out, url, limit=1)
    with predictions.alone(str(answers(out, "validation")), Storage()):
        assert asked(out, url, split="train", limit=3).asked == 3
        assert asked(out, url, model="base").asked == 2
        assert asked(out, url, checkpoint="1").asked == 2


def prediction(number: int) -> Prediction:
    return Prediction(f"c{number}", "m:1", "t", "a", "STOP", "model", f"sha{number}")


def test_in_a_bucket_two_commands_keep_each_others_answers(bucket):
    uri = f"{bucket}/p.jsonl"
    with PredictionsFile(uri, [], Storage()) as one, PredictionsFile(uri, [], Storage()) as other:
        one.add(prediction(1))
        other.add(prediction(2))
    assert {found.clip_id for found in predictions.read(uri, Storage())} == {"c1", "c2"}


def test_in_a_bucket_answers_are_written_when_half_a_minute_has_gone(bucket, monkeypatch):
    uri, now = f"{bucket}/p.jsonl", [0.0]
    monkeypatch.setattr("tuning.predictions.time.monotonic", lambda: now[0])
    with PredictionsFile(uri, [], Storage()) as file:
        for seconds, kept in ((29.9, 0), (30.0, 2), (59.9, 2), (60.0, 4)):
            now[0] = seconds
            file.add(prediction(int(10 * seconds)))
            assert len(predictions.read(uri, Storage())) == kept


def test_an_answer_behind_one_that_fails_is_kept(out, url, monkeypatch):
    """The first question fails only when the second was answered, and paid."""
    tuned(out, url)
    real, arrived, turn = VertexTuner.ask, threading.Event(), iter(range(100))

    def ask(self, model, question):
        if next(turn) == 0:
            assert arrived.wait(60)
            raise ServiceError("no", code=400)
        answer = real(self, model, question)
        threading.Timer(0.2, arrived.set).start()  # until its answer is in the file
        return answer

    monkeypatch.setattr(VertexTuner, "ask", ask)
    with pytest.raises(ServiceError):
        asked(out, url)
    assert len(answers(out, "validation").read_text().splitlines()) == 1
    monkeypatch.setattr(VertexTuner, "ask", real)
    assert asked(out, url).asked == 1


@pytest.mark.parametrize("limits", [(1, 5, 22), (22, 5), (3, 3, 3)])
def test_a_growing_limit_pays_for_the_difference(out, url, limits):
    tuned(out, url)
    play(url)
    for limit in limits:
        asked(out, url, split="train", limit=limit)
    assert requests_of(url)["generate"] == max(limits)


def test_answers_of_other_models_and_checkpoints_are_never_paid_again(out, url):
    tuned(out, url)
    ways: list[dict[str, Any]] = [{}, {"model": "base"}, {"checkpoint": "1"}, {"checkpoint": "3"}]
    first = [asked(out, url, **way).asked for way in ways]
    again = [asked(out, url, **way).asked for way in reversed(ways)]
    assert (first, again) == ([2, 2, 2, 0], [0, 0, 0, 0])  # the default checkpoint is the last one


def test_what_costs_more_than_it_could_stops_at_max_cost(out, url, monkeypatch):
    """The service counts what it likes; the bound is on what is paid."""
    tuned(out, url)
    monkeypatch.setattr(VertexTuner, "ask", lambda *words: Answer("x", "STOP", 10**6, 0))
    with pytest.raises(UserError, match=r"counted \$0\.3750, over max_cost 0\.1; the answers so far are kept"):
        asked(out, url, split="train", max_cost=0.1, concurrency=1)
    assert 1 <= len(answers(out, "train").read_text().splitlines()) <= 4


def test_a_question_that_was_asked_in_vain_is_repeated_a_few_times_only(out, url):
    tuned(out, url)
    play(url, faults=(Fault(method="generate", count=1_000, status=500),))
    with pytest.raises(ServiceError):
        asked(out, url, limit=1)
    assert requests_of(url)["generate"] == 8


@pytest.mark.parametrize("given", [{}, {"input_price": 1.0}, {"output_price": 1.0}])
def test_an_unknown_price_and_a_bound_ask_nothing(out, url, given):
    play(url, tuned_before=True)
    tuned(out, url, base_model="gemini-2.5-flash", allow_retired=True)
    play(url)
    with pytest.raises(UserError, match="max_cost 5 cannot be held"):
        asked(out, url, max_cost=5.0, **given)
    assert "generate" not in requests_of(url)


def test_files_of_a_job_that_goes_on_are_not_written_over(out, url):
    """It may not have read them yet: it would train on other examples than those that were estimated."""
    play(url, states=("QUEUED",) * 20)
    job = tuned(out, url, no_watch=True)
    before = (out / "tuning/train.jsonl").read_bytes()
    change(out)
    for settings in ({}, {"another": True}):
        with pytest.raises(UserError, match=r"tunes on .*/train\.jsonl, as the dataset was before; wait for its end"):
            tuned(out, url, **settings)
    assert (out / "tuning/train.jsonl").read_bytes() == before
    httpx.post(f"{url}/v1beta1/{job.name}:cancel")
    runs.update(dataset.load(str(out), Storage()), TuningJob(job.name, "CANCELLED"))
    play(url)
    assert tuned(out, url).answers
    assert (out / "tuning/train.jsonl").read_bytes() != before


def change(out):
    """Takes an example out of the dataset, as another prepare might."""
    prepared = dataset.load(str(out), Storage())
    train = prepared.description.splits["train"]
    changed = replace(
        prepared.description,
        fingerprint="f" * 64,
        splits={**prepared.description.splits, "train": replace(train, shards=train.shards[1:])},
    )
    (out / "dataset.json").write_bytes(changed.dump())


def test_a_model_is_tuned_further_at_the_price_of_its_own_base(out, url):
    """The estimate would be that of a cheaper model, and --max_cost would let it pass."""
    job = tuned(out, url, base_model="gemini-3.5-flash")
    model = job.tuned_model.partition("@")[0]
    play(url)
    with pytest.raises(UserError, match=r"was tuned from gemini-3\.5-flash, .*; add --base_model gemini-3\.5-flash"):
        tuned(out, url, from_model=model)
    assert "create" not in requests_of(url)
    assert tuned(out, url, from_model=model, base_model="gemini-3.5-flash").tuned_model == f"{model}@2"


def test_a_bound_is_not_promised_of_audio_whose_length_nobody_says(out, url, monkeypatch):
    monkeypatch.setattr(dataset.Dataset, "mean_seconds", lambda *words: 0.0)
    real = check.check_files

    def unknown(*words, **more):
        findings = real(*words, **more)
        findings.splits["train"].tokens.unknown_audio = 22
        return findings

    monkeypatch.setattr(check, "check_files", unknown)
    with pytest.raises(UserError, match=r"cannot be held: .* does not say how long its audio is"):
        tuned(out, url, max_cost=100.0)
    assert "create" not in requests_of(url)


@pytest.mark.parametrize(("fault", "creates"), [({"cut": "after"}, 1), ({"cut": "before"}, 1), ({"status": 503}, 1)])
def test_a_create_without_an_answer_is_sent_once(out, fault, creates):
    with server.running(played=Scenario(faults=(Fault(method="create", **fault),))) as url:
        if fault == {"cut": "after"}:
            assert tuned(out, url).answers
        else:
            with pytest.raises(ServiceError):
                tuned(out, url)
        assert requests_of(url)["create"] == creates


def test_the_same_request_never_makes_a_second_job(out, url):
    names = {
        tuned(out, url, **words).name for words in ({}, {}, {"another": True}, {"display_name": "x"}, {"epochs": 3})
    }
    assert (len(names), requests_of(url)["create"]) == (1, 1)


def test_nothing_spent_is_nothing_refused():
    price = AskingPrice(1.0, 1.0, "mine")
    request = PredictRequest("d", max_cost=1.0)
    spent = Spent()
    predict._refuse_spent(request, spent, price)
    spent.read = 10**6
    predict._refuse_spent(request, spent, price)  # as much as it may
    spent.written = 1
    with pytest.raises(UserError, match=r"\$1\.00, over max_cost 1"):
        predict._refuse_spent(request, spent, price)
    predict._refuse_spent(replace(request, max_cost=None), spent, price)


def test_nothing_is_left_beside_the_answers(out, url):
    tuned(out, url)
    asked(out, url)
    folder = answers(out, "validation").parent
    assert {path.name for path in folder.iterdir()} == {"job.json", answers(out, "validation").name}
    assert all(json.loads(line)["prediction"] for line in answers(out, "validation").read_text().splitlines())


def test_a_lock_that_a_killed_command_left_keeps_nobody_out(out, url):
    tuned(out, url)
    asked(out, url, limit=1)
    file = answers(out, "validation")
    file.with_name(f"{file.name}.lock").write_bytes(b"")
    assert asked(out, url).asked == 1


def test_answers_about_recordings_outlive_a_question_that_fails(out, url, tmp_path):
    """They are in no file: without the report, they would be paid again."""
    tuned(out, url)
    files = tuple(str(tmp_path / f"{name}.wav") for name in "abc")
    for file in files:
        soundfile.write(file, tone(300, 16_000, 0.5), 16_000, "PCM_16")
    play(url, faults=(Fault(method="generate", first=2, count=100, status=403),))
    report = asked(out, url, audio=files)
    assert ([answer.audio for answer in report.answers], report.refused) == ([files[0]], files[1:])
    play(url, faults=(Fault(method="generate", count=100, status=403),))
    with pytest.raises(ServiceError):
        asked(out, url, audio=files)


def test_a_dataset_that_changes_while_it_is_joined_is_not_tuned_on(out, url, monkeypatch):
    real = join._write

    def write(prepared, plan):
        real(prepared, plan)
        with (out / "tuning/train.jsonl").open("ab") as stream:
            stream.write(b"more")

    monkeypatch.setattr(join, "_write", write)
    with pytest.raises(UserError, match=r"differs from its dataset\.json"):
        tuned(out, url)
    assert "create" not in requests_of(url)


def test_a_job_of_another_emulator_is_not_the_one_that_was_deleted(out):
    """Its jobs are numbered anew."""
    for _ in range(2):
        with server.running() as url:
            job = tuned(out, url, another=True)
            assert (job.answers, job.deleted) == (True, None)
            delete.run(DeleteRequest(str(out), api_endpoint=url, yes=True), clock=NO_TIME)
