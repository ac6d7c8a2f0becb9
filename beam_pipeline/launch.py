"""`cliptune prepare`: from the command line to an exit status."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    _BeamArgumentParser,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo, FnApiRunner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineResult, create_runner
from rich.console import Console

from beam_pipeline import progress, summary
from beam_pipeline.flags import columns_from, prepare_flags, settings_from
from beam_pipeline.job import Job
from beam_pipeline.pipeline import build
from beam_pipeline.write_shards import REUSED
from transforms import errors, interrupts, tasks
from transforms.dataset import output
from transforms.dataset.output import Output
from transforms.dataset.plan import make_plan
from transforms.errors import StorageError, UsageError, UserError
from transforms.manifests import allowed, read
from transforms.manifests.read import ManifestSettings
from transforms.report.report import Report
from transforms.settings import Task
from transforms.storage import Storage, uris

DONE, FAILED, USAGE, TOO_MANY_REJECTED = 0, 1, 2, 3
INTERRUPT_SECONDS = 1.5
JOB_SERVER_SECONDS = 10.0
EMBEDDED_RUNNERS = ("", "DirectRunner", "FnApiRunner")


def prepare(args: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """Runs `cliptune prepare`.

    Args:
      args: the flags of `beam_pipeline.flags`.
      beam_flags: all other words of the command line.

    Returns:
      The exit status.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        options = beam_options(beam_flags)
        with interrupts.ends_within(INTERRUPT_SECONDS, console, _stopped(options), FAILED):
            return _tell(*_prepare(args, options, console), args, console)
    except UsageError as fault:
        console.print(f"cliptune prepare: {fault}")
        return USAGE
    except (UserError, StorageError) as fault:
        console.print(f"cliptune prepare: {fault}")
    return FAILED


def _stopped(options: PipelineOptions) -> str:
    runner = options.view_as(StandardOptions).runner
    where = "" if _embedded(options) else f"; what {runner} has begun may go on there, so end that first"
    return f"cliptune prepare: stopped; the same command goes on from here{where}"


def _tell(report: Report, reused: int, args: argparse.Namespace, console: Console) -> int:
    summary.show(report, reused, args.output, console)
    sys.stdout.write(summary.line(report, reused, args.output))
    # Divided, not multiplied: 29 of 50 are 0.58, and 0.58 * 50 is less than 29.
    too_many = report.rejected / report.rows > args.max_rejected_fraction
    if too_many:
        console.print(f"more than --max_rejected_fraction={args.max_rejected_fraction:g} of the rows were rejected")
    return TOO_MANY_REJECTED if too_many else DONE


def _prepare(args: argparse.Namespace, options: PipelineOptions, console: Console) -> tuple[Report, int]:
    check_runner(options)
    job = make_job(args, options, console)
    claim = output.claim(job.output, job.plan, args.overwrite)
    committed, audio_there = output.left_by_earlier_runs(job.output) if claim.resumed else (frozenset(), False)
    reused = run(job.claimed(claim.digest, committed, audio_there), options, console)
    return Report.load(job.output.storage.read_bytes(uris.join(job.output.folder, output.REPORT_FILE))), reused


def beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options, with unknown flags refused: Beam itself would drop them.

    Raises:
      UsageError: a word that is no flag of Beam's.
    """
    parser = _BeamArgumentParser(prog="cliptune prepare", allow_abbrev=False, usage=argparse.SUPPRESS)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        name = unknown[0].partition("=")[0]
        close = difflib.get_close_matches(name, [*parser._option_string_actions, *prepare_flags()], n=1)
        raise UsageError(f"unknown flag {name}" + (f"; did you mean {close[0]}?" if close else ""))
    options = PipelineOptions(list(flags))
    # The code is an installed package; Dataflow's default would hide a missing one.
    options.view_as(SetupOptions).save_main_session = False
    return options


def check_runner(options: PipelineOptions) -> None:
    """Refuses a runner that does not exist, or that lacks an option, before anything is read.

    Raises:
      UsageError: with all that Beam has to say, in one line.
      UserError: there is no job server where there should be one.
    """
    if _embedded(options):
        return
    name = options.view_as(StandardOptions).runner
    try:
        errors = PipelineOptionsValidator(options, create_runner(name)).validate()
    except (ValueError, ImportError, AttributeError) as fault:
        raise UsageError(f"--runner={name}: {' '.join(str(fault).split())}") from None
    endpoint = options.view_as(PortableOptions).job_endpoint
    if name == "PortableRunner" and not endpoint:
        errors = [*errors, "Missing required option: job_endpoint."]
    if errors:
        told = " ".join(re.sub(r"option: (\w+)", r"option: --\1", " ".join(error.split())) for error in errors)
        raise UsageError(f"--runner={name}: {told}")
    if endpoint and endpoint != "embed":
        _check_job_server(endpoint)


def _check_job_server(endpoint: str) -> None:
    """Refuses an address at which nothing answers: Beam would wait for it, and say nothing."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), JOB_SERVER_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise UserError(f"--job_endpoint={endpoint}: no job server answers at this HOST:PORT") from None


