"""Every promise of `docs/trust.md` names tests, and each of them is one that pytest finds."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/trust.md"
SECTIONS = re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
PROMISES = {
    "Same input, same bytes",
    "Killed anywhere, run again",
    "Every row is accounted for",
    "Memory does not grow with the dataset",
    "What check passes, Google accepts",
    "One job for one request",
    "Nothing stale is reused",
    "No file of another's is touched",
    "Nothing else is read",
    "No input takes all memory or time",
    "Damaged state is one line",
    "A job elsewhere is one job, and a refused one has changed nothing",
    "A stranger's text stays text",
    "A process ends with one line and the right status",
    "The emulator answers this machine only",
    "No secret is told",
}


def named(section):
    """The files and names of the tests of a section."""
    return re.findall(r"^- \[[\w.]+\]\(\.\./(tests/[\w/.]+)\): `(\w+)`$", section, re.MULTILINE)


def found(path):
    """The tests that pytest finds in a file."""
    tree = ast.parse((PAGE.parents[1] / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_promise_is_there():
    assert {head for head, _ in SECTIONS} == PROMISES
    assert len(SECTIONS) == len(PROMISES)


@pytest.mark.parametrize(("head", "section"), SECTIONS, ids=[head for head, _ in SECTIONS])
def test_every_promise_has_a_figure_and_tests_that_pytest_finds(head, section):
    tests = named(section)
    assert len(re.findall(r"^Tried: .+\.$", section, re.MULTILINE)) == 1
    assert len(tests) == len(re.findall(r"^- ", section, re.MULTILINE)) >= 2
    for path, name in tests:
        assert re.fullmatch(r"test_\w+\.py", Path(path).name)
        assert name in found(path), f"{path}::{name}"
