"""How far a run has come: marks of any number of workers, told on a terminal or line by line."""

import contextlib
import functools
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline import embedded, progress
from beam_pipeline.job import Ran
from beam_pipeline.progress import ProgressFile, Tally
from cliptune.main import main
from transforms.clip import Outcome
from transforms.errors import UserError
from transforms.listener import SILENT, Silent

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


@pytest.fixture
def heard():
    """A listener that keeps what it is told."""
    return Heard()


class Heard(Silent):
    def __init__(self):
        self.begun, self.updates, self.changed = [], [], threading.Event()

    @contextlib.contextmanager
    def progress(self, what, total, unit="", /):
        self.begun.append((what, total, unit))

        def update(done, note):
            self.updates.append((done, note))
            if done == 2:
                self.changed.set()

        yield update


def test_what_is_told_while_the_body_runs(tmp_path, monkeypatch, heard):
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.001)
    with progress.shown(tmp_path / "p", 5, 16_000, heard):
        file = ProgressFile(str(tmp_path / "p"))
        file.note(accepted(16_000 * 36))
        file.note(REJECTED)
        assert heard.changed.wait(30)
    assert heard.begun == [("preparing", 5, "clips")]
    done, note = heard.updates[-1]
    assert (done, note.partition(", ")[2]) == (2, "0.01 h of audio, 1 rejected")


def test_the_rate_is_of_the_whole_run(tmp_path, monkeypatch, heard):
    times = iter([100.0, 110.0, 125.0])
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: next(times)))
    path = tmp_path / "p"
    path.touch()
    file = ProgressFile(str(path))

    def noted(count):
        for _ in range(count):
            file.note(REJECTED)

    progress._follow(path, 9, 16_000, heard, Turns(functools.partial(noted, 5), functools.partial(noted, 0)))
    assert [note.partition("/s")[0] for _, note in heard.updates] == ["0.5", "0.2"]


def test_a_fault_of_the_body_passes_and_ends_the_display(tmp_path):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress.shown(tmp_path / "p", 5, 16_000, SILENT):
        raise ZeroDivisionError
    assert threading.active_count() == before


# Elsewhere, where workers have no file of this machine.


class Looks(threading.Event):
    """Is over when everything is done that is done between two looks."""

    def __init__(self, *between):
        super().__init__()
        self.between, self.pauses = list(between), []

    def wait(self, seconds=None):
        self.pauses.append(seconds)
        if not self.between:
            return True
        self.between.pop(0)()
        return False


def job_of(monkeypatch, *flags):
    """That of a command in the current folder."""
    made = []

    def run(job, options, listener):
        made.append(job)
        return Ran(0, fault="this is no run")

    monkeypatch.setattr(embedded, "run", run)
    main(["prepare", "--manifest=m.jsonl", "--output=out", "--verify", *flags])
    return made[0]


def test_elsewhere_the_shards_of_this_request_are_told(finished, monkeypatch, heard):
    shards = len([*finished.rglob("*.outcomes.json")])
    job = job_of(monkeypatch)
    looks = Looks(
        lambda: None,
        lambda: next(finished.rglob("*.outcomes.json")).unlink(),
        (finished / "out/run.json").unlink,
    )
    progress._look_for_shards(job, heard, looks)
    assert heard.begun == [("preparing", shards, "shards")]
    assert [done for done, _ in heard.updates] == [shards, shards - 1, 0]


def test_elsewhere_shards_of_a_dataset_that_is_to_be_replaced_do_not_count(finished, monkeypatch, heard):
    run = (finished / "out/run.json").read_bytes()
    job = job_of(monkeypatch, "--overwrite", "--prompt=another")
    (finished / "out/run.json").write_bytes(run)  # this machine claims it, workers elsewhere do later
    progress._look_for_shards(job, heard, Looks(lambda: None))
    assert [done for done, _ in heard.updates] == [0]


def test_who_may_not_look_is_told_nothing(finished, monkeypatch, heard):
    job = job_of(monkeypatch)

    def refused(job):
        raise UserError("no permission")

    monkeypatch.setattr(progress, "_shards_written", refused)
    progress._look_for_shards(job, heard, Looks(lambda: None, lambda: None))
    assert heard.updates == []


def test_a_look_that_takes_long_is_worth_a_long_pause(finished, monkeypatch, heard):
    times = iter([0.0, 0.01, 10.0, 13.0])
    job = job_of(monkeypatch)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: next(times)))
    looks = Looks(lambda: None, lambda: None)
    progress._look_for_shards(job, heard, looks)
    assert looks.pauses == [2.0, 2.0, 60.0]


def test_rows_are_counted_while_they_are_read(heard):
    assert list(progress.counted(iter(range(2_500)), heard)) == list(range(2_500))
    assert heard.begun == [("reading manifests", None, "rows")]
    assert [done for done, _ in heard.updates] == [1_000, 2_000]
