"""A tuning job followed to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from transforms.errors import ServiceError
from tuning.exits import Exit
from tuning.jobs.clock import CLOCK, Clock, backoff, jittered
from tuning.providers.base import Tuner, TuningJob

# Often at first, when a refused dataset shows; a job then runs for hours.
FIRST_POLL_SECONDS = 1.0
POLL_SECONDS = 30.0
# Without a terminal a line now and then, so that a log does not look dead.
NEWS_SECONDS = 600.0
# A job runs for hours: a service that is away for half of one is waited for.
MAX_FAILURES = 60
MAX_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a job is followed.

    Attributes:
      poll_seconds: the longest time between two questions.
      timeout: seconds after which it is left alone; None for never.
      clock: that passes meanwhile.
    """

    poll_seconds: float = POLL_SECONDS
    timeout: float | None = None
    clock: Clock = CLOCK


def watch(tuner: Tuner, job: TuningJob, console: Console, pace: Pace, noted: Callable[[TuningJob], None]) -> TuningJob:
    """Polls until the job has ended, or the time is over.

    Args:
      tuner: the service.
      job: as last seen.
      console: for people: a line at each change, and the time on a terminal.
      pace: how often, and how long.
      noted: called with the job at each change.

    Raises:
      ServiceError: the job cannot be read, or the service was away for too long.
    """
    clock = pace.clock
    start = last = clock.now()
    told, wait = "", min(FIRST_POLL_SECONDS, pace.poll_seconds)
    with console.status("watching", spinner="line") as status:
        while True:
            elapsed = clock.now() - start
            if line(job) != told:
                told, last = line(job), clock.now()
                console.print(told)
                noted(job)
            elif clock.now() - last >= NEWS_SECONDS and not console.is_terminal:
                last = clock.now()
                console.print(f"{told}, for {_elapsed(elapsed)} now")
            if job.ended or (pace.timeout is not None and elapsed >= pace.timeout):
                return job
            status.update(f"{progress(job)}, {_elapsed(elapsed)}; Ctrl-C leaves the job running")
            clock.sleep(_wait(wait, elapsed, pace))
            wait = min(1.5 * wait, pace.poll_seconds)
            job = refreshed(tuner, job, console, pace, start)


def _wait(wait: float, elapsed: float, pace: Pace) -> float:
    """Jittered, and not beyond the timeout."""
    return jittered(wait) if pace.timeout is None else min(jittered(wait), max(0.0, pace.timeout - elapsed))


def refreshed(tuner: Tuner, job: TuningJob, console: Console, pace: Pace, start: float | None = None) -> TuningJob:
    """The job, asked for again and again while the service is away.

    Args:
      tuner: the service.
      job: as last seen, which is what is returned when the time is over.
      console: for people: a line at each failure.
      pace: how long.
      start: since when, by the pace's clock; None for now.

    Raises:
      ServiceError: the job cannot be read, or the service was away for too long.
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
            console.print(f"{fault}; asking again in {wait:.0f} s")
        pace.clock.sleep(wait)


def progress(job: TuningJob) -> str:
    """How far a job is: its state, what it waits for, epochs and checkpoints."""
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
    """What the end of a job means, for people."""
    if job.answers:
        return f"the tuned model answers at {job.endpoint}"
    if job.tuned_model and not job.endpoint:
        return f"the model {job.tuned_model} exists but has no endpoint: {job.error or 'deploy it in the console'}"
    return f"the job ended as {job.state}: {job.error or 'the service gave no reason'}"


def exit_status(job: TuningJob) -> Exit:
    """What a script is told of a job."""
    if not job.ended:
        return Exit.STILL_RUNNING
    if job.answers:
        return Exit.DONE
    if job.tuned_model and not job.endpoint:
        return Exit.NO_ENDPOINT
    return Exit.JOB_CANCELLED if job.state == "CANCELLED" else Exit.JOB_FAILED
