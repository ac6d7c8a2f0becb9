"""The tuning runs of a dataset: `OUT/tuning/runs/NAME/`, one folder for each request that was submitted.

A run is its request: whoever asks for the same again finds the same run. An `OUT/tuning/job.json` of an earlier version
is read as one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from transforms.errors import StorageError, UserError
from transforms.listener import SILENT, Listener
from tuning.cost import Estimate
from tuning.dataset import DAMAGES, Dataset, damage
from tuning.jobs import note
from tuning.jobs.note import JOB_FILE, Deletion, Note
from tuning.providers.base import TuningJob, TuningRequest

RUNS_FOLDER = "runs"


class DamagedNoteError(UserError):
    """The note of a run cannot be used."""


@dataclass(frozen=True, slots=True)
class Run:
    """One tuning run of a dataset.

    Attributes:
      name: of its folder; for people, and for --run.
      path: of its note, below the dataset's `tuning` folder.
      note: its request, and its job as last seen.
    """

    name: str
    path: str
    note: Note

    @property
    def job(self) -> TuningJob:
        """The job.

        Raises:
          UserError: it is not known whether there is one.
        """
        if self.note.job is None:
            problem = f"run {self.name} was sent, and it is not known whether it has a job"
            raise UserError(f"{problem}; run its cliptune tune again, or name another run by --run")
        return self.note.job

    @property
    def deletion(self) -> Deletion | None:
        """That the model of the run's job was deleted; None if it was not, as far as is known here."""
        job = self.note.job
        return next((one for one in self.note.deleted if job is not None and one.is_of(job)), None)

    @property
    def deleted(self) -> str:
        """That the model was deleted, as a sentence; "" if it was not."""
        return f"the model of run {self.name} was deleted on {self.deletion.time:.10}" if self.deletion else ""


def name_of(request: TuningRequest) -> str:
    """The run's name: what people tell runs apart by, and the beginning of the digest, which tells all apart."""
    model = re.sub(r"[^a-z0-9.-]+", "-", request.base_model.rpartition("/")[2].lower())
    part = f"{request.train_examples}-examples-" if request.train_examples is not None else ""
    return f"{model}-{part}{request.epochs}-epoch{'s' * (request.epochs != 1)}-{request.digest[:8]}"


def of(prepared: Dataset) -> list[Run]:
    """The runs of a dataset whose notes can be read, the newest last."""
    return _look(prepared)[0]


def damaged(prepared: Dataset) -> dict[str, DamagedNoteError]:
    """What is wrong with the other notes, by the name of the run."""
    return _look(prepared)[1]


def _look(prepared: Dataset) -> tuple[list[Run], dict[str, DamagedNoteError]]:
    found: dict[str, Run] = {}
    faults: dict[str, DamagedNoteError] = {}
    for path in _paths(prepared):
        try:
            kept = _read(prepared, path)
        except DamagedNoteError as fault:
            faults[_name_at(path) or path] = fault
            continue
        if kept is not None:
            run = _run(path, kept)
            # Of two notes of one request, such as one of an earlier version, the newer tells what became of it.
            found[kept.digest] = max(found.get(kept.digest, run), run, key=_age)
    return sorted(found.values(), key=_age), faults


def _readable(prepared: Dataset) -> tuple[list[Run], dict[str, DamagedNoteError]]:
    """As `_look`. If no note can be read, that is an error."""
    runs, faults = _look(prepared)
    if faults and not runs:
        raise next(iter(faults.values()))
    return runs, faults


def _age(run: Run) -> tuple[bool, str]:
    """Sorts runs by age. One without a job is being submitted."""
    job = run.note.job
    return job is None, (job.create_time if job else None) or ""


def find(prepared: Dataset, request: TuningRequest) -> Run | None:
    """The run of a request; None if it was not submitted. The other runs are not read.

    Raises:
      UserError: the note of the run is damaged.
    """
    notes = ((path, _read(prepared, path)) for path in (_path_of(request), JOB_FILE))
    found = [_run(path, kept) for path, kept in notes if kept is not None and kept.digest == request.digest]
    return max(found, key=_age, default=None)


def of_job(prepared: Dataset, name: str) -> Run | None:
    """The run of a job; None if the dataset has none."""
    return next((run for run in of(prepared) if run.note.job is not None and run.note.job.name == name), None)


def newest(prepared: Dataset) -> Run | None:
    """The run that was submitted last; None if nothing was submitted.

    Raises:
      DamagedNoteError: the notes of all runs are damaged.
    """
    runs, _ = _readable(prepared)
    return runs[-1] if runs else None


