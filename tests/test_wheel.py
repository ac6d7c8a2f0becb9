"""The wheel that workers install: an editable install hides a folder that was forgotten, a worker does not."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("beam_pipeline/", "transforms/", "tuning/", "cliptune/")
# A folder in a folder, as none may be yet: those to come are found without being listed.
ROOM = ("transforms/room/__init__.py", "transforms/room/corner/__init__.py", "transforms/room/corner/shelf.py")


def tracked():
    words = ["git", "ls-files", "*.py", "*.typed", "pyproject.toml", "README.md", "LICENSE"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the tracked files and a new room; nothing is downloaded."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in [*tracked(), *ROOM]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"" if name in ROOM else (ROOT / name).read_bytes())
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(built)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = built.iterdir()
    return ZipFile(path)


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel):
    ours = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert ours == {name for name in [*tracked(), *ROOM] if name.startswith(SHIPPED)}


def test_every_file_in_it_is_as_it_is_here(wheel):
    for name in {*wheel.namelist()} & {*tracked()}:
        assert wheel.read(name) == (ROOT / name).read_bytes(), name


def test_the_packages_are_marked_as_typed(wheel):
    assert {f"{package}py.typed" for package in SHIPPED} <= {*wheel.namelist()}


def test_the_command_is_installed(wheel):
    (points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "cliptune = cliptune.__main__:main" in wheel.read(points).decode()
