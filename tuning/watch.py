"""A tuning job followed to its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from rich.console import Console

from tuning.tuner import GOOD_ENDS, ServiceError, Tuner, TuningJob

# Often at first, when a refused dataset shows; a job then runs for hours.
FIRST_POLL_SECONDS = 1.0
POLL_SECONDS = 30.0
# A job runs for hours: a service that is away for half of one is waited for.
MAX_FAILURES = 60
MAX_BACKOFF_SECONDS = 60.0


def watch(
    tuner: Tuner, job: TuningJob, console: Console, poll_seconds: float, noted: Callable[[TuningJob], None]
) -> TuningJob:
    """Polls until the job has ended.

    Args:
      tuner: the service.
      job: as last seen.
      console: for people: a line at each change of state, and the time on a terminal.
      poll_seconds: the longest time between two questions.
      noted: called with the job at each change.

    Raises:
      ServiceError: the job cannot be read, or the service was away for too long.
    """
    start = time.monotonic()
    told, wait = "", min(FIRST_POLL_SECONDS, poll_seconds)
    with console.status("watching", spinner="line") as status:
        while True:
            if _line(job) != told:
                told = _line(job)
                console.print(told)
                noted(job)
            if job.ended:
                return job
            status.update(f"{job.state}, {_elapsed(time.monotonic() - start)}; Ctrl-C leaves the job running")
            time.sleep(wait)
            wait = min(1.5 * wait, poll_seconds)
            job = _get(tuner, job.name, console)


def _get(tuner: Tuner, name: str, console: Console) -> TuningJob:
    """The job, asked for again and again while the service is away."""
    failures = 0
    while True:
        try:
            return tuner.get(name)
        except ServiceError as fault:
            failures += 1
            if not fault.transient or failures > MAX_FAILURES:
                raise
            wait = min(MAX_BACKOFF_SECONDS, 2.0**failures) * random.uniform(0.5, 1)
            console.print(f"{fault}; asking again in {wait:.0f} s")
        time.sleep(wait)


def _line(job: TuningJob) -> str:
    epochs = f", {len(job.checkpoints)} checkpoints" if job.checkpoints else ""
    return f"{job.name}: {job.state}{epochs}"


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def verdict(job: TuningJob) -> str:
    """What the end of a job means, for people."""
    if job.state in GOOD_ENDS and job.endpoint:
        return f"the tuned model answers at {job.endpoint}"
    if job.tuned_model and not job.endpoint:
        return f"the model {job.tuned_model} exists but has no endpoint: {job.error or 'deploy it in the console'}"
    return f"the job ended as {job.state}: {job.error or 'the service gave no reason'}"
