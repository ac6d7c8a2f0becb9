"""The commands as a user types them: one line of JSON on stdout, words on stderr, a status for scripts."""

import json
from datetime import date

import httpx
import pytest
from google.auth.exceptions import DefaultCredentialsError

from cliptune.main import main
from tests.envelopes import report_of
from tests.tuning.conftest import answers, job_file, prepare
from transforms import limits
from transforms.storage import Storage
from tuning import dataset, join, service, tune
from tuning.emulator import server

storage = Storage()


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr(service, "EMULATOR_POLL_SECONDS", 0)
    monkeypatch.setattr(service, "POLL_SECONDS", 0)
    monkeypatch.setattr(tune, "today", lambda: date(2026, 11, 1))  # some models retire

    def call(*words):
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, report_of(captured.out, status), captured.err

    return call


def only_json(stdout):
    assert stdout.count("\n") == 1
    return json.loads(stdout)


def test_check_says_yes(run, out):
    status, stdout, stderr = run("check", out)
    tree = only_json(stdout)
    assert (status, tree["ok"], tree["examples"], tree["problems"]) == (0, True, 24, [])
    assert tree["estimate"]["epochs"] == 3
    assert "22 train, 2 validation examples, nothing wrong" in stderr
    assert "$" in stderr


def test_check_says_no_and_where(run, tmp_path):
    (tmp_path / "x.jsonl").write_text("{}\nhello\n")
    status, stdout, stderr = run("check", tmp_path / "x.jsonl")
    tree = only_json(stdout)
    assert (status, tree["ok"], tree["counts"]) == (1, False, {"not_json": 1, "schema": 1})
    assert tree["problems"][0].keys() == {"source", "severity", "rule", "detail"}
    assert f"{tmp_path}/x.jsonl:2: error: not_json" in stderr


def test_tune_watch_and_predict_on_the_emulator(run, out):
    status, stdout, stderr = run("tune", out, "--emulator", "--epochs", 2, "--adapter_size", 4)
    job = only_json(stdout)
    assert (status, job["state"], len(job["checkpoints"])) == (0, "SUCCEEDED", 2)
    assert server.NOTICE in stderr
    noted = json.loads(job_file(out).read_text())["job"]
    assert {**noted, "dropped": [], "deleted": None, "format_version": 1, "ok": True} == job
    again, stdout, stderr = run("tune", out, "--emulator", "--epochs", 2, "--adapter_size", 4)
    assert (again, only_json(stdout)) == (0, job)
    assert "reused" in stderr
    assert "attached to" in stderr
    assert only_json(run("watch", out, "--emulator")[1]) == job
    status, stdout, stderr = run("predict", out, "--emulator", "--limit", 1)
    told = only_json(stdout)
    (answer,) = [json.loads(line) for line in answers(out, "validation").read_text().splitlines()]
    assert (status, told["predictions"], told["model"]) == (0, 1, job["endpoint"])
    assert {"clip_id", "source", "target", "prediction", "finish_reason"} <= answer.keys()
    assert answer["prediction"].startswith("[emulator]")
    assert answer["target"] in stderr
    run("predict", out, "--emulator", "--split", "train")
    said = [json.loads(line) for line in answers(out, "train").read_text().splitlines()]
    assert len(said) == 22
    assert all(answer["prediction"] == answer["target"] == f"this is text {answer['clip_id'][1:]}" for answer in said)
    assert only_json(run("predict", out, "--emulator", "--model", "base")[1])["model"] == "gemini-3.1-flash-lite"
    assert only_json(run("predict", out, "--emulator", "--model", job["endpoint"])[1])["model"] == job["endpoint"]


def test_tune_without_watching_then_watch(run, out):
    with server.running() as url:
        status, stdout, stderr = run("tune", out, "--api_endpoint", url, "--no_watch")
        assert (status, only_json(stdout)["state"]) == (0, "QUEUED")
        assert "follow it with cliptune watch" in stderr
        status, _, stderr = run("predict", out, "--api_endpoint", url)
        assert (status, "has no tuned model to ask" in stderr) == (1, True)


def test_a_cancelled_job_has_an_exit_status_of_its_own(run, out):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url, "--no_watch")
        httpx.post(f"{url}/v1beta1/{json.loads(job_file(out).read_text())['job']['name']}:cancel")
        status, stdout, stderr = run("watch", out, "--api_endpoint", url)
    assert (status, only_json(stdout)["state"]) == (5, "CANCELLED")
    assert "ended as CANCELLED" in stderr


