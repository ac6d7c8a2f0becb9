"""Answers are kept as they come: a killed run is gone on with, and only what is missing is asked."""

import errno
import io
import itertools
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import soundfile

from tests import processes
from tests.cliptune.test_commands import only_json, run
from tests.envelopes import report_of
from tests.sounds import tone
from tests.tuning.conftest import NO_TIME, answering, answers, job_file, prepare
from tests.tuning.test_predict import ENDPOINT, echo, says
from transforms.errors import StorageError
from transforms.settings import DEFAULT_PROMPT
from transforms.storage import Storage
from tuning import dataset, predict, predictions, questions, requests
from tuning.emulator import server
from tuning.jobs.clock import CLOCK, Clock
from tuning.predictions import Prediction
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex.tuner import VertexTuner
from tuning.questions import Asked

storage = Storage()

__all__ = ["run"]  # a fixture
ROOT = Path(__file__).parents[2]


def prediction(number, model="m"):
    return Prediction(f"c{number}", f"m.csv:{number}", "target", "answer", "STOP", model, f"sha{number}")


@pytest.fixture(params=["local", "bucket"])
def uri(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "tuning/predictions.jsonl")
    return f"{request.getfixturevalue('bucket')}/tuning/predictions.jsonl"


def test_what_was_kept_is_read_again(uri):
    with predictions.PredictionsFile(uri, [], Storage()) as file:
        for number in range(3):
            file.add(prediction(number))
    assert predictions.read(uri, Storage()) == [prediction(number) for number in range(3)]
    with predictions.PredictionsFile(uri, predictions.read(uri, Storage()), Storage()) as file:
        file.add(prediction(3))
    assert predictions.read(uri, Storage()) == [prediction(number) for number in range(4)]


def test_answers_are_kept_whatever_happens_next(uri):
    with pytest.raises(KeyboardInterrupt), predictions.PredictionsFile(uri, [], Storage()) as file:
        file.add(prediction(0))
        raise KeyboardInterrupt
    assert predictions.read(uri, Storage()) == [prediction(0)]


def test_an_answer_is_in_the_file_at_once(tmp_path):
    uri = str(tmp_path / "p.jsonl")
    with predictions.PredictionsFile(uri, [], Storage()) as file:
        file.add(prediction(0))
        assert predictions.read(uri, Storage()) == [prediction(0)]  # so a kill loses nothing


def test_a_full_disk_is_one_line(tmp_path):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    file = predictions.PredictionsFile(str(tmp_path / "p.jsonl"), [], Storage())
    file._stream = Full()
    with pytest.raises(StorageError, match=r"p\.jsonl: No space left on device"):
        file.add(prediction(0))


def test_in_a_bucket_answers_are_written_by_the_hundred(bucket):
    uri = f"{bucket}/p.jsonl"
    with predictions.PredictionsFile(uri, [], Storage()) as file:
        for number in range(150):
            file.add(prediction(number))
        assert len(predictions.read(uri, Storage())) == 100
    assert len(predictions.read(uri, Storage())) == 150


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_half_a_line_is_mended(uri, cut):
    storage.write_bytes(uri, predictions.dump(prediction(0)) + predictions.dump(prediction(1))[:-cut])
    with predictions.PredictionsFile(uri, predictions.read(uri, Storage()), Storage()) as file:
        file.add(prediction(2))
    assert storage.read_bytes(uri) == predictions.dump(prediction(0)) + predictions.dump(prediction(2))


@pytest.mark.parametrize("line", [b"[]\n", b"3\n", b"\n", b'{"clip_id": "c"}\n', b"junk\n", b'{"other": 1}\n'])
def test_what_is_no_prediction_is_left_out(uri, line):
    storage.write_bytes(uri, line + predictions.dump(prediction(0)))
    assert predictions.read(uri, Storage()) == [prediction(0)]


