"""`cliptune watch`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune import exits
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_run, add_service, add_waiting, make
from tuning.providers.base import TuningJob
from tuning.requests import ServiceRequest, WatchRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Follow the tuning job of a dataset to its end. Ctrl-C leaves the job running.

  cliptune watch gs://bucket/dataset
  cliptune watch gs://bucket/dataset --timeout 3600"""
EPILOG = (
    "stdout is one line of JSON about the job. Exit status: "
    + ", ".join(f"{status.value} {meaning}" for status, meaning in exits.MEANINGS.items())
    + "."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `watch`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    add_run(parser, "the newest that goes on, else the newest")
    add_waiting(parser.add_argument_group("waiting"))
    add_service(parser.add_argument_group("service"))


def request(args: argparse.Namespace, others: Sequence[str]) -> WatchRequest:
    """Makes the request from the flags."""
    return make(WatchRequest, args)


def stopped(request: WatchRequest) -> str:
    """Says that the job goes on."""
    return job_goes_on(_run_of(request), request)


def _run_of(request: WatchRequest) -> str:
    """The words that mean the same run again."""
    return request.dataset if request.run is None else f"{request.dataset} --run {request.run}"


def job_goes_on(dataset: str, service: ServiceRequest) -> str:
    """How to follow or cancel a job whose command has stopped. `dataset` may have a --run behind it."""
    where = f"{dataset}{service.same_service}"
    return f"; a submitted job goes on: follow it with cliptune watch {where}, end it with cliptune cancel {where}"


def run(request: WatchRequest, console: Console) -> Exit:
    """Watches the job and prints it."""
    from tuning.jobs import watch  # noqa: PLC0415 -- the service's client takes seconds to import

    report = watch.run(request, console)
    console.give(report)
    say_how_to_go_on(report, _run_of(request), request, request.timeout, console)
    return exits.of_job(report)


def say_how_to_go_on(
    job: TuningJob, dataset: str, service: ServiceRequest, timeout: float | None, console: Console
) -> None:
    """If the job has not ended in time, prints how to follow it."""
    if not job.ended:
        again = f"cliptune watch {dataset}{service.same_service}"
        console.fail(f"not ended after {timeout:g} s; the job goes on: {again}")
