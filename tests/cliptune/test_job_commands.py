"""`tune`, `watch`, `jobs` and `cancel` as a user types them: knobs, ends, exit statuses, examples left out."""

import io
import json
import re
from typing import Any

import httpx
import pytest

from cliptune.console import Console
from cliptune.exits import MEANINGS, Exit
from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import NO_TIME, job_file, submitted
from transforms import limits
from transforms.storage import Storage
from tuning import dataset, service
from tuning.emulator import server
from tuning.emulator.jobs import _camel
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs import dropped, watch
from tuning.jobs.clock import Clock, Pace
from tuning.jobs.submit import Patience
from tuning.providers.base import TuningJob
from tuning.providers.vertex import models

__all__ = ["run"]  # a fixture
STAGED = ("--project", "p", "--staging_location", "gs://b/s")
FLASH = "gemini-3.5-flash"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


@pytest.fixture
def playing():
    """Starts an emulator that plays a scenario; its address as a flag."""
    stack = []

    def start(**scenario):
        context = server.running(played=Scenario(**scenario))
        stack.append(context)
        return f"--api_endpoint={context.__enter__()}"

    yield start
    for context in stack:
        context.__exit__(None, None, None)


def dry_run(run, out, *words):
    status, stdout, stderr = run("tune", out, *STAGED, "--dry_run", *words)
    assert status == 0, stderr
    return only_json(stdout)


@pytest.mark.parametrize(
    ("words", "path", "value"),
    [
        (["--epochs", 7], "supervisedTuningSpec.hyperParameters.epochCount", 7),
        (["--adapter_size", 8], "supervisedTuningSpec.hyperParameters.adapterSize", "ADAPTER_SIZE_EIGHT"),
        (["--learning_rate_multiplier", 0.5], "supervisedTuningSpec.hyperParameters.learningRateMultiplier", 0.5),
        (["--no_validation"], "supervisedTuningSpec.validationDatasetUri", None),
        (["--export_last_checkpoint_only"], "supervisedTuningSpec.exportLastCheckpointOnly", True),
        ([], "supervisedTuningSpec.exportLastCheckpointOnly", None),
        (["--display_name", "Ours, v2"], "tunedModelDisplayName", "Ours, v2"),
        (["--label", "team=speech", "--label", "env=dev-1"], "labels.team", "speech"),
        (["--label", "team=speech", "--label", "env=dev-1"], "labels.env", "dev-1"),
        (["--service_account", "s@p.iam.gserviceaccount.com"], "serviceAccount", "s@p.iam.gserviceaccount.com"),
        (["--base_model", "gemini-2.5-pro", "--allow_retired", "--kms_key", KEY], "encryptionSpec.kmsKeyName", KEY),
        (["--base_model", "gemini-3.5-flash"], "baseModel", "gemini-3.5-flash"),
        (["--base_model", "publishers/google/models/gemini-3.5-flash"], "baseModel", "gemini-3.5-flash"),
        (["--base_model", "projects/p/locations/l/publishers/google/models/gemini-3.5-flash"], "baseModel", FLASH),
        (["--base_model", "gemini-2.5-pro", "--allow_retired"], "baseModel", "gemini-2.5-pro"),
    ],
)
def test_each_knob_is_where_the_service_reads_it(run, out, words, path, value):
    found: Any = _camel(dry_run(run, out, *words)["body"])  # the client mixes both spellings
    for name in path.split("."):
        found = found.get(name) if found is not None else None
    assert found == value


def test_a_tuned_model_is_tuned_further_from_a_checkpoint(run, out):
    model = "projects/7/locations/us-central1/models/9@2"
    body = _camel(dry_run(run, out, "--from_model", model, "--from_checkpoint", "3")["body"])
    assert body["preTunedModel"] == {"tunedModelName": model, "checkpointId": "3"}
    assert "baseModel" not in body


