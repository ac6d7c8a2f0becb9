"""What people see of a piece of work: a bar on a terminal, else a line every 30 seconds."""

import io
import re

import pytest

from cliptune import envelope
from cliptune.console import Console, Verbosity


@pytest.fixture
def times(monkeypatch):
    """Lets the console read these times, one after the other."""

    def set_to(*seconds):
        clock = iter(seconds)
        monkeypatch.setattr("cliptune.console.time.monotonic", lambda: next(clock))

    return set_to


def lines(total, unit, updates):
    screen = io.StringIO()
    with Console(screen, width=200).progress("preparing", total, unit) as update:
        for done, note in updates:
            update(done, note)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("total", "unit", "told"),
    [
        (1_000, "clips", ["preparing: 2 of 1000 clips, 9/s", "preparing: 4 of 1000 clips"]),
        (1_000, "", ["preparing: 0 %, 9/s", "preparing: 0 %"]),
        (4, "", ["preparing: 50 %, 9/s", "preparing: 100 %"]),
        (0, "", ["preparing: 200 %, 9/s", "preparing: 400 %"]),  # an empty file is no division by zero
        (None, "rows", ["preparing: 2 rows, 9/s", "preparing: 4 rows"]),
    ],
)
def test_without_a_terminal_there_is_a_line_every_30_seconds(times, total, unit, told):
    times(100, 129.9, 130, 130, 159.9, 160, 160)
    assert lines(total, unit, [(1, "8/s"), (2, "9/s"), (3, ""), (4, "")]) == told


def test_a_short_piece_of_work_is_quiet():
    assert lines(5, "clips", [(1, ""), (5, "")]) == []


@pytest.mark.parametrize(
    ("total", "unit", "shown"),
    [(5, "clips", ["preparing", "2/5", "clips", "1 rejected"]), (5, "", ["40%"]), (None, "rows", ["2 rows"])],
)
def test_on_a_terminal_there_is_a_bar(total, unit, shown):
    screen = io.StringIO()
    people = Console(screen, 200, terminal=True)
    assert people.live
    with people.progress("preparing", total, unit) as update:
        update(2, "1 rejected")
    assert all(word in screen.getvalue() for word in shown)


def test_what_looks_like_markup_is_printed_as_it_stands():
    screen = io.StringIO()
    Console(screen, width=20).say("a long line with [bold]words[/bold] in [1] brackets")
    assert screen.getvalue() == "a long line with [bold]words[/bold] in [1] brackets\n"


def test_a_report_is_one_line_of_json(capsys):
    class Report:
        def as_dict(self):
            return {"a": [1, None], "b": "é\n"}

    people = Console()
    people.give(Report())
    envelope.send(people.report, None)
    assert capsys.readouterr() == ('{"a":[1,null],"b":"é\\n","ok":true}\n', "")


@pytest.mark.parametrize("width", [46, 60, 80, 200])
@pytest.mark.parametrize("note", ["", "1,234 rejected, 5 h of audio, 123 clips/s"])
def test_on_a_narrow_terminal_the_bar_is_whole(width, note):
    screen = io.StringIO()
    with Console(screen, width, terminal=True).progress("preparing", 200_000, "clips") as update:
        update(123_456, note)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue().replace("\r", "\n"))
    *_, shown = (line for line in plain.split("\n") if "clips" in line)
    assert len(shown) <= width
    assert "…" not in shown
    words = ["preparing", "━" * 4, "123456/200000", "clips", "-:--:--"]
    assert [word for word in words if word not in shown.replace("╸", "━").replace("╺", "━")] == []
    assert (note in shown) == (width >= 200 or not note)


@pytest.mark.parametrize("total", [None, 3])
def test_a_quiet_console_says_only_what_is_wrong(total):
    screen = io.StringIO()
    people = Console(screen, 80, terminal=True)
    people.verbosity = Verbosity.QUIET
    people.say("all is well")
    with people.progress("preparing", total, "clips") as update, people.waiting("for it") as show:
        update(1, "")
        show("long")
    people.fail("too many", "check")
    assert re.sub(r"\x1b\[[^m]*m", "", screen.getvalue()).strip() == "cliptune check: too many"
    assert people.fault == "too many"