def test_a_run_that_is_killed_goes_on_where_it_stopped(out, run):
    """A real kill, of a real process, while a real client waits for its answer."""
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        stuck = {"faults": [{"method": "generate", "first": 14, "count": 99, "delay": 2}]}
        httpx.put(f"{url}/emulator", json=stuck).raise_for_status()
        words = ["predict", str(out), "--split", "train", "--api_endpoint", url]
        file = job_file(out).parent / "predictions-train-tuned-100000000000000000103.jsonl"
        with processes.running([sys.executable, "-m", "cliptune", *words], stderr=subprocess.DEVNULL) as process:
            while not file.exists() or file.read_bytes().count(b"\n") < 9:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        before = file.read_bytes()
        kept = before.count(b"\n")
        httpx.put(f"{url}/emulator", json={}).raise_for_status()
        status, stdout, _ = run(*words)
        requests = httpx.get(f"{url}/emulator").json()["requests"]
        told = only_json(stdout)
        assert (status, told["predictions"], told["asked"]) == (0, 22, 22 - kept)
        assert requests == {"generate": 22 - kept}
        assert 9 <= kept < 22
        assert file.read_bytes().startswith(before)
        assert only_json(run(*words)[1])["asked"] == 0
    said = predictions.read(str(file), Storage())
    assert len({each.clip_id for each in said}) == 22
    assert all(each.prediction == each.target for each in said)  # it was trained on them


def test_the_answers_of_every_model_are_kept_for_good(out, run):
    with server.running() as url:
        for epochs in (1, 2):
            run("tune", out, "--api_endpoint", url, "--epochs", epochs)
            assert only_json(run("predict", out, "--api_endpoint", url)[1])["asked"] == 2
        files = sorted(path.name for path in out.glob("tuning/runs/*/predictions-*.jsonl"))
        assert files == [f"predictions-validation-tuned-100000000000000000{n}.jsonl" for n in ("101", "202")]
        run("tune", out, "--api_endpoint", url, "--epochs", 1)  # attaches to the first job
        assert only_json(run("predict", out, "--api_endpoint", url)[1])["asked"] == 0
        asked = [only_json(run("predict", out, "--api_endpoint", url, "--model", "base")[1]) for _ in range(2)]
        assert [each["asked"] for each in asked] == [2, 0]


def test_answers_that_an_earlier_version_kept_are_not_paid_again(out, run):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        told = only_json(run("predict", out, "--api_endpoint", url)[1])
        now = Path(told["file"])
        earlier = now.rename(out / "tuning/predictions-validation-tuned.jsonl")
        before = earlier.read_bytes()
        again = only_json(run("predict", out, "--api_endpoint", url)[1])
        assert (again["asked"], again["predictions"]) == (0, 2)
        assert (now.read_bytes(), earlier.read_bytes()) == (before, before)


def test_an_answer_about_an_example_that_changed_is_kept_and_not_counted(out, run):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        file = Path(only_json(run("predict", out, "--api_endpoint", url)[1])["file"])
        lines = file.read_bytes().splitlines(keepends=True)
        other = lines[0].replace(b'"line_sha256":"', b'"line_sha256":"of another dataset ')
        file.write_bytes(other + b"".join(lines))
        told = only_json(run("predict", out, "--api_endpoint", url)[1])
        assert (told["asked"], told["predictions"]) == (0, 2)
        assert file.read_bytes() == other + b"".join(lines)


def asked_of(tuner, base_model=""):
    return Asked("x", ENDPOINT, base_model, VERTEX, tuner, CLOCK)


def test_a_dataset_made_anew_is_asked_about_anew(prepared, tmp_path):
    again = dataset.load(str(prepare(tmp_path / "again", sample_rate=8_000)), Storage())
    clips = {}
    for each in (prepared, again):
        found: list[Prediction] = []
        tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
        with pytest.MonkeyPatch.context() as patch:
            answering(tuner, patch, echo)
            questions.ask_split(asked_of(tuner), each, "train", None, (), found.append)
        clips[each.uri] = found
    ours = clips[prepared.uri]
    assert questions.still_asked(ours, ENDPOINT, prepared, "train") == ours
    assert questions.still_asked(ours, "another", prepared, "train") == []
    assert questions.still_asked(ours, ENDPOINT, prepared, "validation") == []
    assert questions.still_asked(ours, ENDPOINT, again, "train") == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_question_that_meets_a_full_quota_is_asked_again(out, run, monkeypatch, status):
    waits: list[float] = []
    monkeypatch.setattr(predict, "CLOCK", Clock(lambda: 0.0, waits.append))
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "generate", "count": 5, "status": status}]})
        assert only_json(run("predict", out, "--api_endpoint", url)[1])["predictions"] == 2
        assert httpx.get(f"{url}/emulator").json()["requests"] == {"generate": 7}
        faults = [{"method": "generate", "count": 99, "status": status}]
        httpx.put(f"{url}/emulator", json={"faults": faults})
        found, stdout, stderr = run("predict", out, "--api_endpoint", url, "--split", "train", "--limit", 1)
        assert (found, stdout, f": {status} " in stderr) == (1, "", True)
        assert httpx.get(f"{url}/emulator").json()["requests"] == {"generate": questions.ATTEMPTS}
    limits = [2, 4, 8, 16, 32, 60, 60]
    assert [limit / 2 <= wait <= limit for wait, limit in zip(waits[-7:], limits, strict=True)] == [True] * 7