def test_a_default_checkpoint_is_shown_as_what_comes_afterwards(run, out):
    request = dry_run(run, out, "--default_checkpoint", "2")
    assert request["then"] == {"defaultCheckpointId": "2"}
    assert "defaultCheckpointId" not in request["body"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (
            ["--base_model", "gemini-2.5-flash"],
            1,
            "is retired since 2026-10-20 .*use --base_model gemini-3.1-flash-lite",
        ),
        (["--kms_key", KEY], 1, "gemini-3.1-flash-lite takes no kms_key"),
        (["--base_model", "projects/p/locations/l/models/1"], 1, "by --from_model"),
        (["--base_model", "gemini-2.0-flash-001"], 1, "did you mean gemini-3.5-flash\\?"),
        (
            ["--from_model", "projects/p/locations/us-central1/endpoints/1"],
            1,
            "from_model must be projects/…/models/…|models",
        ),
        (
            ["--from_model", "projects/p/locations/europe-west4/models/1"],
            1,
            "must lie where the job's location has its models, 'us-central1' or 'us', got 'europe-west4'",
        ),
        (["--from_checkpoint", "1"], 2, "--from_checkpoint needs from_model"),
        (["--label", "team"], 2, "must be KEY=VALUE, got 'team'"),
        (["--label", "Team=x"], 2, "lower-case"),
        (["--label", "1team=x"], 2, "begins with a letter"),
        (["--label", "team=a b"], 2, "lower-case"),
        (["--label", f"{'k' * 64}=x"], 2, "63 at most"),
        (["--label", f"k={'x' * 64}"], 2, "63 at most"),
        (["--label", "cliptune-request=x"], 1, "cliptune-request is taken"),
        ([word for n in range(64) for word in ("--label", f"k{n}=x")], 1, "at most 63 times"),
        (["--service_account", "me"], 2, "must be NAME@PROJECT"),
        (["--display_name", ""], 2, "--display_name must be of 1 to 128 characters, got ''"),
        (["--display_name", "x" * 129], 2, "--display_name must be of 1 to 128 characters, got 'xxx"),
        (["--max_cost", "0.000001"], 1, "max_cost must be at least the upper bound"),
        (
            ["--max_cost", "9", "--base_model", "gemini-3.5-flash-lite"],
            1,
            "price of gemini-3.5-flash-lite is not known",
        ),
        (["--prices", "nowhere.json"], 1, "prices nowhere.json: No such file"),
        (["--location", "eu"], 1, "only a region can"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_sent(run, out, words, status, told):
    found, stdout, stderr = run("tune", out, *STAGED, *words)
    assert (found, stdout) == (status, "")
    last = stderr.splitlines()[-1]
    assert re.search(told, last)
    assert not (out / "tuning").exists()


def test_a_price_of_ones_own_lets_a_cap_be_held(run, out, tmp_path):
    (tmp_path / "p.json").write_text('{"gemini-3.5-flash": 2.5}')
    words = ("--base_model", FLASH, "--max_cost", "9", "--prices", tmp_path / "p.json")
    assert dry_run(run, out, *words)["body"]["baseModel"] == FLASH
    spelt = ("--base_model", f"models/{FLASH}", "--max_cost", "9", "--price_per_million", "2.5")
    assert dry_run(run, out, *spelt)["body"]["baseModel"] == FLASH


def test_check_prices_every_model(run, out):
    status, stdout, stderr = run("check", out, "--estimate", "--price_per_million", 8)
    estimates = only_json(stdout)["estimates"]
    assert (status, len(estimates)) == (0, 30)
    assert {each["base_model"] for each in estimates} == set(models.MODELS)
    (line,) = [line for line in stderr.splitlines() if line.strip().startswith("gemini-3.1-flash-lite ")]
    mine = [each for each in estimates if each["base_model"] == "gemini-3.1-flash-lite"]
    assert all(f"${each['lower_cost']:,.2f}–${each['upper_cost']:,.2f}" in line for each in mine)
    assert "gemini-3.1-flash-lite: price given by --price_per_million" in stderr
    assert stderr.count("price not known") == 5
    assert "estimates" not in only_json(run("check", out)[1])


@pytest.mark.parametrize(
    ("scenario", "status", "state", "told"),
    [
        ({}, Exit.DONE, "SUCCEEDED", "the tuned model answers at projects/"),
        ({"end": "PARTIALLY_SUCCEEDED"}, Exit.DONE, "PARTIALLY_SUCCEEDED", "the tuned model answers at projects/"),
        ({"end": "FAILED", "error": "Broken."}, Exit.JOB_FAILED, "FAILED", "the job ended as FAILED: Broken."),
        ({"end": "EXPIRED", "error": "Old."}, Exit.JOB_FAILED, "EXPIRED", "the job ended as EXPIRED: Old."),
        ({"end": "CANCELLED", "error": "No."}, Exit.JOB_CANCELLED, "CANCELLED", "the job ended as CANCELLED: No."),
        (
            {"end": "NO_ENDPOINT", "error": "Quota."},
            Exit.NO_ENDPOINT,
            "FAILED",
            "exists but has no endpoint: Failed to create endpoint: Quota.",
        ),
    ],
)
@pytest.mark.parametrize("states", [["RUNNING"], ["QUEUED", "PENDING", "RUNNING", "PAUSED", "UPDATING", "RUNNING"]])
def test_every_end_has_its_status_and_its_words(run, out, playing, scenario, status, state, told, states):
    found, stdout, stderr = run("tune", out, playing(states=states, **scenario))
    assert (found, only_json(stdout)["state"]) == (status, state)
    assert told in stderr.splitlines()[-1]
    seen = [line.rpartition(": ")[2].partition(",")[0] for line in stderr.splitlines() if line.startswith("projects/")]
    assert seen == [*states, state]


def test_every_exit_status_has_a_meaning_in_the_help(run):
    assert MEANINGS.keys() == set(Exit) - {Exit.TOO_MANY_REJECTED}
    _, stdout, _ = run("watch", "--help")
    assert all(f"{status.value} {meaning}" in " ".join(stdout.split()) for status, meaning in MEANINGS.items())


def test_watching_ends_after_its_timeout_and_the_job_goes_on(run, out, playing, monkeypatch):
    seconds = iter(range(0, 10_000, 40))
    monkeypatch.setattr(
        service, "pace", lambda request, timeout, clock: Pace(30, timeout, Clock(lambda: next(seconds), lambda _: None))
    )
    url = playing(states=["RUNNING"] * 100)
    status, stdout, stderr = run("tune", out, url, "--timeout", 60)
    assert (status, only_json(stdout)["state"]) == (Exit.STILL_RUNNING, "RUNNING")
    assert f"not ended after 60 s; the job goes on: cliptune watch {out} {url}\n" in stderr


@pytest.mark.parametrize("command", ["tune", "watch"])
def test_ctrl_c_leaves_the_job_and_says_how_to_attach_or_cancel(run, out, playing, monkeypatch, command):
    url = playing(states=["RUNNING"] * 100)
    if command == "watch":
        run("tune", out, url, "--no_watch")

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "pace", lambda *args: Pace(clock=Clock(lambda: 0.0, interrupt)))
    status, stdout, stderr = run(command, out, url)
    assert (status, stdout) == (Exit.INTERRUPTED, "")
    assert f"cliptune watch {out} {url}," in stderr.splitlines()[-1]
    assert stderr.endswith(f"cliptune cancel {out} {url}\n")
    (job,) = only_json(run("jobs", url)[1])["jobs"]
    assert job["state"] == "RUNNING"


def test_how_to_go_on_names_the_run_that_was_named(run, out, playing, monkeypatch):
    url = playing(states=["RUNNING"] * 100)
    run("tune", out, url, "--no_watch")
    run("tune", out, url, "--epochs", 5, "--another", "--no_watch")
    (name,) = [path.name for path in (out / "tuning/runs").iterdir() if "-3-epochs-" in path.name]

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "pace", lambda *args: Pace(clock=Clock(lambda: 0.0, interrupt)))
    stderr = run("watch", out, url, "--run", name)[2]
    assert f"cliptune watch {out} --run {name} {url}," in stderr.splitlines()[-1]
    assert stderr.endswith(f"cliptune cancel {out} --run {name} {url}\n")
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, 0.0, Clock(lambda: 0.0, lambda _: None)))
    stderr = run("watch", out, url, "--run", name, "--timeout", 1)[2]
    assert f"the job goes on: cliptune watch {out} --run {name} {url}\n" in stderr


