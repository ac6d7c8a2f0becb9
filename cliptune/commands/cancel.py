"""`cliptune cancel`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, add_run, add_service, make
from tuning.requests import CancelRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Cancel a tuning job: the job of a dataset, or a job by its name. The service
still charges for the work that is done.

  cliptune cancel dataset
  cliptune cancel projects/P/locations/us-central1/tuningJobs/123"""
EPILOG = """\
stdout is one line of JSON about the job. Exit status: 0 cancelled, or about to be;
1 failed, or it had already ended; 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `cancel`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("job", metavar="OUT|JOB", help="dataset folder, or projects/…/tuningJobs/…")
    add_run(parser, "the one that goes on")
    add_billing(parser)
    add_service(parser.add_argument_group("service"))


def request(args: argparse.Namespace, others: Sequence[str]) -> CancelRequest:
    """Makes the request from the flags."""
    return make(CancelRequest, args)


def stopped(request: CancelRequest) -> str:
    """Nothing to add: it is not known whether the request reached the service."""
    return ""


def run(request: CancelRequest, console: Console) -> Exit:
    """Cancels the job and prints it."""
    from tuning.jobs import cancel  # noqa: PLC0415 -- the service's client takes seconds to import

    try:
        console.give(cancel.run(request, console))
    except cancel.JobEndedError as fault:
        console.give(fault.report)
        console.fail(str(fault), "cancel")
        return Exit.FAILED
    return Exit.DONE
