"""setup.py names all that the packages import, and its bounds are those that `make test-clients` tries."""

import ast
import importlib.metadata
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests import clients

ROOT = Path(__file__).parents[1]
PACKAGES = ("beam_pipeline", "transforms", "tuning", "cliptune")
# The type checker has these; no run imports them.
TYPES = {"_typeshed"}
# cliptune.airflow is imported where Airflow is, in an environment of its own.
AIRFLOW = {"airflow"}


def named(*lists):
    return {canonicalize_name(requirement.name) for requirement in clients.requirements(*lists)}


def modules(source):
    """The full names of the modules that a text imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def foreign(package):
    found = {name for path in (ROOT / package).rglob("*.py") for name in modules(path.read_text(encoding="utf-8"))}
    known = {*sys.stdlib_module_names, *PACKAGES, *TYPES, *AIRFLOW}
    return sorted(name for name in found if name.partition(".")[0] not in known)


@pytest.fixture(scope="module")
def records():
    """The list of files of each installed distribution."""
    return {
        canonicalize_name(found.name): found.read_text("RECORD") or "" for found in importlib.metadata.distributions()
    }


def distribution(module, records):
    """The distribution that has the file of a module. Many share the folders google and google/cloud."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        path = "/".join(parts[:end])
        for name, record in records.items():
            if f"\n{path}/__init__.py," in f"\n{record}" or f"\n{path}.py," in f"\n{record}":
                return name
    raise AssertionError(f"nothing that is installed has {module}")


@pytest.mark.parametrize(
    ("package", "lists"),
    [
        ("transforms", ["WORKER"]),
        ("beam_pipeline", ["WORKER"]),
        ("cliptune", ["WORKER"]),
        ("tuning", ["WORKER", "TUNING"]),
    ],
)
def test_every_package_that_is_imported_is_named(package, lists, records):
    """What another package happens to bring is gone when that one changes its mind."""
    imported = {distribution(module, records) for module in foreign(package)}
    assert imported, "else the rule would hold of nothing"
    assert not imported - named(*lists), "name them in setup.py, with a true lower bound"


def test_every_requirement_has_a_lower_bound_that_can_be_tried():
    tried = [clients.oldest(found) for found in clients.requirements("WORKER", "TUNING")]
    assert "google-genai==2.8" in tried
    assert "apache-beam[gcp]==2.76" in tried
    assert len(tried) == len({*tried})


def test_the_tests_that_make_test_clients_runs_are_there():
    assert [name for name in clients.TESTS if not (ROOT / name).exists()] == []


def test_without_an_index_the_environments_are_refused_in_one_line(monkeypatch, tmp_path, capfd):
    """Never skipped: a matrix that has tried nothing has not passed."""
    monkeypatch.setattr(clients, "FOLDER", tmp_path)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert clients.main(["oldest"]) == 1
    assert capfd.readouterr().err.splitlines()[-1] == "oldest: not installed; make test-clients needs a package index"
