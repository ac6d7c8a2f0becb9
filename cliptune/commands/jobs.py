"""`cliptune jobs`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, add_place, add_service, make, whole_number
from tuning.requests import JobsRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
List tuning jobs, the newest first: those of a project and location, or of the
project and location in which a dataset was tuned.

  cliptune jobs --project P --location us-central1
  cliptune jobs dataset --emulator"""
EPILOG = """\
stdout is one line of JSON, {"jobs": […]}. Exit status: 0 done, 1 failed, 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `jobs`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("dataset", metavar="OUT", nargs="?", help="dataset folder that was tuned on")
    parser.add_argument("--limit", type=whole_number, default=20, metavar="N", help="default: the newest %(default)s")
    add_billing(parser)
    service = parser.add_argument_group("service")
    add_place(service)
    add_service(service)


def request(args: argparse.Namespace, others: Sequence[str]) -> JobsRequest:
    """Makes the request from the flags."""
    return make(JobsRequest, args)


def stopped(request: JobsRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: JobsRequest, console: Console) -> Exit:
    """Lists jobs and prints the list."""
    from tuning.jobs import listing  # noqa: PLC0415 -- the service's client takes seconds to import

    console.give(listing.run(request, console))
    return Exit.DONE