def test_a_question_whose_connection_is_cut_is_asked_again(out, run, monkeypatch):
    monkeypatch.setattr(predict, "CLOCK", NO_TIME)
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "generate", "count": 3, "cut": "before"}]})
        assert only_json(run("predict", out, "--api_endpoint", url)[1])["predictions"] == 2
        assert httpx.get(f"{url}/emulator").json()["requests"] == {"generate": 5}


def test_questions_are_asked_some_at_a_time(prepared, monkeypatch):
    together = threading.Barrier(requests.DEFAULT_CONCURRENCY, timeout=30)
    running = threading.Semaphore(requests.DEFAULT_CONCURRENCY)
    numbers = itertools.count()
    waited: list[int] = []

    def slow(request):
        assert running.acquire(blocking=False)  # never more than so many
        if next(numbers) < requests.DEFAULT_CONCURRENCY:
            waited.append(together.wait())  # and so many at once
        running.release()
        return echo(request)

    tuner = VertexTuner("p", "us-central1", "http://127.0.0.1:9")
    answering(tuner, monkeypatch, slow)
    assert questions.ask_split(asked_of(tuner), prepared, "train", None, (), lambda each: None) == 22
    assert sorted(waited) == [*range(requests.DEFAULT_CONCURRENCY)]


def test_silences_are_counted(out, run, monkeypatch):
    replies = iter([says(None, "MAX_TOKENS"), {"promptFeedback": {"blockReason": "SAFETY"}}, says("  "), says("yes")])
    make = VertexTuner._new_client

    def new_client(self, location, options, credentials):
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json=next(replies)))
        options.httpx_client = httpx.Client(transport=transport)
        return make(self, location, options, credentials)

    run("tune", out, "--emulator")
    monkeypatch.setattr(VertexTuner, "_new_client", new_client)
    status, stdout, stderr = run("predict", out, "--emulator", "--split", "train", "--limit", 4)
    told = only_json(stdout)
    assert (status, told["predictions"], told["empty"]) == (0, 4, 3)
    assert told["finish_reasons"] == {"BLOCKED_SAFETY": 1, "MAX_TOKENS": 1, "STOP": 2}
    assert "warning: 3 answers are empty" in stderr


def test_a_recording_is_asked_about_as_it_would_have_been_trained_on(run, prepared, out, tmp_path):
    """The emulator knows the training audio by its bytes, so it answers only if they are the very same."""
    clips = prepare(tmp_path / "again").parent / "clips"
    run("tune", out, "--emulator")
    trained = {each.clip_id for each in trained_on(run, out)}
    files = [clips / f"{clip[1:]}.wav" for clip in sorted(trained)[:3]]
    words = [word for file in files for word in ("--audio", file)]
    status, stdout, stderr = run("predict", out, "--emulator", *words)
    said = only_json(stdout)["answers"]
    assert status == 0
    assert [each["prediction"] for each in said] == [f"this is text {file.stem}" for file in files]
    assert [each["audio"] for each in said] == [str(file) for file in files]
    assert f"{files[0]}\n  prediction: this is text {files[0].stem}" in stderr


@pytest.mark.parametrize(
    ("words", "prompt", "system"),
    [
        ((), DEFAULT_PROMPT, None),
        (("What is said?",), "What is said?", None),
        (("What is said?", "Be brief."), "What is said?", "Be brief."),
    ],
)
def test_the_prompt_is_the_datasets_unless_told(prepared, out, words, prompt, system):
    soundfile.write(out / "good.flac", tone(440, 44_100, 1.0), 44_100)
    question = questions.question_about(
        str(out / "good.flac"), prepared, asked_of(None, "gemini-3.1-flash-lite"), *words
    )
    (turn,) = question.contents
    assert [part.text for part in turn.parts] == [prompt, None]
    assert turn.parts[1].inline_data.mime_type == "audio/flac"
    assert (question.system_instruction.parts[0].text if question.system_instruction else None) == system
    assert question.thinking == {"thinking_level": "MINIMAL"}


def trained_on(run, out):
    run("predict", out, "--emulator", "--split", "train")
    return predictions.read(str(answers(out, "train")), Storage())


