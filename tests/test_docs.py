"""What the docs say is what the code says."""

import re
from pathlib import Path

import pytest

from cliptune import tables
from cliptune.main import COMMANDS, build_parser
from tests.sounds import FORMATS

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples/ATTRIBUTION.md"])


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.head[0])
def test_every_table_of_rows_of_the_code_is_as_the_code_has_it(table):
    text = (ROOT / table.page).read_text(encoding="utf-8")
    assert len(table.lines()) > 0
    assert text == table.put(text), "make docs"


def test_the_table_of_formats_is_what_is_measured():
    text = (ROOT / "docs/audio.md").read_text()
    assert re.findall(r"^\| ([^|]*) \| (?:libsndfile|ffmpeg) \|", text, re.MULTILINE) == [form.name for form in FORMATS]


def flags():
    parser = build_parser()
    (commands,) = (action for action in parser._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    return {flag for name in COMMANDS for flag in commands.choices[name]._option_string_actions}


BEAMS = {"--runner", "--project", "--region", "--temp_location", "--setup_file", "--port", "--job_endpoint"}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_flag_in_the_docs_exists(path):
    text = path.read_text()
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z_]+", text)) - BEAMS - {"--strict"}
    assert mentioned <= flags()


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_in_the_docs_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_the_readme_counts_its_recordings():
    count = sum(1 for path in (ROOT / "examples/clips").rglob("*") if path.is_file())
    assert f"{count} bundled recordings" in (ROOT / "README.md").read_text()