def pick(prepared: Dataset, name: str | None, finished: bool = False, listener: Listener = SILENT) -> Run:
    """The run that is meant.

    Args:
      prepared: the dataset.
      name: of the run; None for the newest one that goes on or may, else the newest.
      finished: for None: whether the newest run whose model answers is meant instead.
      listener: gets a line for each run whose note is damaged, and which therefore cannot be meant.

    Raises:
      UserError: there is no such run, or nothing was submitted.
      DamagedNoteError: the note of the run is damaged, or of every run.
    """
    runs, faults = _readable(prepared)
    if name in faults:
        raise faults[name]
    if name is None:
        for fault in faults.values():
            listener.say(f"warning: {fault}")
    if not runs:
        raise UserError(f"{prepared.name} has no tuning job yet; submit one with cliptune tune {prepared.name}")
    if name is not None:
        matching = [run for run in runs if run.name == name]
        if not matching:
            known = ", ".join(run.name for run in runs)
            raise UserError(f"run must be a run of {prepared.name}, got {name!r}; known: {known}")
        return matching[0]
    wanted = [run for run in runs if (_answers(run) if finished else _may_go_on(run))]
    # A part of the examples is tuned on to learn what they are worth: the model of all of them is the tuned one.
    whole = [run for run in wanted if run.note.request.train_examples is None] if finished else []
    return (whole or wanted or runs)[-1]


def _answers(run: Run) -> bool:
    return run.note.job is not None and run.note.job.answers and run.deletion is None


def _may_go_on(run: Run) -> bool:
    """Of a request without an answer it is not known. An error as the answer makes a job less likely."""
    return run.note.failed is None if run.note.job is None else not run.note.job.ended


def write(prepared: Dataset, kept: Note) -> None:
    """Writes the note of a run."""
    before = find(prepared, kept.request)
    _write(prepared, before.path if before else _path_of(kept.request), kept)


def _write(prepared: Dataset, path: str, kept: Note) -> None:
    """Writes a note.

    Commands that follow one job may write at the same moment, which a bucket refuses all but one of: whichever of these
    notes stays is true.
    """
    try:
        prepared.storage.write_bytes(prepared.tuning_uri(path), note.dump(kept))
    except StorageError:
        there = _read(prepared, path)
        if there is None or _subject(there) != _subject(kept):
            raise


def restore(prepared: Dataset, request: TuningRequest, before: Note | None) -> None:
    """Puts back what was noted of a request before; None if nothing was."""
    if before is not None:
        write(prepared, before)
    elif (run := find(prepared, request)) is not None:
        prepared.storage.delete(prepared.tuning_uri(run.path))


def update(prepared: Dataset, job: TuningJob) -> None:
    """Replaces the job in the note of its run."""
    run = of_job(prepared, job.name)
    if run is not None:
        _write(prepared, run.path, replace(run.note, job=job))


def failed(prepared: Dataset, request: TuningRequest, code: int) -> None:
    """Notes that the answer to a request was an error which does not tell whether there is a job."""
    run = find(prepared, request)
    if run is not None and run.note.job is None:
        _write(prepared, run.path, replace(run.note, failed=code))


def deleted(prepared: Dataset, deletion: Deletion) -> None:
    """Notes that the model of a job was deleted. All else that the run's note says stays."""
    run = of_job(prepared, deletion.job)
    if run is not None and run.deletion is None:
        _write(prepared, run.path, replace(run.note, deleted=(*run.note.deleted, deletion)))


def noted(prepared: Dataset, request: TuningRequest, job: TuningJob | None, estimate: Estimate | None = None) -> None:
    """Notes the job of a request; None while it is not known. What it was estimated to cost when it was sent stays."""
    before = find(prepared, request)
    earlier = before.note.estimate if before else None
    deleted = before.note.deleted if before else ()
    path = before.path if before else _path_of(request)
    _write(prepared, path, replace(note.of(request, job), estimate=earlier or estimate, deleted=deleted))


def _run(path: str, kept: Note) -> Run:
    return Run(_name_at(path) or name_of(kept.request), path, kept)


def _name_at(path: str) -> str:
    """The name of the run whose note is at a path; "" for the note of an earlier version."""
    return path.split("/")[1] if "/" in path else ""


def _path_of(request: TuningRequest) -> str:
    return f"{RUNS_FOLDER}/{name_of(request)}/{JOB_FILE}"


def _paths(prepared: Dataset) -> Iterator[str]:
    """Where there may be a note."""
    for name in prepared.storage.names(prepared.tuning_uri(RUNS_FOLDER)):
        yield f"{RUNS_FOLDER}/{name}/{JOB_FILE}"
    yield JOB_FILE


def _read(prepared: Dataset, path: str) -> Note | None:
    try:
        return note.load(prepared.storage.read_record(prepared.tuning_uri(path)))
    except FileNotFoundError:
        return None
    except DAMAGES as fault:
        problem = f"{prepared.name}/tuning/{path} is damaged ({damage(fault)}): it names the dataset's tuning job"
        remedy = "delete it if no job of this dataset is running, as cliptune jobs tells"
        again = "cliptune tune finds a running one again (without a note, jobs needs --project)"
        raise DamagedNoteError(f"{problem}; {remedy}; {again}") from None


def _subject(kept: Note) -> tuple[str, str | None]:
    return kept.digest, kept.job.name if kept.job else None
