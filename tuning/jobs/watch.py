"""Follows a tuning job to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from transforms.errors import ServiceError, UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import dataset, service
from tuning.dataset import Dataset
from tuning.jobs import dropped, runs
from tuning.jobs.clock import CLOCK, Clock, Pace, backoff, jittered
from tuning.jobs.dropped import Dropped
from tuning.providers import open_tuner
from tuning.providers.base import Tuner, TuningJob
from tuning.requests import WatchRequest

# Polling starts fast, because a dataset is refused early; after that a job runs for hours.
FIRST_POLL_SECONDS = 1.0
# Without a terminal, a line is repeated from time to time, so that the log does not look dead.
NEWS_SECONDS = 600.0
# A job runs for hours, so an outage of about half an hour is waited for.
MAX_FAILURES = 60
SHOWN_DROPPED = 10
# A state that lasts longer is worth a word. Users saw jobs in RUNNING for 2 to 22 hours, most of them of Gemini 2.5.
LONG_SECONDS = {"QUEUED": 1_800.0, "PENDING": 1_800.0, "RUNNING": 4 * 3_600.0}
_THEN = "users who saw this told of up to 22 hours; some waited, some cancelled the job (what is done is charged)"
FORMAT_VERSION = 1
MAX_BACKOFF_SECONDS = 60.0


def watch(
    tuner: Tuner, job: TuningJob, listener: Listener, pace: Pace, noted: Callable[[TuningJob], None]
) -> TuningJob:
    """Polls until the job has ended or the timeout is over.

    Args:
      tuner: the service.
      job: the job as last seen.
      listener: gets a line at each change; a live one also shows the elapsed time.
      pace: how often to poll, and for how long.
      noted: called with the job at each change.

    Raises:
      ServiceError: the job cannot be read, or the service was unavailable for too long.
    """
    clock = pace.clock
    start = last = since = clock.now()
    state, told = job.state, False
    last_line, wait = "", min(FIRST_POLL_SECONDS, pace.poll_seconds)
    with listener.waiting("watching") as show:
        while True:
            elapsed = clock.now() - start
            if line(job) != last_line:
                last_line, last = line(job), clock.now()
                listener.say(last_line)
                noted(job)
            elif clock.now() - last >= NEWS_SECONDS and not listener.live:
                last = clock.now()
                listener.say(f"{last_line}, for {_elapsed(elapsed)} now")
            if job.state != state:
                state, since, told = job.state, clock.now(), False
            elif not told and clock.now() - since >= LONG_SECONDS.get(state, float("inf")):
                told = True
                listener.say(f"{line(job)}, for {_elapsed(clock.now() - since)}, which is long: {_THEN}")
            if job.ended or (pace.timeout is not None and elapsed >= pace.timeout):
                return job
            show(f"{progress(job)}, {_elapsed(elapsed)}; Ctrl-C leaves the job running")
            clock.sleep(_wait(wait, elapsed, pace))
            wait = min(1.5 * wait, pace.poll_seconds)
            job = refreshed(tuner, job, listener, pace, start)


def _wait(wait: float, elapsed: float, pace: Pace) -> float:
    """The next wait in seconds: jittered, and never past the timeout."""
    return jittered(wait) if pace.timeout is None else min(jittered(wait), max(0.0, pace.timeout - elapsed))


def refreshed(tuner: Tuner, job: TuningJob, listener: Listener, pace: Pace, start: float | None = None) -> TuningJob:
    """The current job, read again until the service answers.

    Args:
      tuner: the service.
      job: the job as last seen, which is returned if the timeout is over.
      listener: gets a line at each failure.
      pace: how long to try.
      start: when the timeout began, by the pace's clock; None for now.

    Raises:
      ServiceError: the job cannot be read, or the service was unavailable for too long.
    """
    failures, start = 0, pace.clock.now() if start is None else start
    while True:
        try:
            return tuner.get(job.name)
        except ServiceError as fault:
            failures += 1
            if not fault.transient or failures > MAX_FAILURES:
                raise
            if pace.timeout is not None and pace.clock.now() - start >= pace.timeout:
                return job
            wait = backoff(failures, MAX_BACKOFF_SECONDS)
            listener.say(f"{fault}; asking again in {wait:.0f} s")
        pace.clock.sleep(wait)


def progress(job: TuningJob) -> str:
    """The progress of a job: its state, what it waits for, its epochs and checkpoints."""
    detail = f" ({job.detail.replace('_', ' ').lower()})" if job.detail and not job.ended else ""
    epochs = f", {job.epochs_done} epochs done" if job.epochs_done else ""
    points = f", {len(job.checkpoints)} checkpoints" if job.checkpoints else ""
    return f"{job.state}{detail}{epochs}{points}"


def line(job: TuningJob) -> str:
    """The job in one line."""
    return f"{job.name}: {progress(job)}"


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def verdict(job: TuningJob) -> str:
    """A sentence on how the job ended."""
    if job.answers:
        return f"the tuned model answers at {job.endpoint}"
    if job.tuned_model and not job.endpoint:
        return f"the model {job.tuned_model} exists but has no endpoint: {job.error or 'deploy it in the console'}"
    return f"the job ended as {job.state}: {job.error or 'the service gave no reason'}"


@dataclass(frozen=True, slots=True)
class JobReport(TuningJob):
    """The job that commands print on stdout.

    Attributes:
      dropped: the left-out examples that the service names.
      deleted: when `cliptune delete` deleted the tuned model, ISO 8601; None if it did not.
      format_version: version of these fields.
    """

    dropped: tuple[Dropped, ...] = ()
    deleted: str | None = None
    format_version: int = FORMAT_VERSION

    @classmethod
    def of(cls, job: TuningJob, dropped: Sequence[Dropped] = (), deleted: str | None = None) -> JobReport:
        """The report of a job."""
        known = {field.name: getattr(job, field.name) for field in fields(TuningJob)}
        return cls(**known, dropped=tuple(dropped), deleted=deleted)


def run(request: WatchRequest, listener: Listener = SILENT, clock: Clock | None = None) -> JobReport:
    """Follows the job of a dataset to its end.

    Raises:
      UserError: no job was submitted.
      ServiceError: the service refused, or was unavailable for too long.
    """
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    run = runs.pick(prepared, request.run, listener=listener)
    submitted, job = run.note.request, run.job
    pace = service.pace(request, request.timeout, clock or CLOCK)
    with service.api_endpoint(request, prepared, listener) as url:
        tuner = open_tuner(request.provider, submitted.project, submitted.location, url)
        job = refreshed(tuner, job, listener, pace)
        return follow(tuner, job, prepared, listener, pace, request.default_checkpoint)


def follow(
    tuner: Tuner, job: TuningJob, prepared: Dataset, listener: Listener, pace: Pace, default_checkpoint: str | None
) -> JobReport:
    """Follows a job to its end, notes each change in its run, and names the examples that were left out."""
    job = watch(tuner, job, listener, pace, lambda seen: runs.update(prepared, seen))
    run = runs.of_job(prepared, job.name)
    deletion = run.deletion if run and run.deletion and run.deletion.is_of(job) else None
    if default_checkpoint and job.answers and deletion is None:
        job = _with_default_checkpoint(tuner, job, default_checkpoint)
        runs.update(prepared, job)
    report = JobReport.of(job, dropped.dropped(job, prepared), deletion.time if deletion else None)
    _say_dropped(report, listener)
    if job.ended:
        _say_billed(job, prepared, listener)
        listener.say(verdict(job) if run is None or deletion is None else run.deleted)
        if job.experiment:
            listener.say(f"its metrics are in the experiment {job.experiment}")
    return report


def _with_default_checkpoint(tuner: Tuner, job: TuningJob, checkpoint: str) -> TuningJob:
    known = [str(point.get("checkpoint_id")) for point in job.checkpoints]
    if checkpoint not in known:
        raise UserError(f"default_checkpoint must be one of {', '.join(known) or 'none'}, got {checkpoint!r}")
    tuner.set_default_checkpoint(job.tuned_model or "", checkpoint)
    return tuner.get(job.name)


def _say_billed(job: TuningJob, prepared: Dataset, listener: Listener) -> None:
    """What the service counted, beside what was estimated."""
    billable = (job.data_stats or {}).get("total_billable_token_count")
    run = runs.of_job(prepared, job.name)
    if billable is not None and run is not None and run.note.estimate is not None:
        listener.say(run.note.estimate.beside(int(billable)))


def _say_dropped(report: JobReport, listener: Listener) -> None:
    count = dropped.count(report)
    if count:
        named = f"it names {len(report.dropped):,}"
        listener.say(f"warning: the service left out {count:,} of the training examples; {named}:")
    for example in report.dropped[:SHOWN_DROPPED]:
        listener.say(f"  {example.clip_id} ({example.source}): {example.reason or 'no reason given'}")
    if len(report.dropped) > SHOWN_DROPPED:
        listener.say(f"  … and {len(report.dropped) - SHOWN_DROPPED:,} more, on stdout")
