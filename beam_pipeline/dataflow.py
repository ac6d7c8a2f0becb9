"""The runner on Google Cloud Dataflow: one job for one request, followed to its end, and found again."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
from apache_beam.runners.runner import PipelineResult
from google.api_core import exceptions as api

from beam_pipeline import dataflow_checks, packages
from beam_pipeline.dataflow_service import Counts, RemoteJob, Service, one_line, refusal
from beam_pipeline.job import PREFIX, Job, Names, Ran, output_digest
from beam_pipeline.pipeline import build
from beam_pipeline.write_shards import CPU, NAMESPACE, REUSED
from transforms import temporary
from transforms.dataset.shard import ACCEPTED, REJECTED_FOR, SAMPLES
from transforms.errors import ServiceError, UsageError, UserError
from transforms.listener import Listener

# A job's page has it beside its name.
OUTPUT_LABEL, REQUEST_LABEL = "cliptune_output", "cliptune_request"
# A short job is over within seconds; one of hours is looked at every ten.
POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 10.0
# The service may be away for a while; and after a failure it takes half a minute to say why.
PATIENCE_SECONDS, EXPLANATION_SECONDS = 900.0, 50.0
# Four processes with 1.5 GiB each, and as much to spare. A machine takes a minute to come: with fewer shards for each
# of its processors it would come too late, or be idle at the end (docs/dataflow.md).
MACHINE_TYPE, VCPUS, DISK_GB, MAX_WORKERS, SHARDS_PER_VCPU = "e2-standard-4", 4, 50, 100, 32


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that the service has accepted.

    Attributes:
      job: as it was then.
      attached: whether an earlier command had submitted it.
    """

    job: RemoteJob
    attached: bool


def check(options: PipelineOptions) -> None:
    """Checks the options without a network; raises as `runners.Engine` says."""
    dataflow_checks.check_flags(options)


def threads() -> int:
    """One clip, because the service starts a worker process for each core."""
    return 1


def run(job: Job, options: PipelineOptions, listener: Listener) -> Ran:
    """Submits the job, or finds it running, and follows it to its end; raises as `runners.Engine` says."""
    if options.view_as(GoogleCloudOptions).template_location:
        raise UsageError("--template_location describes a job and starts none: it needs --no_wait")
    service = Service(options)
    submitted = submit(job, options, listener, service)
    try:
        return follow(service, submitted.job.id, job, listener)
    except KeyboardInterrupt:
        listener.say(
            f"Dataflow job {submitted.job.id} goes on. The same command attaches to it; with --cancel it cancels it, as"
            f" does: {service.cancelling(submitted.job.id)}"
        )
        raise


