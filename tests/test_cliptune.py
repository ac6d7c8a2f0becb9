"""The front door: quick, and helpful about mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

from cliptune import COMMANDS, VERSION, main

ROOT = Path(__file__).parents[1]
SLOW = (
    "apache_beam",
    "google.genai",
    "google.cloud.storage",
    "google.cloud.aiplatform",
    "pyarrow",
    "numpy",
    "pydantic",
    "starlette",
)


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_teaches_and_imports_nothing_slow(words):
    code = f"""
import sys, cliptune
try:
    cliptune.main({words!r})
except SystemExit as end:
    assert not end.code
print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "cliptune" in done.stdout
    assert len(done.stdout.splitlines()) > 8


def test_every_command_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"cliptune {name} " in told for name in COMMANDS)


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"cliptune {VERSION}\n"
    assert f'version="{VERSION}"' in (ROOT / "setup.py").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "COMMAND"),
        (["prepair"], "invalid choice: 'prepair'"),
        (["check", "x", "--epochz", "3"], "--epochz"),
        (["prepare"], "--manifest"),
        (["prepare", "--manifest", "m", "--output", "o", "--manifets", "x"], "did you mean --manifest?"),
        (["prepare", "--manifest", "m", "--output", "o", "--runer=DirectRunner"], "did you mean --runner?"),
        (["prepare", "--manifest", "m", "--output", "o", "stray"], "unknown flag stray"),
    ],
)
def test_a_wrong_command_line_is_exit_status_2(words, told, capsys):
    try:
        status = main(words)
    except SystemExit as end:
        status = int(end.code or 0)
    assert status == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_the_pipeline_as_a_module_is_prepare():
    words = [sys.executable, "-m", "beam_pipeline", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: cliptune prepare" in done.stdout
