"""`tune` as a user types it: knobs, prices, refusals, what is sent. How its job ends: `test_job_ends.py`."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.cliptune.test_commands import only_json, run
from transforms import limits
from tuning.emulator import server
from tuning.emulator.jobs import _camel
from tuning.emulator.scenario import Fault, Scenario
from tuning.jobs.clock import Clock
from tuning.jobs.submit import Patience
from tuning.providers.vertex import models

__all__ = ["run"]  # a fixture
STAGED = ("--project", "p", "--staging_location", "gs://bucket/s")
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
        (["--prices", "nowhere.json"], 1, "prices nowhere.json: there is no such file"),
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
    # The scales come first: 1,000 and 10,000 clips like these.
    *scales, line = [line for line in stderr.splitlines() if line.strip().startswith("gemini-3.1-flash-lite ")]
    assert len(scales) == 2
    mine = [each for each in estimates if each["base_model"] == "gemini-3.1-flash-lite"]
    assert all(f"${each['lower_cost']:,.2f}–${each['upper_cost']:,.2f}" in line for each in mine)
    assert "gemini-3.1-flash-lite: price given by --price_per_million" in stderr
    assert stderr.count("price not known") == 3 * 5
    assert "estimates" not in only_json(run("check", out)[1])


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
            part = {"file_data": {"mime_type": "audio/flac", "file_uri": f"gs://bucket/{shard.stem}/{number}.flac"}}
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