def test_a_question_about_a_recording_is_asked_again_too(out, run, monkeypatch):
    monkeypatch.setattr(predict, "CLOCK", NO_TIME)
    soundfile.write(out / "good.flac", tone(440, 44_100, 1.0), 44_100)
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "generate", "count": 2, "status": 429}]})
        status, stdout, _ = run("predict", out, "--api_endpoint", url, "--audio", out / "good.flac")
    assert (status, len(only_json(stdout)["answers"])) == (0, 1)


@pytest.mark.parametrize(
    ("name", "told"),
    [("none.wav", "not_found: "), ("text.wav", "text.wav: "), ("silent.wav", "silent: "), ("long.wav", "too_long: ")],
)
def test_a_recording_that_cannot_be_used_is_one_line_and_the_others_are_asked_about(run, out, tmp_path, name, told):
    run("tune", out, "--emulator")
    (tmp_path / "text.wav").write_text("this is no sound at all")
    soundfile.write(tmp_path / "silent.wav", 0 * tone(440, 16_000, 1.0), 16_000)
    soundfile.write(tmp_path / "long.wav", tone(440, 16_000, 31.0), 16_000)
    soundfile.write(tmp_path / "good.flac", tone(440, 44_100, 1.0), 44_100)
    words = ("--audio", tmp_path / name, "--audio", tmp_path / "good.flac")
    status, stdout, stderr = run("predict", out, "--emulator", *words)
    (said,) = only_json(stdout)["answers"]
    assert (status, said["audio"]) == (1, str(tmp_path / "good.flac"))
    assert said["prediction"].startswith("[emulator] heard 1.0 s of audio/flac")
    (line,) = [line for line in stderr.splitlines() if told in line]
    assert str(tmp_path / name) in line
    assert only_json(stdout)["refused"] == [str(tmp_path / name)]


def test_a_dataset_of_uris_is_asked_about_by_its_uris(run, out, tmp_path):
    """The question holds the very part that the example has, be it inline or an address."""
    shard = next((out / "validation").glob("*.jsonl"))
    lines = [json.loads(line) for line in shard.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["contents"][0]["parts"][1] = {
            "file_data": {"mime_type": "audio/flac", "file_uri": f"gs://bucket/{number}.flac"}
        }
    shard.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run("tune", out, "--emulator", "--no_validation")
    status, stdout, _ = run("predict", out, "--emulator")
    assert (status, only_json(stdout)["predictions"]) == (0, 2)
    said = predictions.read(str(answers(out, "validation")), Storage())
    assert [each.prediction for each in said] == [
        f"[emulator] was shown gs://bucket/{number}.flac; nothing was learned, so nothing is predicted"
        for number in (0, 1)
    ]


def test_ctrl_c_keeps_the_answers(run, out, monkeypatch):
    run("tune", out, "--emulator")
    real = questions.ask_split

    def interrupted(asked, prepared, split, limit, known, *answered):
        real(asked, prepared, split, 1, known, *answered)
        raise KeyboardInterrupt

    monkeypatch.setattr(questions, "ask_split", interrupted)
    status, stdout, stderr = run("predict", out, "--emulator")
    assert (status, stdout) == (130, "")
    assert "the answers so far are kept, and the same command goes on" in stderr
    monkeypatch.setattr(questions, "ask_split", real)
    assert only_json(run("predict", out, "--emulator")[1])["asked"] == 1


def test_ctrl_c_does_not_wait_for_questions_that_are_never_answered(run, out):
    run("tune", out, "--emulator")
    code = f"""
import itertools, os, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from cliptune.main import main
from cliptune.commands import predict
from tuning import predictions
from tuning.providers.vertex.tuner import VertexTuner
assert predict.INTERRUPT_SECONDS
predict.INTERRUPT_SECONDS = 1.0
ask, number, kept, add = VertexTuner.ask, itertools.count(), threading.Event(), predictions.PredictionsFile.add
def never_again(*args):
    if next(number) == 0:
        return ask(*args)
    assert kept.wait(60)
    os.kill(os.getpid(), {int(signal.SIGINT)})
    threading.Event().wait(600)
def add_and_tell(*args):
    add(*args)
    kept.set()
VertexTuner.ask, predictions.PredictionsFile.add = never_again, add_and_tell
sys.exit(main(["predict", {str(out)!r}, "--emulator"]))
"""
    stopped = processes.run([sys.executable, "-c", code], cwd=out)
    assert (stopped.returncode, report_of(stopped.stdout, 130)) == (130, "")
    assert stopped.stderr.count("the answers so far are kept, and the same command goes on") == 1
    assert only_json(run("predict", out, "--emulator")[1])["asked"] == 1