def submit(job: Job, options: PipelineOptions, listener: Listener, service: Service) -> Submitted:
    """Submits the job, unless it is running already. What it writes is not touched before it runs.

    Raises:
      UserError: another job writes into the output, or something that the job needs is not there.
      ServiceError: the service refuses the job.
    """
    names = Names.of(job)
    if (found := running(service, names)) is not None:
        return _attached(found, service, listener)
    dataflow_checks.preflight(job, options, listener)
    options = copy.deepcopy(options)  # the next job of the same request gets packages of its own
    with temporary.folder() as folder:
        _prepare(options, names, job, Path(folder), listener)
        try:
            created = _run_pipeline(job, options)
        except (DataflowJobAlreadyExistsError, api.Conflict) as fault:
            found = running(service, names)
            if found is None:
                raise UserError(f"Dataflow refuses the job: {one_line(str(fault))}; nothing was changed") from None
            return _attached(found, service, listener)
        except api.GoogleAPICallError as fault:
            where = f"Dataflow in {service.region} of project {service.project}"
            raise ServiceError(f"{refusal(fault, where)}; nothing was changed") from None
    if not created:
        template = options.view_as(GoogleCloudOptions).template_location
        listener.say(f"the job is described in {template}: it begins when that is launched")
        return Submitted(RemoteJob("", names.job, "DESCRIBED"), attached=False)
    # Airflow and other tools look for these very words.
    listener.say(f"Created job with id: [{created}]")
    listener.say(f"console: {service.console(created)}")
    return Submitted(RemoteJob(created, names.job, "PENDING"), attached=False)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a dry run finds.

    Attributes:
      name: that the job would have.
      attaches_to: id of the job that runs already; "" for none.
      max_workers: machines that it may have.
    """

    name: str
    attaches_to: str
    max_workers: int


def tried(job: Job, options: PipelineOptions, listener: Listener) -> Tried:
    """Does all that `submit` does until something is sent; raises the same."""
    dataflow_checks.preflight(job, options, listener)
    names, service = Names.of(job), Service(options)
    found = running(service, names)
    options = copy.deepcopy(options)
    options.view_as(TestOptions).dry_run = True
    with temporary.folder() as folder, _quiet():
        _prepare(options, names, job, Path(folder), listener)
        pipeline = beam.Pipeline(options=options)
        build(pipeline, job)
        _beam_runs(pipeline)
    cloud, worker = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    return Tried(cloud.job_name, found.id if found else "", worker.max_num_workers)


def running(service: Service, names: Names) -> RemoteJob | None:
    """The job of the same request, if it has not ended.

    Raises:
      UserError: a job of another request writes into the same output.
    """
    for job in service.labelled(OUTPUT_LABEL, names.output, f"{PREFIX}-{names.output}-"):
        if job.labels.get(REQUEST_LABEL) == names.request:
            return job
        raise UserError(
            f"Dataflow job {job.id} ({job.name}) of another request writes into the same output; wait for its end, or"
            f" cancel it: {service.cancelling(job.id)}"
        )
    return None


def running_into(service: Service, folder: str) -> list[RemoteJob]:
    """The jobs, whatever they were asked for, that write into an output folder."""
    digest = output_digest(folder)
    return service.labelled(OUTPUT_LABEL, digest, f"{PREFIX}-{digest}-")


def _attached(job: RemoteJob, service: Service, listener: Listener) -> Submitted:
    if job.state == "CANCELLING":
        then = "the same command submits a new one once it has ended"
        raise UserError(f"Dataflow job {job.id} of this request is being cancelled; {then}")
    listener.say(f"Submitted job: {job.id} by an earlier command, and {job.state}: attached to it")
    listener.say(f"console: {service.console(job.id)}")
    return Submitted(job, attached=True)


def _prepare(options: PipelineOptions, names: Names, job: Job, folder: Path, listener: Listener) -> None:
    """Gives the job its name, labels, packages and workers, as far as no flag says otherwise."""
    cloud, worker, debug = (options.view_as(kind) for kind in (GoogleCloudOptions, WorkerOptions, DebugOptions))
    cloud.job_name = cloud.job_name or names.job
    ours = [f"{OUTPUT_LABEL}={names.output}", f"{REQUEST_LABEL}={names.request}"]
    cloud.labels = [*(label for label in cloud.labels or () if not label.startswith(f"{PREFIX}_")), *ours]
    packages.stage(options, folder)
    worker.machine_type = worker.machine_type or MACHINE_TYPE
    worker.disk_size_gb = worker.disk_size_gb or DISK_GB
    worker.max_num_workers = worker.max_num_workers or max(workers_for(job), worker.num_workers or 0)
    # More threads would each hold a shard's sources; a process has windows of its own for what it waits for.
    debug.number_of_worker_harness_threads = debug.number_of_worker_harness_threads or 1
    listener.say(
        f"workers: at most {worker.max_num_workers} × {worker.machine_type}, {worker.disk_size_gb} GB of disk,"
        f" harness threads of a process: {debug.number_of_worker_harness_threads} (--max_num_workers, --machine_type,"
        " --disk_size_gb, --number_of_worker_harness_threads)"
    )


def workers_for(job: Job) -> int:
    """As many machines as the shards keep busy."""
    shards = len(job.plan.shard_keys())
    return max(1, min(MAX_WORKERS, -(-shards // (VCPUS * SHARDS_PER_VCPU))))


def _run_pipeline(job: Job, options: PipelineOptions) -> str:
    """Stages and submits the job; its id, or "" if a template was made of it.

    Raises:
      UserError: Beam cannot stage something, or refuses flags together.
    """
    with _quiet():
        pipeline = beam.Pipeline(options=options)
        build(pipeline, job)
        result = _beam_runs(pipeline)
        return str(result.job_id()) if result.has_job else ""


def _beam_runs(pipeline: beam.Pipeline) -> PipelineResult:
    try:
        return pipeline.run()
    except DataflowJobAlreadyExistsError:
        raise
    except (RuntimeError, ValueError) as fault:  # as Beam says what it cannot stage, and what flags contradict
        raise UserError(f"Beam does not submit the job: {one_line(str(fault))}; nothing was changed") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Beam: what is wrong is raised, too, and what is worth a line is said by us."""
    logger = logging.getLogger("apache_beam")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def follow(service: Service, job_id: str, job: Job, listener: Listener) -> Ran:
    """Follows a job to its end. Whether there is a dataset then, is not asked here.

    Raises:
      ServiceError: the service has not answered for a quarter of an hour; the job goes on.
    """
    return follow_for(service, job_id, listener, job.output.settings.sample_rate, job.plan.rows).ran


@dataclass(frozen=True, slots=True)
class Followed:
    """A job that has been followed.

    Attributes:
      job: as it was last seen; its state is "UNKNOWN" if the service has not answered.
      ended: whether it has ended and has said why.
      ran: what its workers have counted.
    """

    job: RemoteJob
    ended: bool
    ran: Ran