def test_examples_left_out_are_led_back_to_their_clips(run, out, playing):
    status, stdout, stderr = run("tune", out, playing(drop=[1, 9, 22]))
    job = only_json(stdout)
    assert status == 0
    lines = (out / "tuning/train.jsonl").read_text().splitlines()
    assert [each["line"] for each in job["dropped"]] == [1, 9, 22]
    for each in job["dropped"]:
        assert f'"this is text {each["clip_id"][1:]}"' in lines[each["line"] - 1]  # in three different shards
        assert each["source"] == f"m.csv:{int(each['clip_id'][1:]) + 2}"
        assert f"  {each['clip_id']} ({each['source']}): The example is invalid." in stderr
    assert "warning: the service left out 3 of the training examples; it names 3:" in stderr


def test_what_the_dataset_has_no_line_for_is_told_as_it_is(prepared):
    stats = {
        "truncated_example_indices": [23, 2],
        "dropped_example_reasons": ["too long"],
        "total_truncated_example_count": 9,
    }
    job = TuningJob("j", "SUCCEEDED", data_stats=stats)
    first, second = dropped.dropped(job, prepared)
    assert (dropped.count(job), first.line, first.clip_id, first.reason) == (9, 23, "", "too long")
    assert (second.line, bool(second.clip_id), second.reason) == (2, True, "")
    assert dropped.dropped(TuningJob("j", "FAILED"), prepared) == []


