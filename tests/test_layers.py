"""Imports run one way: beam_pipeline → transforms ← tuning, and inside transforms only to the left."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("transforms", "beam_pipeline", "tuning")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).glob("*.py"))
FORBIDDEN = {
    "transforms": {"apache_beam", "beam_pipeline", "tuning", "google.genai", "google.cloud.aiplatform"},
    "tuning": {"apache_beam", "beam_pipeline"},
    "beam_pipeline": {"tuning", "google.genai", "google.cloud.aiplatform"},
}
# Each file of transforms imports only from those before it.
ORDER = [
    *(
        "clip",
        "settings",
        "bitstream",
        "lengths",
        "sniff",
        "waveform",
        "sndfile",
        "ffmpeg",
        "decode",
        "conform",
        "encode",
    ),
    *(
        "example",
        "storage",
        "gcs",
        "assign",
        "plan",
        "manifest_formats",
        "manifest",
        "shard",
        "ledger",
        "report",
        "output",
    ),
]
# storage loads its gs:// half when the first such URI is used, and that half is written in storage's terms.
LAZY = {("storage", "gcs")}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ancestors(name):
    parts = name.split(".")
    return {".".join(parts[: count + 1]) for count in range(len(parts))}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    found = {ancestor for name in imported(path) for ancestor in ancestors(name)}
    assert not found & FORBIDDEN[path.relative_to(ROOT).parts[0]]


def test_every_file_of_transforms_has_its_place():
    files = {path.stem for path in (ROOT / "transforms").glob("*.py")} - {"__init__"}
    assert files == set(ORDER), "write a new file of transforms into ORDER, behind all that it imports"


@pytest.mark.parametrize("name", ORDER)
def test_inside_transforms_imports_point_to_the_left(name):
    found = {part.split(".")[1] for part in imported(ROOT / f"transforms/{name}.py") if part.startswith("transforms.")}
    right = set(ORDER[ORDER.index(name) :])
    assert {(name, other) for other in found & right} <= LAZY


def test_only_the_front_door_knows_both_sides():
    found = {ancestor for name in imported(ROOT / "cliptune.py") for ancestor in ancestors(name)}
    assert {"beam_pipeline", "tuning"} <= found
