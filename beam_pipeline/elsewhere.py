"""The runners outside this process: Dataflow, Flink, and job servers."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners import runner
from apache_beam.runners.portability import job_server
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES
from apache_beam.runners.portability.portable_runner import PipelineResult, PortableRunner
from apache_beam.runners.runner import PipelineRunner, PipelineState, create_runner
from apache_beam.utils import subprocess_server

from beam_pipeline import faults, progress
from beam_pipeline.clusters import (
    ENDED,
    PATIENCE_SECONDS,
    POLL_SECONDS,
    Cluster,
    FoundJob,
    JobManager,
    JobServer,
    RequestOptions,
)
from beam_pipeline.job import Job, Launched, Names, Ran
from beam_pipeline.pipeline import build
from transforms.errors import ServiceError, UsageError, UserError
from transforms.listener import Listener

JOB_SERVER_SECONDS = 10.0
_READS_MESSAGES = "wait_until_finish_read"  # Beam's thread


def check(options: PipelineOptions) -> None:
    """Lets Beam check the options, and checks that the job server answers; raises as `runners.Engine` says."""
    name = options.view_as(StandardOptions).runner
    try:
        errors = PipelineOptionsValidator(options, create_runner(name)).validate()
    except (ValueError, ImportError, AttributeError) as fault:
        raise UsageError(f"--runner={name}: {' '.join(str(fault).split())}") from None
    endpoint = options.view_as(PortableOptions).job_endpoint
    if name == "PortableRunner" and not endpoint:
        errors = [*errors, "Missing required option: job_endpoint."]
    if errors:
        problems = " ".join(re.sub(r"option: (\w+)", r"option: --\1", " ".join(error.split())) for error in errors)
        raise UsageError(f"--runner={name}: {problems}")
    if endpoint and endpoint != "embed":
        _check_job_server(endpoint)
    master = options.view_as(FlinkRunnerOptions).flink_master
    if master not in MAGIC_HOST_NAMES:
        _check_job_manager(master)


def _check_job_server(endpoint: str) -> None:
    """Refuses an address at which nothing answers. Beam would wait for it without a message."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), JOB_SERVER_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise UserError(f"--job_endpoint={endpoint}: no job server answers at this HOST:PORT") from None


def _check_job_manager(master: str) -> None:
    """Refuses an address at which no JobManager answers. A job server would find out after half a minute."""
    try:
        JobManager(master).jobs()
    except ServiceError as fault:
        raise UserError(f"--flink_master={master}: {fault}") from None


def threads() -> int:
    """One clip, because the runner starts a worker process for each core."""
    return 1


def run(job: Job, options: PipelineOptions, listener: Listener) -> Ran:
    """Submits the pipeline, or finds it running, and waits for its end; raises as `runners.Engine` says."""
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        with faults.of_workers(), _without_messages():
            cluster = Cluster(options)
            found = cluster.find_settled(Names.of(job)) if cluster.is_known() else None
            if found is None:
                return _submitted(job, options, listener)
            return _attached(*found, job, options, listener)
    except faults.JobEndedError as fault:
        return Ran(0, fault=str(fault))


def _submitted(job: Job, options: PipelineOptions, listener: Listener) -> Ran:
    with _submitting(job, options) as (name, engine, result):
        try:
            with progress.of_shards(job, listener):
                result.wait_until_finish()
        except KeyboardInterrupt:
            if isinstance(engine, PortableRunner):
                listener.say(left(name, options))
            raise
        return faults.counted(result.metrics())


@contextmanager
def _submitting(job: Job, options: PipelineOptions) -> Iterator[tuple[str, PipelineRunner, runner.PipelineResult]]:
    """The name of the job, its runner and its result. A job server of this command's own ends with the block."""
    pipeline = beam.Pipeline(options=options)
    build(pipeline, job)
    name = named(job, pipeline.options)
    pipeline.options.view_as(RequestOptions).cliptune_request = Names.of(job).tag
    with _its_job_server(pipeline.runner):
        yield name, pipeline.runner, pipeline.run()


def _attached(
    found: FoundJob, where: JobServer | JobManager, job: Job, options: PipelineOptions, listener: Listener
) -> Ran:
    """Waits for the end of a job that an earlier command has submitted."""
    listener.say(f"job {found.name} ({found.id}) of an earlier command is {found.state}: attached to it")
    try:
        with progress.of_shards(job, listener):
            if isinstance(where, JobManager):
                return _followed(found, where)
            result = where.attach(found.id)
            result.wait_until_finish()
        return faults.counted(result.metrics())
    except KeyboardInterrupt:
        listener.say(left(found.name, options))
        raise


def _followed(found: FoundJob, manager: JobManager) -> Ran:
    """Waits until the JobManager says that a job has ended; whether there is a dataset then, is not asked here."""
    state, silent = found.state, 0.0
    while state and state not in ENDED:
        time.sleep(POLL_SECONDS)
        try:
            state, silent = manager.state(found.id), 0.0
        except ServiceError as fault:
            silent += POLL_SECONDS
            if not fault.transient or silent > PATIENCE_SECONDS:
                raise faults.JobEndedError(f"{fault}; job {found.name} may go on") from None
    if state == "FINISHED":
        return faults.counted(manager.metrics(found.id))
    cause = manager.cause(found.id) if state else "the JobManager has forgotten it"
    if (original := faults.original_of(cause)) is not None:
        raise original
    said = "was cancelled" if state == "CANCELED" else f"failed: {faults.one_line(cause.partition(chr(10))[0])}"
    raise faults.JobEndedError(f"job {found.name} ({found.id}) {said}")