def test_jobs_are_listed_of_a_project_and_of_a_dataset(run, out, playing):
    url = playing()
    first = only_json(run("tune", out, url, "--no_watch", "--label", "team=x")[1])
    second = only_json(run("tune", out, url, "--epochs", 2, "--display_name", "two", "--another")[1])
    for words in ([], [out], ["--project", "local-project", "--location", "us-central1"]):
        status, stdout, stderr = run("jobs", *words, url)
        told = only_json(stdout)
        found = told["jobs"]
        assert list(told["runs"].values()) == ([second["name"], first["name"]] if words == [out] else [])
        assert (status, [job["name"] for job in found]) == (0, [second["name"], first["name"]])
        assert f"{second['name']}: SUCCEEDED, 2 checkpoints  two" in stderr
        assert found[1]["labels"]["team"] == "x"
    assert len(only_json(run("jobs", url, "--limit", 1)[1])["jobs"]) == 1
    nothing = {"jobs": [], "runs": {}, "deleted": {}, "format_version": 1}
    assert only_json(run("jobs", url, "--location", "europe-west4")[1]) == nothing
    assert run("jobs")[0] == Exit.USAGE


def test_a_job_is_cancelled_by_its_dataset_or_its_name(run, out, playing):
    url = playing()
    for words in ([], ["--epochs", 2]):
        job = only_json(run("tune", out, url, "--no_watch", *words)[1])
        status, stdout, stderr = run("cancel", job["name"] if words else out, url)
        assert (status, only_json(stdout)["state"]) == (0, "CANCELLED")
        assert f"cancelled: {job['name']}" in stderr
    assert submitted(dataset.load(str(out), Storage()))[1].name == job["name"]
    status, stdout, stderr = run("cancel", out, url)
    assert (status, only_json(stdout)["state"], "had already ended as CANCELLED" in stderr) == (1, "CANCELLED", True)
    status, _, stderr = run("cancel", "projects/p/locations/us-central1/tuningJobs/7", url)
    assert (status, "404 NOT_FOUND" in stderr) == (1, True)