def make_job(args: argparse.Namespace, options: PipelineOptions, console: Console) -> Job:
    """Reads the manifests once, to count them, and fixes all that the workers need.

    Raises:
      UsageError: a flag's value breaks its rule.
      UserError: a manifest cannot be used.
    """
    base = str(Path.cwd())  # workers may have another one
    storage = Storage(args.billing_project)
    args.audio_uri = _audio_uri(args)
    try:
        settings = settings_from(args, _tasks(args.tasks, base, storage) if args.tasks else ())
    except ValueError as fault:
        raise UsageError(f"--{fault}") from None
    if not 0 <= args.max_rejected_fraction <= 1:
        raise UsageError(f"--max_rejected_fraction must be from 0 to 1, got {args.max_rejected_fraction:g}")
    manifests = read.locate(args.manifest, base, storage)
    rows = ManifestSettings(
        audio_root=args.audio_root,
        allow_path=tuple(args.allow_path),
        columns=columns_from(args),
        tasks=settings.tasks,
    )
    _refuse_own_output(manifests, uris.absolute(args.output, base), args.output)
    every_row = (row for each in manifests for row in read.rows(each, rows, storage))
    plan = make_plan(progress.counted(every_row, console), settings)
    target = Output(
        folder=uris.absolute(args.output, base),
        base=base,
        allowed=allowed.allowed_roots(manifests, rows, base),
        num_shards=plan.num_shards,
        settings=settings,
        storage=storage,
        verify=args.verify,
    )
    return Job(tuple(manifests), rows, plan, target, _clip_threads(args, options))


def _audio_uri(args: argparse.Namespace) -> str:
    """Where the examples' audio is for the service, which reads from buckets only."""
    uri = str(args.audio_uri).rstrip("/")
    if args.audio_part != "uri" or uri:
        return uri
    if not uris.is_gcs(args.output):
        told = f"--audio_part=uri: the service reads audio from a bucket, and --output {args.output} is none"
        raise UserError(f"{told}; write to gs://…, or say with --audio_uri where OUT/audio will be copied to")
    return f"{args.output.rstrip('/')}/audio"


def _tasks(name: str, base: str, storage: Storage) -> tuple[Task, ...]:
    try:
        return tasks.load(storage.read_bytes(uris.absolute(name, base)), name)
    except FileNotFoundError:
        raise UserError(f"--tasks {name}: there is no such file") from None
    except OSError as fault:
        raise UserError(f"--tasks {name}: {fault.strerror}") from None


def _refuse_own_output(manifests: Sequence[read.Manifest], uri: str, name: str) -> None:
    """The dead letters of a dataset are a manifest too: not to be overwritten while they are read."""
    for each in manifests:
        if each.uri.startswith(uri.rstrip("/") + "/"):
            raise UserError(
                f"the manifest {each.name} lies in --output {name}, which would be written anew; copy it first"
            )


def _clip_threads(args: argparse.Namespace, options: PipelineOptions) -> int:
    if args.clip_threads is not None:
        if args.clip_threads < 1:
            raise UsageError(f"--clip_threads must be positive, got {args.clip_threads}")
        return int(args.clip_threads)
    # Two a core, for one of them waits now and then: for ffmpeg, or for a disk. Elsewhere the runner starts one worker
    # process a core.
    return 2 * _cores() if _embedded(options) else 1


def _cores() -> int:
    """The cores that this process may use; not every system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _embedded(options: PipelineOptions) -> bool:
    return (options.view_as(StandardOptions).runner or "") in EMBEDDED_RUNNERS


def run(job: Job, options: PipelineOptions, console: Console) -> int:
    """Runs the pipeline to its end, with progress on `console`.

    Returns:
      The clips that an earlier run had made ready.

    Raises:
      UserError: a worker found a fault that the user can mend.
    """
    # What fails here arrives as an exception; Beam would log its traceback as well.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL if _embedded(options) else logging.WARNING)
    try:
        result = _run_here(job, options, console) if _embedded(options) else _run_elsewhere(job, options)
    except (UserError, StorageError) as fault:
        raise type(fault)(_without_step(str(fault))) from None
    except RuntimeError as fault:
        if str(fault).startswith("KeyboardInterrupt"):  # Beam raises what it caught as its own
            raise KeyboardInterrupt from None
        # A worker elsewhere sends its exception as the text of a traceback.
        told = errors.in_traceback(str(fault))
        if told is None:
            raise
        raise type(told)(_without_step(str(told))) from None
    counters = result.metrics().query(MetricsFilter().with_name(REUSED.metric_name.name))["counters"]
    # A job server tells a counter that was never above zero as None.
    return sum(counter.result or 0 for counter in counters)


def _without_step(text: str) -> str:
    """Beam appends " [while running 'Step']" to a worker's message."""
    return re.sub(r" \[while running '.*'\](?: with exceptions:.*)?$", "", text)


def _run_elsewhere(job: Job, options: PipelineOptions) -> PipelineResult:
    pipeline = beam.Pipeline(options=options)
    build(pipeline, job)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def _run_here(job: Job, options: PipelineOptions, console: Console) -> PipelineResult:
    with tempfile.TemporaryDirectory(prefix="cliptune-") as folder:
        path = Path(folder, "progress")
        with progress.shown(path, job.plan.rows, job.output.settings.sample_rate, console):
            pipeline = beam.Pipeline(runner=_embedded_runner(options), options=options)
            build(pipeline, job.with_progress(str(path)))
            result = pipeline.run()
            result.wait_until_finish()
            return result


def _embedded_runner(options: PipelineOptions) -> FnApiRunner:
    """Beam's in-process runner, chosen by us.

    `DirectRunner` would first try to download another engine, without a
    time-out. The provision info gives workers their options, as it does there.
    """
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    repeat = options.get_all_options().get("direct_runner_bundle_repeat") or 0
    return FnApiRunner(provision_info=info, bundle_repeat=repeat)
