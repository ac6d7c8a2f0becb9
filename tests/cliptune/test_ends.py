"""How a process ends when its streams are closed or full, or something is missing: one line, the right status."""

import errno
import io
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import soundfile

import cliptune.commands.check
from cliptune.console import Console
from tests import processes
from tests.cliptune.test_commands import run
from tests.envelopes import report_of
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


@pytest.mark.sweep
@pytest.mark.parametrize("command", ["check", "tune", "watch", "predict", "jobs"])
def test_of_no_command_is_a_report_that_nobody_can_get_more_than_a_line(run, out, command):
    assert run("tune", out, "--emulator")[0] == 0
    emulated = [] if command == "check" else ["--emulator"]
    done = shell([sys.executable, "-m", "cliptune", command, out, *emulated], ">&-")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"cliptune {command}: cannot write to stdout: it is closed"
    assert "Traceback" not in done.stderr


def test_the_json_is_the_last_line_where_both_streams_lead(manifest):
    """Airflow's BashOperator merges them, and takes the last line. The fixture of conftest.py asks all commands."""
    with manifest.open("a") as rows:
        rows.write('{"audio": "gone.wav", "text": "hello"}\n')
    command = [sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", manifest.parent / "out"]
    told = shell(command, "2>&1")
    assert (told.returncode, told.stderr) == (3, "")
    assert json.loads(told.stdout.splitlines()[-1])["rejected"] == 1
    assert "were rejected" in told.stdout.splitlines()[-2]


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
    words += ["--project=p", "--staging_location=gs://bucket/s", "--dry_run"] if command == "tune" else []
    code = f"import sys; sys.modules[{module!r}] = None; from cliptune.main import main; sys.exit(main(sys.argv[1:]))"
    done = processes.run([sys.executable, "-c", code, command, *words], cwd=ROOT)
    assert (done.returncode, report_of(done.stdout, 1)) == (1, ""), done.stderr
    assert done.stderr.startswith(f"cliptune {command}: {module}")
    assert done.stderr.endswith("is not installed; run: pip install 'cliptune[tuning]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "out/run.json"), "out/run.json: no permission; it cannot"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError(errno.ENFILE, "Too many open files", "a"), "too many files are open"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no more memory"),
        (MemoryError(), "no more memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (RuntimeError("can't start new thread [while running 'FinishDataset']"), "no more threads"),
        (OSError(errno.EROFS, "Read-only file system", "out/a"), "out/a: Read-only file system"),
    ],
    ids=repr,
)
def test_what_the_system_refuses_is_one_line(run, monkeypatch, manifest, fault, told):
    def refused(*_):
        raise fault

    monkeypatch.setattr(cliptune.commands.check, "run", refused)
    status, stdout, stderr = run("check", manifest)
    assert (status, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.startswith("cliptune check: ")
    assert told in stderr


@pytest.mark.parametrize("fault", [RuntimeError("ours"), OSError(errno.EINVAL, "Invalid argument", "a"), KeyError("a")])
def test_what_is_our_own_fault_stays_a_traceback(run, monkeypatch, manifest, fault):
    def broken(*_):
        raise fault

    monkeypatch.setattr(cliptune.commands.check, "run", broken)
    with pytest.raises(type(fault)):
        run("check", manifest)


@pytest.mark.parametrize("module", ["cliptune", "beam_pipeline"])
def test_a_current_folder_that_was_deleted_is_one_line(manifest, tmp_path, module):
    (tmp_path / "gone").mkdir()
    words = ["prepare"] if module == "cliptune" else []
    command = shlex.join([sys.executable, "-m", module, *words, "--manifest", str(manifest), "--output", "out"])
    done = processes.run(
        ["bash", "-c", f"cd gone; rmdir ../gone; {command}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, report_of(done.stdout, 1)) == (1, "")
    assert done.stderr == "cliptune prepare: the current folder is not there any more; change to one that is\n"


@pytest.mark.parametrize("module", ["cliptune.main", "cliptune.commands.prepare"])
def test_ctrl_c_while_all_is_imported_ends_without_a_word(module, tmp_path):
    code = f"""if True:
        import os, runpy, signal, sys
        sys.argv = ["cliptune", "prepare", "--manifest=none", "--output=out"]
        class Pressed:
            def find_spec(self, name, *_):
                if name == "{module}":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Pressed())
        runpy.run_module("cliptune", run_name="__main__")
    """
    done = processes.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_that_an_import_swallows_ends_the_command_all_the_same(tmp_path):
    """Python's import machinery cleans up in callbacks through which no exception gets."""
    code = """if True:
        import os, runpy, signal, sys, time, weakref
        import cliptune.commands.check as check
        class Gone: pass
        def pressed(_): os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)
        def run(request, console):
            gone = Gone(); watched = weakref.ref(gone, pressed); del gone
            time.sleep(60)
        check.run, check.INTERRUPT_SECONDS = run, 0.5
        sys.argv = ["cliptune", "check", "out"]
        runpy.run_module("cliptune", run_name="__main__")
    """
    done = processes.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, report_of(done.stdout, 130), done.stderr) == (130, "", "cliptune check: stopped\n")


IMPATIENT = """
import os, signal
from cliptune import interrupts
from cliptune.console import Console

class Often(Console):
    def say(self, line):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        super().say(line)

with interrupts.ends_within(60, Often(), "stopped", 7):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        WHAT
"""


@pytest.mark.parametrize(("then", "status"), [("pass", 0), ("os.kill(os.getpid(), signal.SIGINT)", 7)])
def test_ctrl_c_again_and_again_loses_none_of_the_words(then, status):
    done = processes.run([sys.executable, "-c", IMPATIENT.replace("WHAT", then)])
    assert (done.returncode, done.stderr) == (status, "stopped\n")


@pytest.mark.parametrize("module", ["cliptune", "beam_pipeline"])
def test_ctrl_c_when_all_is_done_ends_without_a_word(module, tmp_path):
    code = f"""if True:
        import atexit, os, runpy, signal, sys
        atexit.register(os.kill, os.getpid(), signal.SIGINT)
        sys.argv = ["{module}", *["prepare"][:{module == "cliptune"}], "--manifest=none.jsonl", "--output=out"]
        runpy.run_module("{module}", run_name="__main__")
    """
    done = processes.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, report_of(done.stdout, 1)) == (-signal.SIGINT, "")
    assert done.stderr == "cliptune prepare: none.jsonl: there is no such manifest, file or folder\n"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv to do without the rights of the administrator")
@pytest.mark.parametrize(
    ("locked", "mode", "flags"),
    [
        ("out", 0o000, []),  # nothing can be listed
        ("out", 0o555, ["--overwrite", "--audio_format=wav"]),  # nothing can be deleted
        ("out/train", 0o555, ["--overwrite", "--audio_format=wav"]),
        ("out/run.json", 0o000, []),
        ("out/train/train-00000-of-00001.outcomes.json", 0o000, []),  # a worker finds it
    ],
)
def test_without_the_right_to_read_or_delete_it_is_one_line(manifest, locked, mode, flags):
    command = [sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", manifest.parent / "out"]
    assert shell(command, "").returncode == 0
    if not flags and locked != "out":
        (manifest.parent / "out/dataset.json").unlink()
    (manifest.parent / locked).chmod(mode)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    done = shell([*powerless, *command, *flags], "")
    (manifest.parent / locked).chmod(0o755)
    if done.returncode == 0:  # what cannot be read is damaged, and was mended
        assert locked.endswith(".json") and (manifest.parent / "out/dataset.json").exists()
        return
    assert (done.returncode, report_of(done.stdout, 1)) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("cliptune prepare: ")
    assert str(manifest.parent / "out") in done.stderr
    assert "permission" in done.stderr.lower()


@pytest.mark.parametrize("columns", ["0", "1", "²", "-5", "999999999999", "wide", ""])
def test_a_terminal_of_any_width_gets_the_message(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    screen = io.StringIO()
    console = Console(screen)
    console.say("cliptune check: why")
    with console.progress("preparing", 3, "clips") as update:
        update(1, "")
    assert screen.getvalue() == "cliptune check: why\n"


def test_below_a_parent_that_ignores_how_its_children_end_nothing_is_said(manifest):
    command = [sys.executable, "-m", "cliptune", "prepare", "--manifest", manifest, "--output", manifest.parent / "out"]
    ignoring = f"trap '' CHLD; exec {shlex.join(map(str, command))}"
    done = processes.run(["bash", "-c", ignoring], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