def test_a_dry_run_prints_the_request_and_does_nothing(run, out):
    before = storage.list_files(str(out))
    status, stdout, stderr = run("tune", out, "--project", "p", "--staging_location", "gs://bucket/s", "--dry_run")
    request = only_json(stdout)
    assert status == 0
    spec = request["body"]["supervisedTuningSpec"]
    assert spec["trainingDatasetUri"].startswith("gs://bucket/s/")
    assert spec["hyperParameters"]["epochCount"] == 3
    assert "estimate" in stderr
    assert storage.list_files(str(out)) == before


def test_a_dataset_in_a_bucket_from_check_to_predict(run, out, bucket):
    for uri in storage.list_files(str(out)):
        storage.write_bytes(uri.replace(str(out), f"{bucket}/set"), storage.read_bytes(uri))
    assert only_json(run("check", f"{bucket}/set")[1])["ok"]
    job = only_json(run("tune", f"{bucket}/set", "--emulator")[1])
    assert job["state"] == "SUCCEEDED"
    assert only_json(run("predict", f"{bucket}/set", "--emulator", "--limit", 1)[1])["predictions"] == 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["tune", "OUT"], 2, "--project is needed"),
        (["tune", "OUT", "--project", "p"], 2, "--staging_location gs://… is needed"),
        (["tune", "OUT", "--project", "p", "--staging_location", "/x"], 2, "must be a gs:// URI"),
        (["tune", "OUT", "--emulator", "--epochs", "0"], 2, "must be 1 or more"),
        (["tune", "OUT", "--emulator", "--epochs", "many"], 2, "invalid whole number value: 'many'"),
        (["tune", "OUT", "--emulator", "--learning_rate_multiplier", "-1"], 2, "must be above 0"),
        (["tune", "OUT", "--emulator", "--api_endpoint", "http://x"], 2, "not allowed with"),
        (["tune", "OUT", "--emulator", "--epoch", "3"], 2, "--epoch"),
        (["tune", "OUT", "--api_endpoint", "nonsense"], 2, "must be http://HOST:PORT"),
        (["tune", "OUT", "--api_endpoint", "http://[::1"], 2, "must be http://HOST:PORT"),
        (["tune", "OUT", "--api_endpoint", "http://x:99999"], 2, "must be http://HOST:PORT"),
        (["check"], 2, "PATH"),
        (["check", "nowhere"], 1, "no such file or dataset folder"),
        (["tune", "nowhere", "--emulator"], 1, "no such dataset folder"),
        (
            ["tune", "OUT", "--emulator", "--base_model", "gemini-3.1-flash-lit"],
            1,
            "did you mean gemini-3.1-flash-lite",
        ),
        (["tune", "OUT", "--emulator", "--location", "global"], 1, "'global' cannot tune"),
        (["tune", "OUT", "--emulator", "--adapter_size", "3"], 1, "must be one of 1, 2, 4, 8, 16, got 3"),
        (["watch", "OUT"], 1, "no tuning job yet"),
        (["predict", "OUT"], 1, "no tuning job yet"),
        (["predict", "OUT", "--model", "my-endpoint", "--emulator"], 1, "must be projects/"),
        (["tune", "OUT", "--api_endpoint", "http://127.0.0.1:9"], 1, "no answer from the service"),
        (["emulator", "--scenario", "nowhere.json"], 1, "scenario nowhere.json: there is no such file"),
        (["emulator", "--port", "65536"], 2, "must be from 0 to 65535, got 65536"),
        (["cancel", "OUT"], 1, "no tuning job yet"),
        (["jobs", "OUT"], 1, "no tuning job yet"),
        (["jobs"], 2, "--project is needed"),
        (["predict", "OUT", "--prompt", "x"], 2, "needs audio; clips of the dataset have their own"),
        (["predict", "OUT", "--model", "base", "--checkpoint", "1"], 2, "leave model out"),
        (["check", "s3://b/x.jsonl"], 1, "s3:// is not supported"),
    ],
)
def test_a_users_mistake_is_one_clear_line(run, out, words, status, told):
    found, stdout, stderr = run(*(str(out) if word == "OUT" else word for word in words))
    assert (found, stdout) == (status, "")
    assert told in stderr


def test_a_dataset_with_errors_is_not_submitted(run, out):
    path = out / "train/train-00000-of-00003.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"role":"user"', b'"role":"usar"', 1))
    status, stdout, stderr = run("tune", out, "--emulator")
    assert (status, only_json(stdout)["ok"]) == (1, False)
    assert f"{out}/train/train-00000-of-00003.jsonl:1: error: roles" in stderr
    assert not (out / "tuning").exists()


