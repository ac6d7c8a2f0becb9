"""Every flag is a field of its command's request, and every field is used: laws over what parsers and records know."""

import argparse
import ast
from dataclasses import fields
from pathlib import Path

import pytest

from beam_pipeline.requests import ExportRequest, InspectRequest, MergeRequest, PrepareRequest, ReportRequest
from cliptune.commands.completion import CompletionRequest
from cliptune.commands.emulator import EmulatorRequest
from cliptune.config_keys import keys
from cliptune.main import COMMANDS, build_parser, command_of
from cliptune.requests import InitRequest, RunRequest
from transforms.errors import UsageError
from transforms.settings import Settings
from tuning.providers import PROVIDERS
from tuning.requests import (
    CancelRequest,
    CheckRequest,
    CurveRequest,
    DeleteRequest,
    EvaluateRequest,
    JobsRequest,
    PredictRequest,
    Request,
    SuspectsRequest,
    TuneRequest,
    WatchRequest,
)

ROOT = Path(__file__).parents[2]
# Each command: the words that it cannot do without, its record, and where the record's fields are used.
PLAIN = {
    "prepare": (["--manifest=m", "--output=o"], PrepareRequest, "beam_pipeline"),
    "report": (["dataset"], ReportRequest, "beam_pipeline"),
    "inspect": (["a.wav"], InspectRequest, "beam_pipeline"),
    "export": (["dataset", "folder"], ExportRequest, "beam_pipeline"),
    "merge": (["a", "b", "--output=c"], MergeRequest, "beam_pipeline"),
    "check": (["dataset"], CheckRequest, "tuning"),
    "tune": (["dataset"], TuneRequest, "tuning"),
    "watch": (["dataset"], WatchRequest, "tuning"),
    "jobs": ([], JobsRequest, "tuning"),
    "cancel": (["dataset"], CancelRequest, "tuning"),
    "delete": (["dataset"], DeleteRequest, "tuning"),
    "predict": (["dataset", "--audio=b.wav"], PredictRequest, "tuning"),
    "evaluate": (["dataset"], EvaluateRequest, "tuning"),
    "suspects": (["dataset"], SuspectsRequest, "tuning"),
    "curve": (["dataset"], CurveRequest, "tuning"),
    "init": (["m.jsonl"], InitRequest, "cliptune"),
    "run": ([str(ROOT / "tests/cliptune/plain.yaml")], RunRequest, "cliptune"),
    "emulator": ([], EmulatorRequest, "cliptune"),
    "completion": (["bash"], CompletionRequest, "cliptune"),
}
# Values for flags whose rule a made-up one would break, with what they need beside them.
VALUES = {
    "--bitrate": (["--audio_format=mp3"], ["--bitrate=32"]),
    "--audio_uri": (["--audio_part=uri"], ["--audio_uri=gs://bucket/audio"]),
    "--merge_into": ([], ["--merge_into=o"]),
    "--dry_run": ([], ["--dry_run"]),
    "--sample_rate": ([], ["--sample_rate=8000"]),
    "--manifest_encoding": ([], ["--manifest_encoding=cp1250"]),
    "--normalize_text": ([], ["--normalize_text=casefold"]),
    "--api_endpoint": ([], ["--api_endpoint=http://127.0.0.1:9"]),
    "--label": ([], ["--label=team=speech"]),
    "--service_account": ([], ["--service_account=s@p.iam.gserviceaccount.com"]),
    "--from_checkpoint": (["--from_model=projects/p/locations/l/models/1"], ["--from_checkpoint=2"]),
    "--staging_location": ([], ["--staging_location=gs://bucket/s"]),
    "--fraction": ([], ["--fraction=1/2"]),
    "--model": ([], ["--model=base"]),
    "--predictions": ([], ["--predictions=0.5=w.json"]),
    "--fractions": ([], ["--fractions=1/2,1"]),
    "--normalizer": ([], ["--normalizer=whisper_basic"]),
    "--system": ([], ["--system=long=run-1"]),
    "--until": ([], ["--until=tune"]),
    "--from": ([], ["--from=tune"]),
    "--max_cost": ([], ["--max_cost=0.5"]),
    "--emulator": ([], ["--emulator"]),
    "--task_normalizer": ([], ["--task_normalizer=language=none"]),
    "--fail_if": ([], ["--fail_if=wer(tuned) > 0.2"]),
    "prepare --timeout": (["--follow=j"], ["--timeout=0.5"]),
}

# What cannot stand beside a flag.
WITHOUT = {"--probe_silence": "--audio=b.wav"}
KEYS = keys()


def request_of(command, *words):
    args, others = build_parser([command]).parse_known_args([command, *words])
    return command_of(command).request(args, others)


def actions_of(command):
    parser = argparse.ArgumentParser(add_help=False)
    command_of(command).add_flags(parser)
    return [action for action in parser._actions if action.option_strings]


