"""Submits a request at most once: an existing job of the request is looked for first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transforms.errors import ServiceError
from tuning.dataset import Dataset
from tuning.jobs import note
from tuning.jobs.clock import CLOCK, Clock, backoff, jittered
from tuning.providers.base import GOOD_ENDS, REQUEST_LABEL, Tuner, TuningJob, TuningRequest

# After a lost answer, the new job may take a moment to appear in the list of jobs.
LOOKS = 3
MAX_LOOK_SECONDS = 10.0
# The job that fills the quota runs for hours: there is no hurry to try again.
QUOTA_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Whether and how long `submit_once` waits.

    Attributes:
      quota: whether to wait while the quota is full (429).
      seconds: the longest wait; None for no limit.
      clock: the clock that is used.
    """

    quota: bool = False
    seconds: float | None = None
    clock: Clock = CLOCK


def submit_once(
    tuner: Tuner,
    request: TuningRequest,
    prepared: Dataset,
    say: Callable[[str], None],
    patience: Patience = Patience(),
) -> TuningJob:
    """The job of this request: the one that was submitted before, or else a new one.

    `job.json` is written before the request is sent and again after the answer.
    If the answer to a create is lost, the job is looked up by its label. The
    create is never repeated automatically.

    Args:
      tuner: the service.
      request: what to tune.
      prepared: the dataset; its `tuning/job.json` is written.
      say: takes a line for people.
      patience: whether and how long to wait for the quota.

    Raises:
      ServiceError: the service refused or did not answer.
    """
    start = patience.clock.now()
    while True:
        earlier = _find(tuner, request, prepared)
        if earlier is not None:
            say(f"attached to {earlier.name}, submitted before for the same request ({earlier.state})")
            note.write(prepared, note.of(request, earlier))
            return earlier
        try:
            return _submit(tuner, request, prepared, say, patience.clock)
        except ServiceError as fault:
            if fault.code != 429 or not patience.quota:
                raise
            wait = jittered(QUOTA_SECONDS)
            if patience.seconds is not None and patience.clock.now() - start + wait > patience.seconds:
                raise
            say(f"{fault}; the quota is full, trying again in {wait:.0f} s")
        patience.clock.sleep(wait)


def _submit(
    tuner: Tuner, request: TuningRequest, prepared: Dataset, say: Callable[[str], None], clock: Clock
) -> TuningJob:
    before = note.read(prepared)
    note.write(prepared, note.of(request, None))
    try:
        job = _create(tuner, request, say, clock)
    except ServiceError as fault:
        # After a refusal the earlier job still counts. Without an answer the new job may run; its label finds it.
        if fault.code is not None and before is not None:
            note.write(prepared, before)
        raise
    note.write(prepared, note.of(request, job))
    return job


def _create(tuner: Tuner, request: TuningRequest, say: Callable[[str], None], clock: Clock) -> TuningJob:
    """Sends the create request once. If it is not known whether the job was created, looks for the job."""
    try:
        job = tuner.submit(request)
    except ServiceError as fault:
        if not fault.ambiguous:
            raise
        say(f"{fault}; looking whether the job was created")
        job = _look(tuner, request, fault, clock)
        say(f"found {job.name}: it was created")
        return job
    say(f"submitted {job.name}")
    return job


def _look(tuner: Tuner, request: TuningRequest, fault: ServiceError, clock: Clock) -> TuningJob:
    """The job of a create request whose answer was lost.

    Raises:
      ServiceError: no job is listed yet. One may appear later, so the create is not repeated.
    """
    for look in range(1, LOOKS + 1):
        try:
            found = _labelled(tuner, request)
        except ServiceError as list_fault:
            if not list_fault.transient:
                raise
            found = None
        if found is not None:
            return found
        if look < LOOKS:
            clock.sleep(backoff(look, MAX_LOOK_SECONDS))
    hint = "it is not known whether the job was created; run the same command again, it looks for the job first"
    raise ServiceError(f"{fault}; {hint}", True, fault.code) from fault


def _find(tuner: Tuner, request: TuningRequest, prepared: Dataset) -> TuningJob | None:
    """A job of this request that is running or has succeeded. A failed job does not count: it may be tried again."""
    noted = _noted(tuner, request, prepared)
    if noted is not None and _counts(noted):
        return noted
    # Another copy of the dataset may have submitted a newer job, which this note does not know.
    return _labelled(tuner, request)


def _labelled(tuner: Tuner, request: TuningRequest) -> TuningJob | None:
    labelled = (job for job in tuner.jobs() if job.labels.get(REQUEST_LABEL) == request.digest)
    return next(filter(_counts, labelled), None)


def _counts(job: TuningJob) -> bool:
    return job.state in GOOD_ENDS or not (job.ended or job.state == "CANCELLING")


def _noted(tuner: Tuner, request: TuningRequest, prepared: Dataset) -> TuningJob | None:
    """The job in `job.json`, if it belongs to this request and the service still knows it."""
    saved = note.read(prepared)
    if saved is None or saved.job is None or saved.digest != request.digest:
        return None
    try:
        return tuner.get(saved.job.name)
    except ServiceError as fault:
        if not fault.missing:
            raise
        return None
