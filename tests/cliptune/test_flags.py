"""No flag is parsed and then forgotten: laws over whatever the parsers know, so that a new flag is asked too."""

import argparse
from datetime import date
from pathlib import Path

import pytest

from beam_pipeline import embedded
from cliptune.main import command_of, main
from tests.tuning.conftest import prepare as prepare_tones
from tests.tuning.conftest import url
from transforms.errors import UserError
from tuning import service, tune

__all__ = ["url"]  # a fixture


def flags(command):
    """The actions of a command's parser, by their flag, or by their name where they have none."""
    parser = argparse.ArgumentParser(add_help=False)
    command_of(command).add_flags(parser)
    return {(action.option_strings or [action.dest])[-1]: action for action in parser._actions}


def words_for(flag, action, values):
    """The flag with a value that is not its default."""
    if flag in values:
        return [*values[flag]]
    if action.nargs == 0:
        return [flag]
    others = [choice for choice in action.choices or () if choice != action.default]
    number = {"whole number": 7, "number": 0.5, "int": 16, "float": 0.2}.get(getattr(action.type, "__name__", ""))
    return [f"{flag}={others[0] if others else number if number is not None else 'x'}"]


def run(*words):
    try:
        return main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepare_tones(tmp_path_factory.mktemp("flags"))


@pytest.fixture(autouse=True)
def no_time(monkeypatch):
    monkeypatch.setattr(service, "EMULATOR_POLL_SECONDS", 0)
    monkeypatch.setattr(tune, "today", lambda: date(2026, 11, 1))


# What each flag of `prepare` needs besides, or cannot do with a made-up value.
OF_PREPARE = {
    "--manifest": ["--manifest=n.jsonl"],
    "--output": ["--output=another"],
    "--audio_root": ["--audio_root=clips"],
    "--bitrate": ["--audio_format=mp3", "--bitrate=32"],
    "--audio_part": ["--audio_part=uri", "--audio_uri=gs://bucket/audio"],
    "--audio_uri": ["--audio_part=uri", "--audio_uri=gs://other/audio"],
    "--sample_rate": ["--sample_rate=8000"],
    "--tasks": ["--tasks=tasks.yaml"],
    "--manifest_encoding": ["--manifest_encoding=cp1250"],
    "--normalize_text": ["--normalize_text=casefold"],
}
# What the change is seen against, where that is not the plain command.
BESIDE = {
    "--bitrate": ["--audio_format=mp3"],
    "--audio_uri": ["--audio_part=uri", "--audio_uri=gs://bucket/audio"],
}
# What they decide comes after the job is made, and has tests of its own in tests/beam_pipeline and tests/dataflow.
WITHOUT_A_RUN = {"--dry_run", "--no_wait", "--follow", "--timeout", "--cancel"}
AFTER_THE_JOB = {"--overwrite", "--max_rejected_fraction", "--merge_into", "--append", "--limit", *WITHOUT_A_RUN}


@pytest.fixture
def job_of(tmp_path, monkeypatch):
    """The job that a command line is, which is not run."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.jsonl", "n.jsonl"):
        (tmp_path / name).write_text('{"id": "a", "audio": "a.wav", "text": "b", "task": "t", "x": "1"}\n')
    (tmp_path / "tasks.yaml").write_text("t:\n  prompt: Say it.\n")
    made = []

    def caught(job, options, console):
        made.append(job)
        raise UserError("enough")

    monkeypatch.setattr(embedded, "run", caught)

    def call(*words):
        made.clear()
        assert run("prepare", "--manifest=m.jsonl", "--output=out", *words) == 1
        assert len(made) == 1, words
        for path in [*Path().glob("*/run.json"), *Path().glob("*/manifests.json")]:
            path.unlink()
        return made[0]

    return call


@pytest.mark.parametrize("flag", sorted(flags("prepare").keys() - AFTER_THE_JOB))
def test_every_flag_of_prepare_changes_the_job(job_of, flag):
    changed = words_for(flag, flags("prepare")[flag], OF_PREPARE)
    assert job_of(*changed) != job_of(*BESIDE.get(flag, []))


KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
MODEL = "projects/p/locations/us-central1/models/1"
STAGED = ("--project=p", "--staging_location=gs://bucket/s", "--dry_run")
OF_TUNE = {
    "dataset": ["nowhere"],
    "--base_model": ["--base_model=gemini-3.5-flash"],
    "--price_per_million": ["--price_per_million=7"],
    "--prices": ["--prices=prices.json"],
    "--max_cost": ["--max_cost=0.000001"],
    "--adapter_size": ["--adapter_size=8"],
    "--label": ["--label=team=speech"],
    "--service_account": ["--service_account=s@p.iam.gserviceaccount.com"],
    "--kms_key": ["--base_model=gemini-2.5-pro", "--allow_retired", f"--kms_key={KEY}"],
    "--from_model": [f"--from_model={MODEL}"],
    "--from_checkpoint": [f"--from_model={MODEL}", "--from_checkpoint=2"],
    "--allow_retired": ["--base_model=gemini-2.5-pro", "--allow_retired"],
    "--location": ["--location=europe-west4"],
    "--fraction": ["--fraction=1/2"],
    "--api_endpoint": ["--api_endpoint=http://127.0.0.1:9"],
    "--staging_location": ["--staging_location=gs://other/s"],
}
BESIDE_TUNE = {
    "--kms_key": ["--base_model=gemini-2.5-pro", "--allow_retired"],
    "--from_checkpoint": [f"--from_model={MODEL}"],
    "--allow_retired": ["--base_model=gemini-2.5-pro"],
}
# There is one provider, and no other dataset here.
REFUSED = {"dataset", "--max_cost", "--provider"}
# What they decide comes after the request is made: test_job_commands, test_runs or test_preflight has each; who pays is
# test_gcs's.
AFTER_THE_REQUEST = {
    *("--another", "--dry_run", "--preflight", "--no_watch", "--wait_for_quota"),
    *("--allow_second_job", "--timeout", "--billing_project"),
}


@pytest.fixture
def told(dataset, capsys, tmp_path, monkeypatch):
    """The exit status of a dry run, and all that it says."""
    monkeypatch.chdir(tmp_path)
    Path("prices.json").write_text('{"gemini-3.1-flash-lite": 7}')

    def call(*words):
        given = [word for word in words if not word.startswith("--")]
        capsys.readouterr()
        others = [word for word in words if word.startswith("--")]
        return run("tune", *(given or [dataset]), *STAGED, *others), capsys.readouterr()

    return call


@pytest.mark.parametrize("flag", sorted(flags("tune").keys() - AFTER_THE_REQUEST))
def test_every_flag_of_tune_changes_what_is_asked_for_or_refused(told, flag):
    changed = told(*words_for(flag, flags("tune")[flag], OF_TUNE))
    assert changed != told(*BESIDE_TUNE.get(flag, []))
    assert (changed[0] == 0) == (flag not in REFUSED), changed