def follow_for(
    service: Service, job_id: str, listener: Listener, sample_rate: int, rows: int | None, timeout: float | None = None
) -> Followed:
    """Follows a job to its end, or for some seconds.

    Args:
      service: its jobs.
      job_id: the service's.
      listener: is told progress and messages.
      sample_rate: in hertz, of the audio that is counted.
      rows: of the manifests, if they are known.
      timeout: seconds; None for no limit.

    Raises:
      ServiceError: the service refuses, or has not answered for a quarter of an hour; the job goes on.
    """
    follower = _Follower(service, job_id, listener)
    until = None if timeout is None else time.monotonic() + timeout
    with listener.progress("preparing", rows, "clips") as update, _quiet():
        while not (ended := follower.ended()) and (until is None or time.monotonic() < until):
            update(*follower.progress(sample_rate))
            follower.wait(until)
    return Followed(follower.job, ended, follower.ran())


class _Follower:
    """What is known of a job that is being followed."""

    def __init__(self, service: Service, job_id: str, listener: Listener) -> None:
        self._service, self._id, self._listener = service, job_id, listener
        self.job = RemoteJob(job_id, "", "UNKNOWN")
        self._state, self._workers = "", 0
        self._causes: list[str] = []
        self._summaries: list[str] = []
        self._counts = Counts()
        self._seconds, self._silent, self._unexplained = POLL_SECONDS, 0.0, 0.0

    def ended(self) -> bool:
        """Whether the job has ended and has said why; asks the service."""
        if not self._asked(self._look):
            return False
        ended = self._state in ("DONE", "CANCELLED", "UPDATED", "DRAINED")
        explained = self._causes or self._unexplained >= EXPLANATION_SECONDS
        return ended or (self._state == "FAILED" and bool(explained))

    def _look(self) -> None:
        self.job = job = self._service.job(self._id)  # before its messages: those of an ended job are all there
        news = self._service.news(self._id)
        self._counts = self._service.counts(self._id, NAMESPACE)
        for line in dict.fromkeys(news.lines):
            if line not in self._causes:
                self._say(line)
        self._causes += [cause for cause in dict.fromkeys(news.causes) if cause not in self._causes]
        self._summaries += news.summaries
        if news.workers is not None and news.workers != self._workers:
            self._workers = news.workers
            self._say(f"{self._workers} workers")
        if job.state != self._state:
            self._state, self._seconds = job.state, POLL_SECONDS
            self._say(f"job {self._id} is {self._state}")

    def _say(self, line: str) -> None:
        self._listener.say(line)

    def _asked(self, look: Callable[[], None]) -> bool:
        """Whether the service has answered. One that is away for a while ends nothing."""
        try:
            look()
        except ServiceError as fault:
            if not fault.transient:
                raise ServiceError(f"{fault}; {self._goes_on()}", code=fault.code) from None
            if not self._silent:
                self._say(f"{fault}; asking again")
            if self._silent > PATIENCE_SECONDS:
                raise ServiceError(f"{fault}; {self._goes_on()}") from None
            self._silent += self._seconds
            return False
        self._silent = 0.0
        return True

    def _goes_on(self) -> str:
        return f"job {self._id} may go on, and the same command attaches to it"

    def wait(self, until: float | None) -> None:
        """Waits until the job is worth another look, or until a time of the monotonic clock."""
        time.sleep(self._seconds if until is None else min(self._seconds, max(0.0, until - time.monotonic())))
        self._unexplained += self._seconds if self._state == "FAILED" else 0
        self._seconds = min(1.5 * self._seconds, LONGEST_POLL_SECONDS)

    def progress(self, sample_rate: int) -> tuple[int, str]:
        """How many clips are done, and what else is worth a glance."""
        counters = self._counts.counters
        accepted, reused = counters.get(ACCEPTED, 0), counters.get(REUSED.metric_name.name, 0)
        rejected = sum(count for name, count in counters.items() if name.startswith(REJECTED_FOR))
        hours = counters.get(SAMPLES, 0) / sample_rate / 3600
        done = accepted + rejected
        note = f"{self._state.lower()}, {self._workers} workers, {hours:.2f} h of audio, {rejected} rejected"
        return done, f"{note}, {reused} reused" if reused else note

    def ran(self) -> Ran:
        """What the workers have counted, and what is wrong with the job, its first cause first."""
        spreads = {stage: self._counts.spreads.get(metric.metric_name.name) for stage, metric in CPU.items()}
        cpu = {stage: spread for stage, spread in spreads.items() if spread is not None and spread.count}
        return Ran(self._counts.counters.get(REUSED.metric_name.name, 0), cpu, fault=self._fault())

    def _fault(self) -> str:
        if self._state == "DONE":
            return ""
        cause = next(iter([*self._causes, *self._summaries]), "the service gives no reason")
        said = "was cancelled" if self._state == "CANCELLED" else f"ended as {self._state}: {cause}"
        return f"Dataflow job {self._id} {said} ({self._service.console(self._id)})"
