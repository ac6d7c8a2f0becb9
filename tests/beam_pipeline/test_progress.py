"""How far a run has come: marks of any number of workers, told on a terminal or line by line."""

import functools
import io
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from beam_pipeline import progress
from beam_pipeline.progress import ProgressFile, Tally
from transforms.clip import Outcome

REJECTED = Outcome("b", "m:2", None, "rejected")


def accepted(samples):
    return Outcome("a", "m:1", None, "accepted", num_samples=samples)


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**32 - 1))))
def test_a_tally_is_the_sum_of_its_marks(clips):
    marks = b"".join(progress._MARK.pack(samples is not None, samples or 0) for samples in clips)
    tally = Tally()
    tally.add(marks)
    assert tally == Tally(len(clips), clips.count(None), sum(samples or 0 for samples in clips))


@pytest.mark.parametrize("workers", [1, 8])
def test_marks_of_many_workers_add_up(tmp_path, workers):
    path = tmp_path / "progress"
    path.touch()
    files = [ProgressFile(str(path)) for _ in range(workers)]
    with ThreadPoolExecutor(workers) as executor:
        for index in range(400):
            executor.submit(files[index % workers].note, REJECTED if index % 4 == 0 else accepted(16_000))
    tally = Tally()
    tally.add(path.read_bytes())
    assert tally == Tally(400, 100, 300 * 16_000)


@pytest.mark.parametrize("name", ["", "gone/progress"])  # not asked for; a worker on another machine
def test_without_a_file_nothing_is_noted(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = ProgressFile(name)
    file.note(REJECTED)
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_notes_after_the_end_are_lost_and_harm_nobody(tmp_path):
    path = tmp_path / "progress"
    path.touch()
    file = ProgressFile(str(path))
    file.note(REJECTED)
    file.close()
    file.note(REJECTED)
    file.close()
    assert path.stat().st_size == progress._MARK.size


def test_a_mark_is_small_enough_to_be_appended_at_once():
    assert progress._MARK.size <= 512  # POSIX promises it for pipes; file systems do it for a page


class Turns(threading.Event):
    """An event that lets a step happen before each look, and is set once there are none left."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = list(steps)

    def wait(self, timeout=None):
        if self.steps:
            self.steps.pop(0)()
        return not self.steps


def test_a_mark_that_is_half_written_waits_for_its_other_half(tmp_path):
    path = tmp_path / "progress"
    path.touch()
    mark = progress._MARK.pack(True, 7)

    def append(content):
        def step():
            with path.open("ab") as file:
                file.write(content)

        return step

    turns = Turns(append(mark + mark[:2]), append(b""), append(mark[2:]))
    seen = [tally.samples for tally in progress._tallies(path, turns)]
    assert seen == [7, 7, 14]


def told(path, rows, clock, notes, monkeypatch):
    """The lines that are printed when `notes` arrive at the times of `clock`."""
    times = iter(clock)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: next(times)))
    path.touch()
    file = ProgressFile(str(path))

    def noted(outcomes):
        for outcome in outcomes:
            file.note(outcome)

    output = io.StringIO()
    progress._lines(
        path,
        rows,
        16_000,
        Console(file=output, width=200),
        Turns(*(functools.partial(noted, outcomes) for outcomes in notes)),
    )
    return output.getvalue().splitlines()


HOUR = accepted(16_000 * 3_600)


def test_without_a_terminal_there_is_a_line_every_30_seconds(tmp_path, monkeypatch):
    clock = [100, 129.9, 130, 159.9, 160]
    lines = told(tmp_path / "p", 1_000, clock, [[HOUR], [HOUR, REJECTED], [HOUR], 596 * [accepted(0)]], monkeypatch)
    assert lines == [
        "3 of 1000 clips, 0.1/s, 2.00 h of audio, 1 rejected",
        "600 of 1000 clips, 10.0/s, 3.00 h of audio, 1 rejected",
    ]


@pytest.mark.parametrize(("seconds", "lines"), [(30.0, 1), (60.0, 0)])
def test_how_often_is_a_constant(tmp_path, monkeypatch, seconds, lines):
    monkeypatch.setattr(progress, "_LINE_SECONDS", seconds)
    assert len(told(tmp_path / "p", 9, [0, 59], [[REJECTED]], monkeypatch)) == lines


def test_a_short_run_is_quiet(tmp_path):
    output = io.StringIO()
    with progress.shown(tmp_path / "p", 5, 16_000, Console(file=output)):
        ProgressFile(str(tmp_path / "p")).note(REJECTED)
    assert output.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_shown_while_the_body_runs(tmp_path, monkeypatch, terminal):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.001)
    shown = threading.Event()

    class Screen(io.StringIO):
        def write(self, text):
            count = super().write(text)
            if "1 rejected" in self.getvalue():
                shown.set()
            return count

    screen = Screen()
    console = Console(file=screen, width=200, force_terminal=terminal, color_system=None, _environ={})
    with progress.shown(tmp_path / "p", 5, 16_000, console):
        file = ProgressFile(str(tmp_path / "p"))
        file.note(accepted(16_000 * 36))
        file.note(REJECTED)
        assert shown.wait(30)
    assert ("2/5" if terminal else "2 of 5 clips") in screen.getvalue()
    assert "0.01 h" in screen.getvalue()


def test_a_fault_of_the_body_passes_and_ends_the_display(tmp_path):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress.shown(tmp_path / "p", 5, 16_000, Console(file=io.StringIO())):
        raise ZeroDivisionError
    assert threading.active_count() == before


@pytest.mark.parametrize(("terminal", "told"), [(True, "reading manifests  2,000 rows"), (False, "")])
def test_rows_are_counted_while_they_are_read(terminal, told):
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=terminal, color_system=None, _environ={})
    assert list(progress.counted(iter(range(2_500)), console)) == list(range(2_500))
    assert told in screen.getvalue()
    assert bool(screen.getvalue()) == terminal


def test_a_long_count_tells_a_line_every_30_seconds(monkeypatch):
    clock = iter([0.0, 29.9, 30.0, 31.0, 60.0])
    monkeypatch.setattr("beam_pipeline.progress.time.monotonic", lambda: next(clock))
    screen = io.StringIO()
    for _ in progress.counted(range(3_000), Console(file=screen)):
        pass
    assert screen.getvalue().splitlines() == ["reading manifests: 2,000 rows"]
