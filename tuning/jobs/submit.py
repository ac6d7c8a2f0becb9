"""One job for one request: found again before it is ever made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from transforms.errors import ServiceError, UserError
from tuning.dataset import Dataset
from tuning.jobs.clock import CLOCK, Clock, backoff, jittered
from tuning.providers.base import GOOD_ENDS, REQUEST_LABEL, Tuner, TuningJob, TuningRequest

JOB_FILE = "job.json"
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
    tell: Callable[[str], None],
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
      tell: takes a line for people.
      patience: what is waited for.

    Raises:
      ServiceError: the service refused or did not answer.
    """
    start = patience.clock.now()
    while True:
        earlier = _find(tuner, request, prepared)
        if earlier is not None:
            tell(f"attached to {earlier.name}, submitted before for the same request ({earlier.state})")
            _note(prepared, request, earlier)
            return earlier
        try:
            return _submit(tuner, request, prepared, tell, patience.clock)
        except ServiceError as fault:
            if fault.code != 429 or not patience.quota:
                raise
            wait = jittered(QUOTA_SECONDS)
            if patience.seconds is not None and patience.clock.now() - start + wait > patience.seconds:
                raise
            tell(f"{fault}; the quota is full, trying again in {wait:.0f} s")
        patience.clock.sleep(wait)


def _submit(
    tuner: Tuner, request: TuningRequest, prepared: Dataset, tell: Callable[[str], None], clock: Clock
) -> TuningJob:
    before = read_note(prepared)
    _note(prepared, request, None)
    try:
        job = _create(tuner, request, tell, clock)
    except ServiceError as fault:
        # An answer that refuses leaves the job before; without one the new job may run, and is found by its label.
        if fault.code is not None and before is not None:
            _write(prepared, before)
        raise
    _note(prepared, request, job)
    return job


def _create(tuner: Tuner, request: TuningRequest, tell: Callable[[str], None], clock: Clock) -> TuningJob:
    """Sends the request, once; looks for the job where nobody can say whether it was created."""
    try:
        job = tuner.submit(request)
    except ServiceError as fault:
        if not fault.ambiguous:
            raise
        tell(f"{fault}; looking whether the job was created")
        job = _look(tuner, request, fault, clock)
        tell(f"found {job.name}: it was created")
        return job
    tell(f"submitted {job.name}")
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
    saved = read_note(prepared)
    if saved is None or not saved["job"] or saved["digest"] != request.digest:
        return None
    try:
        return tuner.get(saved["job"]["name"])
    except ServiceError as fault:
        if not fault.missing:
            raise
        return None


def _note(prepared: Dataset, request: TuningRequest, job: TuningJob | None) -> None:
    tree = {"digest": request.digest, "request": asdict(request), "job": job.as_dict() if job else None}
    _write(prepared, tree)


def update_note(prepared: Dataset, job: TuningJob) -> None:
    """Writes what is newly known of the job into `tuning/job.json`."""
    _write(prepared, {**(read_note(prepared) or {}), "job": job.as_dict()})


def _write(prepared: Dataset, tree: dict[str, Any]) -> None:
    content = orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    prepared.storage.write_bytes(prepared.tuning_uri(JOB_FILE), content)


def read_note(prepared: Dataset) -> dict[str, Any] | None:
    """`tuning/job.json`; None if nothing was submitted yet.

    Raises:
      UserError: the file is damaged.
    """
    try:
        tree = orjson.loads(prepared.storage.read_bytes(prepared.tuning_uri(JOB_FILE)))
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        tree = None
    if not _is_note(tree):
        raise UserError(f"{prepared.name}/tuning/{JOB_FILE} is damaged; delete it if no job of it is running")
    return dict(tree)


def _is_note(tree: object) -> bool:
    """Whether this is what `_note` writes, as far as it is read again."""
    if not isinstance(tree, dict) or not isinstance(request := tree.get("request"), dict):
        return False
    job = tree.get("job", "")
    named = job is None or (isinstance(job, dict) and isinstance(job.get("name"), str) and "endpoint" in job)
    return named and {"project", "location", "base_model"} <= request.keys() and isinstance(tree.get("digest"), str)


def noted_job(prepared: Dataset) -> TuningJob:
    """The job that was submitted, as last seen; raises what `submitted` raises."""
    saved = submitted(prepared)["job"]
    # A note of another version may know more, or less.
    known = {name: saved[name] for name in TuningJob.__slots__ if name in saved}
    return TuningJob(**{"state": "UNSPECIFIED", **known})


def submitted(prepared: Dataset) -> dict[str, Any]:
    """The note of a job that was submitted.

    Raises:
      UserError: none was.
    """
    saved = read_note(prepared)
    if saved is None or not saved["job"]:
        raise UserError(f"{prepared.name} has no tuning job yet; submit one with cliptune tune {prepared.name}")
    return saved