def of_file(path):
    """A key of cliptune.yaml as a flag of `run` that changes the request, and what it needs beside it."""
    key = KEYS[path]
    (action,) = (action for action in actions_of(key.verbs[0]) if action.option_strings[0] == key.flag)
    beside, words = VALUES.get(key.flag, ([], changed(action)))
    named = {other.flag: other.path for other in KEYS.values() if other.verbs[0] == key.verbs[0]}
    named[action.option_strings[-1]] = path

    def spelt(word):
        flag, equals, value = word.partition("=")
        return f"--{named[flag]}{equals}{value}"

    if path in ("emulator", "api_endpoint"):  # the file has the one, which excludes the other
        return ["--emulator=false", "--project=p"], [spelt(word) for word in words]
    return [spelt(word) for word in beside], [spelt(word) for word in words]


def changed(action):
    """The flag with a value that is not its default."""
    flag = action.option_strings[-1]
    if action.nargs == 0:
        return [flag]
    others = [choice for choice in action.choices or () if choice != action.default]
    number = {"whole number": 7, "number": 0.5, "int": 16, "float": 0.2}.get(getattr(action.type, "__name__", ""), "x")
    return [f"{flag}={others[0] if others else number}"]


def flags():
    return [(command, action.option_strings[-1]) for command in PLAIN for action in actions_of(command)]


def test_every_command_has_its_request():
    assert PLAIN.keys() == COMMANDS.keys()
    for command, (words, record, _) in PLAIN.items():
        assert type(request_of(command, *words)) is record


@pytest.mark.parametrize(("command", "flag"), flags(), ids=" ".join)
def test_every_flag_changes_the_request(command, flag, monkeypatch):
    monkeypatch.setitem(PROVIDERS, "x", next(iter(PROVIDERS.values())))
    (action,) = (action for action in actions_of(command) if action.option_strings[-1] == flag)
    path = flag.removeprefix("--")
    is_key = command == "run" and path in KEYS
    given = VALUES.get(f"{command} {flag}") or VALUES.get(flag, ([], changed(action)))
    beside, words = of_file(path) if is_key else given
    plain = [*(word for word in PLAIN[command][0] if word != WITHOUT.get(flag)), *beside]
    assert request_of(command, *plain, *words) != request_of(command, *plain)


@pytest.mark.parametrize("command", PLAIN)
def test_every_field_of_a_request_can_be_set_by_a_flag(command):
    """Positional words and Beam's flags aside."""
    settable = {action.dest for action in actions_of(command)} | {
        "dataset",
        "path",
        "job",
        "shell",
        "place",
        "clip_id",
        "destination",
        "datasets",
        "beam_options",
    }
    settable |= {"settings", "columns"} if command == "prepare" else {"labels"}
    settable |= {"manifest", "columns"} if command == "init" else set()
    # Of `run`: the sections of the file, and what tells where a value is from.
    settable |= {"prepare", "check", "tune", "predict", "evaluate", "told"} if command == "run" else set()
    assert {field.name for field in fields(PLAIN[command][1])} <= settable
    if command == "prepare":
        assert {field.name for field in fields(Settings)} <= settable | {"tasks"}


def attributes(package):
    """The names of all attributes that a package reads, outside the records' own files."""
    for path in (ROOT / package).rglob("*.py"):
        if path.name != "requests.py":
            yield from (node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute))


@pytest.mark.parametrize("command", PLAIN)
def test_every_field_of_a_request_is_used(command):
    _, record, package = PLAIN[command]
    used = {*attributes(package), *attributes("cliptune")}
    used |= {"check", "predict", "evaluate"} if {"checking", "asking", "scoring"} <= used else set()
    used |= {"api_endpoint", "emulator"} if {"local", "same_service"} <= used else set()
    assert {field.name for field in fields(record)} <= used


@pytest.mark.parametrize(
    "record", [CheckRequest, TuneRequest, WatchRequest, JobsRequest, CancelRequest, PredictRequest]
)
def test_requests_are_frozen_and_know_the_provider(record):
    assert issubclass(record, Request)
    words = () if record is JobsRequest else ("dataset",)
    request = record(*words)
    assert request == record(*words)
    with pytest.raises(AttributeError):
        request.provider = "another"
    with pytest.raises(UsageError, match=r"^provider must be one of vertex, got 'nobody'$") as fault:
        record(*words, provider="nobody")
    assert fault.value.field == "provider"


