"""The front door: quick, and helpful about mistakes."""

import json
import os
import runpy
import signal
import sys
from pathlib import Path

import pytest

from cliptune import VERSION
from cliptune.main import COMMANDS, main
from tests import processes
from tests.envelopes import report_of

ROOT = Path(__file__).parents[2]
# Any of these costs more than all that help needs.
SLOW = (
    "apache_beam",
    "google.genai",
    "google.cloud.storage",
    "google.cloud.aiplatform",
    "google.api_core",
    "pyarrow",
    "numpy",
    "pydantic",
    "starlette",
)
PREPARE = ["prepare", "--manifest", "m", "--output", "o"]


def exit_status(words):
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_slow(words):
    code = f"""
import sys
from cliptune.main import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code
print([name for name in sys.modules if name.startswith({SLOW!r})], file=sys.stderr)
"""
    done = processes.run([sys.executable, "-c", code], cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "cliptune" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_teaches(name, capsys):
    assert exit_status([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: cliptune {name} ")
    assert f"\n  cliptune {name} " in told  # an example to copy
    assert len(told.splitlines()) > 8


def test_every_command_is_in_the_help(capsys):
    assert exit_status(["--help"]) == 0
    told = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert f"\n  cliptune {name} " in told
        assert summary in " ".join(told.split())


def test_the_version(capsys):
    assert exit_status(["--version"]) == 0
    assert capsys.readouterr().out == f"cliptune {VERSION}\n"
    assert f'version="{VERSION}"' in (ROOT / "setup.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "COMMAND"),
        (["prepair"], "unknown command prepair; did you mean prepare?"),
        (["-v", "evalute", "out"], "unknown command evalute; did you mean evaluate?"),
        (["zzz"], "unknown command zzz; see cliptune --help"),
        (["prepare"], "--manifest"),
        (["prepare", "--manifest", "m"], "--output"),
        ([*PREPARE, "--manifets", "x"], "unknown flag --manifets; did you mean --manifest?"),
        ([*PREPARE, "--manifets=x"], "unknown flag --manifets; did you mean --manifest?"),
        ([*PREPARE, "--runer=DirectRunner"], "unknown flag --runer; did you mean --runner?"),  # Beam's own flag
        ([*PREPARE, "--sample-rate=8000"], "unknown flag --sample-rate; did you mean --sample_rate?"),
        ([*PREPARE, "--over"], "unknown flag --over"),  # no abbreviations: a later flag would change their meaning
        ([*PREPARE, "--qqq"], "unknown flag --qqq\n"),  # nothing is like it
        (["check", "x", "--verbos"], "unknown flag --verbos of check; did you mean --verbose?"),
        (["check", "x", "-q", "-v"], "not allowed with argument"),
        (["check", "\udcff"], "every argument must be valid UTF-8"),
        ([*PREPARE, "stray"], "unknown flag stray"),
        (["check", "x", "--epochz", "3"], "--epochz"),
        (["tune", "x", "--project=p", "--epochz=3"], "--epochz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_exit_status_2(words, told, capsys):
    assert exit_status(words) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1  # not the whole usage
    assert report_of(captured.out, 2) == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["tune", "x", "--project=p", "--epoch=3"], "--epochs"),
        (["tune", "x", "--project=p", "--base-model", "m"], "--base_model"),
        (["predict", "x", "--limits=3"], "--limit"),
    ],
)
def test_every_command_suggests_what_was_meant(words, meant, capsys):
    assert exit_status(words) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status"), [(["--help"], 0), (["--manifest=nowhere.jsonl", "--output=o"], 1), (["--output=o"], 2)]
)
def test_the_pipeline_as_a_module_is_prepare(words, status, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["beam_pipeline", *words])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("beam_pipeline", run_name="__main__")
    signal.signal(signal.SIGINT, before)  # a process of its own ends here
    told = capsys.readouterr()
    assert int(end.value.code or 0) == status
    assert exit_status(["prepare", *words]) == status
    assert capsys.readouterr() == told


@pytest.mark.parametrize("module", ["cliptune.commands.check", "tuning.check.check"])
def test_ctrl_c_while_modules_are_imported_is_one_line(module, capsys, monkeypatch):
    class Interrupted:
        def find_spec(self, name, path=None, target=None):
            if name == module:
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    for name in ("cliptune.commands.check", "tuning.check.check"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(name, raising=False)
    assert exit_status(["check", "dataset"]) == 130
    told = capsys.readouterr()
    assert (report_of(told.out, 130), told.err) == ("", "cliptune check: stopped\n")


# What waits until a dataset has been found: Beam, and what talks to services.
HEAVY = (
    "apache_beam",
    "google.genai",
    "google.cloud.storage",
    "google.cloud.aiplatform",
    "google.api_core",
    "starlette",
)


@pytest.mark.parametrize(
    "words",
    [
        *("report", "check", "watch", "jobs", "cancel", "predict", "evaluate", "suspects", "curve"),
        *("delete --yes", "tune --emulator"),
        "prepare --manifest=nowhere --output=o",
        "prepare --manifest=nowhere --output=o --dry_run",
        "prepare --manifest=m --merge_into=nowhere",
    ],
)
def test_a_dataset_that_is_not_there_is_told_before_anything_slow_is_imported(words, tmp_path):
    code = f"""
import sys
from cliptune.main import main
status = main({words.split() + ["nowhere"][: "nowhere" not in words]!r})
print(status, [name for name in sys.modules if name.startswith({HEAVY!r})], file=sys.stderr)
"""
    done = processes.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    told, loaded = done.stderr.splitlines()
    assert loaded == "1 []"
    assert "nowhere" in told
    assert report_of(done.stdout, 1) == ""


@pytest.mark.parametrize("words", [["-q", "check", "nowhere"], ["check", "nowhere", "-q"], ["check", "nowhere"]])
def test_what_is_wrong_is_told_however_quiet(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_status(words) == 1
    told = capsys.readouterr()
    assert told.err == "cliptune check: nowhere: there is no such file or dataset folder\n"
    assert json.loads(told.out)["error"] == {
        "kind": "user",
        "message": "nowhere: there is no such file or dataset folder",
        "where": "nowhere",
        "exit_status": 1,
    }