@pytest.mark.parametrize(
    "note",
    ["{", "{}", "[]", "3", '"x"', '{"digest":"x","request":{},"job":{}}', '{"digest":"x","request":null,"job":null}'],
)
@pytest.mark.parametrize("command", ["tune", "watch", "predict"])
def test_a_damaged_note_is_not_guessed_at(run, out, command, note):
    folder = out / "tuning/runs/mine"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(note)
    status, _, stderr = run(command, out, "--emulator")
    assert (status, "job.json is damaged" in stderr) == (1, True)


@pytest.mark.parametrize("state", ["{", "[]", '{"x": 1}'])
def test_a_damaged_state_of_the_emulator_is_told(run, out, state):
    (out / "tuning").mkdir()
    (out / "tuning/emulator.json").write_text(state)
    status, _, stderr = run("tune", out, "--emulator")
    assert (status, "the emulator's jobs, is damaged; delete it" in stderr) == (1, True)


@pytest.mark.parametrize("change", ["cut shard", "no shard", "junk shard", "no ledger", "junk ledger"])
def test_predict_does_not_ask_about_a_dataset_that_changed(run, out, change):
    run("tune", out, "--emulator")
    what, which = change.split()
    path = next((out / "validation").glob("*.jsonl") if which == "shard" else (out / "ledger").iterdir())
    if what == "no":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] if what == "cut" else b"junk\n" * 2)
    status, stdout, stderr = run("predict", out, "--emulator")
    assert (status, stdout) == (1, "")
    told = "is damaged" if change == "junk ledger" else f"{out} differs from its dataset.json; cliptune check"
    assert told in stderr


def test_check_of_something_that_is_no_file(run):
    status, stdout, stderr = run("check", "/dev/null")
    assert (status, stdout) == (1, "")
    assert "not a regular file" in stderr


def test_a_local_dataset_goes_to_the_staging_location_and_no_credentials_are_one_line(run, out, bucket, monkeypatch):
    def missing(*args, **kwargs):
        raise DefaultCredentialsError("not found")

    monkeypatch.setattr("google.auth.default", missing)
    status, _, stderr = run("tune", out, "--project", "p", "--staging_location", f"{bucket}/s")
    assert status == 1
    assert "gcloud auth application-default login" in stderr
    joined = [uri for uri in storage.list_files(f"{bucket}/s") if uri.endswith("train.jsonl")]
    assert storage.read_bytes(joined[0]).count(b"\n") == 22


def test_the_life_of_a_job_over_four_commands(run, out):
    with server.running() as url:
        submitted = only_json(run("tune", out, "--api_endpoint", url, "--no_watch")[1])
        status, stdout, stderr = run("watch", out, "--api_endpoint", url)
        end = only_json(stdout)
        assert (status, end["name"], end["state"]) == (0, submitted["name"], "SUCCEEDED")
        assert f"the tuned model answers at {end['endpoint']}" in stderr
        again = only_json(run("tune", out, "--api_endpoint", url)[1])
        assert again == end
        jobs = httpx.get(f"{url}/v1beta1/projects/local-project/locations/us-central1/tuningJobs").json()["tuningJobs"]
        assert [job["name"] for job in jobs] == [submitted["name"]]
        told = only_json(run("predict", out, "--api_endpoint", url, "--split", "train", "--limit", 3)[1])
    file = answers(out, "train")
    assert told == {
        "format_version": 1,
        "model": end["endpoint"],
        "split": "train",
        "predictions": 3,
        "asked": 3,
        "empty": 0,
        "finish_reasons": {"STOP": 3},
        "input_tokens": told["input_tokens"],
        "output_tokens": told["output_tokens"],
        "cost": (told["input_tokens"] * 0.375 + told["output_tokens"] * 2.25) / 1e6,
        "price": told["price"],
        "file": str(file),
        "ok": True,
    }
    assert file.read_bytes().count(b"\n") == 3


def test_a_service_that_is_away_does_not_cost_the_note_of_the_job(run, out):
    with server.running() as url:
        first = only_json(run("tune", out, "--api_endpoint", url, "--no_watch")[1])
    assert run("tune", out, "--api_endpoint", "http://127.0.0.1:9", "--epochs", 9, "--another")[0] == 1
    note = json.loads(job_file(out).read_text())
    assert note["job"]["name"] == first["name"]


