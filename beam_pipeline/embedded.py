"""The runner on this machine: Beam's in-process runner, with progress."""

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
from beam_pipeline.job import Job, Ran
from beam_pipeline.pipeline import build
from transforms import temporary
from transforms.listener import Listener


def check(options: PipelineOptions) -> None:
    """Refuses nothing: this runner has no required options."""


def threads() -> int:
    """A clip for each core, and one more to be ready when a core is."""
    # `sched_getaffinity`, the cores of this process, does not exist on every system.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def run(job: Job, options: PipelineOptions, listener: Listener) -> Ran:
    """Runs the pipeline in this process; raises as `runners.Engine` says."""
    # A failure is raised as an exception. Beam would also log its traceback.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    with temporary.folder() as folder, faults.of_workers():
        path = Path(folder, "progress")
        with progress.shown(path, job.plan.rows, job.output.settings.sample_rate, listener):
            pipeline = beam.Pipeline(runner=_runner(options), options=options)
            _move_temporary_folder(pipeline, folder)
            build(pipeline, job.on_this_machine(str(path), folder))
            result = pipeline.run()
            result.wait_until_finish()
            return faults.counted(result.metrics())


def _move_temporary_folder(pipeline: beam.Pipeline, folder: str) -> None:
    """Has Beam's own temporary folder lie in ours, which goes at the end, or after it."""
    Path(pipeline.local_tempdir).rmdir()
    pipeline.local_tempdir = tempfile.mkdtemp(dir=folder)


def _runner(options: PipelineOptions) -> FnApiRunner:
    """Beam's in-process runner, chosen explicitly.

    `DirectRunner` would first try to download another engine, without a
    time-out. The provision info gives the options to the workers, as in
    `DirectRunner`.
    """
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    repeat = options.get_all_options().get("direct_runner_bundle_repeat") or 0
    return FnApiRunner(provision_info=info, bundle_repeat=repeat)
