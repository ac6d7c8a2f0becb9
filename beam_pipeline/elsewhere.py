"""The runners outside this process: Dataflow, Flink, and job servers."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES, FlinkRunner
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner, create_runner
from apache_beam.utils import subprocess_server

from beam_pipeline import faults
from beam_pipeline.job import Job, Names, Ran
from beam_pipeline.pipeline import build
from transforms.errors import UsageError, UserError
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


def _check_job_server(endpoint: str) -> None:
    """Refuses an address at which nothing answers. Beam would wait for it without a message."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), JOB_SERVER_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise UserError(f"--job_endpoint={endpoint}: no job server answers at this HOST:PORT") from None


def threads() -> int:
    """One clip, because the runner starts a worker process for each core."""
    return 1


def run(job: Job, options: PipelineOptions, listener: Listener) -> Ran:
    """Submits the pipeline and waits for its end; raises as `runners.Engine` says."""
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    with faults.of_workers(), _without_messages():
        pipeline = beam.Pipeline(options=options)
        build(pipeline, job)
        name = named(job, pipeline.options)
        with _its_job_server(pipeline.runner):
            result = pipeline.run()
            try:
                result.wait_until_finish()
            except KeyboardInterrupt:
                if isinstance(pipeline.runner, PortableRunner):
                    listener.say(left(name, options))
                raise
            return faults.counted(result)


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
    if endpoint:
        where, page = f"has gone through the job server at {endpoint}", "http://JOBMANAGER:8081"
    else:
        page = FlinkRunner.add_http_scheme(master).rstrip("/")
        where = f"is at {page}"
    return (
        f"job {name} goes on; it {where}. On Flink, {page}/jobs/overview has its JOB_ID beside this name, and this ends"
        f" it: curl -X PATCH {page}/jobs/JOB_ID"
    )


@contextmanager
def _its_job_server(runner: PipelineRunner) -> Iterator[None]:
    """Ends the job server that a runner has started for itself, at the end of the block.

    Beam would do so at the end of Python, and not manage: the temporary folder of the server is gone by then.
    """
    made: list[JobServer] = []
    if isinstance(runner, PortableRunner):
        make = runner.default_job_server

        def remembered(options: PipelineOptions) -> JobServer:
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
