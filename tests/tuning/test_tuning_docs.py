"""README's and docs/tuning.md's commands, typed as they stand there; their tables, held against the code."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cliptune.main import build_parser
from tests.cliptune.test_commands import run
from transforms.storage import Storage
from tuning.emulator import scenario, server

__all__ = ["run"]  # a fixture

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUNING = (ROOT / "docs/tuning.md").read_text(encoding="utf-8")


# Of the bundled recordings: enough that one of them may be rejected.
FEW = 24


def commands_of(text, heading):
    """The indented commands below a heading."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (below,) = [part for part in section if part.startswith(f"{heading}\n")]
    return re.findall(r"^    (\w.*)$", below, re.MULTILINE)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder like a checkout, where one may write."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(run, command):
    status, stdout, stderr = run(*shlex.split(command)[1:])
    assert status == 0, f"{command}\n{stderr}"
    return json.loads(stdout)


def test_the_readme_can_be_followed_without_an_account(run, checkout):
    commands = commands_of(README, "Tune, first without an account")
    told = {command: typed(run, command) for command in commands}
    assert [command.split()[1] for command in commands] == [
        *("prepare", "check", "tune", "watch", "jobs", "predict", "predict", "evaluate", "curve", "predict"),
    ]
    results = list(told.values())
    assert len(results[1]["estimates"]) == 30
    assert [results[2]["state"], results[3]["name"]] == ["SUCCEEDED", results[2]["name"]]
    assert [job["name"] for job in results[4]["jobs"]] == [results[2]["name"]]
    assert results[5]["predictions"] > 0
    assert results[6]["model"] == "gemini-3.1-flash-lite"
    assert list(results[7]["systems"]) == ["tuned", "base"]
    assert [point["size"] for point in results[8]["points"]] == ["1/8", "1/4", "1/2", "1"]
    assert len(results[9]["answers"]) == 1


def test_the_readme_can_be_followed_against_the_cloud(run, checkout, bucket):
    """Word for word, but for the names that a reader puts in, and where the service is."""
    commands = commands_of(README, "Tune against Google Cloud")
    assert commands[0] == "gcloud auth application-default login"
    results = {}
    with server.running() as url:
        for command in commands[1:]:
            line = command.replace("gs://BUCKET", bucket).replace("PROJECT", "my-project")
            line = line.replace("clips.jsonl", "examples/manifest.jsonl")
            name = line.split()[1]
            flag = next((f" {word}" for word in ("--dry_run", "--model") if word in line), "")
            results[name + flag] = typed(
                run, line if name in ("prepare", "check", "evaluate") else f"{line} --api_endpoint={url}"
            )
    request, job = results["tune --dry_run"], results["tune"]
    assert request["url"].endswith("/projects/my-project/locations/us-central1/tuningJobs")
    assert request["body"]["supervisedTuningSpec"]["trainingDatasetUri"] == f"{bucket}/dataset/tuning/train.jsonl"
    assert (job["state"], results["watch"]["name"]) == ("SUCCEEDED", job["name"])
    assert [each["name"] for each in results["jobs"]["jobs"]] == [job["name"]]
    assert results["predict"]["model"] == job["endpoint"]
    assert results["predict --model"]["model"] == job["base_model"]
    assert list(results["evaluate"]["systems"]) == ["tuned", "base"]


def test_what_the_readme_prepares_and_checks(run, checkout, bucket):
    """The README's other commands: from clips.jsonl and from lists in a bucket, then what other tools have made."""
    lines = (ROOT / "examples/manifest.jsonl").read_text(encoding="utf-8").splitlines()[:FEW]
    (checkout / "clips.jsonl").write_text("\n".join(lines), encoding="utf-8")
    paths = [json.loads(line)["audio_path"] for line in lines]
    for path in paths:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_bytes((ROOT / "examples" / path).read_bytes())
        Storage().write_bytes(f"{bucket}/lists/{path}", (ROOT / "examples" / path).read_bytes())
    Storage().write_bytes(
        f"{bucket}/lists/all.csv",
        "".join(f"{row}\n" for row in ("audio,text", *(f"{path},x" for path in paths))).encode(),
    )
    late = (checkout / paths[-1]).rename(checkout / "late")
    commands = [line for line in commands_of(README, "Prepare") if line.startswith("cliptune")]
    here, there, merge = (line.replace("gs://bucket", bucket) for line in commands)
    assert [typed(run, line)["accepted"] for line in (here, there)] == [FEW - 1, FEW]
    late.rename(checkout / paths[-1])
    assert typed(run, merge)["accepted"] == FEW
    shards = sorted((checkout / "dataset/train").glob("*.jsonl"))
    Storage().write_bytes(f"{bucket}/train.jsonl", b"".join(path.read_bytes() for path in shards))
    checks = [line.partition("  #")[0].replace("gs://bucket", bucket) for line in commands_of(README, "Check")]
    assert [typed(run, line)["ok"] for line in checks] == [True, True, True]
    (dataflow,) = commands_of(README, "Dataflow and Airflow")
    assert "cliptune prepare" in dataflow
    parsed = build_parser().parse_known_args(shlex.split(dataflow.removesuffix("\\"))[1:])
    assert (parsed[0].output, "--runner=DataflowRunner" in parsed[1]) == ("gs://B/dataset", True)


# Without what is said about them.
COMMANDS = [line.partition("  #")[0] for line in re.findall(r"^    (cliptune .*)$", TUNING, re.MULTILINE)]
VERBS = ("check", "tune", "jobs", "watch", "predict", "cancel")


def test_the_page_on_tuning_can_be_followed_from_its_beginning_to_its_end(run, checkout):
    """Word for word, but for names that a reader puts in, against the strict emulator."""
    typed(run, "cliptune prepare --manifest examples/manifest.jsonl --output dataset")
    for name, clip in (("new.wav", "derived/lj_derived_08.wav"), ("other.m4a", "derived/lj_derived_00.m4a")):
        (checkout / name).write_bytes((ROOT / "examples/clips" / clip).read_bytes())
    commands = [line for line in COMMANDS if line.split()[1] in VERBS]
    assert len(commands) >= 15
    for command in commands:
        runs = sorted(path.name for path in (checkout / "dataset/tuning/runs").glob("*"))
        line = command.replace("--run NAME", f"--run {runs[0]}" if runs else "").replace(
            "gs://bucket/dataset", "dataset"
        )
        line = line.replace("--project PROJECT", "" if line.split()[1] == "tune" else "dataset")
        status, _, stderr = run(*shlex.split(line)[1:], *([] if line.split()[1] == "check" else ["--emulator"]))
        # All jobs have ended by then, so there is none to cancel.
        assert (status == 0) == ("had already ended" not in stderr), f"{command}\n{stderr}"


def rows(text, columns):
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
        if line.count("|") == columns - 1 and not line.startswith("--")
    ]


def test_the_scenario_in_the_docs_is_one_and_every_field_is_described():
    (block,) = re.findall(r"```json\n(.*?)```", TUNING, re.DOTALL)
    assert len(scenario.parse(block.encode(), "docs").faults) == 3
    described = {name.strip("`") for row in rows(TUNING, 2) for name in row[0].split(", ")}
    assert set(scenario.Scenario.model_fields) <= described


def test_every_command_in_the_docs_parses():
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        assert build_parser().parse_args(shlex.split(command)[1:]).command == command.split()[1]
