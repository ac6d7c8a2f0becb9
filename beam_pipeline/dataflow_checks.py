"""What a job on Dataflow needs: its flags, and what is there, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from beam_pipeline import elsewhere, packages
from beam_pipeline.dataflow_service import require_credentials
from beam_pipeline.job import Job
from transforms.errors import UsageError, UserError
from transforms.listener import Listener
from transforms.storage import uris

_JOB_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LABEL = re.compile(r"(?!.*[A-Z])[^\W\d_][-\w]{0,62}(=[-\w]{0,63})?")
_BUCKET = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9](/.*)?")


def check_flags(options: PipelineOptions) -> None:
    """Checks the options without a network.

    Raises:
      UsageError: one line with all that is wrong.
    """
    cloud = options.view_as(GoogleCloudOptions)
    problems = [
        f"--{name}={value!s} {rule}."
        for name, value, pattern, rule in (
            ("temp_location", cloud.temp_location, _BUCKET, "must be a gs:// folder in a bucket of yours"),
            ("staging_location", cloud.staging_location, _BUCKET, "must be a gs:// folder in a bucket of yours"),
            ("template_location", cloud.template_location, _BUCKET, "must be a gs:// file in a bucket of yours"),
            ("region", cloud.region, _REGION, "is not spelled like a region, such as us-central1"),
            ("job_name", cloud.job_name, _JOB_NAME, "must be a-z, 0-9 and -, and begin with a letter"),
            (
                "service_account_email",
                cloud.service_account_email,
                _EMAIL,
                "must be the address of an account",
            ),
            *(
                ("labels", label, _LABEL, "must be KEY=VALUE of small letters, digits, - and _, each of at most 63")
                for label in _labels(cloud)
            ),
        )
        if value is not None and not pattern.fullmatch(value)
    ]
    missing = [name for name in ("project", "region", "temp_location") if not getattr(cloud, name)]
    problems += [f"Missing required option: --{name}." for name in missing]
    problems += [*packages.problems(options), *_worker_problems(options)]
    if problems:
        raise UsageError(f"--runner=DataflowRunner: {' '.join(problems)}")
    tests = options.view_as(TestOptions)
    tests.dry_run, before = True, tests.dry_run  # else Beam asks the bucket for its settings
    try:
        elsewhere.check(options)
    finally:
        tests.dry_run = before


def _labels(cloud: GoogleCloudOptions) -> list[str]:
    """Those of flags that are KEY=VALUE: Beam takes JSON, too."""
    return [label for label in cloud.labels or () if not label.startswith("{")]


def _worker_problems(options: PipelineOptions) -> Iterator[str]:
    """What no job can be, a sentence each."""
    worker, threads = options.view_as(WorkerOptions), options.view_as(DebugOptions).number_of_worker_harness_threads
    for name, number in (
        ("num_workers", worker.num_workers),
        ("max_num_workers", worker.max_num_workers),
        ("disk_size_gb", worker.disk_size_gb),
        ("number_of_worker_harness_threads", threads),
    ):
        if number is not None and number < 1:
            yield f"--{name}={number} must be positive."
    if worker.max_num_workers and worker.num_workers and worker.num_workers > worker.max_num_workers:
        yield f"--num_workers={worker.num_workers} is above --max_num_workers={worker.max_num_workers}."
    if options.view_as(StandardOptions).streaming:
        yield "--streaming is for pipelines without an end; leave it out."
    if options.view_as(GoogleCloudOptions).update:
        yield "--update takes the place of a running job; leave it out, and --cancel that one first."


def preflight(job: Job, options: PipelineOptions, listener: Listener) -> None:
    """Tries what the job will need, and says in a line each what is wrong.

    Raises:
      UserError: something is.
    """
    require_credentials(options)
    cloud = options.view_as(GoogleCloudOptions)
    names = ("temp_location", "staging_location", "template_location")
    places = {f"--{name}": uri for name in names if (uri := getattr(cloud, name))}
    problems = [
        f"{flag}: {uri} lies in the output, where a dataset is and nothing else"
        for flag, uri in places.items()
        if f"{uri}/".startswith(f"{job.output.folder}/")
    ]
    for flag, uri in {**places, "--output": job.output.folder}.items():
        problems += [f"{flag}: {problem}" for problem in _bucket_problems(job, uri)]
    for problem in problems:
        listener.say(problem)
    if problems:
        raise UserError(f"nothing was submitted, for {len(problems)} of the things that the job needs are missing")


def _bucket_problems(job: Job, uri: str) -> Iterator[str]:
    try:
        access = job.output.storage.anywhere().access(uri)
    except UserError as fault:
        yield str(fault)
        return
    if access is not None and access.missing:
        yield f"your account lacks {', '.join(access.missing)} in gs://{uris.bucket_of(uri)}"
