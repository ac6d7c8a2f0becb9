"""A run leaves nothing in the temporary folder: killed or not, after the next run."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from cliptune.main import main
from tests import forked, processes
from tests.beam_pipeline.conftest import FEW, fill
from tests.beam_pipeline.test_killed import killed_at
from transforms import temporary
from transforms.dataset import plan
from transforms.errors import UserError
from transforms.locks import held

PATHS = {"PYTHONPATH": str(Path(__file__).parents[2])}
PREPARE = ["--manifest", "m.jsonl", "--output", "out"]


@pytest.fixture
def top(tmp_path, monkeypatch):
    """A temporary folder of one's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def made(top, name="cliptune-run-0123456789abcdef"):
    """What a killed run has left."""
    (top / name / "below").mkdir(parents=True)
    (top / name / "below/rows-x").write_text("rows")
    return top / name


def left(top):
    """What lies there, but for the folder of the process that the killed one was forked from."""
    return [path for path in top.iterdir() if not path.name.startswith("pymp-")]


def killed(*words):
    tempfile.tempdir = None  # as a process that begins
    killed_at(*words)


@pytest.mark.parametrize(
    ("moment", "name", "count"),
    [
        ("before", "run.json", 1),
        ("decoding", "", 1),
        ("decoding", "", 4),
        ("before", ".jsonl", 1),
        ("after", ".outcomes.json", 1),
        ("before", ".parquet", 1),
        ("after", "dataset.json", 1),
    ],
)
def test_after_a_killed_run_and_the_next_nothing_is_left(tmp_path, top, capfd, monkeypatch, moment, name, count):
    monkeypatch.setattr(plan, "CLIPS_PER_SHARD", 4)
    folder = fill(tmp_path, FEW)
    assert forked.run(killed, moment, name, count, folder=folder).returncode == -signal.SIGKILL
    assert [path.name for path in left(top) if not temporary._NAME.fullmatch(path.name)] == []
    monkeypatch.chdir(folder)
    assert main(["prepare", *PREPARE]) == 0
    assert left(top) == []


KILLED = """
import os, signal, sys
from pathlib import Path
replace, name, sys.argv = Path.replace, sys.argv[1], ["cliptune", *sys.argv[2:]]
def killed(self, target):
    if str(target).endswith(name):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = killed
from cliptune.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["run.json", "dataset.json"])
def test_of_a_program_of_its_own_everything_lies_in_one_folder(tmp_path, top, name):
    folder = fill(tmp_path, FEW)
    words = [sys.executable, "-c", KILLED, name, "prepare", *PREPARE]
    assert processes.run(words, cwd=folder, env=PATHS | dict(os.environ)).returncode == -signal.SIGKILL
    assert len(list(top.iterdir())) == 1
    again = processes.run(
        [sys.executable, "-m", "cliptune", "prepare", *PREPARE], cwd=folder, env=PATHS | dict(os.environ)
    )
    assert (again.returncode, list(top.iterdir())) == (0, [])


@pytest.mark.parametrize("command", ["check", "jobs", "predict", "watch"])
def test_every_command_cleans_up(top, tmp_path, command):
    made(top)
    ended = processes.run([sys.executable, "-m", "cliptune", command, "nowhere"], env=PATHS | dict(os.environ))
    assert (ended.returncode, ended.stderr.count("\n"), list(top.iterdir())) == (1, 1, [])


def test_temporary_files_of_a_program_lie_in_the_folder_while_it_runs(top):
    with temporary.everything():
        outer = tempfile.gettempdir()
        with temporary.folder() as inner:
            assert os.path.dirname(inner) == outer  # noqa: PTH120
            assert os.stat(inner).st_mode & 0o777 == 0o700  # noqa: PTH116
            assert tempfile.gettempdir() == outer
    assert (tempfile.gettempdir(), list(top.iterdir())) == (str(top), [])


def test_a_living_run_keeps_its_folder(top):
    with temporary.folder() as living:
        with temporary.folder():
            pass
        assert [str(path) for path in top.iterdir()] == [living]


@pytest.mark.parametrize(
    "name",
    [
        "cliptune-notes",
        "cliptune-run",
        "cliptune-run-0123456789abcde",
        "cliptune-run-0123456789abcdefg",
        "cliptune-0123",
    ],
)
def test_folders_with_other_names_stay(top, name):
    made(top, name)
    with temporary.folder():
        pass
    assert (top / name / "below/rows-x").read_text() == "rows"


def test_nothing_of_other_users_and_nothing_behind_a_link_is_touched(top, tmp_path, monkeypatch):
    made(tmp_path, "mine")
    (top / "cliptune-run-0000000000000000").symlink_to(tmp_path / "mine")
    (top / "cliptune-run-1111111111111111").write_text("a file")
    inside = made(top, "cliptune-run-2222222222222222")
    (inside / "link").symlink_to(tmp_path / "mine")
    with temporary.folder():
        pass
    assert (tmp_path / "mine/below/rows-x").read_text() == "rows"
    assert sorted(path.name[-1] for path in top.iterdir()) == ["0", "1"]
    theirs = made(top)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with temporary.folder():
        pass
    assert (theirs / "below/rows-x").read_text() == "rows"


def test_where_no_locks_are_known_nothing_is_swept(top, monkeypatch):
    def no_locks(*words):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    left = made(top)
    with temporary.folder():
        pass
    assert list(top.iterdir()) == [left]


def test_a_folder_that_is_swept_before_it_is_held_is_made_anew(top, monkeypatch):
    seen = []

    def late(descriptor):
        seen.append(descriptor)
        if len(seen) == 1:
            (path,) = top.iterdir()
            path.rmdir()
        return held(descriptor)

    monkeypatch.setattr(temporary, "held", late)
    with temporary.folder() as path:
        assert [str(found) for found in top.iterdir()] == [path]
    assert len(seen) == 2


def test_a_temporary_folder_that_cannot_be_written_is_told(top, monkeypatch):
    def full(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    told = rf"^no folder for temporary files can be made in {top}: No space left on device; name another one in TMPDIR$"
    with pytest.raises(UserError, match=told), temporary.folder():
        pass
