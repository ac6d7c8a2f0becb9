"""A run that is not waited for: what it would do, its job on Dataflow, and the end of that."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_pipeline import prepare, runners
from beam_pipeline.job import Job, Ran
from beam_pipeline.prepare import Prepared
from beam_pipeline.requests import PrepareRequest
from transforms.dataset import output
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.manifests.reading import Recognised
from transforms.report import finished
from transforms.storage import uris

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.dataflow_service import RemoteJob, Service

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class LaunchedJob:
    """A job on Dataflow, as `cliptune prepare --no_wait` and `--cancel` print it on stdout.

    Attributes:
      output: as the request names it.
      runner: name of Beam's runner.
      id: the service's; "" for a job that was only described, for a template.
      name: of the job.
      state: as the service says, such as "PENDING" or "RUNNING"; "DESCRIBED" for a template.
      attached: whether an earlier command had submitted it.
      console: address of its page.
      format_version: version of these fields.
    """

    output: str
    runner: str
    id: str
    name: str
    state: str
    attached: bool
    console: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PrepareDryRun:
    """What would be done, as `cliptune prepare --dry_run` prints it on stdout.

    Attributes:
      output: as the request names it.
      found: what is there: "nothing", "begun" by the same command, "finished", "another" dataset to be replaced, or one
        that is "unmerged": it lacks rows of this merge, or has rejected some that are tried again.
      rows: manifest rows.
      shards: files of each split; "rejected" has sidecars only.
      runner: name of Beam's runner.
      job: name that the job would have on Dataflow or behind a job server; "" on this machine.
      attaches_to: id of the job of the same request that is running there; "" for none.
      max_workers: machines that the job may have on Dataflow; 0 elsewhere.
      format_version: version of these fields.
      manifests: what each was read as, with its columns and rows.
    """

    output: str
    found: str
    rows: int
    shards: dict[str, int]
    runner: str
    job: str = ""
    attaches_to: str = ""
    max_workers: int = 0
    format_version: int = FORMAT_VERSION
    manifests: tuple[Recognised, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def dry_run(request: PrepareRequest, listener: Listener = SILENT) -> PrepareDryRun:
    """Says what the same request without `dry_run` would do. Nothing is changed, on any runner.

    Raises:
      UsageError, UserError, StorageError, ServiceError: as the run itself would before it begins.
    """
    options = prepare.checked_options(request)
    job = prepare.make_job(request, listener)
    ready = prepare.for_elsewhere(job, request, runners.find(request.runner).engine.threads())
    name = request.runner or runners.DEFAULT
    found = PrepareDryRun(request.output, _found(job), job.plan.rows, dict(job.plan.num_shards), name)
    found = replace(found, manifests=job.recognised)
    if runners.find(request.runner).shares_disk:
        has_name = request.runner in runners.RUNNERS and runners.find(request.runner).outlives
        prepare.say_recognised(job, listener)
        return replace(found, job=_name(ready, options) if has_name else "")
    from beam_pipeline import dataflow  # noqa: PLC0415 -- imports Beam

    tried = dataflow.tried(ready, options, listener)
    prepare.say_recognised(job, listener)
    return replace(found, job=tried.name, attaches_to=tried.attaches_to, max_workers=tried.max_workers)


def _name(job: Job, options: PipelineOptions) -> str:
    from beam_pipeline import elsewhere  # noqa: PLC0415 -- imports Beam

    return elsewhere.named(job, options)


def _found(job: Job) -> str:
    """What the output holds."""
    try:
        finished.of(job.plan, job.output)
    except UserError:
        run = uris.join(job.output.folder, output.RUN_FILE)
        if not job.output.storage.exists(run):
            return "nothing"
        mine = output.run_file(job.plan, job.output.settings)
        if job.output.storage.read_record(run) == mine:
            return "begun"
        return "another" if job.again is None else "unmerged"
    return "finished" if job.is_merged() else "unmerged"


def submit(request: PrepareRequest, listener: Listener = SILENT) -> Prepared | LaunchedJob:
    """Submits the request's job to Dataflow, or finds it running.

    Returns:
      The job; the dataset, if it is finished already.

    Raises:
      UsageError, UserError, StorageError, ServiceError: as `prepare.run`, until the job is accepted.
    """
    dataflow_alone(request, "no_wait")
    from beam_pipeline import dataflow, dataflow_service  # noqa: PLC0415 -- imports Beam

    options = prepare.checked_options(request)
    job = prepare.make_job(request, listener)
    report = prepare.finished_before(job, request, listener)
    if report is not None:
        return prepare.prepared(report, Ran(job.plan.rows), request)
    service = dataflow_service.Service(options)
    submitted = dataflow.submit(prepare.for_elsewhere(job, request, dataflow.threads()), options, listener, service)
    prepare.say_recognised(job, listener)
    return _launched(request, submitted.job, service, submitted.attached)


def cancel(request: PrepareRequest, listener: Listener = SILENT) -> LaunchedJob:
    """Cancels the job on Dataflow that writes into the request's output. Manifests are not read.

    Raises:
      UserError: there is no such job.
      ServiceError: the service refuses.
    """
    dataflow_alone(request, "cancel")
    from beam_pipeline import dataflow, dataflow_service  # noqa: PLC0415 -- imports Beam

    service = dataflow_service.Service(prepare.checked_options(request))
    folder = uris.absolute(request.output.rstrip("/") or request.output, str(Path.cwd()))
    jobs = dataflow.running_into(service, folder)
    if not jobs:
        raise UserError(f"no job in {service.region} of project {service.project} writes into {request.output}")
    for job in jobs:
        service.cancel(job.id)
        listener.say(f"Dataflow job {job.id} is being cancelled; finished shards stay for the next run")
    return _launched(request, service.job(jobs[0].id), service, attached=True)


def dataflow_alone(request: PrepareRequest, flag: str) -> None:
    """Refuses a flag for runners whose jobs have no name."""
    if runners.find(request.runner).shares_disk:
        raise UsageError(f"{flag} needs --runner=DataflowRunner, whose jobs can be found again", flag)


def _launched(request: PrepareRequest, job: RemoteJob, service: Service, attached: bool) -> LaunchedJob:
    console = service.console(job.id) if job.id else ""
    return LaunchedJob(request.output, request.runner, job.id, job.name, job.state, attached, console)
