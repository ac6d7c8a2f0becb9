"""`cliptune report`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_pipeline.requests import ReportRequest
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, make, number
from transforms.storage import Storage

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.FAILED
TAKES_OTHERS = False
DESCRIPTION = """\
Say what a finished dataset holds: the summary, the line of JSON and, with --gate,
the exit status that the command which prepared it gave, or would have given had it
waited. An unfinished dataset, or files of two runs, are told in one line.

  cliptune prepare … --runner=DataflowRunner --no_wait
  cliptune report gs://bucket/dataset --gate"""
EPILOG = """\
stdout is one line of JSON, as that of cliptune prepare. Exit status: 0 done, 1 failed,
or no finished dataset; 2 usage; 3, with --gate, too many rows rejected."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `report`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    parser.add_argument("--gate", action="store_true", help="exit with status 3 if too many rows were rejected")
    parser.add_argument(
        "--max_rejected_fraction",
        type=number,
        default=ReportRequest.max_rejected_fraction,
        metavar="F",
        help="with --gate: the largest part of the rows that may be rejected (default: %(default)s)",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> ReportRequest:
    """Makes the request from the flags."""
    return make(ReportRequest, args)


def stopped(request: ReportRequest) -> str:
    """Nothing to add: nothing is changed."""
    return ""


def run(request: ReportRequest, console: Console) -> Exit:
    """Prints what the dataset holds."""
    from beam_pipeline import report  # noqa: PLC0415 -- slow to import
    from cliptune import summary  # noqa: PLC0415

    status = summary.told(
        report.run(request, console), request.max_rejected_fraction, console, Storage(request.billing_project)
    )
    return status if request.gate else Exit.DONE
