"""docs/run.md, followed word for word."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cliptune import config
from cliptune.exits import Exit
from tests.cliptune.test_commands import only_json, run
from transforms.errors import UsageError

__all__ = ["run"]  # a fixture
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/run.md").read_text(encoding="utf-8")
COMMANDS = [line.partition("  #")[0] for line in re.findall(r"^    (cliptune \w.*)$", PAGE, re.MULTILINE)]
FILE, MATRIX = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
TOLD = re.findall(r"^    (cliptune\.yaml:\d+: .*|--tune\S+ .*)$", PAGE, re.MULTILINE)


def test_its_commands_in_their_order(run, tmp_path, monkeypatch):
    rows = (ROOT / "examples/manifest.jsonl").read_text(encoding="utf-8").splitlines()[::6]
    (tmp_path / "clips.jsonl").write_text("\n".join(rows), encoding="utf-8")
    for path in (json.loads(row)["audio_path"] for row in rows):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / "examples" / path).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert [command.split()[1] for command in COMMANDS] == ["init", "run", "run", "run"]
    told = []
    for command in COMMANDS:
        status, stdout, stderr = run(*shlex.split(command)[1:])
        assert status == 0, f"{command}\n{stderr}"
        told.append(only_json(stdout))
    _, planned, checked, whole = told
    assert {step["state"] for step in planned["steps"]} == {"to do"}
    assert [step["step"] for step in checked["steps"]] == ["prepare", "check"]
    assert list(whole["systems"]) == ["epochs-1", "epochs-3", "base"]
    assert stderr.splitlines()[-1] == "evaluation: dataset/evaluation/evaluation.html"
    (tmp_path / "cliptune.yaml").write_text(FILE, encoding="utf-8")
    again = run("run", "--prepare.overwrite")  # of the page's own file
    assert again[0] == 0, again[2]
    assert list(only_json(again[1])["systems"]) == ["short", "long", "base"]


def test_its_messages_are_those_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cases = [
        (FILE.replace("sample_rate:", "sample_rat:"), {}),
        (
            FILE.replace("  label: {team: speech}\n", "  label: {team: speech}\n  epochs: 0\n").replace(
                "{epochs: 3}", "{}"
            ),
            {},
        ),
        (FILE, {"tune.epochs": ["0"]}),
    ]
    said = []
    for text, flags in cases:
        Path("cliptune.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError) as fault:
            config.load(flags=flags)
        said.append(str(fault.value))
    assert said == TOLD


def test_its_matrix_has_the_names_that_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cliptune.yaml").write_text(f"manifest: m\noutput: o\n{MATRIX}", encoding="utf-8")
    (names,) = re.findall(r"^These are (.*)\. All share", PAGE, re.MULTILINE)
    assert list(config.load().tune) == re.findall(r"`([\w-]+)`", names)


def test_its_statuses_are_those_of_the_commands():
    table = PAGE.partition("| exit status | of `run` |")[2]
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == [
        status.value for status in Exit
    ]