def submit(job: Job, options: PipelineOptions, listener: Listener) -> Launched:
    """Submits the job, or finds it running, and leaves it to itself as soon as the cluster has it.

    Raises:
      UserError, StorageError, ServiceError: as `run`, until the cluster has the job.
    """
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    with faults.of_workers(), _without_messages():
        cluster, names = _asked(options, "no_wait"), Names.of(job)
        if options.view_as(PortableOptions).environment_type == "LOOPBACK":
            raise UsageError("--environment_type=LOOPBACK works in this process: it cannot be left with --no_wait")
        if (found := cluster.find_settled(names)) is not None:
            return _launched(*found, attached=True)
        with _submitting(job, options) as (name, _, result):
            return _accepted(name, names, result, cluster)


def _accepted(name: str, names: Names, result: PipelineResult, cluster: Cluster) -> Launched:
    """Waits until the JobManager has the job; a job server without one has it already."""
    while (manager := cluster.manager()) is not None:
        running = [job for job in manager.jobs() if job.request == names.tag]
        if running:
            return _launched(running[0], manager, attached=False)
        if result.state in (PipelineState.FAILED, PipelineState.CANCELLED):
            result.wait_until_finish()  # raises what is wrong
        if result.state == PipelineState.DONE:
            break
        time.sleep(POLL_SECONDS)
    return Launched(result._job_id, name, result.state, attached=False, console="")


def cancel(output: str, options: PipelineOptions, listener: Listener) -> Launched:
    """Cancels the jobs that write into an output of this digest, as their cluster has them.

    Raises:
      UserError: there is no such job.
      ServiceError: the JobManager does not answer.
    """
    with faults.of_workers(), _without_messages():
        jobs = [(job, where) for job, where in _asked(options, "cancel").jobs() if job.writes_into(output)]
        for job, where in jobs:
            where.cancel(job.id)
            listener.say(f"job {job.name} ({job.id}) is being cancelled; finished shards stay for the next run")
    if not jobs:
        raise UserError("no job of this cluster writes into the output")
    (job, where), *_ = jobs
    state = where.state(job.id) if isinstance(where, JobManager) else "CANCELLING"
    return _launched(replace(job, state=state), where, attached=True)


def attaches_to(job: Job, options: PipelineOptions) -> str:
    """The id of the job of the same request that runs; "" for none.

    Raises:
      UserError: a job of another request writes into the same output.
    """
    with faults.of_workers():
        found = Cluster(options).find(Names.of(job))
    return "" if found is None else found[0].id


def _asked(options: PipelineOptions, flag: str) -> Cluster:
    """The cluster, for what needs one that can be asked for its jobs."""
    cluster = Cluster(options)
    if not cluster.is_known():
        raise UsageError(f"--{flag} needs --flink_master or --job_endpoint, whose jobs can be found again", flag)
    return cluster


def _launched(job: FoundJob, where: JobServer | JobManager, attached: bool) -> Launched:
    console = where.console(job.id) if isinstance(where, JobManager) else ""
    return Launched(job.id, job.name, job.state, attached, console)


def named(job: Job, options: PipelineOptions) -> str:
    """Gives the job its name, unless a flag does; returns it. Beam's name for the flag tells of Dataflow alone."""
    cloud = options.view_as(GoogleCloudOptions)
    cloud.job_name = cloud.job_name or Names.of(job).job
    return str(cloud.job_name)


def left(name: str, options: PipelineOptions) -> str:
    """What is said of a job that is left to itself: where it is, and how it is ended."""
    endpoint, master = options.view_as(PortableOptions).job_endpoint, options.view_as(FlinkRunnerOptions).flink_master
    if not endpoint and master in MAGIC_HOST_NAMES:
        return f"job {name} ends with its job server, which was this command's own"
    page = "http://JOBMANAGER:8081" if master in MAGIC_HOST_NAMES else JobManager(master).page
    where = f"has gone through the job server at {endpoint}" if endpoint else f"is at {page}"
    return (
        f"job {name} goes on; it {where}. On Flink, {page}/jobs/overview has its JOB_ID beside this name, and this ends"
        f" it: curl -X PATCH {page}/jobs/JOB_ID"
    )


@contextmanager
def _its_job_server(runner: PipelineRunner) -> Iterator[None]:
    """Ends the job server that a runner has started for itself, at the end of the block.

    Beam would do so at the end of Python, and not manage: the temporary folder of the server is gone by then.
    """
    made: list[job_server.JobServer] = []
    if isinstance(runner, PortableRunner):
        make = runner.default_job_server

        def remembered(options: PipelineOptions) -> job_server.JobServer:
            made.append(make(options))
            return made[-1]

        runner.default_job_server = remembered
        logging.getLogger(subprocess_server.__name__).setLevel(logging.ERROR)  # it warns of each server that it ends
    try:
        yield
    finally:
        for server in made:
            server.stop()


@contextmanager
def _without_messages() -> Iterator[None]:
    """Drops what Beam prints of a job server besides raising it: its messages, and that it does not answer any more."""
    logger, hook = logging.getLogger(), threading.excepthook

    def drop(record: logging.LogRecord) -> bool:
        return False

    def in_thread(raised: threading.ExceptHookArgs) -> None:
        if not isinstance(raised.exc_value, grpc.RpcError):
            hook(raised)

    logger.addFilter(drop)
    threading.excepthook = in_thread
    try:
        yield
    except grpc.RpcError:  # which the thread that reads messages raises, too, now or in a moment
        for thread in threading.enumerate():
            if thread.name == _READS_MESSAGES:
                thread.join(JOB_SERVER_SECONDS)
        raise
    finally:
        threading.excepthook = hook
        logger.removeFilter(drop)