ONE, OTHER = ("one.wav",), "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("record", "words", "field", "told"),
    [
        (CheckRequest, {"epochs": 0}, "epochs", "epochs must be 1 or more, got 0"),
        (CheckRequest, {"price_per_million": 0.0}, "price_per_million", "must be above 0, got 0.0"),
        (CheckRequest, {"price_per_million": float("nan")}, "price_per_million", "must be above 0, got nan"),
        (TuneRequest, {"max_cost": float("inf")}, "max_cost", "max_cost must be above 0, got inf"),
        (TuneRequest, {"learning_rate_multiplier": -1.0}, "learning_rate_multiplier", "must be above 0, got -1.0"),
        (TuneRequest, {"timeout": 0.0}, "timeout", "timeout must be above 0, got 0.0"),
        (TuneRequest, {"display_name": "x" * 129}, "display_name", "of 1 to 128 characters"),
        (TuneRequest, {"service_account": "me"}, "service_account", "must be NAME@PROJECT.iam.gserviceaccount.com"),
        (TuneRequest, {"staging_location": "/x"}, "staging_location", "must be a gs:// URI, got '/x'"),
        (TuneRequest, {"from_checkpoint": "1"}, "from_checkpoint", "from_checkpoint needs from_model"),
        (TuneRequest, {"labels": {"Team": "x"}}, "label", "must be KEY=VALUE of lower-case letters"),
        (TuneRequest, {"labels": {"1": "x"}}, "label", "got '1=x'"),
        (WatchRequest, {"timeout": -1.0}, "timeout", "timeout must be above 0"),
        (WatchRequest, {"api_endpoint": "ftp://x"}, "api_endpoint", "must be http://HOST:PORT"),
        (WatchRequest, {"api_endpoint": OTHER, "emulator": True}, "api_endpoint", "leave the emulator out"),
        (PredictRequest, {"split": "dev"}, "split", "split must be one of train, validation, test, got 'dev'"),
        (PredictRequest, {"limit": 0}, "limit", "limit must be 1 or more, got 0"),
        (PredictRequest, {"task": "t"}, "task", "task needs audio"),
        (PredictRequest, {"model": "base", "checkpoint": "1"}, "checkpoint", "leave model out"),
    ],
)
def test_a_request_of_the_tuning_half_checks_itself(record, words, field, told):
    with pytest.raises(UsageError) as fault:
        record("dataset", **words)
    assert (fault.value.field, told in str(fault.value)) == (field, True), fault.value


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (CheckRequest, {"epochs": 1, "price_per_million": 0.01}),
        (TuneRequest, {"max_cost": 0.01, "display_name": "x" * 128, "labels": {"a" + "b" * 62: "1" * 63, "c": ""}}),
        (TuneRequest, {"from_model": "m", "from_checkpoint": "1"}),
        (WatchRequest, {"api_endpoint": OTHER}),
        (PredictRequest, {"limit": 1, "audio": ONE, "task": "t", "prompt": "p", "system_instruction": "s"}),
    ],
)
def test_what_keeps_every_rule_is_taken(record, words):
    request = record("dataset", **words)
    assert all(getattr(request, name) == value for name, value in words.items())


@pytest.mark.parametrize(
    ("words", "field", "told"),
    [
        ({"manifest": ()}, "manifest", "manifest must be one name or more"),
        ({"manifest": ("a", " ")}, "manifest", "none of them empty (an unset variable?)"),
        ({"manifest": "m.jsonl"}, "manifest", "must be a sequence of names, got 'm.jsonl'"),
        ({"output": ""}, "output", "output must be a name, not empty"),
        ({"max_rejected_fraction": 1.01}, "max_rejected_fraction", "must be from 0 to 1, got 1.01"),
        ({"max_rejected_fraction": -0.01}, "max_rejected_fraction", "must be from 0 to 1, got -0.01"),
        ({"clip_workers": 0}, "clip_workers", "clip_workers must be positive, got 0"),
        ({"columns": {"sound": "x"}}, "columns", "columns must be named by id, audio, text"),
        ({"dry_run": True, "cancel": True}, "cancel", "cancel must be left out with --dry_run"),
        ({"no_wait": True, "cancel": True}, "cancel", "cancel must be left out with --no_wait"),
        ({"no_wait": True, "follow": "j"}, "follow", "follow must be left out with --no_wait, got 'j'"),
        ({"follow": " "}, "follow", "follow must be the id of a job (an unset variable?)"),
        ({"follow": "j", "merge_into": "o"}, "follow", "follow must be left out with --merge_into"),
        ({"follow": "j", "timeout": 0.0}, "timeout", "timeout must be above 0, got 0.0"),
        ({"timeout": 1.0}, "timeout", "timeout must be left out without --follow"),
        ({"beam_options": ("--dry_run=True",)}, "beam_options", "without --dry_run, which is a field of the request"),
    ],
)
def test_a_request_to_prepare_checks_itself(words, field, told):
    with pytest.raises(UsageError) as fault:
        PrepareRequest(**{"manifest": ("m",), "output": "o", **words})
    assert (fault.value.field, told in str(fault.value)) == (field, True), fault.value


@pytest.mark.parametrize(
    ("options", "runner"),
    [
        ((), ""),
        (("--region=r",), ""),
        (("--runner=FlinkRunner",), "FlinkRunner"),
        (("--region=r", "--runner", "DataflowRunner", "--x"), "DataflowRunner"),
        (("--runner=DataflowRunner", "--runner=DirectRunner"), "DirectRunner"),  # as Beam has it
    ],
)
def test_the_runner_is_among_beams_options(options, runner):
    assert PrepareRequest(("m",), "o", beam_options=options).runner == runner
