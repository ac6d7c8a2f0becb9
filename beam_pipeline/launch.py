"""A run that is not waited for: what it would do, its job elsewhere, how that goes on, and the end of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_pipeline import prepare, preview, runners
from beam_pipeline.job import Job, Launched, Ran, output_digest, request_digest
from beam_pipeline.prepare import Prepared
from beam_pipeline.preview import Preview
from beam_pipeline.requests import PrepareRequest
from transforms.dataset import output
from transforms.errors import ServiceError, UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.manifests.reading import Recognised
from transforms.report import finished
from transforms.report.report import Report
from transforms.storage import Storage, uris

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.dataflow_service import RemoteJob, Service

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class LaunchedJob:
    """A job elsewhere, as `cliptune prepare --no_wait`, `--follow` and `--cancel` print it on stdout.

    Attributes:
      output: as the request names it.
      runner: name of Beam's runner.
      id: the service's, or the cluster's; "" for a job that was only described, for a template.
      name: of the job.
      state: as the service says, such as "PENDING" or "RUNNING"; "DESCRIBED" for a template; "UNKNOWN" if the service
        has not answered.
      attached: whether an earlier command had submitted it.
      console: address of its page; "" if it is not known, as behind a job server that is not Flink's.
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
      attaches_to: id of the job of the same request that is running there; "" for none that is known.
      preview: what would be made of the rows.
      max_workers: machines that the job may have on Dataflow; 0 elsewhere.
      format_version: version of these fields.
      manifests: what each was read as, with its columns and rows.
    """

    output: str
    found: str
    rows: int
    shards: dict[str, int]
    runner: str
    preview: Preview
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
    # Flags of Beam are checked before anything is read; without any, Beam waits until the manifests are found.
    options = prepare.checked_options(request) if request.beam_options else None
    job = prepare.make_job(request, listener)
    options = options or prepare.checked_options(request)
    ready = prepare.for_elsewhere(job, request, runners.find(request.runner).engine.threads())
    name = request.runner or runners.DEFAULT
    look = preview.preview(ready)
    found = PrepareDryRun(request.output, _found(job), job.plan.rows, dict(job.plan.num_shards), name, look)
    found = replace(found, manifests=job.recognised)
    if runners.find(request.runner).shares_disk:
        prepare.say_recognised(job, listener)
        return _in_cluster(found, ready, options) if runners.find(request.runner).finds_jobs else found
    from beam_pipeline import dataflow  # noqa: PLC0415 -- imports Beam

    tried = dataflow.tried(ready, options, listener)
    prepare.say_recognised(job, listener)
    return replace(found, job=tried.name, attaches_to=tried.attaches_to, max_workers=tried.max_workers)


def _in_cluster(found: PrepareDryRun, job: Job, options: PipelineOptions) -> PrepareDryRun:
    from beam_pipeline import elsewhere  # noqa: PLC0415 -- imports Beam

    return replace(found, job=elsewhere.named(job, options), attaches_to=elsewhere.attaches_to(job, options))


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
    """Submits the request's job, or finds it running.

    Returns:
      The job; the dataset, if it is finished already.

    Raises:
      UsageError, UserError, StorageError, ServiceError: as `prepare.run`, until the job is accepted.
    """
    _findable(request, "no_wait")
    options = prepare.checked_options(request)
    job = prepare.make_job(request, listener)
    report = prepare.finished_before(job, request, listener)
    if report is not None:
        return prepare.prepared(report, Ran(job.plan.rows), request)
    ready = prepare.for_elsewhere(job, request, runners.find(request.runner).engine.threads())
    if runners.find(request.runner).shares_disk:
        from beam_pipeline import elsewhere  # noqa: PLC0415 -- imports Beam

        return _left(request, elsewhere.submit(ready, options, listener))
    from beam_pipeline import dataflow, dataflow_service  # noqa: PLC0415 -- imports Beam

    service = dataflow_service.Service(options)
    submitted = dataflow.submit(ready, options, listener, service)
    prepare.say_recognised(job, listener)
    return _launched(request, submitted.job, service, submitted.attached)


def follow(request: PrepareRequest, listener: Listener = SILENT) -> Prepared | LaunchedJob:
    """Follows the job on Dataflow that `follow` names. Manifests are not read, and nothing is submitted.

    Returns:
      The dataset; the job, if it has not ended within `timeout`, or was cancelled.

    Raises:
      UserError: it has failed, or it has ended without a dataset, or it is not one of the request's output.
      ServiceError: the service refuses, or has not answered for a quarter of an hour.
    """
    dataflow_alone(request, "follow")
    from beam_pipeline import dataflow, dataflow_service  # noqa: PLC0415 -- imports Beam

    service = dataflow_service.Service(prepare.checked_options(request))
    folder, storage = _output(request)
    job_id, rate = request.follow or "", request.settings.sample_rate
    try:
        job = service.job(job_id)
        if job.labels.get(dataflow.OUTPUT_LABEL) != output_digest(folder):
            raise UserError(f"Dataflow job {job.id} ({job.name}) does not write into {request.output}")
    except ServiceError as fault:
        if not fault.transient:
            raise
    found = dataflow.follow_for(service, job_id, listener, rate, None, request.timeout)
    job = found.job
    if not found.ended:
        return _launched(request, job, service, attached=True)
    try:
        report = _made_by(job.labels.get(dataflow.REQUEST_LABEL, ""), folder, storage, request)
    except UserError as fault:
        if job.state == "CANCELLED":
            listener.say(found.ran.fault)
            return _launched(request, job, service, attached=True)
        raise UserError(f"{found.ran.fault or fault}; cliptune prepare goes on from what is there") from None
    if found.ran.fault:
        listener.say(f"{found.ran.fault}; the dataset is finished all the same")
    return prepare.prepared(report, found.ran, request)


def _made_by(asked: str, folder: str, storage: Storage, request: PrepareRequest) -> Report:
    """The report of the finished dataset, if it is the one that a job was asked for.

    Raises:
      UserError: there is none, or it is another one.
    """
    report, known = finished.load(folder, storage)
    run = storage.read_record(uris.join(folder, output.RUN_FILE))
    if asked not in {request_digest(run, known.sources_digest, verify) for verify in (False, True)}:
        raise UserError(f"{request.output} holds a dataset of another request than the job's")
    return report


def cancel(request: PrepareRequest, listener: Listener = SILENT) -> LaunchedJob:
    """Cancels the job that writes into the request's output. Manifests are not read.

    Raises:
      UserError: there is no such job.
      ServiceError: the service refuses.
    """
    _findable(request, "cancel")
    options = prepare.checked_options(request)
    folder, _ = _output(request)
    if runners.find(request.runner).shares_disk:
        from beam_pipeline import elsewhere  # noqa: PLC0415 -- imports Beam

        return _left(request, elsewhere.cancel(output_digest(folder), options, listener))
    from beam_pipeline import dataflow, dataflow_service  # noqa: PLC0415 -- imports Beam

    service = dataflow_service.Service(options)
    jobs = dataflow.running_into(service, folder)
    if not jobs:
        raise UserError(f"no job in {service.region} of project {service.project} writes into {request.output}")
    for job in jobs:
        service.cancel(job.id)
        listener.say(f"Dataflow job {job.id} is being cancelled; finished shards stay for the next run")
    return _launched(request, service.job(jobs[0].id), service, attached=True)


def _findable(request: PrepareRequest, flag: str) -> None:
    """Refuses a flag for runners whose jobs cannot be found again."""
    if not runners.find(request.runner).finds_jobs:
        able = ", ".join(name for name, runner in runners.RUNNERS.items() if runner.finds_jobs)
        raise UsageError(f"{flag} needs a runner whose jobs can be found again: {able}", flag)


def _left(request: PrepareRequest, job: Launched) -> LaunchedJob:
    return LaunchedJob(request.output, request.runner, job.id, job.name, job.state, job.attached, job.console)


def _output(request: PrepareRequest) -> tuple[str, Storage]:
    """The absolute folder of the request's output, and what reads it."""
    folder = uris.absolute(request.output.rstrip("/") or request.output, str(Path.cwd()))
    return folder, Storage(request.billing_project).within([folder])


def dataflow_alone(request: PrepareRequest, flag: str) -> None:
    """Refuses a flag for runners whose jobs have no name."""
    if runners.find(request.runner).shares_disk:
        raise UsageError(f"{flag} needs --runner=DataflowRunner, whose jobs can be found again", flag)


def _launched(request: PrepareRequest, job: RemoteJob, service: Service, attached: bool) -> LaunchedJob:
    console = service.console(job.id) if job.id else ""
    return LaunchedJob(request.output, request.runner, job.id, job.name, job.state, attached, console)
