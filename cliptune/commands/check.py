"""`cliptune check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, add_price, add_provider, make
from tuning.requests import CheckRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Say whether Google will accept a dataset, and what tuning on it will cost.

  cliptune check dataset                   a dataset of cliptune prepare, local or gs://
  cliptune check dataset --estimate        what every model would cost, in one to five epochs
  cliptune check gs://bucket/train.jsonl   a tuning file made by any other tool

Every line is checked against the service's own schema, the client library's
types and the documented limits. Nothing is sent to the tuning service."""
EPILOG = """\
stdout is one line of JSON: ok, examples, counts by rule, and the first 1,000
problems as {"source": "FILE:LINE", "severity", "rule", "detail"}.
Exit status: 0 all well, 1 something is wrong, 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `check`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("path", metavar="PATH", help="dataset folder or JSONL file, local or gs://")
    parser.add_argument(
        "--offline", action="store_true", help="do not list the buckets of the audio that examples refer to"
    )
    add_provider(parser)
    add_billing(parser)
    group = parser.add_argument_group("estimate")
    group.add_argument("--estimate", action="store_true", help="price every model, in one to five epochs")
    add_price(group)


def request(args: argparse.Namespace, others: Sequence[str]) -> CheckRequest:
    """Makes the request from the flags."""
    return make(CheckRequest, args)


def stopped(request: CheckRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: CheckRequest, console: Console) -> Exit:
    """Checks the dataset and prints the report."""
    from tuning.check import check  # noqa: PLC0415 -- Google's schemas take seconds to import

    report = check.run(request, console)
    console.give(report)
    return Exit.DONE if report.ok else Exit.FAILED
