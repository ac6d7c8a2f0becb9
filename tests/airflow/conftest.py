"""A real Airflow in an environment of its own, the example's DAG edited as a user would, and stand-ins for Google."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.airflow import environments, killer
from tests.dataflow.conftest import fake, key

__all__ = ["fake", "key"]  # fixtures
EXAMPLE = environments.ROOT / "examples/airflow/cliptune_dag.py"
INSIDE = environments.INSIDE


def pytest_ignore_collect(collection_path, config):
    """Airflow takes minutes to install: `make test-airflow` asks for these tests. Those inside run elsewhere."""
    if collection_path.name == INSIDE.name:
        return True
    return True if collection_path.name.startswith("test_") and not config.getoption("--airflow") else None


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """Airflow's home with an empty database."""
    home = tmp_path_factory.mktemp("airflow")
    environments.migrate(home)
    return home


@dataclass(frozen=True)
class Ran:
    """What became of a run of the DAG.

    Attributes:
      state: of the run.
      tasks: state, tries and XComs of each task.
      log: of everything.
    """

    state: str
    tasks: dict
    log: str

    @property
    def states(self):
        return {name: task["state"] for name, task in self.tasks.items()}

    @property
    def tries(self):
        return {name: task["tries"] for name, task in self.tasks.items()}

    def result(self, task):
        return self.tasks[task]["xcoms"].get("return_value")


class Airflow:
    """An Airflow with a folder of DAGs.

    Args:
      home: with a migrated database.
      folder: for DAGs and programs.
    """

    def __init__(self, home, folder):
        self.home, self.dags, self.folder = home, home / "dags", folder
        self.dags.mkdir()

    def variables(self, **others):
        return environments.environment(self.home, self.dags, **others)

    def program(self, kills="", parent=False):
        """Cliptune's program, in its own environment; with `kills`, the first of its jobs kills it."""
        path = self.folder / f"cliptune{kills}"
        words = "-m cliptune" if not kills else f"{killer.__file__} {self.folder} {int(parent)}"
        path.write_text(f'#!/bin/sh\nPYTHONPATH={environments.ROOT} exec {sys.executable} {words} "$@"\n')
        path.chmod(stat.S_IRWXU)
        return str(path)

    def copy(self, dag_id="cliptune", **constants):
        """Copies the example's DAG, and edits its first part."""
        text = EXAMPLE.read_text(encoding="utf-8").replace('dag_id="cliptune"', f'dag_id="{dag_id}"')
        (self.dags / f"{dag_id}.py").write_text(text, encoding="utf-8")
        words = {"POLL_SECONDS": 0.1, "RETRY_SECONDS": 0.1, **constants}
        self.edit(self.dags / f"{dag_id}.py", {name: repr(value) for name, value in words.items()})

    def edit(self, path, constants):
        """Gives some constants of a DAG other values, which are spelled as Python has them."""
        text = path.read_text(encoding="utf-8")
        for name, value in constants.items():
            (line,) = re.findall(rf"(?m)^({name}(?:: .+)? = .*\n)", text)
            text = text.replace(line, f"{name} = {value}\n")
        path.write_text(text, encoding="utf-8")

    def type(self, command):
        """Types a command in the checkout, with Airflow's environment first in PATH."""
        path = f"{environments.PYTHON.parent}:{os.environ['PATH']}"
        words, where = ["bash", "-c", command], environments.ROOT
        done = subprocess.run(
            words, env=self.variables(PATH=path), cwd=where, check=False, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, (command, done.stderr[-5_000:])

    def test(self, dag_id="cliptune"):
        """Runs the DAG with `dag.test()`."""
        file = self.folder / "ran.json"
        words = [str(environments.PYTHON), str(INSIDE / "run.py"), dag_id, str(file)]
        done = subprocess.run(
            words, env=self.variables(), cwd=self.folder, check=False, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr[-5_000:]
        return Ran(**json.loads(file.read_text(encoding="utf-8")), log=done.stdout + done.stderr)


@pytest.fixture
def airflow(migrated, tmp_path):
    home = shutil.copytree(migrated, tmp_path / "home", dirs_exist_ok=True)
    config = home / "airflow.cfg"
    config.write_text(config.read_text().replace(str(migrated), str(home)))
    return Airflow(home, tmp_path)
