"""The runner on this machine: Beam's own, in this process, with progress."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo, FnApiRunner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from beam_pipeline import faults, progress
from beam_pipeline.job import Job
from beam_pipeline.pipeline import build
from transforms.listener import Listener


def check(options: PipelineOptions) -> None:
    """Nothing is needed but this machine."""


def threads() -> int:
    """Two clips a core, for one of them waits now and then: for ffmpeg, or for a disk."""
    # Not every system can tell which cores a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


def run(job: Job, options: PipelineOptions, listener: Listener) -> int:
    """Runs the pipeline in this process; raises as `runners.Engine` says."""
    # What fails here arrives as an exception; Beam would log its traceback as well.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="cliptune-") as folder, faults.of_workers():
        path = Path(folder, "progress")
        with progress.shown(path, job.plan.rows, job.output.settings.sample_rate, listener):
            pipeline = beam.Pipeline(runner=_runner(options), options=options)
            build(pipeline, job.with_progress(str(path)))
            result = pipeline.run()
            result.wait_until_finish()
            return faults.reused(result)


def _runner(options: PipelineOptions) -> FnApiRunner:
    """Beam's in-process runner, chosen by us.

    `DirectRunner` would first try to download another engine, without a
    time-out. The provision info gives workers their options, as it does there.
    """
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    repeat = options.get_all_options().get("direct_runner_bundle_repeat") or 0
    return FnApiRunner(provision_info=info, bundle_repeat=repeat)
