"""Deletes the tuned model of a run, and the endpoints at which it is deployed.

    the run's job ─▶ what the service says of it ─▶ consent ─▶ each endpoint ─▶ the model ─▶ the note

What belongs to the job, the service says: its answer about the job names model and endpoints, and the job bears the
label of the run's request. Names that stand only in a file are not deleted. Every step is looked at before it is done,
so that the same command goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from transforms.errors import ServiceError, UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import dataset, service
from tuning.dataset import Dataset
from tuning.jobs import runs
from tuning.jobs.clock import CLOCK, Clock
from tuning.jobs.note import Deletion
from tuning.jobs.runs import Run
from tuning.jobs.watch import verdict
from tuning.providers import PROVIDERS, open_tuner
from tuning.providers.base import REQUEST_LABEL, Deployed, Registry, Tuner, TuningJob
from tuning.requests import DeleteRequest

# Users saw a model called deployed for minutes after it was not any more.
MODEL_TRIES = 7
MODEL_SECONDS = 10.0
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """The report that `cliptune delete` prints on stdout.

    Attributes:
      run: name of the run.
      job: resource name of its job.
      model: resource name of the tuned model; null if the job has none.
      endpoints: at which the job deployed it.
      left: what could not be deleted: resource names.
      deleted: when the model was deleted, ISO 8601; null as long as something is left.
      format_version: version of these fields.
    """

    run: str
    job: str
    model: str | None
    endpoints: tuple[str, ...]
    left: tuple[str, ...] = ()
    deleted: str | None = None
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


class NotAllDeletedError(UserError):
    """Something could not be deleted; the same command tries again.

    Attributes:
      report: what is left.
    """

    def __init__(self, message: str, report: DeleteReport) -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


def run(
    request: DeleteRequest,
    listener: Listener = SILENT,
    clock: Clock | None = None,
    confirmed: Callable[[str], bool] | None = None,
) -> DeleteReport:
    """Deletes the tuned model of a run, and its endpoints. The run's records stay and say so.

    Args:
      request: what to delete.
      listener: gets a line for each deletion.
      clock: waits for the service.
      confirmed: asks whether to go on, unless the request says yes; None if nobody can be asked.

    Raises:
      NotAllDeletedError: the service refused a part.
      UsageError: nobody can be asked, and the request does not say yes.
      UserError: there is nothing to delete, the job goes on, or the answer was no.
      ServiceError: the service refused to say what belongs to the job.
    """
    if not (request.yes or confirmed):
        problem = "yes is needed: delete asks before it deletes, and nobody can be asked here; nothing was deleted"
        raise UsageError(problem, "yes")
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    meant = _meant(request, prepared)
    if meant.deletion is not None:
        listener.say(f"{meant.deleted}; there is nothing to delete")
        return _report(meant, meant.job, meant.deletion.time)
    with service.api_endpoint(request, prepared, listener) as url:
        submitted = meant.note.request
        job = _job(open_tuner(request.provider, submitted.project, submitted.location, url), meant, request, prepared)
        work = _Work(PROVIDERS[request.provider].open_registry(url, (clock or CLOCK).sleep), job, listener)
        plan = work.plan()
        if plan:
            listener.say(f"of run {meant.name}, this is deleted; only tuning again, paid again, would bring it back:")
            for line in plan:
                listener.say(f"  {line}")
            if not request.yes and confirmed is not None and not confirmed("delete it?"):
                raise UserError("nothing was deleted")
        left = work.carry_out((clock or CLOCK).sleep)
    if left:
        again = f"cliptune delete {request.dataset} --run {meant.name}{request.same_service}"
        raise NotAllDeletedError(f"not all is deleted; run {again} again", _report(meant, job, None, left))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    runs.deleted(prepared, Deletion(job.name, job.tuned_model or "", _endpoints(job), now, job.create_time))
    listener.say(f"deleted: the model of run {meant.name}; its records and answers stay in {prepared.name}/tuning")
    return _report(meant, job, now)


def _meant(request: DeleteRequest, prepared: Dataset) -> Run:
    """The run that is meant.

    Raises:
      UserError: it is not certain.
    """
    kept = [run for run in runs.of(prepared) if run.note.job is not None and run.deletion is None]
    if request.run is None and len(kept) > 1:
        named = ", ".join(run.name for run in kept)
        raise UserError(f"{prepared.name} has several runs: {named}; name the one to delete by --run")
    return kept[0] if request.run is None and kept else runs.pick(prepared, request.run)


def _job(tuner: Tuner, meant: Run, request: DeleteRequest, prepared: Dataset) -> TuningJob:
    """The job as the service has it, which says what belongs to it.

    Raises:
      UserError: it goes on, is not of this run, or has no model.
    """
    name = meant.job.name
    try:
        job = tuner.get(name)
    except ServiceError as fault:
        if not fault.missing:
            raise
        known = f" (as last seen: {meant.job.tuned_model})" if meant.job.tuned_model else ""
        problem = f"the service knows no {name}, so nothing says which model belongs to run {meant.name}{known}"
        raise UserError(f"{problem}; what is left of it can be deleted in the console") from None
    if job.name != name or job.labels.get(REQUEST_LABEL) != meant.note.digest:
        problem = f"{name}, the job in the note of run {meant.name}, is not the job of its request"
        raise UserError(f"{problem}: its label {REQUEST_LABEL} differs; nothing was deleted")
    runs.update(prepared, job)
    if not job.ended:
        ends = f"cliptune cancel {request.dataset} --run {meant.name}{request.same_service}"
        raise UserError(f"{name} goes on ({job.state}); end it first: {ends}")
    _refuse_needed(job, prepared)
    if not job.tuned_model and not _endpoints(job):
        raise UserError(f"run {meant.name} has no model to delete: {verdict(job)}")
    return job


def _refuse_needed(job: TuningJob, prepared: Dataset) -> None:
    """Refuses a model from which another job of this dataset is being tuned further."""
    model = _plain(job.tuned_model or "")
    for run in runs.of(prepared):
        source, other = run.note.request.from_model, run.note.job
        if source is not None and _plain(source) == model and (other is None or not other.ended):
            raise UserError(f"run {run.name} is tuning {model} further; wait for its end (cliptune watch) or cancel it")


def _report(found: Run, job: TuningJob, deleted: str | None, left: tuple[str, ...] = ()) -> DeleteReport:
    return DeleteReport(found.name, job.name, job.tuned_model, _endpoints(job), left, deleted)


def _endpoints(job: TuningJob) -> tuple[str, ...]:
    """The endpoints of a job, each once: that of the default checkpoint and those of all checkpoints."""
    named = (job.endpoint, *(point.get("endpoint") for point in job.checkpoints))
    return tuple(dict.fromkeys(str(endpoint) for endpoint in named if endpoint))


def _plain(model: str) -> str:
    """A model's name without its version."""
    return model.partition("@")[0]


