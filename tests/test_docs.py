"""What the docs say is what the code says."""

import re
from pathlib import Path

import pytest

from cliptune.main import COMMANDS, build_parser
from tests.sounds import FORMATS
from transforms.audio import formats
from transforms.reasons import REASONS

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples/ATTRIBUTION.md"])


def test_the_table_of_reasons_is_that_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", (ROOT / "docs/reasons.md").read_text(), re.MULTILINE)
    assert rows == [(reason.name, reason.meaning, reason.remedy) for reason in REASONS.values()]


def test_the_table_of_formats_is_what_is_measured():
    text = (ROOT / "docs/audio.md").read_text()
    assert re.findall(r"^\| ([^|]*) \| (?:libsndfile|ffmpeg) \|", text, re.MULTILINE) == [form.name for form in FORMATS]


def formats_table():
    """The rows of the table of formats, variants left out."""
    first = {form.name: form for form in reversed(formats.FORMATS)}
    return [_formats_row(first[name]) for name in formats.names()]


def _formats_row(form):
    decoder, segments = "libsndfile" if form.sndfile else "ffmpeg", "yes" if form.seekable else "no"
    facts = {
        "declared bytes": form.end and not form.framed,
        "frames": form.framed,
        "last page": form.end_mark,
        "duration": form.exact_duration,
        "sample count": form.exact_samples,
    }
    compared = ", ".join(name for name, holds in facts.items() if holds) or "–"
    return f"| `{form.name}` | {' '.join(form.extensions) or '–'} | {decoder} | {segments} | {compared} |"


def test_every_format_is_in_its_table():
    text = (ROOT / "docs/audio.md").read_text()
    table = text.partition("| format | extensions | decoder | sought | compared with |\n|---|---|---|---|---|\n")[2]
    assert table.partition("\n\n")[0].splitlines() == formats_table()


def flags():
    parser = build_parser()
    (commands,) = (action for action in parser._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    return {flag for name in COMMANDS for flag in commands.choices[name]._option_string_actions}


BEAMS = {"--runner", "--project", "--region", "--temp_location", "--setup_file", "--port"}


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
