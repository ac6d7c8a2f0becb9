"""Imports run one way: cliptune → beam_pipeline → transforms ← tuning ← cliptune, inside transforms only to the left.

Nobody imports what lies before it, and the two halves do not know each other: they meet in files.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for package in ("transforms", "beam_pipeline", "tuning", "benchmarks", "examples")
    for path in (ROOT / package).rglob("*.py")
)
VERTEX = {"google.genai", "google.cloud.aiplatform", "vertexai"}
NOT_SHIPPED = {"benchmarks", "examples", "tests"}
FORBIDDEN = {
    "transforms": {"argparse", "apache_beam", "beam_pipeline", "tuning", "cliptune", *VERTEX, *NOT_SHIPPED},
    "tuning": {"apache_beam", "beam_pipeline", "cliptune", *NOT_SHIPPED},
    "beam_pipeline": {"tuning", "cliptune", *VERTEX, *NOT_SHIPPED},
    "benchmarks": {"apache_beam", *VERTEX},
    "examples": {"apache_beam", "tests", *VERTEX},
    "cliptune.py": {"apache_beam", *VERTEX, *NOT_SHIPPED},
}
# `python -m beam_pipeline` is `cliptune prepare`: the one file of a package that opens the door.
DOORS = {"beam_pipeline/__main__.py": "cliptune"}
# Each file of transforms imports only from those before it.
ROOMS = {
    "": ("limits", "reasons", "errors", "records", "ordered", "text", "clip", "settings", "tasks"),
    "storage": ("uris", "base", "local", "gcs_client", "gcs", ""),
    "audio": ("", "frames", "lengths", "waveform", "sniff", "sndfile", "ffmpeg", "decode", "conform", "encode"),
    "manifests": ("", "row", "lines", "jsonl", "delimited", "parquet", "pairs", "kaldi", "formats", "read", "allowed"),
    "dataset": (
        *("", "assign", "plan", "example", "output", "description", "ledger"),
        *("read_ahead", "sidecar", "prepare_clip", "shard", "duplicates"),
    ),
    "report": ("", "counts", "report", "page", "finish"),
}
ORDER = [".".join(filter(None, (room, name))) for room, names in ROOMS.items() for name in names] + ["interrupts"]
# Audio knows neither how a file lives nor what a manifest is.
UNKNOWN = {"audio": ("storage", "manifests")}


def imported(tree):
    """The full names that a module imports, at its top or anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import has no package in its name, so no rule here could see it.
            assert not node.level, "write absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(name, package):
    """Whether importing `name` imports `package`, or a version of it: google.cloud.aiplatform_v1 is one."""
    return re.match(rf"{re.escape(package)}(_v\d\w*)?(\.|$)", name)


def offences(source, package, door=None):
    rules = FORBIDDEN[package] - {door}
    return {name for name in imported(ast.parse(source)) for rule in rules if reaches(name, rule)}


@pytest.mark.parametrize("path", [*SOURCES, ROOT / "cliptune.py"], ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    name = path.relative_to(ROOT)
    assert not offences(path.read_text(encoding="utf-8"), name.parts[0], DOORS.get(name.as_posix()))


@pytest.mark.parametrize("name", DOORS)
def test_a_door_opens_what_it_says_and_holds_nothing_else(name):
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    assert [found for found in imported(tree) if reaches(found, DOORS[name])]
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def test_every_package_has_its_rules():
    packages = {path.parent.relative_to(ROOT).parts[0] for path in SOURCES}
    assert packages | {"cliptune.py"} == FORBIDDEN.keys()
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"} <= packages


@pytest.mark.parametrize(
    ("source", "package", "found"),
    [
        ("import apache_beam as beam", "tuning", {"apache_beam"}),
        ("from google import genai", "beam_pipeline", {"google.genai"}),
        ("from google.cloud import aiplatform", "beam_pipeline", {"google.cloud.aiplatform"}),
        (
            "from google.cloud.aiplatform_v1beta1.types import X",
            "transforms",
            {"google.cloud.aiplatform_v1beta1.types.X"},
        ),
        ("def f():\n    from beam_pipeline import launch", "tuning", {"beam_pipeline.launch"}),  # late is no excuse
        ("from tuning import join", "beam_pipeline", {"tuning.join"}),
        ("import cliptune", "beam_pipeline", {"cliptune"}),
        ("from cliptune import main", "tuning", {"cliptune.main"}),
        ("from tests.sounds import tone", "transforms", {"tests.sounds.tone"}),
        ("from google.cloud import storage\nimport tuning_fork", "transforms", set()),
    ],
)
def test_the_rules_see_every_spelling(source, package, found):
    assert offences(source, package) == found


def package_of(path):
    return path.relative_to(ROOT).parts[0]


def test_both_sides_use_what_is_theirs_alone():
    """Else the rules above would hold of nothing."""
    names: dict[str, set[str]] = {package_of(path): set() for path in SOURCES}
    for path in SOURCES:
        names[package_of(path)] |= set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    assert any(reaches(name, "apache_beam") for name in names["beam_pipeline"])
    assert all(any(reaches(name, package) for name in names["tuning"]) for package in VERTEX - {"vertexai"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_depends_on_the_salt_of_a_process(path):
    """`hash` of a text is another number in every process; `assign.hash64` is not."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "hash"]


def module_of(path):
    """The name of a file of transforms: "storage" for storage/__init__.py, "storage.gcs" for storage/gcs.py."""
    parts = path.relative_to(ROOT / "transforms").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in (ROOT / "transforms").rglob("*.py")}


def test_every_file_of_transforms_has_its_place():
    unplaced = sorted(FILES.keys() - {"", *ORDER})
    gone = sorted(set(ORDER) - FILES.keys())
    assert not unplaced, f"write {unplaced} into ORDER, behind all that they import"
    assert not gone, f"take {gone} out of ORDER"
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("name", FILES)
def test_inside_transforms_imports_point_to_the_left(name):
    left = ORDER[: ORDER.index(name)] if name in ORDER else []
    wrong = {module for module in _ours(ast.parse(FILES[name].read_text(encoding="utf-8"))) if module not in left}
    assert not wrong, f"{name} imports {sorted(wrong)}, which ORDER places behind it"


def _ours(tree):
    """The files of transforms that a module imports: "from transforms.storage import uris" is storage.uris."""
    for name in imported(tree):
        if reaches(name, "transforms"):
            parts = name.split(".")[1:]
            found = [".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in FILES]
            yield found[0] if found else ""