def _place(model: str) -> str:
    """What two spellings of a model share: one has the project's number, another its id."""
    return _plain(model).partition("/locations/")[2]


class _Work:
    """What is to be deleted of one job, as the service has it.

    Args:
      registry: of the service.
      job: has ended.
      listener: gets a line for each deletion.
    """

    def __init__(self, registry: Registry, job: TuningJob, listener: Listener) -> None:
        self.registry = registry
        self.listener = listener
        self.model, _, self.version = (job.tuned_model or "").partition("@")
        deployed = {endpoint: registry.deployed(endpoint) for endpoint in _endpoints(job)}
        self.endpoints = {endpoint: found for endpoint, found in deployed.items() if found is not None}
        self.versions = registry.versions(self.model) if self.model else None
        if self.version and self.versions and self.version not in self.versions:  # only others are left
            self.versions = None

    def plan(self) -> list[str]:
        """What will be done, a line for each resource that is still there."""
        lines = []
        for endpoint, found in self.endpoints.items():
            others = self._others(found)
            stays = f"the model is undeployed, the endpoint stays: {len(others)} other models are deployed there"
            lines.append(f"{endpoint} ({stays})" if others else endpoint)
        if self.versions is not None:
            whole = not self._other_versions()
            lines.append(self.model if whole else f"{self.model}@{self.version} (the model's other versions stay)")
        return lines

    def carry_out(self, sleep: Callable[[float], None]) -> tuple[str, ...]:
        """Deletes the endpoints, then the model; what the service refuses to delete is returned."""
        left = [endpoint for endpoint, found in self.endpoints.items() if not self._without(endpoint, found)]
        if self.versions is None:
            return tuple(left)
        if left:
            self.listener.say(f"not tried: {self.model}, which is still deployed")
        elif self._without_model(sleep):
            return ()
        return (*left, self.model)

    def _without(self, endpoint: str, found: tuple[Deployed, ...]) -> bool:
        """Takes the model off an endpoint, and deletes the endpoint if nothing else is there; whether it could."""
        others = self._others(found)
        try:
            for one in found:
                if one not in others:
                    self.registry.undeploy(endpoint, one)
            if not others:
                self.registry.delete_endpoint(endpoint)
        except ServiceError as fault:
            self.listener.say(str(fault))
            return False
        self.listener.say(f"undeployed from {endpoint}" if others else f"deleted {endpoint}")
        return True

    def _without_model(self, sleep: Callable[[float], None]) -> bool:
        """Deletes the model, or the job's version of it; whether it could."""
        others = self._other_versions()
        if not self.version:
            self.listener.say(f"{self.model}: the job does not say which version of it is its own; it stays")
            return False
        for tries in range(1, MODEL_TRIES + 1):
            try:
                if others:
                    self.registry.delete_version(self.model, self.version)
                else:
                    self.registry.delete_model(self.model)
                break
            except ServiceError as fault:
                if fault.code != 400 or tries == MODEL_TRIES:
                    self.listener.say(str(fault))
                    return False
            sleep(MODEL_SECONDS)
        self.listener.say(f"deleted {self.model}{f'@{self.version}' if others else ''}")
        return True

    def _others(self, found: tuple[Deployed, ...]) -> list[Deployed]:
        """What is deployed at an endpoint that is not of this job."""
        return [one for one in found if not self._is_ours(one)]

    def _is_ours(self, one: Deployed) -> bool:
        version = one.model.partition("@")[2] or one.version
        return _place(one.model) == _place(self.model) and (not version or version == (self.version or version))

    def _other_versions(self) -> list[str]:
        return [version for version in self.versions or () if version != self.version]