def test_the_default_checkpoint_is_the_one_that_answers(run, out, playing):
    url = playing()
    job = only_json(run("tune", out, url, "--default_checkpoint", "2")[1])
    endpoints = {point["checkpoint_id"]: point["endpoint"] for point in job["checkpoints"]}
    assert job["endpoint"] == endpoints["2"]
    assert only_json(run("predict", out, url)[1])["model"] == endpoints["2"]
    assert only_json(run("predict", out, url, "--checkpoint", "1")[1])["model"] == endpoints["1"]
    status, _, stderr = run("watch", out, url, "--default_checkpoint", "9")
    assert (status, "default_checkpoint must be one of 1, 2, 3, got '9'" in stderr) == (1, True)
    status, _, stderr = run("predict", out, url, "--checkpoint", "9")
    assert (status, "checkpoint must be one of 1, 2, 3, got '9'" in stderr) == (1, True)


def test_a_tuned_model_can_be_tuned_further(run, out, playing):
    url = playing()
    first = only_json(run("tune", out, url)[1])
    words = (
        "--from_model",
        first["tuned_model"],
        "--from_checkpoint",
        "1",
        "--epochs",
        1,
        "--export_last_checkpoint_only",
    )
    second = only_json(run("tune", out, url, *words)[1])
    assert (second["state"], len(second["checkpoints"])) == ("SUCCEEDED", 1)
    assert second["name"] != first["name"]


def test_news_without_a_terminal_come_now_and_then(monkeypatch, tuner, request_):
    stream = io.StringIO()
    people = Console(stream, width=300)
    job = tuner.submit(request_)
    monkeypatch.setattr(tuner, "get", lambda name: job)
    seconds = iter([0, 0, *range(0, 3_000, 100)])
    pace = Pace(30, 2_500, Clock(lambda: next(seconds, 9_999), lambda _: None))
    watch.watch(tuner, job, people, pace, lambda seen: None)
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"{job.name}: QUEUED"
    assert 2 <= len(lines) <= 5
    assert all(line.startswith(f"{job.name}: QUEUED, for ") for line in lines[1:])


def test_on_a_terminal_there_is_the_state_and_the_time(tuner, request_):
    stream = io.StringIO()
    people = Console(stream, 200, terminal=True)
    watch.watch(tuner, tuner.submit(request_), people, Pace(0), lambda seen: None)
    assert "Ctrl-C leaves the job running" in stream.getvalue()


def test_watching_a_service_with_faults_by_the_real_client(run, out, playing, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, None, Clock(lambda: 0.0, waits.append)))
    faults = (
        Fault(method="get", status=503, count=2),
        Fault(method="get", first=4, cut="before"),
        Fault(method="get", first=5, status=500),
    )
    status, _, stderr = run("tune", out, playing(faults=faults))
    assert status == 0
    assert stderr.count("asking again in") == 4
    assert sum(wait > 0 for wait in waits) == 4


def test_watch_waits_for_a_service_that_is_away_from_the_beginning(run, out, playing, monkeypatch):
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, None, NO_TIME))
    url = playing(faults=(Fault(method="get", status=503, count=3),))
    run("tune", out, url, "--no_watch")
    status, _, stderr = run("watch", out, url)
    assert (status, stderr.count("asking again in")) == (0, 3)


def test_a_note_of_another_version_is_read_as_far_as_it_goes(run, out, playing):
    url = playing()
    job = only_json(run("tune", out, url)[1])
    path = job_file(out)
    note = json.loads(path.read_text())
    note["job"] = {"name": job["name"], "endpoint": job["endpoint"], "colour": "blue"}
    path.write_text(json.dumps(note))
    assert only_json(run("predict", out, url)[1])["model"] == job["endpoint"]
    assert only_json(run("watch", out, url)[1])["state"] == "SUCCEEDED"


