"""`cliptune merge`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_pipeline.requests import MergeRequest
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, make, number
from transforms.storage import Storage

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.FAILED
TAKES_OTHERS = False
DESCRIPTION = """\
Make one dataset of several, as if it had been prepared from all their manifests:
splits by whole groups, ids that are given twice rejected. Lines are copied, and
nothing that is in one of them is decoded.

  cliptune merge monday tuesday --output week
  cliptune merge gs://bucket/a gs://bucket/b --output gs://bucket/both

Their settings must be the same, and their manifests what they were."""
EPILOG = """\
stdout is one line of JSON, as that of cliptune prepare. Exit status: 0 done, 1 failed,
2 usage, 3 too many rows rejected (the dataset is complete all the same)."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `merge`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("datasets", metavar="OUT", nargs="+", help="dataset folders, local or gs://; two or more")
    parser.add_argument("--output", required=True, metavar="OUT", help="folder or gs:// URI of the dataset")
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset there")
    parser.add_argument(
        "--max_rejected_fraction",
        type=number,
        default=MergeRequest.max_rejected_fraction,
        metavar="F",
        help="exit with status 3 when a larger part of the rows is rejected (default: %(default)s)",
    )
    add_billing(parser)


def request(args: argparse.Namespace, others: Sequence[str]) -> MergeRequest:
    """Makes the request from the flags."""
    return make(MergeRequest, args, datasets=tuple(args.datasets))


def stopped(request: MergeRequest) -> str:
    """Says how to go on."""
    return "; the same command goes on from here"


def run(request: MergeRequest, console: Console) -> Exit:
    """Merges the datasets and prints the report."""
    from beam_pipeline import merge  # noqa: PLC0415 -- slow to import
    from cliptune import importing, summary  # noqa: PLC0415

    report = merge.run(request, console, importing.lightly)
    return summary.told(report, request.max_rejected_fraction, console, Storage(request.billing_project))