def test_a_refused_question_leaves_the_earlier_predictions(run, out):
    run("tune", out, "--emulator")
    run("predict", out, "--emulator", "--limit", 1)
    before = {path.name: path.read_bytes() for path in (out / "tuning").glob("*.*")}
    (out / "tuning/emulator.json").write_text("{}")  # the service has forgotten the endpoint
    status, stdout, stderr = run("predict", out, "--emulator")
    assert (status, stdout) == (1, "")
    assert "404 NOT_FOUND" in stderr
    after = {path.name: path.read_bytes() for path in (out / "tuning").glob("*.*")}
    assert {**after, "emulator.json": b""} == {**before, "emulator.json": b""}


def test_an_unfinished_dataset_says_how_to_finish_it(run, out):
    (out / "dataset.json").unlink()
    for command in ("check", "tune", "watch", "predict"):
        status, stdout, stderr = run(command, out)
        assert (status, stdout) == (1, "")
        assert f"{out} holds an unfinished dataset; run the same cliptune prepare again" in stderr
        assert stderr.count("\n") == 1


def test_a_dataset_without_validation_is_tuned_without(run, tmp_path):
    out = prepare(tmp_path, 4, validation_fraction=0.0)
    words = ("tune", out, "--project", "p", "--staging_location", "gs://bucket/s", "--dry_run")
    spec = only_json(run(*words)[1])["body"]["supervisedTuningSpec"]
    assert spec.keys() == {"trainingDatasetUri", "hyperParameters"}
    assert only_json(run("tune", out, "--emulator")[1])["state"] == "SUCCEEDED"
    assert only_json(run("predict", out, "--emulator")[1])["predictions"] == 0


def test_a_cut_dataset_is_tuned_on_what_is_left_and_says_so(run, out, monkeypatch):
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", 20)
    status, stdout, stderr = run("tune", out, "--emulator")
    assert (status, only_json(stdout)["data_stats"]["tuning_dataset_example_count"]) == (0, 20)
    assert "warning: 2 of the train examples are left out" in stderr
    assert "would fit" not in stderr  # a limit on the number of examples, which nothing but fewer of them can meet


@pytest.mark.parametrize(
    ("room", "settings", "told"),
    [
        (0.9, {}, "--audio_format=mp3 --bitrate=64 or --audio_part=uri"),
        (0.3, {}, "--audio_format=mp3 --bitrate=16 or --audio_part=uri"),
        (0.15, {}, "prepared with --audio_part=uri"),
        (0.9, {"audio_format": "mp3", "bitrate": 32}, "--audio_format=mp3 --bitrate=24 or --audio_part=uri"),
    ],
)
def test_what_would_make_more_fit_is_said(run, tmp_path, monkeypatch, room, settings, told):
    out = prepare(tmp_path, **settings)
    whole = sum(shard.bytes for shard in dataset.load(str(out), Storage()).splits["train"])
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", int(room * whole))
    status, _, stderr = run("tune", out, "--emulator", "--no_validation")
    assert status == 0
    assert f"of the train examples are left out: one file holds at most {int(room * whole):,} bytes" in stderr
    assert told in stderr, stderr


def test_text_that_no_terminal_takes_is_told_all_the_same(run, tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{"\\ud800": 1}\n{"\\u001b[2J": 1}\n{"[bold]x[/]": 1}\n')
    status, stdout, stderr = run("check", tmp_path / "x.jsonl")
    assert (status, only_json(stdout)["counts"]) == (1, {"schema": 3})
    assert "\x1b" not in stderr
    assert "[bold]x[/]" in stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tune", "OUT", "--epoch", "3"], "unknown flag --epoch of tune; did you mean --epochs?"),
        (["tune", "OUT", "--adapter-size=4"], "unknown flag --adapter-size of tune; did you mean --adapter_size?"),
        (["check", "OUT", "--zzz"], "unknown flag --zzz of check; see cliptune check --help"),
        (["watch", "OUT", "--project", "p"], "unknown flag --project of watch"),
    ],
)
def test_an_unknown_flag_is_an_error_with_a_suggestion(run, out, words, told):
    status, stdout, stderr = run(*(str(out) if word == "OUT" else word for word in words))
    assert (status, stdout) == (2, "")
    assert told in stderr, stderr


@pytest.mark.parametrize("command", ["check", "tune", "watch", "predict"])
def test_help_shows_the_command(run, command):
    status, stdout, _ = run(command, "--help")
    assert status == 0
    assert f"cliptune {command}" in stdout