def test_the_requests_that_a_command_sends(run, out):
    """A rerun sends no create: it asks about the job that it knows."""
    with server.running() as url:
        run("tune", out, f"--api_endpoint={url}")
        assert httpx.get(f"{url}/emulator").json()["requests"] == {"list": 1, "create": 1, "get": 3}
        run("tune", out, f"--api_endpoint={url}")
        assert httpx.get(f"{url}/emulator").json()["requests"] == {"list": 1, "create": 1, "get": 4}


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        (
            "MAX_VALIDATION_SHARE",
            0.05,
            "2 validation examples, over 5 % of the 22 for training; prepare with a smaller",
        ),
        ("MAX_TOKENS_PER_EXAMPLE", 5, "tokens, over the limit of 5"),
        ("MAX_AUDIO_SECONDS", 0.25, "s of audio, over the limit of 0.25 s"),
    ],
)
def test_a_dataset_over_a_limit_is_not_submitted(run, out, playing, monkeypatch, limit, value, told):
    monkeypatch.setattr(limits, "VALIDATION_SHARE_FROM", 1)
    monkeypatch.setattr(limits, limit, value)
    status, stdout, stderr = run("tune", out, playing())
    assert (status, only_json(stdout)["ok"]) == (1, False)
    assert told in stderr
    assert not (out / "tuning").exists()


def test_a_validation_split_over_its_cap_can_be_left_out(run, out, playing, monkeypatch):
    monkeypatch.setattr(limits, "VALIDATION_SHARE_FROM", 1)
    monkeypatch.setattr(limits, "MAX_VALIDATION_SHARE", 0.05)
    status, stdout, _ = run("tune", out, playing(), "--no_validation")
    assert (status, only_json(stdout)["state"]) == (0, "SUCCEEDED")
    assert not (out / "tuning/validation.jsonl").exists()


def test_a_dataset_of_uris_is_priced_by_the_length_that_it_notes(run, out):
    """The lines do not tell how long the audio is; the same dataset inline costs the same."""
    inline = only_json(run("check", out)[1])["estimate"]
    for shard in out.glob("*/*.jsonl"):
        lines = [json.loads(line) for line in shard.read_text().splitlines()]
        for number, line in enumerate(lines):
            part = {"file_data": {"mime_type": "audio/flac", "file_uri": f"gs://b/{shard.stem}/{number}.flac"}}
            line["contents"][0]["parts"][1] = part
        shard.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, stdout, stderr = run("check", out)
    by_uri = only_json(stdout)["estimate"]
    assert by_uri["lower_cost"] <= inline["cost"] <= by_uri["upper_cost"]
    assert by_uri["tokens"] == pytest.approx(inline["tokens"], rel=0.01)
    assert "whose duration is not in the file" not in stderr


def test_tune_sends_again_after_a_lost_answer_when_a_second_job_is_allowed(run, out, playing, monkeypatch):
    clock = Clock(lambda: 0.0, lambda seconds: None)
    monkeypatch.setattr("tuning.tune.Patience", lambda quota, seconds, _, second: Patience(quota, 1.0, clock, second))
    url = playing(faults=(Fault(method="create", cut="after"),), listed_after=30)
    assert [run("tune", out, url, "--no_watch")[0] for _ in range(2)] == [1, 1]
    status, stdout, _ = run("tune", out, url, "--no_watch", "--allow_second_job")
    assert (status, only_json(stdout)["name"][-1]) == (0, "2")


def test_tune_waits_for_the_quota_when_it_is_asked_to(run, out, playing, monkeypatch):
    waits: list[float] = []
    clock = Clock(lambda: 0.0, waits.append)
    monkeypatch.setattr(
        "tuning.tune.Patience", lambda quota, seconds, _, second: Patience(quota, seconds, clock, second)
    )
    url = playing(quota=1, states=["RUNNING"] * 6)
    first = only_json(run("tune", out, url, "--no_watch")[1])
    status, stdout, stderr = run("tune", out, url, "--epochs", 9, "--another")
    assert (status, stdout, waits) == (1, "", [])
    assert "429 RESOURCE_EXHAUSTED" in stderr
    assert "; --wait_for_quota waits for its end" in stderr
    status, stdout, stderr = run("tune", out, url, "--epochs", 9, "--another", "--wait_for_quota")
    assert (status, only_json(stdout)["state"]) == (0, "SUCCEEDED")
    assert only_json(stdout)["name"] != first["name"]
    assert len(waits) == stderr.count("the quota is full, trying again in") > 0
