"""Each fact of `table.FACTS`: its source, and what the code, the documentation and the emulator say."""

import re
from datetime import date
from pathlib import Path

import pytest

from tests.tuning.facts.bench import Bench
from tests.tuning.facts.table import FACTS
from transforms import limits
from tuning.emulator import server, training
from tuning.emulator.scenario import Scenario
from tuning.providers.vertex import models

DOCS = Path(__file__).parents[3] / "docs/tuning.md"
SOURCES = {**models.SOURCES, **limits.SOURCES}
BROKEN = [name for name, fact in FACTS.items() if fact.broken]
COPIES = (date(2026, 8, 22), date(2026, 9, 25))


@pytest.fixture(scope="module", params=[True, False], ids=["strict", "lenient"])
def played(request):
    return Scenario(strict=request.param)


@pytest.fixture(scope="module")
def url(played):
    with server.running(played=played) as address:
        yield address


@pytest.fixture(autouse=True)
def _in_november(monkeypatch):
    """A day on which 2.5 is closed, and not shut down."""
    monkeypatch.setattr(training, "today", lambda: date(2026, 11, 1))


@pytest.mark.parametrize("name", FACTS)
def test_the_code_says_so(name):
    assert FACTS[name].code()


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_has_its_source_its_mark_and_the_date_of_the_copy(name):
    for field, mark in FACTS[name].sources.items():
        source = SOURCES[field]
        assert (source.mark, source.as_of in COPIES) == (mark, True)
        assert f"| `{field}` | {mark} | {source.where} | {source.as_of} |" in DOCS.read_text(encoding="utf-8")


def test_every_source_is_that_of_a_fact():
    assert {field for fact in FACTS.values() for field in fact.sources} == set(SOURCES)


@pytest.mark.parametrize("name", FACTS)
def test_the_documentation_says_so(name):
    text = DOCS.read_text(encoding="utf-8")
    assert [words for words in FACTS[name].docs if words not in text] == []


def test_no_copy_is_from_november():
    """And none may be said to be."""
    pages = [DOCS, *DOCS.parent.glob("*.md"), DOCS.parents[1] / "README.md"]
    for page in pages:
        assert not re.search(r"(as of|read in|copy of) (November|2026-11)", page.read_text(encoding="utf-8")), page


@pytest.mark.parametrize("name", BROKEN)
def test_the_emulator_says_so(name, url, played, tmp_path, monkeypatch):
    fact = FACTS[name]
    for limit, lowered in fact.lowered.items():
        monkeypatch.setattr(limits, limit, lowered)
    assert fact.broken is not None
    found = fact.broken(Bench(url, tmp_path))
    code, words = fact.told
    if not played.strict:
        assert found.code == (code if fact.lenient is None else fact.lenient), found
        return
    assert (found.code, words in found.text) == (code, True), found
