"""How a process ends when its streams are closed or full, or something is missing: one line, the right status."""

import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import pytest
import soundfile

from tests import processes
from tests.cliptune.test_commands import run
from tests.sounds import tone
from tests.tuning.conftest import prepare
from transforms.storage import Storage
from tuning import dataset

__all__ = ["run"]  # a fixture
ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(300, 16_000, 0.5), 16_000, "PCM_16")
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "hello"}\n')
    return tmp_path / "m.jsonl"


def shell(words, redirection, **environment):
    """A command below bash, whose pipes tell the command's own status."""
    line = f"{shlex.join(map(str, words))} {redirection}; exit ${{PIPESTATUS[0]}}"
    return processes.run(["bash", "-c", line], env={**os.environ, "PYTHONPATH": str(ROOT), **environment})


@pytest.mark.parametrize(
    ("redirection", "told"),
    [
        (">&-", "cannot write to stdout: it is closed"),
        (">/dev/full", "cannot write to stdout: No space left on device"),
        ("| head -c0", "cannot write to stdout: Broken pipe"),
        ("<&- >&-", "cannot write to stdout: it is closed"),
    ],
)
def test_a_report_that_nobody_can_get_is_one_line_after_a_complete_dataset(manifest, redirection, told):
    out = manifest.parent / "out"
    command = [sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", out]
    done = shell(command, redirection)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"cliptune prepare: {told}"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert dataset.load(str(out), Storage()).description.accepted == 1


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(head -c0)"])
def test_without_a_place_for_messages_the_work_is_done(manifest, redirection):
    out = manifest.parent / "out"
    done = shell([sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", out], redirection)
    assert done.returncode == 0
    assert json.loads(done.stdout)["accepted"] == 1


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| head -c0"])
def test_help_that_nobody_reads_is_no_traceback(redirection):
    done = shell([sys.executable, "-m", "cliptune", "--help"], redirection)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminal_without_utf_8_gets_the_same(manifest):
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", manifest.parent / "out"]
    done = shell([*command, "--prompt", "Transcribe."], "", **ascii_only)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 1
    refused = shell([sys.executable, "-m", "cliptune", "check", "ö"], "", **ascii_only)
    assert refused.returncode == 2
    assert "needs it; set PYTHONUTF8=1" in refused.stderr


@pytest.mark.parametrize("module", ["cliptune", "beam_pipeline"])
def test_the_folder_in_which_it_is_run_is_not_imported_from(manifest, tmp_path, module):
    folder = tmp_path / "mine"
    (folder / "tuning").mkdir(parents=True)
    (folder / "tuning/__init__.py").write_text("raise SystemExit('mine')")
    for name in ("transforms", "random", "argparse", "tempfile", "json", "rich", "numpy", "multiprocessing"):
        (folder / f"{name}.py").write_text("raise SystemExit('mine')")
    words = ["prepare"] if module == "cliptune" else []
    out = tmp_path / "out"
    command = [sys.executable, "-m", module, *words, "--manifest", str(manifest), "--output", str(out)]
    done = processes.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 1


def test_without_a_temporary_folder_nothing_begins(run, monkeypatch, manifest):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    status, stdout, stderr = run("prepare", "--manifest", manifest, "--output", manifest.parent / "out")
    assert (status, stdout) == (1, "")
    assert stderr == "cliptune prepare: no folder for temporary files can be written; name one in TMPDIR\n"


@pytest.mark.parametrize(
    ("module", "command"),
    [("google.genai", "tune"), ("google.cloud.aiplatform_v1beta1", "check"), ("uvicorn", "emulator")],
)
def test_a_missing_extra_is_told_with_what_to_install(tmp_path, module, command):
    """In a process of its own, in which the module cannot be imported."""
    words = [] if command == "emulator" else [str(prepare(tmp_path / "dataset", 12, 4))]
    words += ["--project=p", "--staging_location=gs://b/s", "--dry_run"] if command == "tune" else []
    code = f"import sys; sys.modules[{module!r}] = None; from cliptune.main import main; sys.exit(main(sys.argv[1:]))"
    done = processes.run([sys.executable, "-c", code, command, *words], cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith(f"cliptune {command}: {module}")
    assert done.stderr.endswith("is not installed; run: pip install 'cliptune[tuning]'\n")
    assert done.stderr.count("\n") == 1
