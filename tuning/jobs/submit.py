"""One job for one request: found again before it is ever made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transforms.errors import ServiceError
from tuning.dataset import Dataset
from tuning.jobs import note
from tuning.jobs.clock import CLOCK, Clock, backoff, jittered
from tuning.providers.base import GOOD_ENDS, REQUEST_LABEL, Tuner, TuningJob, TuningRequest

# A job whose create was cut off may take a moment to be listed.
LOOKS = 3
MAX_LOOK_SECONDS = 10.0
# A job that fills the quota runs for hours.
QUOTA_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What `submit_once` waits for.

    Attributes:
      quota: whether a full quota (429) is waited for.
      seconds: how long at most; None for as long as it takes.
      clock: that passes meanwhile.
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
    """The job of this request: the one that was submitted before, else a new one.

    `job.json` is written before the request goes out and again when it is
    answered. A create whose answer was lost is looked for by its label, and is
    never sent again by itself.

    Args:
      tuner: the service.
      request: what to tune.
      prepared: whose `tuning/job.json` is written.
      say: takes a line for people.
      patience: what is waited for.

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
        # An answer that refuses leaves the job before; without one the new job may run, and is found by its label.
        if fault.code is not None and before is not None:
            note.write(prepared, before)
        raise
    note.write(prepared, note.of(request, job))
    return job


def _create(tuner: Tuner, request: TuningRequest, say: Callable[[str], None], clock: Clock) -> TuningJob:
    """Sends the request, once; looks for the job where nobody can say whether it was created."""
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
    """The job that was created although its answer was lost.

    Raises:
      ServiceError: there is none yet; there may be one later, so nothing is sent again.
    """
    for look in range(1, LOOKS + 1):
        try:
            found = _labelled(tuner, request)
        except ServiceError as away:
            if not away.transient:
                raise
            found = None
        if found is not None:
            return found
        if look < LOOKS:
            clock.sleep(backoff(look, MAX_LOOK_SECONDS))
    hint = "whether the job was created is not known; run the same command again, it looks for it first"
    raise ServiceError(f"{fault}; {hint}", True, fault.code) from fault


def _find(tuner: Tuner, request: TuningRequest, prepared: Dataset) -> TuningJob | None:
    """A job of this request that runs or has succeeded; a failed one may be tried again."""
    noted = _noted(tuner, request, prepared)
    if noted is not None and _counts(noted):
        return noted
    # A copy of the dataset may have tried again, and the note here not know.
    return _labelled(tuner, request)


def _labelled(tuner: Tuner, request: TuningRequest) -> TuningJob | None:
    labelled = (job for job in tuner.jobs() if job.labels.get(REQUEST_LABEL) == request.digest)
    return next(filter(_counts, labelled), None)


def _counts(job: TuningJob) -> bool:
    return job.state in GOOD_ENDS or not (job.ended or job.state == "CANCELLING")


def _noted(tuner: Tuner, request: TuningRequest, prepared: Dataset) -> TuningJob | None:
    """The job that `job.json` names, if it is of this request and still known to the service."""
    saved = note.read(prepared)
    if saved is None or saved.job is None or saved.digest != request.digest:
        return None
    try:
        return tuner.get(saved.job.name)
    except ServiceError as fault:
        if not fault.missing:
            raise
        return None
