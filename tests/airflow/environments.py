"""Airflow's environment, below `.airflow`: what requirements.lock beside this file names, and Cliptune without its own.

python -m tests.airflow.environments        makes it, and runs the tests of the operators in it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from beam_pipeline import packages

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".airflow"
PYTHON = FOLDER / "venv/bin/python"
LOCK, INSIDE = Path(__file__).with_name("requirements.lock"), Path(__file__).with_name("inside")
# An index that sends half a package must not hold up everything.
LIMIT_SECONDS = 900


def make() -> None:
    """Installs what is missing, and Cliptune as it is now.

    Raises:
      subprocess.SubprocessError: a package is not to be had, or not in time.
    """
    ready, wanted = FOLDER / "installed.txt", f"{sys.version}\n{LOCK.read_text(encoding='utf-8')}"
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
        venv.create(FOLDER / "venv", with_pip=True)
        _pip("--requirement", LOCK)
        ready.write_text(wanted, encoding="utf-8")
    _pip("--no-deps", "--force-reinstall", packages.wheel(FOLDER))


def environment(home: Path, dags: Path, **others: str) -> dict[str, str]:
    """The variables of Airflow's processes.

    Args:
      home: where Airflow keeps its database and its logs.
      dags: the folder of the DAGs.
      others: further variables.
    """
    kept = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "CLIPTUNE_EXAMPLES": str(ROOT / "examples"),
        **others,
    }


def migrate(home: Path) -> None:
    """Makes the database, in SQLite."""
    words = [str(PYTHON), "-m", "airflow", "db", "migrate"]
    subprocess.run(words, env=environment(home, home / "dags"), check=True, timeout=LIMIT_SECONDS, capture_output=True)


def test() -> int:
    """The exit status of the tests that run in Airflow's own environment."""
    home = FOLDER / "home"
    shutil.rmtree(home, ignore_errors=True)
    migrate(home)
    where = ["-c", str(INSIDE / "pytest.ini"), "--rootdir", str(INSIDE), str(INSIDE)]
    words = [str(PYTHON), "-m", "pytest", "--noconftest", "-q", *where]
    return subprocess.run(words, env=environment(home, home / "dags"), cwd=home, check=False).returncode


def _pip(*words: str | Path) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *map(str, words)]
    subprocess.run(command, check=True, timeout=LIMIT_SECONDS)


if __name__ == "__main__":
    print(f"Airflow's environment, in {FOLDER.name}: a minute or two, once …", file=sys.stderr, flush=True)
    make()
    sys.exit(test())
